//! Taking members off an end: ZPOPMIN, ZPOPMAX, ZMPOP, and the ones that wait for members.

use super::remove::note_removal;
use super::{SORTED_SET, reply_member};
use crate::commands::spec::{Access, Command, Find, Flags, KeySpec};
use crate::engine::{Args, Block, Call, Waits};
use crate::error::{self, Result};
use crate::resp::{Protocol, Reply};
use crate::types::collection::Kind;
use crate::types::sorted_set::SortedSet;

pub(super) const ZPOPMIN: Command = Command {
    name: "zpopmin",
    syntax: "key [count]",
    summary: "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
    since: "5.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "delete"])],
    handler: Some(zpopmin),
    ..SORTED_SET
};

fn zpopmin(call: &mut Call<'_>) -> Result {
    pop_from_one(call, End::Min)
}

pub(super) const ZPOPMAX: Command = Command {
    name: "zpopmax",
    syntax: "key [count]",
    summary: "Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
    since: "5.0.0",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "delete"])],
    handler: Some(zpopmax),
    ..SORTED_SET
};

fn zpopmax(call: &mut Call<'_>) -> Result {
    pop_from_one(call, End::Max)
}

pub(super) const ZMPOP: Command = Command {
    name: "zmpop",
    syntax: "numkeys key [key ...] <MIN | MAX> [COUNT count]",
    summary: "Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. Deletes the sorted set if the last member was popped.",
    complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
    since: "7.0.0",
    flags: Flags::WRITE,
    keys: &[
        KeySpec::one(1, Access::ReadWrite, &["access", "delete"]).found(Find::Count { step: 1 })
    ],
    handler: Some(zmpop),
    ..SORTED_SET
};

fn zmpop(call: &mut Call<'_>) -> Result {
    let many = Many::parse(call.args())?;
    if !pop_from_first(call, many.keys, many.end, Shape::Pairs, many.count)? {
        call.reply.null_array();
    }
    Ok(())
}

pub(super) const BZPOPMIN: Command = Command {
    name: "bzpopmin",
    syntax: "key [key ...] timeout",
    summary: "Removes and returns the member with the lowest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    since: "5.0.0",
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::BLOCKING),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "delete"])
        .found(Find::Range { last: -2, step: 1 })],
    handler: Some(bzpopmin),
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    ..SORTED_SET
};

fn bzpopmin(call: &mut Call<'_>) -> Result {
    wait_and_pop_one(call, End::Min)
}

pub(super) const BZPOPMAX: Command = Command {
    name: "bzpopmax",
    syntax: "key [key ...] timeout",
    summary: "Removes and returns the member with the highest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    since: "5.0.0",
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::BLOCKING),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "delete"])
        .found(Find::Range { last: -2, step: 1 })],
    handler: Some(bzpopmax),
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    ..SORTED_SET
};

fn bzpopmax(call: &mut Call<'_>) -> Result {
    wait_and_pop_one(call, End::Max)
}

pub(super) const BZMPOP: Command = Command {
    name: "bzmpop",
    syntax: "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
    summary: "Removes and returns a member by score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
    complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
    since: "7.0.0",
    flags: Flags::WRITE.union(Flags::BLOCKING),
    keys: &[
        KeySpec::one(2, Access::ReadWrite, &["access", "delete"]).found(Find::Count { step: 1 })
    ],
    handler: Some(bzmpop),
    ..SORTED_SET
};

fn bzmpop(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let mut timeout = args.split_off(1)?;
    let many = Many::parse(args)?;
    let deadline_ms = timeout.deadline(call.now)?;
    wait_and_pop(call, many.keys, deadline_ms, many.end, Shape::Pairs, many.count)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    fn event(self) -> &'static str {
        match self {
            Self::Min => "zpopmin",
            Self::Max => "zpopmax",
        }
    }

    /// The command that takes members off this end, as it is logged.
    fn command(self) -> &'static [u8] {
        match self {
            Self::Min => b"ZPOPMIN",
            Self::Max => b"ZPOPMAX",
        }
    }
}

/// How what was popped is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Members and scores in turn.
    Flat,
    /// The same behind the key.
    KeyAndFlat,
    /// The key and a list of pairs.
    Pairs,
    /// A list of pairs, without the key.
    PairsAlone,
}

impl Shape {
    fn reply_header(self, reply: &mut Reply<'_>, key: &[u8], len: usize) {
        match self {
            Self::Flat => reply.array(len * 2),
            Self::PairsAlone => reply.array(len),
            Self::KeyAndFlat => {
                reply.array(len * 2 + 1);
                reply.bulk(key);
            }
            Self::Pairs => {
                reply.array(2);
                reply.bulk(key);
                reply.array(len);
            }
        }
    }

    fn has_pairs(self) -> bool {
        matches!(self, Self::Pairs | Self::PairsAlone)
    }
}

/// What ZMPOP and BZMPOP take: `numkeys key… MIN|MAX [COUNT count]`.
struct Many<'a> {
    keys: Args<'a>,
    end: End,
    count: usize,
}

impl<'a> Many<'a> {
    fn parse(mut args: Args<'a>) -> Result<Self> {
        let positive = |args: &mut Args<'a>, otherwise: error::Error| {
            let count = args.int_or(otherwise.clone())?;
            usize::try_from(count).ok().filter(|&count| count > 0).ok_or(otherwise)
        };
        let keys = positive(&mut args, error::NUMKEYS_NOT_ABOVE_0)?;
        let keys = args.split_off(keys)?;
        let end = if args.keyword("min") {
            End::Min
        } else if args.keyword("max") {
            End::Max
        } else {
            return Err(error::SYNTAX);
        };
        let count = match args.left() >= 2 && args.keyword("count") {
            true => positive(&mut args, error::COUNT_NOT_ABOVE_0)?,
            false => 1,
        };
        args.finish()?;
        Ok(Self { keys, end, count })
    }
}

fn pop_from_one(call: &mut Call<'_>, end: End) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let count = match args.is_empty() {
        true => None,
        false if args.left() > 1 => return Err(error::SYNTAX),
        false => {
            let count = args.int_or(error::must_be_positive())?;
            Some(usize::try_from(count).map_err(|_| error::must_be_positive())?)
        }
    };
    let shape = match call.reply.protocol() {
        Protocol::Resp3 if count.is_some() => Shape::PairsAlone,
        _ => Shape::Flat,
    };
    if pop(call, key, end, shape, count.unwrap_or(1))?.is_none() {
        call.reply.array(0);
    }
    Ok(())
}

fn wait_and_pop_one(call: &mut Call<'_>, end: End) -> Result {
    let mut args = call.args();
    let keys = args.split_off(args.left() - 1)?;
    let deadline_ms = args.deadline(call.now)?;
    wait_and_pop(call, keys, deadline_ms, end, Shape::KeyAndFlat, 1)
}

fn wait_and_pop(
    call: &mut Call<'_>,
    keys: Args<'_>,
    deadline_ms: Option<i64>,
    end: End,
    shape: Shape,
    count: usize,
) -> Result {
    if pop_from_first(call, keys, end, shape, count)? {
        return Ok(());
    }
    if !call.may_block() {
        call.reply.null_array();
        return Ok(());
    }
    let keys = keys.map(Box::from).collect();
    call.block(Block {
        keys,
        kind: Kind::SortedSet,
        deadline_ms,
        on_delete: false,
        waits: Waits::ForKeys,
    })
}

/// Pops from the first key that is there; whether one was. It is logged for that key alone.
fn pop_from_first(
    call: &mut Call<'_>,
    keys: Args<'_>,
    end: End,
    shape: Shape,
    count: usize,
) -> Result<bool> {
    for key in keys {
        match pop(call, key, end, shape, count) {
            Ok(None) => {}
            // Who waits is served by sorted sets alone, whatever came to the other keys meanwhile.
            Err(error) if call.is_retry() && error == error::WRONG_TYPE => {}
            Err(error) => return Err(error),
            Ok(Some(count)) => {
                let name = end.command();
                call.log(3, |line| line.word(name).word(key).int(count as i64).done());
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Pops up to `count` members and replies with them; how many, if there was such a key.
fn pop(
    call: &mut Call<'_>,
    key: &[u8],
    end: End,
    shape: Shape,
    count: usize,
) -> Result<Option<usize>> {
    let popped = call.edit(key, |set: &mut SortedSet, with| {
        let count = count.min(set.len());
        let ranks = match end {
            End::Min => 0..count,
            End::Max => set.len() - count..set.len(),
        };
        shape.reply_header(with.reply, key, count);
        let pairs = set.range(ranks.clone());
        let mut tell = |(member, score)| {
            if shape.has_pairs() {
                with.reply.array(2);
            }
            reply_member(with.reply, member);
            with.reply.double(score);
        };
        match end {
            End::Min => pairs.for_each(&mut tell),
            End::Max => pairs.rev().for_each(&mut tell),
        }
        set.remove_range(ranks);
        count
    })?;
    if let Some(count @ 1..) = popped {
        note_removal(call, key, end.event(), count);
    }
    Ok(popped)
}
