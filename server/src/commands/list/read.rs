//! LLEN, LINDEX, LRANGE.

use std::ops::Range;

use super::{LIST, READS, reply_item, reply_items};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::types::list::{End, List};

pub(super) const LLEN: Command = Command {
    name: "llen",
    syntax: "key",
    summary: "Returns the length of a list.",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(llen),
    ..LIST
};

fn llen(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let len = call.read_as::<List>(key)?.map_or(0, |list| list.len());
    call.reply.len(len);
    Ok(())
}

pub(super) const LINDEX: Command = Command {
    name: "lindex",
    syntax: "key index",
    summary: "Returns an element from a list by its index.",
    complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(lindex),
    ..LIST
};

fn lindex(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    // Complained of only where there is a list.
    let index = args.int();
    let (found, reply) = call.read_as_and_reply::<List>(key)?;
    let found = found.as_deref();
    let shown = match found {
        Some(list) => element_at(index?, list.len())
            .and_then(|index| list.get(index, |item| reply_item(reply, item))),
        None => None,
    };
    if shown.is_none() {
        reply.null();
    }
    Ok(())
}

/// The place from the head of an index that counts from the tail if negative; it may be behind
/// the end.
pub(super) fn element_at(index: i64, len: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

pub(super) const LRANGE: Command = Command {
    name: "lrange",
    syntax: "key start stop:integer",
    summary: "Returns a range of elements from a list.",
    complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(lrange),
    ..LIST
};

fn lrange(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, start, stop) = (args.required()?, args.int()?, args.int()?);
    let (found, reply) = call.read_as_and_reply::<List>(key)?;
    let found = found.as_deref();
    let Some(list) = found else {
        reply.array(0);
        return Ok(());
    };
    reply_items(reply, list, range(start, stop, list.len()), End::Head);
    Ok(())
}

/// The elements from `start` to `stop`, which is one of them; both count from the tail if negative.
pub(super) fn range(start: i64, stop: i64, len: usize) -> Range<usize> {
    let start = element_at(start, len).unwrap_or(0);
    let end = element_at(stop, len).map_or(0, |stop| stop.saturating_add(1).min(len));
    if start < end { start..end } else { 0..0 }
}
