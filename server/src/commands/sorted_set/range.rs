//! Members in a range: ZRANGE with its older names, and ZRANGESTORE.

use std::ops::Range;

use super::bounds::{Lex, parse_ranks, parse_scores, rank_range};
use super::{SORTED_SET, reply_pairs};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::sorted_set::{LexRange, ScoreRange, SortedSet};

pub(super) const ZRANGE: Command = Command {
    name: "zrange",
    syntax: "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
    summary: "Returns members in a sorted set within a range of indexes.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
    since: "1.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrange),
    history: &[("6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.")],
    ..SORTED_SET
};

fn zrange(call: &mut Call<'_>) -> Result {
    range_and_reply(call, Form::ANY)
}

pub(super) const ZREVRANGE: Command = Command {
    name: "zrevrange",
    syntax: "key start stop [WITHSCORES]",
    summary: "Returns members in a sorted set within a range of indexes in reverse order.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
    since: "1.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrevrange),
    ..SORTED_SET
};

fn zrevrange(call: &mut Call<'_>) -> Result {
    range_and_reply(call, Form::fixed(By::Rank, true))
}

pub(super) const ZRANGEBYSCORE: Command = Command {
    name: "zrangebyscore",
    syntax: "key min max [WITHSCORES] [LIMIT offset count]",
    summary: "Returns members in a sorted set within a range of scores.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
    since: "1.0.5",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrangebyscore),
    history: &[("2.0.0", "Added the `WITHSCORES` modifier.")],
    ..SORTED_SET
};

fn zrangebyscore(call: &mut Call<'_>) -> Result {
    range_and_reply(call, Form::fixed(By::Score, false))
}

pub(super) const ZREVRANGEBYSCORE: Command = Command {
    name: "zrevrangebyscore",
    syntax: "key max min [WITHSCORES] [LIMIT offset count]",
    summary: "Returns members in a sorted set within a range of scores in reverse order.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
    since: "2.2.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrevrangebyscore),
    history: &[("2.1.6", "`min` and `max` can be exclusive.")],
    ..SORTED_SET
};

fn zrevrangebyscore(call: &mut Call<'_>) -> Result {
    range_and_reply(call, Form::fixed(By::Score, true))
}

pub(super) const ZRANGEBYLEX: Command = Command {
    name: "zrangebylex",
    syntax: "key min max [LIMIT offset count]",
    summary: "Returns members in a sorted set within a lexicographical range.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
    since: "2.8.9",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrangebylex),
    ..SORTED_SET
};

fn zrangebylex(call: &mut Call<'_>) -> Result {
    range_and_reply(call, Form::fixed(By::Member, false))
}

pub(super) const ZREVRANGEBYLEX: Command = Command {
    name: "zrevrangebylex",
    syntax: "key max min [LIMIT offset count]",
    summary: "Returns members in a sorted set within a lexicographical range in reverse order.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
    since: "2.8.9",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zrevrangebylex),
    ..SORTED_SET
};

fn zrevrangebylex(call: &mut Call<'_>) -> Result {
    range_and_reply(call, Form::fixed(By::Member, true))
}

pub(super) const ZRANGESTORE: Command = Command {
    name: "zrangestore",
    syntax: "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
    summary: "Stores a range of members from sorted set in a key.",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
    since: "6.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::Overwrite, &["update"]),
        KeySpec::one(2, Access::ReadOnly, &["access"]),
    ],
    handler: Some(zrangestore),
    ..SORTED_SET
};

fn zrangestore(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (destination, source) = (args.required()?, args.required()?);
    let query = Query::parse(args, Form { may_have_scores: false, ..Form::ANY })?;
    let limits = call.settings().sorted_set_limits;
    let found = call.read_as::<SortedSet>(source)?;
    let found = found.as_deref().map(|set| {
        let pairs = set.range(query.ranks(set)).map(|(member, score)| (member.to_vec(), score));
        SortedSet::from_members(&limits, pairs.collect())
    });
    store_and_reply(call, destination, found, "zrangestore")
}

/// The end of every …STORE: puts the set at `key`, or removes that if there is nothing to put.
pub(in crate::commands) fn store_and_reply(
    call: &mut Call<'_>,
    key: &[u8],
    set: Option<SortedSet>,
    event: &str,
) -> Result {
    let len = set.as_ref().map_or(0, SortedSet::len);
    let was_there = call.store(key, set);
    if len > 0 {
        call.changed(key);
        call.signal(key);
        call.event(Class::ZSET, event, key);
    } else if was_there {
        call.changed(key);
        call.event(Class::GENERIC, "del", key);
    }
    call.reply.len(len);
    Ok(())
}

/// What the command's name leaves open.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    may_have_scores: bool,
}

impl Form {
    const ANY: Self = Self { by: None, reverse: None, may_have_scores: true };

    fn fixed(by: By, reverse: bool) -> Self {
        Self { by: Some(by), reverse: Some(reverse), ..Self::ANY }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Member,
}

enum Ends<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(LexRange<'a>),
}

struct Query<'a> {
    ends: Ends<'a>,
    reverse: bool,
    with_scores: bool,
    /// How many to skip and how many to take; all, if negative.
    limit: (i64, i64),
}

impl<'a> Query<'a> {
    /// Parses what stands behind the key.
    fn parse(mut args: Args<'a>, form: Form) -> Result<Self> {
        let ends = args.split_off(2)?;
        let Form { mut by, mut reverse, may_have_scores } = form;
        let mut with_scores = false;
        let mut limit = (0, -1);
        while !args.is_empty() {
            if may_have_scores && args.keyword("withscores") {
                with_scores = true;
            } else if args.left() >= 3 && args.keyword("limit") {
                limit = (args.int()?, args.int()?);
            } else if reverse.is_none() && args.keyword("rev") {
                reverse = Some(true);
            } else if by.is_none() && args.keyword("bylex") {
                by = Some(By::Member);
            } else if by.is_none() && args.keyword("byscore") {
                by = Some(By::Score);
            } else {
                return Err(error::SYNTAX);
            }
        }
        let by = by.unwrap_or(By::Rank);
        if limit.1 != -1 && by == By::Rank {
            return Err(error::LIMIT_NEEDS_BYSCORE_OR_BYLEX);
        }
        if with_scores && by == By::Member {
            return Err(error::WITHSCORES_WITH_BYLEX);
        }
        let reverse = reverse.unwrap_or(false);
        Ok(Self { ends: Ends::parse(ends, by, reverse)?, reverse, with_scores, limit })
    }

    /// The ranks that are asked for.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let ranks = match &self.ends {
            Ends::Ranks(start, stop) if self.reverse => {
                let ranks = rank_range(*start, *stop, set.len());
                set.len() - ranks.end..set.len() - ranks.start
            }
            Ends::Ranks(start, stop) => rank_range(*start, *stop, set.len()),
            Ends::Scores(range) => set.ranks_by_score(range),
            Ends::Members(range) => set.ranks_by_lex(range),
        };
        self.limited(ranks)
    }

    fn limited(&self, ranks: Range<usize>) -> Range<usize> {
        let Ok(skipped) = usize::try_from(self.limit.0) else { return 0..0 };
        let skipped = skipped.min(ranks.len());
        let taken = usize::try_from(self.limit.1).unwrap_or(usize::MAX).min(ranks.len() - skipped);
        if self.reverse {
            let end = ranks.end - skipped;
            end - taken..end
        } else {
            let start = ranks.start + skipped;
            start..start + taken
        }
    }
}

impl<'a> Ends<'a> {
    fn parse(mut args: Args<'a>, by: By, reverse: bool) -> Result<Self> {
        if by == By::Rank {
            let (start, stop) = parse_ranks(&mut args)?;
            return Ok(Self::Ranks(start, stop));
        }
        let (first, second) = (args.required()?, args.required()?);
        let (min, max) = if reverse { (second, first) } else { (first, second) };
        match by {
            By::Score => parse_scores(min, max).map(Self::Scores),
            _ => Lex::parse(min, max).map(Self::Members),
        }
    }
}

fn range_and_reply(call: &mut Call<'_>, form: Form) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let query = Query::parse(args, form)?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    let Some(set) = set else {
        reply.array(0);
        return Ok(());
    };
    let pairs = set.range(query.ranks(set));
    if query.reverse {
        reply_pairs(reply, pairs.rev(), query.with_scores);
    } else {
        reply_pairs(reply, pairs, query.with_scores);
    }
    Ok(())
}
