//! The HEXPIRE family and HPERSIST.

use super::fields::Fields;
use super::{HASH, Logged, due_from, log_fields, tell, tell_if_gone};
use crate::commands::expire::{Condition, From, Scale, Unit};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::resp::OwnedArgv;
use crate::types::hash::Hash;

pub(super) const HEXPIRE: Command = Command {
    name: "hexpire",
    syntax: "key seconds [NX | XX | GT | LT] FIELDS numfields:integer field [field ...]",
    summary: "Sets expiry time on hash fields.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(|call| expire(call, Scale { unit: Unit::Seconds, from: From::Now })),
    ..HASH
};

pub(super) const HPEXPIRE: Command = Command {
    name: "hpexpire",
    syntax: "key milliseconds [NX | XX | GT | LT] FIELDS numfields:integer field [field ...]",
    summary: "Sets expiry time on hash object.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(|call| expire(call, Scale { unit: Unit::Milliseconds, from: From::Now })),
    ..HASH
};

pub(super) const HEXPIREAT: Command = Command {
    name: "hexpireat",
    syntax: "key unix-time-seconds:integer [NX | XX | GT | LT] FIELDS numfields:integer field [field ...]",
    summary: "Sets expiry time on hash fields.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(|call| expire(call, Scale { unit: Unit::Seconds, from: From::Epoch })),
    ..HASH
};

pub(super) const HPEXPIREAT: Command = Command {
    name: "hpexpireat",
    syntax: "key unix-time-milliseconds:integer [NX | XX | GT | LT] FIELDS numfields:integer field [field ...]",
    summary: "Sets expiration time on hash field.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(|call| expire(call, Scale { unit: Unit::Milliseconds, from: From::Epoch })),
    ..HASH
};

/// What became of one field, as clients are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Missing = -2,
    /// The condition does not hold.
    Unchanged = 0,
    Set = 1,
    /// The deadline is over already: the field is removed.
    Expired = 2,
}

fn expire(call: &mut Call<'_>, scale: Scale) -> Result {
    let mut args = call.args();
    let (key, time) = (args.required()?, args.required()?);
    let (condition, fields) = Fields::behind_options(args, 1, Condition::parse)?;
    let deadline = deadline(call, scale, time)?;
    let due_from = due_from(call);
    let is_over = call.is_over(deadline);
    let apply = |hash: &mut Hash, field: &[u8]| {
        let Some(old) = hash.deadline(field, due_from) else { return Outcome::Missing };
        if !condition.holds(old, deadline) {
            return Outcome::Unchanged;
        }
        if is_over {
            hash.remove(field, due_from);
            return Outcome::Expired;
        }
        hash.set_deadline(field, Some(deadline));
        Outcome::Set
    };
    call.reply.array(fields.left());
    let mut names = OwnedArgv::default();
    let changed = call.edit(key, |hash: &mut Hash, with| {
        for field in fields {
            let outcome = apply(hash, field);
            with.reply.int(outcome as i64);
            if matches!(outcome, Outcome::Set | Outcome::Expired) {
                names.push(field);
            }
        }
        names.view().len()
    })?;
    if changed > Some(0) {
        let logged = if is_over { Logged::Removed } else { Logged::Expires(deadline) };
        log_fields(call, key, logged, names.view());
    }
    match changed {
        None => fields.for_each(|_| call.reply.int(Outcome::Missing as i64)),
        Some(0) => {}
        Some(count) if is_over => {
            call.engine.stats.expired_fields += count as u64;
            tell(call, key, count, "hexpired");
            tell_if_gone(call, key);
        }
        Some(count) => tell(call, key, count, "hexpire"),
    }
    Ok(())
}

/// The deadline that `time` means, which unlike EXPIRE's must not be negative.
pub(super) fn deadline(call: &Call<'_>, scale: Scale, time: &[u8]) -> Result<i64> {
    let time = crate::number::parse_int(time).ok_or(error::NOT_INTEGER)?;
    let deadline = if time < 0 { None } else { scale.deadline(time, call.now) };
    deadline.ok_or_else(|| error::invalid_expire(call.full_name()))
}

pub(super) const HPERSIST: Command = Command {
    name: "hpersist",
    syntax: "key FIELDS numfields:integer field [field ...]",
    summary: "Remove the existing expiration on a hash key's field(s).",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(hpersist),
    ..HASH
};

/// For each field -2 if it is not there, -1 if it has no expiry, else 1.
fn hpersist(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let fields = Fields::parse(args, 1, error::NUMFIELDS)?;
    let due_from = due_from(call);
    call.reply.array(fields.left());
    let mut names = OwnedArgv::default();
    let changed = call.edit(key, |hash: &mut Hash, with| {
        for field in fields {
            with.reply.int(match hash.deadline(field, due_from) {
                None => -2,
                Some(None) => -1,
                Some(Some(_)) => {
                    hash.set_deadline(field, None);
                    names.push(field);
                    1
                }
            });
        }
        names.view().len()
    })?;
    match changed {
        None => fields.for_each(|_| call.reply.int(-2)),
        Some(0) => {}
        Some(count) => {
            log_fields(call, key, Logged::Persisted, names.view());
            tell(call, key, count, "hpersist");
        }
    }
    Ok(())
}
