//! Unions, intersections and differences of sorted sets, told or stored.

use std::borrow::Cow;
use std::collections::HashMap;

use super::range::store_and_reply;
use super::source::{Source, check_kinds, with_sources};
use super::{SORTED_SET, reply_pairs};
use crate::commands::spec::{Access, Command, Find, Flags, KeySpec};
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::sorted_set::{Item, SortedSet, put_in_order};
use crate::types::string::Digits;

pub(super) const ZUNION: Command = Command {
    name: "zunion",
    syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    summary: "Returns the union of multiple sorted sets.",
    complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
    since: "6.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"]).found(Find::Count { step: 1 })],
    handler: Some(zunion),
    ..SORTED_SET
};

fn zunion(call: &mut Call<'_>) -> Result {
    combine_and_reply(call, Operation::Union)
}

pub(super) const ZINTER: Command = Command {
    name: "zinter",
    syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    summary: "Returns the intersect of multiple sorted sets.",
    complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
    since: "6.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"]).found(Find::Count { step: 1 })],
    handler: Some(zinter),
    ..SORTED_SET
};

fn zinter(call: &mut Call<'_>) -> Result {
    combine_and_reply(call, Operation::Intersection)
}

pub(super) const ZDIFF: Command = Command {
    name: "zdiff",
    syntax: "numkeys key [key ...] [WITHSCORES]",
    summary: "Returns the difference between multiple sorted sets.",
    complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
    since: "6.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"]).found(Find::Count { step: 1 })],
    handler: Some(zdiff),
    ..SORTED_SET
};

fn zdiff(call: &mut Call<'_>) -> Result {
    combine_and_reply(call, Operation::Difference)
}

pub(super) const ZUNIONSTORE: Command = Command {
    name: "zunionstore",
    syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
    summary: "Stores the union of multiple sorted sets in a key.",
    complexity: "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
    since: "2.0.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::Overwrite, &["update"]),
        KeySpec::one(2, Access::ReadOnly, &["access"]).found(Find::Count { step: 1 }),
    ],
    handler: Some(zunionstore),
    ..SORTED_SET
};

fn zunionstore(call: &mut Call<'_>) -> Result {
    combine_and_store(call, Operation::Union, "zunionstore")
}

pub(super) const ZINTERSTORE: Command = Command {
    name: "zinterstore",
    syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
    summary: "Stores the intersect of multiple sorted sets in a key.",
    complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
    since: "2.0.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::Overwrite, &["update"]),
        KeySpec::one(2, Access::ReadOnly, &["access"]).found(Find::Count { step: 1 }),
    ],
    handler: Some(zinterstore),
    ..SORTED_SET
};

fn zinterstore(call: &mut Call<'_>) -> Result {
    combine_and_store(call, Operation::Intersection, "zinterstore")
}

pub(super) const ZDIFFSTORE: Command = Command {
    name: "zdiffstore",
    syntax: "destination numkeys key [key ...]",
    summary: "Stores the difference of multiple sorted sets in a key.",
    complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
    since: "6.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::Overwrite, &["update"]),
        KeySpec::one(2, Access::ReadOnly, &["access"]).found(Find::Count { step: 1 }),
    ],
    handler: Some(zdiffstore),
    ..SORTED_SET
};

fn zdiffstore(call: &mut Call<'_>) -> Result {
    combine_and_store(call, Operation::Difference, "zdiffstore")
}

pub(super) const ZINTERCARD: Command = Command {
    name: "zintercard",
    syntax: "numkeys key [key ...] [LIMIT limit]",
    summary: "Returns the number of members of the intersect of multiple sorted sets.",
    complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
    since: "7.0.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"]).found(Find::Count { step: 1 })],
    handler: Some(zintercard),
    ..SORTED_SET
};

fn zintercard(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let keys = parse_keys(call, &mut args)?;
    let limit = parse_limit(args);
    if limit.is_err() {
        check_kinds(call, &keys)?;
    }
    let limit = limit?;
    let count = with_sources(call, &keys, |sources| {
        let weighted = sources.into_iter().map(|source| Weighted { source, weight: 1.0 });
        let mut count = 0;
        intersect(by_len(weighted.collect()), Aggregate::Sum, |_, _| {
            count += 1;
            count < limit
        });
        count
    })?;
    call.reply.len(count);
    Ok(())
}

fn parse_limit(mut args: Args<'_>) -> Result<usize> {
    let mut limit = usize::MAX;
    while !args.is_empty() {
        if args.left() < 2 || !args.keyword("limit") {
            return Err(error::SYNTAX);
        }
        let given = args.int_or(error::LIMIT_IS_NEGATIVE)?;
        let given = usize::try_from(given).map_err(|_| error::LIMIT_IS_NEGATIVE)?;
        limit = if given == 0 { usize::MAX } else { given };
    }
    Ok(limit)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the scores of a member that is in several.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => not_nan(a + b),
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }
    }
}

/// Infinities that cancel each other out, or are taken no times, are nothing.
fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

struct Query<'a> {
    operation: Operation,
    keys: Vec<&'a [u8]>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl<'a> Query<'a> {
    /// Parses what stands behind the destination, if there is one.
    fn parse(
        call: &mut Call<'_>,
        mut args: Args<'a>,
        operation: Operation,
        stores: bool,
    ) -> Result<Self> {
        let keys = parse_keys(call, &mut args)?;
        let weights = vec![1.0; keys.len()];
        let mut query =
            Self { operation, keys, weights, aggregate: Aggregate::Sum, with_scores: false };
        let parsed = query.parse_options(args, stores);
        // A key of the wrong type is what clients are told of first.
        if parsed.is_err() {
            check_kinds(call, &query.keys)?;
        }
        parsed.map(|()| query)
    }

    fn parse_options(&mut self, mut args: Args<'a>, stores: bool) -> Result {
        let query = self;
        let has_weights = query.operation != Operation::Difference;
        while !args.is_empty() {
            if has_weights && args.left() > query.keys.len() && args.keyword("weights") {
                for weight in &mut query.weights {
                    *weight = args.float().map_err(|_| error::WEIGHT_NOT_FLOAT)?;
                }
            } else if has_weights && args.left() >= 2 && args.keyword("aggregate") {
                query.aggregate = parse_aggregate(&mut args)?;
            } else if !stores && args.keyword("withscores") {
                query.with_scores = true;
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(())
    }

    /// What comes out, in any order.
    fn run(&self, call: &mut Call<'_>) -> Result<Pairs> {
        with_sources(call, &self.keys, |sources| {
            let weighted = sources.into_iter().zip(&self.weights);
            let weighted = weighted.map(|(source, &weight)| Weighted { source, weight }).collect();
            match self.operation {
                Operation::Union => unite(by_len(weighted), self.aggregate),
                Operation::Intersection => {
                    let mut pairs = Vec::new();
                    intersect(by_len(weighted), self.aggregate, |member, score| {
                        pairs.push((member.to_vec(), score));
                        true
                    });
                    pairs
                }
                Operation::Difference => subtract(&weighted),
            }
        })
    }
}

fn parse_keys<'a>(call: &Call<'_>, args: &mut Args<'a>) -> Result<Vec<&'a [u8]>> {
    let count = args.int()?;
    if count < 1 {
        return Err(error::at_least_one_key(call.full_name()));
    }
    let count = usize::try_from(count).map_err(|_| error::SYNTAX)?;
    Ok(args.split_off(count)?.collect())
}

fn parse_aggregate(args: &mut Args<'_>) -> Result<Aggregate> {
    if args.keyword("sum") {
        Ok(Aggregate::Sum)
    } else if args.keyword("min") {
        Ok(Aggregate::Min)
    } else if args.keyword("max") {
        Ok(Aggregate::Max)
    } else {
        Err(error::SYNTAX)
    }
}

fn combine_and_reply(call: &mut Call<'_>, operation: Operation) -> Result {
    let query = Query::parse(call, call.args(), operation, false)?;
    let mut pairs = query.run(call)?;
    put_in_order(&mut pairs);
    let pairs = pairs.iter().map(|(member, score)| (Item::Bytes(member), *score));
    reply_pairs(&mut call.reply, pairs, query.with_scores);
    Ok(())
}

fn combine_and_store(call: &mut Call<'_>, operation: Operation, event: &str) -> Result {
    let mut args = call.args();
    let destination = args.required()?;
    let query = Query::parse(call, args, operation, true)?;
    let limits = call.settings().sorted_set_limits;
    let set = SortedSet::from_members(&limits, query.run(call)?);
    store_and_reply(call, destination, Some(set), event)
}

struct Weighted<'e> {
    source: Source<'e>,
    weight: f64,
}

/// From the smallest to the largest: sums of scores are formed in this order.
fn by_len(mut sources: Vec<Weighted<'_>>) -> Vec<Weighted<'_>> {
    sources.sort_by_cached_key(|weighted| weighted.source.len());
    sources
}

type Pairs = Vec<(Vec<u8>, f64)>;

fn unite(sources: Vec<Weighted<'_>>, aggregate: Aggregate) -> Pairs {
    let largest = sources.last().map_or(0, |weighted| weighted.source.len());
    let mut scores: HashMap<Cow<'_, [u8]>, f64> = HashMap::with_capacity(largest);
    for Weighted { source, weight } in &sources {
        source.visit(|member, score| {
            let score = not_nan(weight * score);
            let member = match member {
                Item::Bytes(bytes) => Cow::Borrowed(bytes),
                Item::Int(_) => Cow::Owned(member.to_vec()),
            };
            let sum = |old: &mut f64| *old = aggregate.of(*old, score);
            scores.entry(member).and_modify(sum).or_insert(score);
            true
        });
    }
    scores.into_iter().map(|(member, score)| (member.into_owned(), score)).collect()
}

/// Visits what is in all, while `visit` says that it wants more.
fn intersect(
    sources: Vec<Weighted<'_>>,
    aggregate: Aggregate,
    mut visit: impl FnMut(&[u8], f64) -> bool,
) {
    let Some((smallest, others)) = sources.split_first() else { return };
    let mut digits = Digits::new();
    smallest.source.visit(|member, score| {
        let member = member.write_to(&mut digits);
        let first = not_nan(smallest.weight * score);
        let score = others.iter().try_fold(first, |sum, other| {
            let score = other.source.score(member)?;
            Some(aggregate.of(sum, score * other.weight))
        });
        score.is_none_or(|score| visit(member, score))
    });
}

/// What is in the first and in no other.
fn subtract(sources: &[Weighted<'_>]) -> Pairs {
    let Some((first, others)) = sources.split_first() else { return Vec::new() };
    let mut pairs = Vec::new();
    let mut digits = Digits::new();
    first.source.visit(|member, score| {
        let member = member.write_to(&mut digits);
        if others.iter().all(|other| other.source.score(member).is_none()) {
            pairs.push((member.to_vec(), score));
        }
        true
    });
    pairs
}
