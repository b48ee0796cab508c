//! Several keys at once: MGET, MSET, MSETNX, MSETEX.

use super::options::{Condition, For, Options};
use super::{GROWS, STRING, reply_text, set};
use crate::commands::spec::{Access, Command, Find, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::keyspace::{Held, Ttl};
use crate::number;

pub(super) const MGET: Command = Command {
    name: "mget",
    syntax: "key [key ...]",
    summary: "Atomically returns the string values of one or more keys.",
    complexity: "O(N) where N is the number of keys to retrieve.",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::rest(1, Access::ReadOnly, &["access"])],
    handler: Some(mget),
    tips: &["request_policy:multi_shard"],
    ..STRING
};

fn mget(call: &mut Call<'_>) -> Result {
    let keys = call.args();
    call.reply.array(keys.left());
    for key in keys {
        // A key of another type reads as a missing one.
        match call.read_string_and_reply(key) {
            Ok((found, reply)) => reply_text(reply, found),
            Err(_) => call.reply.null(),
        }
    }
    Ok(())
}

const PAIRS: Find = Find::Range { last: -1, step: 2 };

pub(super) const MSET: Command = Command {
    name: "mset",
    syntax: "key value [key value ...]",
    summary: "Atomically creates or modifies the string values of one or more keys.",
    complexity: "O(N) where N is the number of keys to set.",
    since: "1.0.1",
    flags: GROWS,
    keys: &[KeySpec::one(1, Access::Overwrite, &["update"]).found(PAIRS)],
    handler: Some(mset),
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    ..STRING
};

fn mset(call: &mut Call<'_>) -> Result {
    let pairs = whole_pairs(call)?;
    set_all(call, pairs, Ttl::Clear);
    call.reply.ok();
    Ok(())
}

pub(super) const MSETNX: Command = Command {
    name: "msetnx",
    syntax: "key value [key value ...]",
    summary: "Atomically modifies the string values of one or more keys only when all keys don't exist.",
    complexity: "O(N) where N is the number of keys to set.",
    since: "1.0.1",
    flags: GROWS,
    keys: &[KeySpec::one(1, Access::Overwrite, &["insert"]).found(PAIRS)],
    handler: Some(msetnx),
    ..STRING
};

fn msetnx(call: &mut Call<'_>) -> Result {
    let pairs = whole_pairs(call)?;
    set_all_if(call, pairs, Condition::Missing, Ttl::Clear)?;
    Ok(())
}

pub(super) const MSETEX: Command = Command {
    name: "msetex",
    syntax: "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    summary: "Atomically creates or modifies the string values of one or more keys, and optionally set their expiration.",
    complexity: "O(N) where N is the number of keys to set.",
    since: "9.1.0",
    flags: GROWS,
    keys: &[KeySpec::one(1, Access::Overwrite, &["update"]).found(Find::Count { step: 2 })],
    handler: Some(msetex),
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
    ..STRING
};

fn msetex(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let count = number::parse_int(args.required()?)
        .filter(|count| (1..=i64::from(i32::MAX)).contains(count))
        .and_then(|count| usize::try_from(count).ok())
        .ok_or(error::INVALID_NUMKEYS)?;
    let pairs = args.split_off(count.saturating_mul(2))?;
    let options = Options::parse(args, For::Msetex)?;
    let ttl = options.expiry.ttl(call)?;
    if set_all_if(call, pairs, options.condition, ttl)? {
        log_each(call, pairs, ttl);
    }
    Ok(())
}

/// As commands that servers know which lack this one.
fn log_each(call: &mut Call<'_>, pairs: Args<'_>, ttl: Ttl) {
    for (key, value) in pairs.pairs() {
        match ttl {
            Ttl::Clear => call.log_as(&[b"SET", key, value]),
            Ttl::Keep => call.log_as(&[b"SET", key, value, b"KEEPTTL"]),
            Ttl::At(deadline_ms) => set::log_with_expiry(call, key, value, deadline_ms),
        }
    }
}

fn whole_pairs<'a>(call: &Call<'a>) -> Result<Args<'a>> {
    let pairs = call.args();
    if pairs.left().is_multiple_of(2) { Ok(pairs) } else { Err(call.wrong_arity()) }
}

/// Sets all keys or, where the condition fails for one, none.
fn set_all_if(
    call: &mut Call<'_>,
    pairs: Args<'_>,
    condition: Condition<'_>,
    ttl: Ttl,
) -> Result<bool> {
    let mut holds = true;
    if condition != Condition::Always {
        for key in pairs.step_by(2) {
            let found = call.peek(key).map(|entry| entry.value());
            if !condition.holds(found.as_ref().map(Held::view))? {
                holds = false;
                break;
            }
        }
    }
    if holds {
        set_all(call, pairs, ttl);
    }
    call.reply.int(i64::from(holds));
    Ok(holds)
}

/// A deadline that is over already does not matter here: such keys are due at once.
fn set_all(call: &mut Call<'_>, pairs: Args<'_>, ttl: Ttl) {
    for (key, value) in pairs.pairs() {
        call.set_string(key, value, ttl);
        call.changed(key);
        call.event(Class::STRING, "set", key);
        if matches!(ttl, Ttl::At(_)) {
            call.event(Class::GENERIC, "expire", key);
        }
    }
}
