//! Counting members in a range: ZCOUNT and ZLEXCOUNT.

use super::SORTED_SET;
use super::bounds::{Lex, parse_scores};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::types::sorted_set::SortedSet;

pub(super) const ZCOUNT: Command = Command {
    name: "zcount",
    syntax: "key min max",
    summary: "Returns the count of members in a sorted set that have scores within a range.",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    since: "2.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zcount),
    ..SORTED_SET
};

fn zcount(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let range = parse_scores(args.required()?, args.required()?)?;
    args.finish()?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    reply.len(set.map_or(0, |set| set.ranks_by_score(&range).len()));
    Ok(())
}

pub(super) const ZLEXCOUNT: Command = Command {
    name: "zlexcount",
    syntax: "key min max",
    summary: "Returns the number of members in a sorted set within a lexicographical range.",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    since: "2.8.9",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zlexcount),
    ..SORTED_SET
};

fn zlexcount(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let range = Lex::parse(args.required()?, args.required()?)?;
    args.finish()?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    reply.len(set.map_or(0, |set| set.ranks_by_lex(&range).len()));
    Ok(())
}
