//! Commands that look at a string and delete it: GETDEL, DELIFEQ.

use super::{STRING, equals, reply_text};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};

pub(super) const GETDEL: Command = Command {
    name: "getdel",
    syntax: "key",
    summary: "Returns the string value of a key after deleting the key.",
    since: "6.2.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "delete"])],
    handler: Some(getdel),
    ..STRING
};

fn getdel(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    args.finish()?;
    let (found, reply) = call.read_string_and_reply(key)?;
    reply_text(reply, found);
    if found.is_some() {
        call.remove(key);
        call.changed(key);
        call.log_as(&[b"DEL", key]);
        call.event(Class::GENERIC, "del", key);
    }
    Ok(())
}

pub(super) const DELIFEQ: Command = Command {
    name: "delifeq",
    syntax: "key value",
    summary: "Delete key if value matches string.",
    since: "9.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::Remove, &["delete"])],
    handler: Some(delifeq),
    ..STRING
};

fn delifeq(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, text) = (args.required()?, args.required()?);
    args.finish()?;
    let matches = match call.peek(key) {
        None => false,
        Some(entry) => equals(entry.value().as_str().ok_or(error::WRONG_TYPE)?, text),
    };
    if matches {
        call.remove(key);
        call.changed(key);
        call.log_as(&[b"DEL", key]);
        call.event(Class::GENERIC, "del", key);
    }
    call.reply.int(i64::from(matches));
    Ok(())
}
