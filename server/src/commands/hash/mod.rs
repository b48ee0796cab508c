//! The hash commands, one idea a file. Not here: how a hash is kept (`types::hash`), how due fields
//! are removed (`engine::cron`).

mod get;
mod set;

mod many;

mod remove;

mod counters;

mod random;
mod scan;

mod expire;
mod fields;
mod getex;
mod setex;
mod ttl;

use super::spec::{Command, Group};
use crate::config::notify::Class;
use crate::engine::{Call, Policy};
use crate::resp::{Argv, Reply};
use crate::types::hash::SHOW_DUE;
use crate::types::listpack::Item;

pub(super) const COMMANDS: &[Command] = &[
    remove::HDEL,
    get::HEXISTS,
    expire::HEXPIRE,
    expire::HEXPIREAT,
    ttl::HEXPIRETIME,
    get::HGET,
    many::HGETALL,
    remove::HGETDEL,
    getex::HGETEX,
    counters::HINCRBY,
    counters::HINCRBYFLOAT,
    many::HKEYS,
    get::HLEN,
    get::HMGET,
    set::HMSET,
    expire::HPERSIST,
    expire::HPEXPIRE,
    expire::HPEXPIREAT,
    ttl::HPEXPIRETIME,
    ttl::HPTTL,
    random::HRANDFIELD,
    scan::HSCAN,
    set::HSET,
    setex::HSETEX,
    set::HSETNX,
    get::HSTRLEN,
    ttl::HTTL,
    many::HVALS,
];

/// What all hash commands share.
const HASH: Command = Command { group: Group::Hash, since: "2.0.0", ..Command::BASE };

fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Int(int) => reply.bulk_int(int),
        Item::Bytes(bytes) => reply.bulk(bytes),
    }
}

fn reply_item_opt(reply: &mut Reply<'_>, item: Option<Item<'_>>) {
    match item {
        Some(item) => reply_item(reply, item),
        None => reply.null(),
    }
}

/// From when on fields are due, and hidden, for the client of a call.
#[inline]
fn due_from(call: &Call<'_>) -> i64 {
    match call.engine.due_keys(call.client, call.now).policy() {
        Policy::Show => SHOW_DUE,
        Policy::Remove | Policy::Hide => call.now.ms(),
    }
}

/// To be called after a change of `count` fields, with what is to be told of it.
#[inline]
fn tell(call: &mut Call<'_>, key: &[u8], count: usize, event: &str) {
    call.changed(key);
    call.dirty((count as u64).saturating_sub(1));
    call.event(Class::HASH, event, key);
}

/// The event of a hash that went with its last field.
fn tell_if_gone(call: &mut Call<'_>, key: &[u8]) {
    if call.is_gone(key) {
        call.event(Class::GENERIC, "del", key);
    }
}

/// Logs what became of some fields. Those that are due, which the log's reader sees, are not among
/// them.
fn log_fields(call: &mut Call<'_>, key: &[u8], what: Logged, fields: Argv<'_>) {
    let count = fields.len();
    let now = call.now;
    match what {
        Logged::Removed => call.log(2 + count, |line| {
            line.word(b"HDEL").word(key).words(fields.iter()).done();
        }),
        Logged::Persisted => call.log(4 + count, |line| {
            line.word(b"HPERSIST").word(key);
            line.word(b"FIELDS").int(count as i64).words(fields.iter()).done();
        }),
        Logged::Expires(deadline) => call.log(5 + count, |line| {
            line.word(b"HPEXPIREAT").word(key).int(now.unix_ms_of_deadline(deadline));
            line.word(b"FIELDS").int(count as i64).words(fields.iter()).done();
        }),
    }
}

#[derive(Clone, Copy)]
enum Logged {
    Removed,
    Persisted,
    Expires(i64),
}

/// Fields that were due have been overwritten: they count as expired.
fn tell_overwritten(call: &mut Call<'_>, key: &[u8], due: usize) {
    if due > 0 {
        call.engine.stats.expired_fields += due as u64;
        call.event(Class::HASH, "hexpired", key);
    }
}
