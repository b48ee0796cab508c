//! HRANDFIELD.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::{HASH, due_from, reply_item};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::resp::Protocol;
use crate::types::hash::{Hash, Pair};

pub(super) const HRANDFIELD: Command = Command {
    name: "hrandfield",
    syntax: "key [count [WITHVALUES]]",
    summary: "Returns one or more random fields from a hash.",
    complexity: "O(N) where N is the number of fields returned",
    since: "6.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(hrandfield),
    tips: &["nondeterministic_output"],
    ..HASH
};

fn hrandfield(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let count = if args.is_empty() { None } else { Some(parse_count(args.required()?)?) };
    let with_values = count.is_some() && args.keyword("withvalues");
    args.finish()?;
    match count {
        Some(count) if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 => {
            Err(error::OUT_OF_RANGE)
        }
        Some(count) => many(call, key, count, with_values),
        None => one(call, key),
    }
}

fn parse_count(text: &[u8]) -> Result<i64> {
    match crate::number::parse_int(text).ok_or(error::NOT_INTEGER)? {
        i64::MIN => Err(error::out_of_range_between(-i64::MAX, i64::MAX)),
        count => Ok(count),
    }
}

fn one(call: &mut Call<'_>, key: &[u8]) -> Result {
    let due_from = due_from(call);
    let mut rng = Pcg64Mcg::seed_from_u64(call.rng().next_u64());
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    match hash.and_then(|hash| hash.random(due_from, || rng.next_u64())) {
        Some(pair) => reply_item(reply, pair.field),
        None => reply.null(),
    }
    Ok(())
}

/// With values: pairs in RESP3, flat in RESP2.
fn many(call: &mut Call<'_>, key: &[u8], count: i64, with_values: bool) -> Result {
    let due_from = due_from(call);
    let mut rng = Pcg64Mcg::seed_from_u64(call.rng().next_u64());
    let draw = || rng.next_u64();
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    let nested = with_values && reply.protocol() == Protocol::Resp3;
    let start = reply.position();
    let mut items = 0;
    if let Some(hash) = hash {
        let visit = |pair: Pair<'_>| {
            if nested {
                reply.array(2);
            }
            reply_item(reply, pair.field);
            if with_values {
                reply_item(reply, pair.value);
            }
            items += if with_values && !nested { 2 } else { 1 };
        };
        let many = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        match count {
            ..0 => hash.random_many(many, due_from, draw, visit),
            0.. => hash.random_distinct(many, due_from, draw, visit),
        }
    }
    reply.insert(start, |reply| reply.array(items));
    Ok(())
}
