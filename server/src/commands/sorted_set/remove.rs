//! Removing members: ZREM and ZREMRANGEBY….

use std::ops::Range;

use super::SORTED_SET;
use super::bounds::{Lex, parse_ranks, parse_scores, rank_range};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::Result;
use crate::types::sorted_set::SortedSet;

pub(super) const ZREM: Command = Command {
    name: "zrem",
    syntax: "key member [member ...]",
    summary: "Removes one or more members from a sorted set. Deletes the sorted set if all members were removed.",
    complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
    since: "1.2.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["delete"])],
    handler: Some(zrem),
    history: &[("2.4.0", "Accepts multiple elements.")],
    ..SORTED_SET
};

fn zrem(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let remove = |set: &mut SortedSet| args.filter(|member| set.remove(member).is_some()).count();
    remove_and_reply(call, key, "zrem", remove)
}

pub(super) const ZREMRANGEBYRANK: Command = Command {
    name: "zremrangebyrank",
    syntax: "key start stop",
    summary: "Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
    since: "2.0.0",
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::ReadWrite, &["delete"])],
    handler: Some(zremrangebyrank),
    ..SORTED_SET
};

fn zremrangebyrank(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let (start, stop) = parse_ranks(&mut args)?;
    args.finish()?;
    let ranks = |set: &SortedSet| rank_range(start, stop, set.len());
    remove_and_reply(call, key, "zremrangebyrank", |set| remove_range(set, ranks))
}

pub(super) const ZREMRANGEBYSCORE: Command = Command {
    name: "zremrangebyscore",
    syntax: "key min max",
    summary: "Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
    since: "1.2.0",
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::ReadWrite, &["delete"])],
    handler: Some(zremrangebyscore),
    ..SORTED_SET
};

fn zremrangebyscore(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let range = parse_scores(args.required()?, args.required()?)?;
    args.finish()?;
    let ranks = |set: &SortedSet| set.ranks_by_score(&range);
    remove_and_reply(call, key, "zremrangebyscore", |set| remove_range(set, ranks))
}

pub(super) const ZREMRANGEBYLEX: Command = Command {
    name: "zremrangebylex",
    syntax: "key min max",
    summary: "Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members were removed.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
    since: "2.8.9",
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::ReadWrite, &["delete"])],
    handler: Some(zremrangebylex),
    ..SORTED_SET
};

fn zremrangebylex(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let range = Lex::parse(args.required()?, args.required()?)?;
    args.finish()?;
    let ranks = |set: &SortedSet| set.ranks_by_lex(&range);
    remove_and_reply(call, key, "zremrangebylex", |set| remove_range(set, ranks))
}

fn remove_range(set: &mut SortedSet, ranks: impl Fn(&SortedSet) -> Range<usize>) -> usize {
    let ranks = ranks(set);
    set.remove_range(ranks.clone());
    ranks.len()
}

fn remove_and_reply(
    call: &mut Call<'_>,
    key: &[u8],
    event: &str,
    remove: impl FnOnce(&mut SortedSet) -> usize,
) -> Result {
    let removed = call.edit(key, |set: &mut SortedSet, _| remove(set))?.unwrap_or(0);
    if removed > 0 {
        note_removal(call, key, event, removed);
    }
    call.reply.len(removed);
    Ok(())
}

/// Tells that `count` members are gone, and the key, if it is.
pub(super) fn note_removal(call: &mut Call<'_>, key: &[u8], event: &str, count: usize) {
    call.changed(key);
    call.dirty(count as u64 - 1);
    call.event(Class::ZSET, event, key);
    if call.is_gone(key) {
        call.event(Class::GENERIC, "del", key);
    }
}
