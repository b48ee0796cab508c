//! LPOS: where in a list an element is.

use super::{LIST, READS};
use crate::commands::spec::{Command, Flags};
use crate::engine::{Args, Call};
use crate::error::{self, Error, Result};
use crate::resp::Reply;
use crate::types::list::List;
use crate::types::listpack::{Item, Sought};

pub(super) const LPOS: Command = Command {
    name: "lpos",
    syntax: "key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len]",
    summary: "Returns the index of matching elements in a list.",
    complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
    since: "6.0.6",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(lpos),
    ..LIST
};

fn lpos(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, element) = (args.required()?, args.required()?);
    let options = Options::parse(args)?;
    let (found, reply) = call.read_as_and_reply::<List>(key)?;
    let found = found.as_deref();
    let empty = List::new();
    let positions = options.positions(found.unwrap_or(&empty), Sought::new(element));
    options.reply(positions, reply);
    Ok(())
}

struct Options {
    /// The first match that counts, from 1.
    rank: usize,
    from_tail: bool,
    /// `None` where one answer was asked for; no more than this many otherwise.
    count: Option<usize>,
    /// No more elements than this are looked at.
    max_len: usize,
}

impl Options {
    fn parse(mut args: Args<'_>) -> Result<Self> {
        let mut options = Self { rank: 1, from_tail: false, count: None, max_len: usize::MAX };
        while !args.is_empty() {
            // A word without its value is a syntax error, whatever it is.
            let has_value = args.left() > 1;
            if has_value && args.keyword("rank") {
                options.set_rank(&mut args)?;
            } else if has_value && args.keyword("count") {
                options.count = Some(limit(&mut args, error::LPOS_COUNT_NEGATIVE)?);
            } else if has_value && args.keyword("maxlen") {
                options.max_len = limit(&mut args, error::LPOS_MAXLEN_NEGATIVE)?;
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(options)
    }

    fn set_rank(&mut self, args: &mut Args<'_>) -> Result {
        let rank = symmetric_int(args)?;
        if rank == 0 {
            return Err(error::LPOS_RANK_ZERO);
        }
        self.rank = usize::try_from(rank.unsigned_abs()).unwrap_or(usize::MAX);
        self.from_tail = rank < 0;
        Ok(())
    }

    fn positions<'l>(
        &self,
        list: &'l List,
        sought: Sought<'l>,
    ) -> Box<dyn Iterator<Item = usize> + 'l> {
        let is_it = move |(index, item): (usize, Item<'_>)| sought.is(item).then_some(index);
        let (skipped, last) = (self.rank - 1, list.len().saturating_sub(1));
        if self.from_tail {
            let matches = list.iter().rev().take(self.max_len).enumerate().filter_map(is_it);
            Box::new(matches.skip(skipped).map(move |index| last - index))
        } else {
            let matches = list.iter().take(self.max_len).enumerate().filter_map(is_it);
            Box::new(matches.skip(skipped))
        }
    }

    fn reply(&self, mut positions: impl Iterator<Item = usize>, reply: &mut Reply<'_>) {
        let Some(count) = self.count else {
            return match positions.next() {
                Some(position) => reply.len(position),
                None => reply.null(),
            };
        };
        let start = reply.position();
        let mut written = 0;
        for position in positions.take(count) {
            reply.len(position);
            written += 1;
        }
        reply.insert(start, |reply| reply.array(written));
    }
}

/// An integer whose negative is one, too.
pub(super) fn symmetric_int(args: &mut Args<'_>) -> Result<i64> {
    let value = args.int()?;
    let wrong = || error::out_of_range_between(-i64::MAX, i64::MAX);
    if value == i64::MIN { Err(wrong()) } else { Ok(value) }
}

/// A count of which 0 means no limit.
fn limit(args: &mut Args<'_>, otherwise: Error) -> Result<usize> {
    match usize::try_from(args.int_or(otherwise.clone())?) {
        Ok(0) => Ok(usize::MAX),
        Ok(limit) => Ok(limit),
        Err(_) => Err(otherwise),
    }
}
