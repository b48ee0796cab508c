//! Strings as numbers: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.

use super::{GROWS, STRING, UPDATES};
use crate::commands::spec::{Command, Flags};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};
use crate::keyspace::Ttl;
use crate::types::decimal::Decimal;
use crate::types::string::{Digits, StrRef};

const COUNTER: Command = Command { flags: GROWS.union(Flags::FAST), keys: &[UPDATES], ..STRING };

pub(super) const INCR: Command = Command {
    name: "incr",
    syntax: "key",
    summary: "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
    handler: Some(|call| add_one(call, 1)),
    ..COUNTER
};

pub(super) const DECR: Command = Command {
    name: "decr",
    syntax: "key",
    summary: "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
    handler: Some(|call| add_one(call, -1)),
    ..COUNTER
};

fn add_one(call: &mut Call<'_>, increment: i64) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    args.finish()?;
    add(call, key, increment)
}

pub(super) const INCRBY: Command = Command {
    name: "incrby",
    syntax: "key increment:integer",
    summary: "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
    handler: Some(incrby),
    ..COUNTER
};

fn incrby(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, increment) = (args.required()?, args.int()?);
    args.finish()?;
    add(call, key, increment)
}

pub(super) const DECRBY: Command = Command {
    name: "decrby",
    syntax: "key decrement",
    summary: "Decrements the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
    handler: Some(decrby),
    ..COUNTER
};

fn decrby(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, decrement) = (args.required()?, args.int()?);
    args.finish()?;
    let increment = decrement.checked_neg().ok_or(error::DECREMENT_OVERFLOW)?;
    add(call, key, increment)
}

fn add(call: &mut Call<'_>, key: &[u8], increment: i64) -> Result {
    let sum = match call.write_string(key)? {
        Some(mut value) => {
            let before = value.view().as_int().ok_or(error::NOT_INTEGER)?;
            let sum = before.checked_add(increment).ok_or(error::OVERFLOW)?;
            value.set_int(sum);
            sum
        }
        None => {
            call.db_mut().set_int(key, increment, Ttl::Clear);
            call.event(Class::NEW, "new", key);
            increment
        }
    };
    call.changed(key);
    call.event(Class::STRING, "incrby", key);
    call.reply.int(sum);
    Ok(())
}

pub(super) const INCRBYFLOAT: Command = Command {
    name: "incrbyfloat",
    syntax: "key increment:double",
    summary: "Increments the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
    since: "2.6.0",
    handler: Some(incrbyfloat),
    ..COUNTER
};

fn incrbyfloat(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, increment) = (args.required()?, args.required()?);
    args.finish()?;
    let before = match call.write_string(key)? {
        Some(value) => decimal(value.view()),
        None => Some(Decimal::ZERO),
    };
    // A value that is no number is complained about before an increment that is none.
    let before = before.ok_or(error::NOT_FLOAT)?;
    let increment = Decimal::parse(increment).ok_or(error::NOT_FLOAT)?;
    let sum = before.plus(&increment).ok_or(error::NAN_OR_INFINITY)?.to_string();
    // Bytes even where the sum is whole, as Redis stores it.
    let was_there = call.db_mut().set_bytes(key, sum.as_bytes(), Ttl::Keep);
    if !was_there {
        call.event(Class::NEW, "new", key);
    }
    call.changed(key);
    call.log_as(&[b"SET", key, sum.as_bytes(), b"KEEPTTL"]);
    call.event(Class::STRING, "incrbyfloat", key);
    call.reply.bulk(sum.as_bytes());
    Ok(())
}

fn decimal(value: StrRef<'_>) -> Option<Decimal> {
    Decimal::parse(value.bytes(&mut Digits::new()))
}
