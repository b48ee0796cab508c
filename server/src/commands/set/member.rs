//! What is in a set: SISMEMBER, SMISMEMBER, SCARD, SMEMBERS.

use super::{SET, reply_member};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::types::set::Set;

pub(super) const SISMEMBER: Command = Command {
    name: "sismember",
    syntax: "key member",
    summary: "Determines whether a member belongs to a set.",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(sismember),
    ..SET
};

fn sismember(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, member) = (args.required()?, args.required()?);
    args.finish()?;
    let (set, reply) = call.read_as_and_reply::<Set>(key)?;
    let set = set.as_deref();
    reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    Ok(())
}

pub(super) const SMISMEMBER: Command = Command {
    name: "smismember",
    syntax: "key member [member ...]",
    summary: "Determines whether multiple members belong to a set.",
    complexity: "O(N) where N is the number of elements being checked for membership",
    since: "6.2.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(smismember),
    ..SET
};

fn smismember(call: &mut Call<'_>) -> Result {
    let mut members = call.args();
    let key = members.required()?;
    let (set, reply) = call.read_as_and_reply::<Set>(key)?;
    let set = set.as_deref();
    reply.array(members.left());
    for member in members {
        reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

pub(super) const SCARD: Command = Command {
    name: "scard",
    syntax: "key",
    summary: "Returns the number of members in a set.",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(scard),
    ..SET
};

fn scard(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let (set, reply) = call.read_as_and_reply::<Set>(key)?;
    let set = set.as_deref();
    reply.len(set.map_or(0, Set::len));
    Ok(())
}

pub(super) const SMEMBERS: Command = Command {
    name: "smembers",
    syntax: "key",
    summary: "Returns all members of a set.",
    complexity: "O(N) where N is the set cardinality.",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(smembers),
    tips: &["nondeterministic_output_order"],
    ..SET
};

fn smembers(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let (set, reply) = call.read_as_and_reply::<Set>(key)?;
    let set = set.as_deref();
    reply.set(set.map_or(0, Set::len));
    let members = set.into_iter().flat_map(Set::iter);
    members.for_each(|member| reply_member(reply, member));
    Ok(())
}
