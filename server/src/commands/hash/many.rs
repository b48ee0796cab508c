//! All of a hash: HGETALL, HKEYS, HVALS.

use super::{HASH, due_from, reply_item};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::types::hash::{Hash, Pair};
use crate::types::listpack::Item;

pub(super) const HGETALL: Command = Command {
    name: "hgetall",
    syntax: "key",
    summary: "Returns all fields and values in a hash.",
    complexity: "O(N) where N is the size of the hash.",
    since: "2.0.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(hgetall),
    tips: &["nondeterministic_output_order"],
    ..HASH
};

fn hgetall(call: &mut Call<'_>) -> Result {
    let key = call.args().required()?;
    let due_from = due_from(call);
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    reply.map(hash.map_or(0, |hash| hash.live_len(due_from)));
    for pair in hash.into_iter().flat_map(|hash| hash.iter(due_from)) {
        reply_item(reply, pair.field);
        reply_item(reply, pair.value);
    }
    Ok(())
}

pub(super) const HKEYS: Command = Command {
    name: "hkeys",
    syntax: "key",
    summary: "Returns all fields in a hash.",
    complexity: "O(N) where N is the size of the hash.",
    since: "2.0.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(hkeys),
    tips: &["nondeterministic_output_order"],
    ..HASH
};

fn hkeys(call: &mut Call<'_>) -> Result {
    list(call, |pair| pair.field)
}

pub(super) const HVALS: Command = Command {
    name: "hvals",
    syntax: "key",
    summary: "Returns all values in a hash.",
    complexity: "O(N) where N is the size of the hash.",
    since: "2.0.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(hvals),
    tips: &["nondeterministic_output_order"],
    ..HASH
};

fn hvals(call: &mut Call<'_>) -> Result {
    list(call, |pair| pair.value)
}

fn list(call: &mut Call<'_>, half: fn(Pair<'_>) -> Item<'_>) -> Result {
    let key = call.args().required()?;
    let due_from = due_from(call);
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    reply.array(hash.map_or(0, |hash| hash.live_len(due_from)));
    let pairs = hash.into_iter().flat_map(|hash| hash.iter(due_from));
    pairs.for_each(|pair| reply_item(reply, half(pair)));
    Ok(())
}
