//! HSET, HMSET and HSETNX.

use super::{HASH, due_from, tell, tell_overwritten};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::types::hash::{Hash, Put, Ttl};

pub(super) const HSET: Command = Command {
    name: "hset",
    syntax: "key field value [field value ...]",
    summary: "Creates or modifies the value of a field in a hash.",
    complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
    since: "2.0.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(hset),
    history: &[("4.0.0", "Accepts multiple `field` and `value` arguments.")],
    ..HASH
};

fn hset(call: &mut Call<'_>) -> Result {
    let created = set_all(call)?;
    call.reply.len(created);
    Ok(())
}

pub(super) const HMSET: Command = Command {
    name: "hmset",
    syntax: "key field value [field value ...]",
    summary: "Sets the values of multiple fields.",
    handler: Some(hmset),
    complexity: "O(N) where N is the number of fields being set.",
    history: &[],
    ..HSET
};

fn hmset(call: &mut Call<'_>) -> Result {
    set_all(call)?;
    call.reply.ok();
    Ok(())
}

/// Sets fields to values; how many are new.
fn set_all(call: &mut Call<'_>) -> Result<usize> {
    let mut pairs = call.args();
    let key = pairs.required()?;
    let count = pairs.left() / 2;
    if !pairs.left().is_multiple_of(2) {
        return Err(call.wrong_arity());
    }
    let due_from = due_from(call);
    let puts = call.edit_or_create(
        key,
        |_| Hash::new(),
        |hash: &mut Hash, with| {
            let limits = &with.settings.hash_limits;
            hash.expect(count, pairs, limits);
            let mut puts = Puts::default();
            for (field, value) in pairs.pairs() {
                puts.count(hash.set(field, value, Ttl::Clear, limits, due_from));
            }
            puts
        },
    )?;
    tell_overwritten(call, key, puts.due);
    tell(call, key, count, "hset");
    Ok(puts.new)
}

/// What became of several fields.
#[derive(Default)]
pub(super) struct Puts {
    new: usize,
    /// That were there, but due.
    pub(super) due: usize,
}

impl Puts {
    pub(super) fn count(&mut self, put: Put) {
        self.new += usize::from(put.is_new());
        self.due += usize::from(put == Put::ReplacedDue);
    }
}

pub(super) const HSETNX: Command = Command {
    name: "hsetnx",
    syntax: "key field value",
    summary: "Sets the value of a field in a hash only when the field doesn't exist.",
    since: "2.0.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["insert"])],
    handler: Some(hsetnx),
    ..HASH
};

fn hsetnx(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let pair = args;
    let (field, value) = (args.required()?, args.required()?);
    args.finish()?;
    let due_from = due_from(call);
    let put = call.edit_or_create(
        key,
        |_| Hash::new(),
        |hash: &mut Hash, with| {
            if hash.contains(field, due_from) {
                return None;
            }
            let limits = &with.settings.hash_limits;
            hash.expect(1, pair, limits);
            Some(hash.set(field, value, Ttl::Clear, limits, due_from))
        },
    )?;
    if let Some(put) = put {
        if put == Put::ReplacedDue {
            call.log_as(&[b"HSET", key, field, value]);
        }
        tell_overwritten(call, key, usize::from(put == Put::ReplacedDue));
        tell(call, key, 1, "hset");
    }
    call.reply.int(i64::from(put.is_some()));
    Ok(())
}
