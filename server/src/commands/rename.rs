//! Commands that give a key another name or place: RENAME, RENAMENX, MOVE, COPY.

use super::connection::database;
use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};

pub(super) const COMMANDS: &[Command] = &[COPY, MOVE, RENAME, RENAMENX];

const RENAME: Command = Command {
    name: "rename",
    syntax: "key newkey",
    summary: "Renames a key and overwrites the destination.",
    group: Group::Generic,
    flags: Flags::WRITE,
    keys: &[
        KeySpec::one(1, Access::ReadWrite, &["access", "delete"]),
        KeySpec::one(2, Access::Overwrite, &["update"]),
    ],
    handler: Some(rename),
    ..Command::BASE
};

fn rename(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (from, to) = (args.required()?, args.required()?);
    args.finish()?;
    call.entry_mut(from).ok_or(error::NO_SUCH_KEY)?;
    if from != to {
        put_under_new_name(call, from, to);
    }
    call.reply.ok();
    Ok(())
}

const RENAMENX: Command = Command {
    name: "renamenx",
    syntax: "key newkey",
    summary: "Renames a key only when the target key name doesn't exist.",
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[
        KeySpec::one(1, Access::ReadWrite, &["access", "delete"]),
        KeySpec::one(2, Access::Overwrite, &["insert"]),
    ],
    handler: Some(rename_nx),
    history: &[(
        "3.2.0",
        "The command no longer returns an error when source and destination names are the same.",
    )],
    ..Command::BASE
};

fn rename_nx(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (from, to) = (args.required()?, args.required()?);
    args.finish()?;
    call.entry_mut(from).ok_or(error::NO_SUCH_KEY)?;
    let free = from != to && call.entry_mut(to).is_none();
    if free {
        put_under_new_name(call, from, to);
    }
    call.reply.int(i64::from(free));
    Ok(())
}

fn put_under_new_name(call: &mut Call<'_>, from: &[u8], to: &[u8]) {
    call.remove(to);
    let taken = call.take(from).expect("found by the caller");
    call.db_mut().put_back(to, taken);
    let db = call.client.db;
    call.engine.touch_watchers(db, from);
    call.engine.invalidate(from, Some(call.client.id));
    call.changed(to);
    call.signal(to);
    call.event(Class::GENERIC, "rename_from", from);
    call.event(Class::GENERIC, "rename_to", to);
}

const MOVE: Command = Command {
    name: "move",
    syntax: "key db",
    summary: "Moves a key to another database.",
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "update"])],
    handler: Some(move_key),
    ..Command::BASE
};

fn move_key(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let to = database(call, args.int32()?)?;
    args.finish()?;
    let from = call.client.db;
    if from == to {
        return Err(error::SAME_OBJECT);
    }
    let moves = call.entry_mut(key).is_some() && call.entry_mut_in(to, key).is_none();
    if moves {
        let taken = call.take(key).expect("found just now");
        call.engine.keyspace.db_mut(to).put_back(key, taken);
        call.engine.touch_watchers(from, key);
        call.changed_in(to, key);
        call.engine.signal(to, key);
        call.event(Class::GENERIC, "move_from", key);
        call.event_in(Class::GENERIC, "move_to", to, key);
    }
    call.reply.int(i64::from(moves));
    Ok(())
}

const COPY: Command = Command {
    name: "copy",
    syntax: "source destination [DB destination-db] [REPLACE]",
    summary: "Copies the value of a key to a new key.",
    complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
    since: "6.2.0",
    group: Group::Generic,
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::ReadOnly, &["access"]),
        KeySpec::one(2, Access::Overwrite, &["update"]),
    ],
    handler: Some(copy),
    ..Command::BASE
};

fn copy(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (from, to) = (args.required()?, args.required()?);
    let (mut db, mut replace) = (call.client.db, false);
    while !args.is_empty() {
        if args.keyword("replace") {
            replace = true;
        } else if args.left() >= 2 && args.keyword("db") {
            db = database(call, args.int32()?)?;
        } else {
            return Err(error::SYNTAX);
        }
    }
    if db == call.client.db && from == to {
        return Err(error::SAME_OBJECT);
    }
    let source = call.read(from).map(|entry| (entry.to_value(), entry.expire_at()));
    let Some((value, expire_at)) = source else {
        call.reply.int(0);
        return Ok(());
    };
    let occupied = call.entry_mut_in(db, to).is_some();
    if occupied && !replace {
        call.reply.int(0);
        return Ok(());
    }
    if occupied {
        call.engine.remove(db, to);
    }
    call.engine.keyspace.db_mut(db).set(to, value, expire_at);
    call.changed_in(db, to);
    call.engine.signal(db, to);
    call.event_in(Class::GENERIC, "copy_to", db, to);
    call.reply.int(1);
    Ok(())
}
