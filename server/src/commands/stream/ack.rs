//! XACK: an entry was dealt with and is no longer pending.

use super::{FAST_WRITE, STREAM, UPDATES, ids};
use crate::commands::spec::Command;
use crate::engine::Call;
use crate::error::Result;
use crate::types::stream::{Stream, StreamId};

pub(super) const XACK: Command = Command {
    name: "xack",
    syntax: "key group id [id ...]",
    summary: "Returns the number of messages that were successfully acknowledged by the consumer group member of a stream.",
    complexity: "O(1) for each message ID processed.",
    flags: FAST_WRITE,
    keys: &[UPDATES],
    handler: Some(xack),
    ..STREAM
};

fn xack(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, group) = (args.required()?, args.required()?);
    // Redis answers 0 for what is missing before it looks at the ids.
    let found = call.peek_as::<Stream>(key)?;
    if found.as_deref().and_then(|stream| stream.groups().group(group)).is_none() {
        call.reply.int(0);
        return Ok(());
    }
    let ids = args.map(ids::strict).collect::<Result<Vec<StreamId>>>()?;
    let acknowledge = |stream: &mut Stream| {
        let group = stream.parts_mut().groups.group_mut(group)?;
        Some(ids.iter().filter(|id| group.forget(**id)).count())
    };
    let count = call.edit(key, |stream, _| acknowledge(stream))?.flatten().unwrap_or(0);
    call.dirty(count as u64);
    call.reply.len(count);
    Ok(())
}
