//! What is in a hash: HGET, HMGET, HEXISTS, HLEN, HSTRLEN.

use super::{HASH, due_from, reply_item_opt};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::resp::Reply;
use crate::types::hash::Hash;
use crate::types::listpack::Item;

pub(super) const HGET: Command = Command {
    name: "hget",
    syntax: "key field",
    summary: "Returns the value of a field in a hash.",
    since: "2.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(hget),
    ..HASH
};

fn hget(call: &mut Call<'_>) -> Result {
    with_field(call, reply_item_opt)
}

/// Answers with what is made of one field's value.
fn with_field(
    call: &mut Call<'_>,
    answer: impl FnOnce(&mut Reply<'_>, Option<Item<'_>>),
) -> Result {
    let mut args = call.args();
    let (key, field) = (args.required()?, args.required()?);
    let due_from = due_from(call);
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    answer(reply, hash.and_then(|hash| hash.get(field, due_from)));
    Ok(())
}

pub(super) const HMGET: Command = Command {
    name: "hmget",
    syntax: "key field [field ...]",
    summary: "Returns the values of all fields in a hash.",
    complexity: "O(N) where N is the number of fields being requested.",
    since: "2.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(hmget),
    ..HASH
};

fn hmget(call: &mut Call<'_>) -> Result {
    let mut fields = call.args();
    let key = fields.required()?;
    let due_from = due_from(call);
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    reply.array(fields.left());
    for field in fields {
        reply_item_opt(reply, hash.and_then(|hash| hash.get(field, due_from)));
    }
    Ok(())
}

pub(super) const HEXISTS: Command = Command {
    name: "hexists",
    syntax: "key field",
    summary: "Determines whether a field exists in a hash.",
    since: "2.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(hexists),
    ..HASH
};

fn hexists(call: &mut Call<'_>) -> Result {
    with_field(call, |reply, value| reply.int(i64::from(value.is_some())))
}

pub(super) const HSTRLEN: Command = Command {
    name: "hstrlen",
    syntax: "key field",
    summary: "Returns the length of the value of a field.",
    since: "3.2.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(hstrlen),
    ..HASH
};

fn hstrlen(call: &mut Call<'_>) -> Result {
    with_field(call, |reply, value| reply.len(value.map_or(0, Item::text_len)))
}

pub(super) const HLEN: Command = Command {
    name: "hlen",
    syntax: "key",
    summary: "Returns the number of fields in a hash.",
    since: "2.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(hlen),
    ..HASH
};

/// As in Valkey, fields that are due count until they are removed.
fn hlen(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    reply.len(hash.map_or(0, Hash::len));
    Ok(())
}
