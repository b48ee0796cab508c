//! SET and the older commands that it replaced: SETNX, SETEX, PSETEX, GETSET.

use super::options::{Condition, For, Options, TimeUnit};
use super::{GROWS, STRING, UPDATES, reply_text};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::Result;
use crate::keyspace::{Held, Ttl, ValueRef};

const OVERWRITES: KeySpec = KeySpec::one(1, Access::Overwrite, &["update"]);

pub(super) const SET: Command = Command {
    name: "set",
    syntax: "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
    flags: GROWS,
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "update", "variable_flags"])
        .noted("RW and ACCESS due to the optional `GET` argument")
        .varying(|line| if asks_for_get(line) { &UPDATES } else { &OVERWRITES })],
    handler: Some(set),
    history: &[
        ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
        ("6.0.0", "Added the `KEEPTTL` option."),
        ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
        ("7.0.0", "Allowed the `NX` and `GET` options to be used together."),
        ("8.1.0", "Added the `IFEQ` option."),
    ],
    ..STRING
};

fn asks_for_get(line: &[&[u8]]) -> bool {
    line.iter().skip(3).any(|word| word.eq_ignore_ascii_case(b"get"))
}

fn set(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, value) = (args.required()?, args.required()?);
    if args.is_empty() {
        call.set_string(key, value, Ttl::Clear);
        call.changed(key);
        call.event(Class::STRING, "set", key);
        call.reply.ok();
        return Ok(());
    }
    let options = Options::parse(args, For::Set)?;
    let ttl = options.expiry.ttl(call)?;
    let holds = if options.get {
        // The old value is written before it is overwritten; what follows cannot fail.
        let (found, reply) = call.read_string_and_reply(key)?;
        reply_text(reply, found);
        options.condition.holds(found.map(ValueRef::Str))?
    } else {
        let holds = condition_holds(call, key, options.condition)?;
        if holds {
            call.reply.ok();
        } else {
            call.reply.null();
        }
        holds
    };
    if holds {
        store(call, key, value, ttl);
        // Not under a condition: whether it held is no question any more.
        match ttl {
            Ttl::Clear => call.log_as(&[b"SET", key, value]),
            Ttl::Keep => call.log_as(&[b"SET", key, value, b"KEEPTTL"]),
            Ttl::At(_) => {}
        }
    }
    Ok(())
}

fn condition_holds(call: &mut Call<'_>, key: &[u8], condition: Condition<'_>) -> Result<bool> {
    if condition == Condition::Always {
        return Ok(true);
    }
    let found = call.peek(key).map(|entry| entry.value());
    condition.holds(found.as_ref().map(Held::view))
}

/// Sets the value; with a deadline that is over, that comes down to deleting the key.
fn store(call: &mut Call<'_>, key: &[u8], value: &[u8], ttl: Ttl) {
    match ttl {
        Ttl::At(deadline_ms) if call.is_over(deadline_ms) => call.remove_expired(key),
        ttl => {
            call.set_string(key, value, ttl);
            call.changed(key);
            call.event(Class::STRING, "set", key);
            if let Ttl::At(deadline_ms) = ttl {
                log_with_expiry(call, key, value, deadline_ms);
                call.event(Class::GENERIC, "expire", key);
            }
        }
    }
}

pub(super) fn log_with_expiry(call: &mut Call<'_>, key: &[u8], value: &[u8], deadline_ms: i64) {
    let unix_ms = call.now.unix_ms_of_deadline(deadline_ms);
    call.log(5, |line| line.word(b"SET").word(key).word(value).word(b"PXAT").int(unix_ms).done());
}

pub(super) const SETNX: Command = Command {
    name: "setnx",
    syntax: "key value",
    summary: "Sets the string value of a key only when the key doesn't exist.",
    flags: GROWS.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::Overwrite, &["insert"])],
    handler: Some(setnx),
    ..STRING
};

fn setnx(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, value) = (args.required()?, args.required()?);
    args.finish()?;
    let missing = condition_holds(call, key, Condition::Missing)?;
    if missing {
        store(call, key, value, Ttl::Clear);
    }
    call.reply.int(i64::from(missing));
    Ok(())
}

pub(super) const SETEX: Command = Command {
    name: "setex",
    syntax: "key seconds value",
    summary: "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
    since: "2.0.0",
    flags: GROWS,
    keys: &[OVERWRITES],
    handler: Some(|call| set_for(call, TimeUnit::Seconds)),
    ..STRING
};

pub(super) const PSETEX: Command = Command {
    name: "psetex",
    syntax: "key milliseconds value",
    summary: "Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist.",
    since: "2.6.0",
    flags: GROWS,
    keys: &[OVERWRITES],
    handler: Some(|call| set_for(call, TimeUnit::Milliseconds)),
    ..STRING
};

fn set_for(call: &mut Call<'_>, unit: TimeUnit) -> Result {
    let mut args = call.args();
    let (key, time, value) = (args.required()?, args.required()?, args.required()?);
    args.finish()?;
    let deadline_ms = unit.deadline(time, call)?;
    store(call, key, value, Ttl::At(deadline_ms));
    call.reply.ok();
    Ok(())
}

pub(super) const GETSET: Command = Command {
    name: "getset",
    syntax: "key value",
    summary: "Returns the previous string value of a key after setting it to a new value.",
    flags: GROWS.union(Flags::FAST),
    keys: &[UPDATES],
    handler: Some(getset),
    ..STRING
};

fn getset(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, value) = (args.required()?, args.required()?);
    args.finish()?;
    let (found, reply) = call.read_string_and_reply(key)?;
    reply_text(reply, found);
    store(call, key, value, Ttl::Clear);
    call.log_as(&[b"SET", key, value]);
    Ok(())
}
