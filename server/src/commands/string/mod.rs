//! The string commands, one idea a file. Not here: how a string is stored (`types::string`,
//! `keyspace`), strings as bits (`bitmap`).

mod set;

mod options;

mod get;
mod remove;

mod many;

mod counters;

mod ranges;

mod lcs;

use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::resp::Reply;
use crate::types::string::{Digits, StrRef};

pub(super) const COMMANDS: &[Command] = &[
    ranges::APPEND,
    counters::DECR,
    counters::DECRBY,
    remove::DELIFEQ,
    get::GET,
    remove::GETDEL,
    get::GETEX,
    ranges::GETRANGE,
    set::GETSET,
    counters::INCR,
    counters::INCRBY,
    counters::INCRBYFLOAT,
    lcs::LCS,
    many::MGET,
    many::MSET,
    many::MSETEX,
    many::MSETNX,
    set::PSETEX,
    set::SET,
    set::SETEX,
    set::SETNX,
    ranges::SETRANGE,
    ranges::STRLEN,
    ranges::SUBSTR,
];

/// What most string commands share.
const STRING: Command = Command { group: Group::String, ..Command::BASE };

/// A command that may make a value bigger.
const GROWS: Flags = Flags::WRITE.union(Flags::DENYOOM);

const READS: KeySpec = KeySpec::one(1, Access::ReadOnly, &["access"]);
const UPDATES: KeySpec = KeySpec::one(1, Access::ReadWrite, &["access", "update"]);

/// Replies with a value as GET does.
fn reply_text(reply: &mut Reply<'_>, found: Option<StrRef<'_>>) {
    match found {
        Some(StrRef::Bytes(bytes)) => reply.bulk(bytes),
        Some(StrRef::Int(int)) => reply.bulk_int(int),
        None => reply.null(),
    }
}

fn equals(value: StrRef<'_>, text: &[u8]) -> bool {
    value.bytes(&mut Digits::new()) == text
}

/// A value made longer in place must still fit into one bulk string.
#[derive(Clone, Copy)]
struct MaxLen(usize);

impl MaxLen {
    fn of(call: &Call<'_>) -> Self {
        Self(call.engine.config.settings().max_bulk_len)
    }

    /// Whether a value may have `added` bytes at `offset`.
    fn allows(self, offset: usize, added: usize) -> Result {
        match offset.checked_add(added) {
            Some(len) if len <= self.0 => Ok(()),
            _ => Err(error::STRING_TOO_LONG),
        }
    }
}
