//! The set commands, one idea a file. Not here: how a set is kept (`types::set`).

mod add;
mod remove;

mod member;

mod random;

mod combine;
mod sources;

mod scan;

use super::spec::{Command, Group};
use crate::resp::Reply;
use crate::types::listpack::Item;

pub(super) const COMMANDS: &[Command] = &[
    add::SADD,
    member::SCARD,
    combine::SDIFF,
    combine::SDIFFSTORE,
    combine::SINTER,
    combine::SINTERCARD,
    combine::SINTERSTORE,
    member::SISMEMBER,
    member::SMEMBERS,
    member::SMISMEMBER,
    remove::SMOVE,
    random::SPOP,
    random::SRANDMEMBER,
    remove::SREM,
    scan::SSCAN,
    combine::SUNION,
    combine::SUNIONSTORE,
];

/// What all set commands share.
const SET: Command = Command { group: Group::Set, ..Command::BASE };

fn reply_member(reply: &mut Reply<'_>, member: Item<'_>) {
    match member {
        Item::Int(int) => reply.bulk_int(int),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}
