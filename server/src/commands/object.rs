//! OBJECT: how a value is kept.

use super::help;
use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::clock::Now;
use crate::config::eviction::Order;
use crate::config::settings::Settings;
use crate::engine::{Call, frequency, idle_seconds};
use crate::error::{self, Result};
use crate::keyspace::Entry;

pub(super) const COMMANDS: &[Command] = &[OBJECT];

const OBJECT: Command = Command {
    name: "object",
    summary: "A container for object introspection commands.",
    complexity: "Depends on subcommand.",
    since: "2.2.3",
    group: Group::Generic,
    subcommands: &[ENCODING, FREQ, HELP, IDLETIME, REFCOUNT],
    ..Command::BASE
};

const ENCODING: Command = Command {
    name: "encoding",
    syntax: "key",
    summary: "Returns the internal encoding of an object.",
    since: "2.2.3",
    group: Group::Generic,
    flags: Flags::READONLY,
    keys: &[KeySpec::one(2, Access::ReadOnly, &[])],
    handler: Some(encoding),
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn encoding(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let name = call.inspect(key).map(|entry| entry.encoding().name().as_bytes());
    call.reply.bulk_opt(name);
    Ok(())
}

const FREQ: Command = Command {
    name: "freq",
    summary: "Returns the logarithmic access frequency counter of an object.",
    since: "4.0.0",
    handler: Some(freq),
    ..ENCODING
};

fn freq(call: &mut Call<'_>) -> Result {
    if call.settings().eviction.order != Order::Lfu {
        return tell(call, |_, _, _| Err(error::NO_LFU));
    }
    tell(call, |entry, settings, now| Ok(i64::from(frequency(entry, settings, now))))
}

const IDLETIME: Command = Command {
    name: "idletime",
    summary: "Returns the time since the last access to an object.",
    handler: Some(idle_time),
    ..ENCODING
};

fn idle_time(call: &mut Call<'_>) -> Result {
    if call.settings().eviction.order == Order::Lfu {
        return tell(call, |_, _, _| Err(error::NO_LRU));
    }
    tell(call, |entry, _, now| Ok(i64::from(idle_seconds(entry, now))))
}

const REFCOUNT: Command = Command {
    name: "refcount",
    summary: "Returns the reference count of a value of a key.",
    handler: Some(refcount),
    ..ENCODING
};

/// Always 1: values are not shared.
fn refcount(call: &mut Call<'_>) -> Result {
    tell(call, |_, _, _| Ok(1))
}

/// Answers a number about a key; null where there is none.
fn tell(call: &mut Call<'_>, about: impl Fn(Entry<'_>, &Settings, Now) -> Result<i64>) -> Result {
    let key = call.args().required()?;
    let is_seen = call.inspect(key).is_some();
    let found = call.db().find(key).filter(|_| is_seen);
    let found = found.map(|entry| about(entry, call.settings(), call.now));
    match found.transpose()? {
        Some(number) => call.reply.int(number),
        None => call.reply.null(),
    }
    Ok(())
}

const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    since: "6.2.0",
    group: Group::Generic,
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(help::of_container),
    ..Command::BASE
};
