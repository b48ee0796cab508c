//! About single members: ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK.

use super::SORTED_SET;
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::types::sorted_set::SortedSet;

pub(super) const ZCARD: Command = Command {
    name: "zcard",
    syntax: "key",
    summary: "Returns the number of members in a sorted set.",
    complexity: "O(1)",
    since: "1.2.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(zcard),
    ..SORTED_SET
};

fn zcard(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    args.finish()?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    reply.len(set.map_or(0, SortedSet::len));
    Ok(())
}

pub(super) const ZSCORE: Command = Command {
    name: "zscore",
    syntax: "key member",
    summary: "Returns the score of a member in a sorted set.",
    complexity: "O(1)",
    since: "1.2.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zscore),
    ..SORTED_SET
};

fn zscore(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, member) = (args.required()?, args.required()?);
    args.finish()?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    match set.and_then(|set| set.score(member)) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(())
}

pub(super) const ZMSCORE: Command = Command {
    name: "zmscore",
    syntax: "key member [member ...]",
    summary: "Returns the score of one or more members in a sorted set.",
    complexity: "O(N) where N is the number of members being requested.",
    since: "6.2.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zmscore),
    ..SORTED_SET
};

fn zmscore(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    reply.array(args.left());
    for member in args {
        match set.and_then(|set| set.score(member)) {
            Some(score) => reply.double(score),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(super) const ZRANK: Command = Command {
    name: "zrank",
    syntax: "key member [WITHSCORE]",
    summary: "Returns the index of a member in a sorted set ordered by ascending scores.",
    complexity: "O(log(N))",
    since: "2.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrank),
    history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
    ..SORTED_SET
};

fn zrank(call: &mut Call<'_>) -> Result {
    rank(call, |rank, _| rank)
}

pub(super) const ZREVRANK: Command = Command {
    name: "zrevrank",
    syntax: "key member [WITHSCORE]",
    summary: "Returns the index of a member in a sorted set ordered by descending scores.",
    complexity: "O(log(N))",
    since: "2.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrevrank),
    history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
    ..SORTED_SET
};

fn zrevrank(call: &mut Call<'_>) -> Result {
    rank(call, |rank, len| len - 1 - rank)
}

fn rank(call: &mut Call<'_>, place: impl Fn(usize, usize) -> usize) -> Result {
    let mut args = call.args();
    if args.left() > 3 {
        return Err(call.wrong_arity());
    }
    let (key, member) = (args.required()?, args.required()?);
    let with_score = args.keyword("withscore");
    args.finish()?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    let found = set.and_then(|set| Some((set.rank(member)?, set.len())));
    match found {
        None if with_score => reply.null_array(),
        None => reply.null(),
        Some(((rank, score), len)) => {
            if with_score {
                reply.array(2);
            }
            reply.len(place(rank, len));
            if with_score {
                reply.double(score);
            }
        }
    }
    Ok(())
}
