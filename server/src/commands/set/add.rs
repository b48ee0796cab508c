//! SADD.

use super::SET;
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::Result;
use crate::types::set::Set;

pub(super) const SADD: Command = Command {
    name: "sadd",
    syntax: "key member [member ...]",
    summary: "Adds one or more members to a set. Creates the key if it doesn't exist.",
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["insert"])],
    handler: Some(sadd),
    history: &[("2.4.0", "Accepts multiple `member` arguments.")],
    ..SET
};

fn sadd(call: &mut Call<'_>) -> Result {
    let mut members = call.args();
    let key = members.required()?;
    let expected = members.left();
    let first = members.peek().unwrap_or_default();
    let added = call.edit_or_create(
        key,
        |settings| Set::new(first, expected, &settings.set_limits),
        |set: &mut Set, with| {
            let limits = &with.settings.set_limits;
            set.expect(expected, limits);
            members.filter(|member| set.insert(member, limits)).count()
        },
    )?;
    if added > 0 {
        call.changed(key);
        call.dirty(added as u64 - 1);
        call.event(Class::SET, "sadd", key);
    }
    call.reply.len(added);
    Ok(())
}
