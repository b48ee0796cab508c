//! XGROUP: consumer groups made, moved and removed.

use super::{STREAM, ids, no_group};
use crate::commands::help;
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::stream::{Group, Parts, Stream, StreamId};

pub(super) const XGROUP: Command = Command {
    name: "xgroup",
    summary: "A container for consumer groups commands.",
    complexity: "Depends on subcommand.",
    subcommands: &[CREATE, CREATECONSUMER, DELCONSUMER, DESTROY, HELP, SETID],
    ..STREAM
};

const INSERTS: KeySpec = KeySpec::one(2, Access::ReadWrite, &["insert"]);
const DELETES: KeySpec = KeySpec::one(2, Access::ReadWrite, &["delete"]);

const CREATE: Command = Command {
    name: "create",
    syntax: "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read:integer]",
    summary: "Creates a consumer group.",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[INSERTS],
    handler: Some(create),
    history: &[("7.0.0", "Added the `entries_read` named argument.")],
    ..STREAM
};

fn create(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name, id) = (args.required()?, args.required()?, args.required()?);
    let options = Options::parse(args, call, true)?;
    let found = call.peek_as::<Stream>(key)?;
    let is_new = found.is_none();
    if is_new && !options.make_stream {
        return Err(error::XGROUP_NEEDS_KEY);
    }
    let last_id = match (id, found) {
        (b"$", found) => found.map_or(StreamId::MIN, |stream| stream.log().last_id()),
        (id, _) => ids::strict(id)?,
    };
    let group = Group::new(last_id, options.entries_read);
    let add = |stream: &mut Stream| stream.parts_mut().groups.insert(name, group);
    if !call.edit_or_create(key, |_| Stream::new(), |stream, _| add(stream))? {
        return Err(error::BUSY_GROUP);
    }
    if is_new {
        call.changed(key);
    } else {
        call.dirty(1);
    }
    call.event(Class::STREAM, "xgroup-create", key);
    call.reply.ok();
    Ok(())
}

const SETID: Command = Command {
    name: "setid",
    syntax: "key group <id | $> [ENTRIESREAD entries-read:integer]",
    summary: "Sets the last-delivered ID of a consumer group.",
    flags: Flags::WRITE,
    keys: &[KeySpec::one(2, Access::ReadWrite, &["update"])],
    handler: Some(set_id),
    history: &[("7.0.0", "Added the optional `entries_read` argument.")],
    ..STREAM
};

fn set_id(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name, id) = (args.required()?, args.required()?, args.required()?);
    let options = Options::parse(args, call, false)?;
    let set = |Parts { log, groups }: &mut Parts| {
        let group = groups.group_mut(name).ok_or_else(|| no_group(key, name))?;
        group.last_id = if id == b"$" { log.last_id() } else { ids::loose(id, 0)? };
        group.entries_read = options.entries_read;
        Ok(())
    };
    edit(call, key, set)??;
    call.dirty(1);
    call.event(Class::STREAM, "xgroup-setid", key);
    call.reply.ok();
    Ok(())
}

struct Options {
    make_stream: bool,
    entries_read: Option<i64>,
}

impl Options {
    fn parse(mut args: Args<'_>, call: &Call<'_>, may_make_stream: bool) -> Result<Self> {
        let mut options = Self { make_stream: false, entries_read: None };
        let too_many = args.left() > if may_make_stream { 3 } else { 2 };
        while !args.is_empty() {
            if may_make_stream && args.keyword("mkstream") {
                options.make_stream = true;
            } else if args.left() >= 2 && args.keyword("entriesread") {
                options.entries_read = entries_read(args.int()?)?;
            } else {
                return Err(misused(call));
            }
        }
        if too_many { Err(misused(call)) } else { Ok(options) }
    }
}

/// A count, or -1 for an unknown one.
fn entries_read(count: i64) -> Result<Option<i64>> {
    match count {
        -1 => Ok(None),
        0.. => Ok(Some(count)),
        _ => Err(error::ENTRIES_READ_NEGATIVE),
    }
}

fn misused(call: &Call<'_>) -> error::Error {
    let subcommand = call.argv.get(1).unwrap_or_default();
    error::unknown_subcommand_or_arity(subcommand, "xgroup")
}

/// Edits a stream that must be there.
fn edit<R>(call: &mut Call<'_>, key: &[u8], edit: impl FnOnce(&mut Parts) -> R) -> Result<R> {
    let edited = call.edit(key, |stream: &mut Stream, _| edit(stream.parts_mut()))?;
    edited.ok_or(error::XGROUP_NEEDS_KEY)
}

const DESTROY: Command = Command {
    name: "destroy",
    syntax: "key group",
    summary: "Destroys a consumer group.",
    complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
    flags: Flags::WRITE,
    keys: &[DELETES],
    handler: Some(destroy),
    ..STREAM
};

fn destroy(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name) = (args.required()?, args.required()?);
    args.finish()?;
    let removed = edit(call, key, |parts| parts.groups.remove(name))?;
    if removed {
        call.dirty(1);
        call.event(Class::STREAM, "xgroup-destroy", key);
        // Consumers that wait for the group are told that it is gone.
        call.signal(key);
    }
    call.reply.int(i64::from(removed));
    Ok(())
}

const CREATECONSUMER: Command = Command {
    name: "createconsumer",
    syntax: "key group consumer",
    summary: "Creates a consumer in a consumer group.",
    since: "6.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[INSERTS],
    handler: Some(create_consumer),
    ..STREAM
};

fn create_consumer(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name, consumer) = (args.required()?, args.required()?, args.required()?);
    args.finish()?;
    let now_ms = call.now.ms();
    let is_new = edit(call, key, |parts| {
        let group = parts.groups.group_mut(name).ok_or_else(|| no_group(key, name))?;
        Ok(group.find_or_add_consumer(consumer, now_ms).1)
    })??;
    if is_new {
        consumer_created(call, key);
    }
    call.reply.int(i64::from(is_new));
    Ok(())
}

/// A consumer came to be, by XGROUP or because it asked for something.
pub(super) fn consumer_created(call: &mut Call<'_>, key: &[u8]) {
    call.dirty(1);
    call.event(Class::STREAM, "xgroup-createconsumer", key);
}

const DELCONSUMER: Command = Command {
    name: "delconsumer",
    syntax: "key group consumer",
    summary: "Deletes a consumer from a consumer group.",
    flags: Flags::WRITE,
    keys: &[DELETES],
    handler: Some(delete_consumer),
    ..STREAM
};

fn delete_consumer(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name, consumer) = (args.required()?, args.required()?, args.required()?);
    args.finish()?;
    let pending = edit(call, key, |parts| {
        let group = parts.groups.group_mut(name).ok_or_else(|| no_group(key, name))?;
        Ok(group.remove_consumer(consumer))
    })??;
    if pending.is_some() {
        call.dirty(1);
        call.event(Class::STREAM, "xgroup-delconsumer", key);
    }
    call.reply.len(pending.unwrap_or(0));
    Ok(())
}

const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(help::of_container),
    ..STREAM
};
