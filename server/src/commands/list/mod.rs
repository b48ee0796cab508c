//! The list commands, one idea a file. Not here: how a list is stored (`types::list`), SORT.

mod push;

mod pop;

mod wait;

mod transfer;

mod read;

mod position;

mod edit;

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::resp::Reply;
use crate::types::list::{End, Limits, List};
use crate::types::listpack::Item;

pub(super) const COMMANDS: &[Command] = &[
    wait::BLMOVE,
    wait::BLMPOP,
    wait::BLPOP,
    wait::BRPOP,
    wait::BRPOPLPUSH,
    read::LINDEX,
    edit::LINSERT,
    read::LLEN,
    transfer::LMOVE,
    pop::LMPOP,
    pop::LPOP,
    position::LPOS,
    push::LPUSH,
    push::LPUSHX,
    read::LRANGE,
    edit::LREM,
    edit::LSET,
    edit::LTRIM,
    pop::RPOP,
    transfer::RPOPLPUSH,
    push::RPUSH,
    push::RPUSHX,
];

/// What list commands share.
const LIST: Command = Command { group: Group::List, ..Command::BASE };

/// A command that may make a list bigger.
const GROWS: Flags = Flags::WRITE.union(Flags::DENYOOM);

const READS: KeySpec = KeySpec::one(1, Access::ReadOnly, &["access"]);
const POPS: KeySpec = KeySpec::one(1, Access::ReadWrite, &["access", "delete"]);
const INSERTS: KeySpec = KeySpec::one(1, Access::ReadWrite, &["insert"]);

fn limits(call: &Call<'_>) -> Limits {
    call.engine.list_limits()
}

/// `LEFT | RIGHT`.
fn end(args: &mut Args<'_>) -> Result<End> {
    match args.required()?.to_ascii_lowercase().as_slice() {
        b"left" => Ok(End::Head),
        b"right" => Ok(End::Tail),
        _ => Err(error::SYNTAX),
    }
}

#[inline]
fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Bytes(bytes) => reply.bulk(bytes),
        Item::Int(value) => reply.bulk_int(value),
    }
}

/// Elements as they lie there, or from the range's end back.
fn reply_items(reply: &mut Reply<'_>, list: &List, range: Range<usize>, from: End) {
    reply.array(range.len());
    list.each_in(range, from, |item| {
        reply_item(reply, item);
        true
    });
}

/// The command that takes elements off this end, as it is logged.
fn pop_name(end: End) -> &'static [u8] {
    match end {
        End::Head => b"LPOP",
        End::Tail => b"RPOP",
    }
}

/// Something was put into the list at `key`; the change is counted already.
fn pushed(call: &mut Call<'_>, key: &[u8], end: End) {
    let event = if end == End::Head { "lpush" } else { "rpush" };
    call.event(Class::LIST, event, key);
    call.signal(key);
}

/// `count` elements were taken out of an end of the list at `key`.
fn popped(call: &mut Call<'_>, key: &[u8], end: End, count: usize, is_gone: bool) {
    changed_by(call, key, count);
    let event = if end == End::Head { "lpop" } else { "rpop" };
    call.event(Class::LIST, event, key);
    if is_gone {
        call.event(Class::GENERIC, "del", key);
    }
}

/// The key was changed, in `count` elements, of which there is at least one.
fn changed_by(call: &mut Call<'_>, key: &[u8], count: usize) {
    call.changed(key);
    call.dirty(count as u64 - 1);
}
