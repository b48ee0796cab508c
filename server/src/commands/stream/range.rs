//! XRANGE and XREVRANGE: entries between two ids. XLEN: how many there are.

use super::{READS, STREAM, ids, reply};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::types::stream::Stream;

pub(super) const XLEN: Command = Command {
    name: "xlen",
    syntax: "key",
    summary: "Returns the number of messages in a stream.",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(xlen),
    ..STREAM
};

fn xlen(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    args.finish()?;
    let (found, reply) = call.read_as_and_reply::<Stream>(key)?;
    let found = found.as_deref();
    reply.len(found.map_or(0, Stream::len));
    Ok(())
}

pub(super) const XRANGE: Command = Command {
    name: "xrange",
    syntax: "key start:string end:string [COUNT count]",
    summary: "Returns the messages from a stream within a range of IDs.",
    complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(|call| range(call, Direction::Forward)),
    history: &[("6.2.0", "Added exclusive ranges.")],
    ..STREAM
};

pub(super) const XREVRANGE: Command = Command {
    name: "xrevrange",
    syntax: "key end:string start:string [COUNT count]",
    summary: "Returns the messages from a stream within a range of IDs in reverse order.",
    complexity: "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
    handler: Some(|call| range(call, Direction::Backward)),
    ..XRANGE
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

fn range(call: &mut Call<'_>, direction: Direction) -> Result {
    let mut args = call.args();
    let (key, first, second) = (args.required()?, args.required()?, args.required()?);
    let (start, end) = match direction {
        Direction::Forward => (first, second),
        Direction::Backward => (second, first),
    };
    let ids = ids::start(start)?..=ids::end(end)?;
    let mut count = None;
    while !args.is_empty() {
        if args.left() < 2 || !args.keyword("count") {
            return Err(error::SYNTAX);
        }
        count = Some(usize::try_from(args.int()?).unwrap_or(0));
    }
    let (found, reply) = call.read_as_and_reply::<Stream>(key)?;
    let found = found.as_deref();
    match (found, direction) {
        (None, _) => reply.array(0),
        (Some(_), _) if count == Some(0) => reply.null_array(),
        (Some(stream), Direction::Forward) => {
            reply::entries(reply, stream.log().range(ids), count);
        }
        (Some(stream), Direction::Backward) => {
            reply::entries(reply, stream.log().range_back(ids), count);
        }
    }
    Ok(())
}
