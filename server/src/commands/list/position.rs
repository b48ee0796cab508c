//! LPOS: where in a list an element is.

use super::{LIST, READS};
use crate::commands::spec::{Command, Flags};
use crate::engine::{Args, Call};
use crate::error::{self, Error, Result};
use crate::resp::Reply;
use crate::types::list::{End, List};
use crate::types::listpack::Sought;

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
    let sought = Sought::new(element);
    options.reply(reply, |visit| {
        if let Some(list) = &found {
            options.each_position(list, sought, visit);
        }
    });
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

    /// Shows where the element is until `visit` has had enough.
    fn each_position(&self, list: &List, sought: Sought<'_>, visit: &mut dyn FnMut(usize) -> bool) {
        let len = list.len();
        let looked_at = self.max_len.min(len);
        let (range, from) = match self.from_tail {
            true => (len - looked_at..len, End::Tail),
            false => (0..looked_at, End::Head),
        };
        let (mut seen, mut skipped) = (0, self.rank - 1);
        list.each_in(range, from, |item| {
            let at = if self.from_tail { len - 1 - seen } else { seen };
            seen += 1;
            if !sought.is(item) {
                return true;
            }
            if skipped > 0 {
                skipped -= 1;
                return true;
            }
            visit(at)
        });
    }

    fn reply(
        &self,
        reply: &mut Reply<'_>,
        each_position: impl FnOnce(&mut dyn FnMut(usize) -> bool),
    ) {
        let limit = self.count.unwrap_or(1);
        let (start, mut written) = (reply.position(), 0);
        each_position(&mut |position| {
            reply.len(position);
            written += 1;
            written < limit
        });
        match (self.count, written) {
            (None, 0) => reply.null(),
            (None, _) => {}
            (Some(_), _) => reply.insert(start, |reply| reply.array(written)),
        }
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
