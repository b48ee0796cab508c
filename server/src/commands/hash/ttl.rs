//! HTTL, HPTTL, HEXPIRETIME and HPEXPIRETIME.

use super::fields::Fields;
use super::{HASH, due_from};
use crate::commands::expire::{From, Scale, Unit};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::types::hash::Hash;

pub(super) const HTTL: Command = Command {
    name: "httl",
    syntax: "key FIELDS numfields:integer field [field ...]",
    summary: "Returns the remaining time to live (in seconds) of a hash key's field(s) that have an associated expiration.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(|call| tell(call, Scale { unit: Unit::Seconds, from: From::Now })),
    ..HASH
};

pub(super) const HPTTL: Command = Command {
    name: "hpttl",
    syntax: "key FIELDS numfields:integer field [field ...]",
    summary: "Returns the remaining time to live in milliseconds of a hash key's field(s) that have an associated expiration.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(|call| tell(call, Scale { unit: Unit::Milliseconds, from: From::Now })),
    ..HASH
};

pub(super) const HEXPIRETIME: Command = Command {
    name: "hexpiretime",
    syntax: "key FIELDS numfields:integer field [field ...]",
    summary: "Returns Unix timestamps in seconds since the epoch at which the given key's field(s) will expire.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(|call| tell(call, Scale { unit: Unit::Seconds, from: From::Epoch })),
    ..HASH
};

pub(super) const HPEXPIRETIME: Command = Command {
    name: "hpexpiretime",
    syntax: "key FIELDS numfields:integer field [field ...]",
    summary: "Returns the Unix timestamp in milliseconds since Unix epoch at which the given key's field(s) will expire.",
    complexity: "O(N) where N is the number of specified fields.",
    since: "9.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(|call| tell(call, Scale { unit: Unit::Milliseconds, from: From::Epoch })),
    ..HASH
};

/// For each field -2 if it is not there, -1 if it has no expiry.
fn tell(call: &mut Call<'_>, scale: Scale) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let fields = Fields::parse(args, 1, error::SYNTAX)?;
    let (due_from, now) = (due_from(call), call.now);
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    reply.array(fields.left());
    for field in fields {
        reply.int(match hash.and_then(|hash| hash.deadline(field, due_from)) {
            None => -2,
            Some(None) => -1,
            Some(Some(deadline)) => scale.tell(deadline, now),
        });
    }
    Ok(())
}
