//! Setting scores: ZADD and ZINCRBY.

use super::SORTED_SET;
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::sorted_set::{Change, SortedSet};

pub(super) const ZADD: Command = Command {
    name: "zadd",
    syntax: "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
    summary: "Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist.",
    complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    since: "1.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(zadd),
    history: &[
        ("2.4.0", "Accepts multiple elements."),
        ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
        ("6.2.0", "Added the `GT` and `LT` options."),
    ],
    ..SORTED_SET
};

fn zadd(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let options = Options::parse(&mut args);
    options.check(&args)?;
    let shape = check_pairs(args)?;
    add(call, key, options, shape, Pairs(args))
}

pub(super) const ZINCRBY: Command = Command {
    name: "zincrby",
    syntax: "key increment member",
    summary: "Increments the score of a member in a sorted set.",
    complexity: "O(log(N)) where N is the number of elements in the sorted set.",
    since: "1.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "update"])],
    handler: Some(zincrby),
    ..SORTED_SET
};

fn zincrby(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let options = Options { increment: true, ..Options::default() };
    options.check(&args)?;
    let shape = check_pairs(args)?;
    add(call, key, options, shape, Pairs(args))
}

/// When a member is added or its score changed.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) struct Options {
    only_new: bool,
    only_there: bool,
    only_greater: bool,
    only_less: bool,
    /// The score is added to the present one.
    increment: bool,
    /// The reply counts changed scores, too.
    count_changed: bool,
}

impl Options {
    fn parse(args: &mut Args<'_>) -> Self {
        let mut options = Self::default();
        loop {
            let option = if args.keyword("nx") {
                &mut options.only_new
            } else if args.keyword("xx") {
                &mut options.only_there
            } else if args.keyword("ch") {
                &mut options.count_changed
            } else if args.keyword("incr") {
                &mut options.increment
            } else if args.keyword("gt") {
                &mut options.only_greater
            } else if args.keyword("lt") {
                &mut options.only_less
            } else {
                return options;
            };
            *option = true;
        }
    }

    /// Those that GEOADD takes.
    pub(in crate::commands) fn of_geoadd(args: &mut Args<'_>) -> Result<Self> {
        let mut options = Self::default();
        loop {
            if args.keyword("nx") {
                options.only_new = true;
            } else if args.keyword("xx") {
                options.only_there = true;
            } else if args.keyword("ch") {
                options.count_changed = true;
            } else if options.only_new && options.only_there {
                return Err(error::SYNTAX);
            } else {
                return Ok(options);
            }
        }
    }

    /// Whether the options go together, and with the pairs that follow.
    fn check(&self, pairs: &Args<'_>) -> Result {
        let Self { only_new, only_there, only_greater, only_less, .. } = *self;
        if pairs.is_empty() || !pairs.left().is_multiple_of(2) {
            return Err(error::SYNTAX);
        }
        if only_new && only_there {
            return Err(error::ZADD_XX_WITH_NX);
        }
        if [only_greater, only_less, only_new].into_iter().filter(|&only| only).count() > 1 {
            return Err(error::ZADD_GT_LT_NX);
        }
        if self.increment && pairs.left() > 2 {
            return Err(error::ZADD_INCR_PAIRS);
        }
        Ok(())
    }

    /// The score that a member gets, if any.
    fn decide(&self, old: Option<f64>, given: f64) -> Result<Option<f64>> {
        let Some(old) = old else { return Ok((!self.only_there).then_some(given)) };
        if self.only_new {
            return Ok(None);
        }
        let new = if self.increment { old + given } else { given };
        if new.is_nan() {
            return Err(error::SCORE_IS_NAN);
        }
        let refused = self.only_greater && new <= old || self.only_less && new >= old;
        Ok((!refused).then_some(new))
    }
}

#[derive(Debug, Default)]
struct Outcome {
    added: usize,
    updated: usize,
    /// The score of the member that came last, unless it was left alone.
    score: Option<f64>,
}

impl Outcome {
    fn note(&mut self, change: Change) {
        let score = match change {
            Change::None => None,
            Change::Same(score) => Some(score),
            Change::Added(score) => {
                self.added += 1;
                Some(score)
            }
            Change::Updated(score) => {
                self.updated += 1;
                Some(score)
            }
        };
        self.score = score;
    }
}

/// Adds `count` pairs, whose longest member is so long.
pub(in crate::commands) fn add<'p>(
    call: &mut Call<'_>,
    key: &[u8],
    options: Options,
    (count, longest): (usize, usize),
    pairs: impl Iterator<Item = (f64, &'p [u8])>,
) -> Result {
    let outcome = call.edit_or_create(
        key,
        |_| SortedSet::new(),
        |set, with| {
            let limits = &with.settings.sorted_set_limits;
            set.prepare(limits, count, longest);
            let mut outcome = Outcome::default();
            for (score, member) in pairs {
                outcome.note(set.change(member, limits, |old| options.decide(old, score))?);
            }
            Ok(outcome)
        },
    )??;
    let Outcome { added, updated, score } = outcome;
    if added + updated > 0 {
        call.changed(key);
        call.dirty((added + updated - 1) as u64);
        call.signal(key);
        call.event(Class::ZSET, if options.increment { "zincr" } else { "zadd" }, key);
    }
    match score {
        Some(score) if options.increment => call.reply.double(score),
        None if options.increment => call.reply.null(),
        _ => call.reply.len(if options.count_changed { added + updated } else { added }),
    }
    Ok(())
}

/// Scores and members in turn. Scores are read twice, first to check them all: that costs less
/// than to keep them.
struct Pairs<'a>(Args<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (f64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let score = self.0.float().ok()?;
        Some((score, self.0.next()?))
    }
}

/// Whether all scores are numbers; how many they are, and the length of the longest member.
fn check_pairs(mut pairs: Args<'_>) -> Result<(usize, usize)> {
    let count = pairs.left() / 2;
    let mut longest = 0;
    while !pairs.is_empty() {
        pairs.float()?;
        longest = longest.max(pairs.required()?.len());
    }
    Ok((count, longest))
}
