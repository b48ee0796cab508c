//! XSETID: what a stream remembers of entries that it once had.

use super::{FAST_WRITE, STREAM, UPDATES, ids};
use crate::commands::spec::{Command, Flags};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::stream::{Log, Stream, StreamId};

pub(super) const XSETID: Command = Command {
    name: "xsetid",
    syntax: "key last-id [ENTRIESADDED entries-added:integer] [MAXDELETEDID max-deleted-id]",
    summary: "An internal command for replicating stream values.",
    flags: FAST_WRITE.union(Flags::DENYOOM),
    keys: &[UPDATES],
    handler: Some(xsetid),
    history: &[("7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments.")],
    ..STREAM
};

fn xsetid(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let wanted = Wanted::parse(args)?;
    let edit = |stream: &mut Stream| wanted.apply(&mut stream.parts_mut().log);
    call.edit(key, |stream, _| edit(stream))?.ok_or(error::NO_SUCH_KEY)??;
    call.dirty(1);
    call.event(Class::STREAM, "xsetid", key);
    call.reply.ok();
    Ok(())
}

struct Wanted {
    last_id: StreamId,
    entries_added: Option<u64>,
    max_deleted_id: StreamId,
}

impl Wanted {
    fn parse(mut args: Args<'_>) -> Result<Self> {
        let last_id = ids::strict(args.required()?)?;
        let mut wanted = Self { last_id, entries_added: None, max_deleted_id: StreamId::MIN };
        while !args.is_empty() {
            if args.left() < 2 {
                return Err(error::SYNTAX);
            } else if args.keyword("entriesadded") {
                let count = u64::try_from(args.int()?).or(Err(error::ENTRIES_ADDED_NEGATIVE))?;
                wanted.entries_added = Some(count);
            } else if args.keyword("maxdeletedid") {
                wanted.max_deleted_id = ids::strict(args.required()?)?;
                if last_id < wanted.max_deleted_id {
                    return Err(error::XSETID_BELOW_GIVEN_DELETED);
                }
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(wanted)
    }

    fn apply(&self, log: &mut Log) -> Result {
        if self.last_id < log.max_deleted_id() {
            return Err(error::XSETID_BELOW_DELETED);
        }
        if log.last_entry_id().is_some_and(|top| self.last_id < top) {
            return Err(error::XSETID_BELOW_TOP);
        }
        if self.entries_added.is_some_and(|added| added < log.len()) {
            return Err(error::XSETID_BELOW_LEN);
        }
        log.set_last_id(self.last_id);
        if let Some(count) = self.entries_added {
            log.set_entries_added(count);
        }
        if !self.max_deleted_id.is_zero() {
            log.set_max_deleted_id(self.max_deleted_id);
        }
        Ok(())
    }
}
