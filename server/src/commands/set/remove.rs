//! SREM and SMOVE.

use super::SET;
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::Result;
use crate::types::set::Set;

pub(super) const SREM: Command = Command {
    name: "srem",
    syntax: "key member [member ...]",
    summary: "Removes one or more members from a set. Deletes the set if the last member was removed.",
    complexity: "O(N) where N is the number of members to be removed.",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["delete"])],
    handler: Some(srem),
    history: &[("2.4.0", "Accepts multiple `member` arguments.")],
    ..SET
};

fn srem(call: &mut Call<'_>) -> Result {
    let mut members = call.args();
    let key = members.required()?;
    let removed =
        call.edit(key, |set: &mut Set, _| members.filter(|member| set.remove(member)).count())?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        call.changed(key);
        call.dirty(removed as u64 - 1);
        tell_removal(call, "srem", key);
    }
    call.reply.len(removed);
    Ok(())
}

/// The event of members that went, and of the set if none are left.
pub(super) fn tell_removal(call: &mut Call<'_>, event: &str, key: &[u8]) {
    call.event(Class::SET, event, key);
    if call.is_gone(key) {
        call.event(Class::GENERIC, "del", key);
    }
}

pub(super) const SMOVE: Command = Command {
    name: "smove",
    syntax: "source destination member",
    summary: "Moves a member from one set to another.",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[
        KeySpec::one(1, Access::ReadWrite, &["access", "delete"]),
        KeySpec::one(2, Access::ReadWrite, &["insert"]),
    ],
    handler: Some(smove),
    ..SET
};

fn smove(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (source, destination, member) = (args.required()?, args.required()?, args.required()?);
    args.finish()?;
    let Some(set) = call.peek_as::<Set>(source)? else {
        call.reply.int(0);
        return Ok(());
    };
    let is_member = set.contains(member);
    call.peek_as::<Set>(destination)?;
    if is_member && source != destination {
        call.edit(source, |set: &mut Set, _| set.remove(member))?;
        call.changed(source);
        tell_removal(call, "srem", source);
        put(call, destination, member)?;
    }
    call.reply.int(i64::from(is_member));
    Ok(())
}

fn put(call: &mut Call<'_>, key: &[u8], member: &[u8]) -> Result {
    let is_new = call.edit_or_create(
        key,
        |settings| Set::new(member, 1, &settings.set_limits),
        |set: &mut Set, with| set.insert(member, &with.settings.set_limits),
    )?;
    if is_new {
        call.changed(key);
        call.event(Class::SET, "sadd", key);
    }
    Ok(())
}
