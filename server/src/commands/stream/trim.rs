//! XTRIM, and what XADD shares with it; XDEL.

use super::{DELETES, FAST_WRITE, STREAM, ids};
use crate::commands::spec::{Command, Flags};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::stream::{Effort, Keep, Stream, StreamId};

pub(super) const XTRIM: Command = Command {
    name: "xtrim",
    syntax: "key <MAXLEN | MINID> [= | ~] threshold:string [LIMIT count]",
    summary: "Deletes messages from the beginning of a stream.",
    complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
    flags: Flags::WRITE,
    keys: &[DELETES],
    handler: Some(xtrim),
    history: &[("6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option.")],
    tips: &["nondeterministic_output"],
    ..STREAM
};

fn xtrim(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let mut trim = Trim::default();
    while !args.is_empty() {
        if !trim.parse_option(&mut args)? {
            return Err(error::SYNTAX);
        }
    }
    if trim.asks_for_nothing() {
        return Err(error::XTRIM_WITHOUT_STRATEGY);
    }
    let Some((keep, effort)) = trim.finish(call.settings().stream_node_max_entries)? else {
        return Err(error::XTRIM_WITHOUT_STRATEGY);
    };
    let edit = |stream: &mut Stream| {
        let log = &mut stream.parts_mut().log;
        (log.trim(keep, effort), log.len())
    };
    let (removed, left) = call.edit(key, |stream, _| edit(stream))?.unwrap_or_default();
    if removed > 0 && effort != Effort::Exact {
        // How much that was depends on how the stream is kept.
        log_trimmed(call, key, left);
    }
    report(call, key, "xtrim", removed);
    Ok(())
}

/// Logs that all entries but the last `left` went.
fn log_trimmed(call: &mut Call<'_>, key: &[u8], left: u64) {
    call.log(5, |line| {
        line.word(b"XTRIM").word(key).word(b"MAXLEN").word(b"=").int(left as i64).done();
    });
}

/// Tells how many entries went.
fn report(call: &mut Call<'_>, key: &[u8], event: &str, removed: u64) {
    if removed > 0 {
        call.changed(key);
        call.dirty(removed - 1);
        call.event(Class::STREAM, event, key);
    }
    call.reply.int(removed as i64);
}

/// The options about trimming, as far as they have been read.
#[derive(Default)]
pub(super) struct Trim {
    keep: Option<Keep>,
    approximate: bool,
    limit: Option<u64>,
}

impl Trim {
    /// Takes an option off, if one comes next that has its value behind it.
    pub(super) fn parse_option(&mut self, args: &mut Args<'_>) -> Result<bool> {
        if args.left() < 2 {
            return Ok(false);
        }
        if args.keyword("maxlen") {
            let text = self.threshold(args)?;
            let len = crate::number::parse_int(text).ok_or(error::NOT_INTEGER)?;
            self.keep = Some(Keep::Len(u64::try_from(len).or(Err(error::MAXLEN_NEGATIVE))?));
        } else if args.keyword("minid") {
            let text = self.threshold(args)?;
            self.keep = Some(Keep::From(ids::strict(text)?));
        } else if args.keyword("limit") {
            self.limit = Some(u64::try_from(args.int()?).or(Err(error::LIMIT_NEGATIVE))?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The value of MAXLEN or MINID, behind `=` or `~`.
    fn threshold<'a>(&mut self, args: &mut Args<'a>) -> Result<&'a [u8]> {
        if self.keep.is_some() {
            return Err(error::MAXLEN_WITH_MINID);
        }
        self.approximate = args.left() >= 2 && args.keyword("~");
        if !self.approximate && args.left() >= 2 {
            args.keyword("=");
        }
        args.required()
    }

    fn asks_for_nothing(&self) -> bool {
        self.keep.is_none() && self.limit.unwrap_or(0) == 0
    }

    /// What is asked for, if anything.
    pub(super) fn finish(self, node_max_entries: u64) -> Result<Option<(Keep, Effort)>> {
        let Some(keep) = self.keep else {
            return match self.limit {
                Some(1..) => Err(error::LIMIT_WITHOUT_STRATEGY),
                Some(0) => Err(error::LIMIT_WITHOUT_APPROXIMATION),
                None => Ok(None),
            };
        };
        let effort = match (self.approximate, self.limit) {
            (true, limit) => {
                Effort::Nodes { limit: limit.unwrap_or_else(|| usual_limit(node_max_entries)) }
            }
            (false, None) => Effort::Exact,
            (false, Some(_)) => return Err(error::LIMIT_WITHOUT_APPROXIMATION),
        };
        Ok(Some((keep, effort)))
    }
}

/// So much that one command trims unless it says otherwise: a hundred nodes.
fn usual_limit(node_max_entries: u64) -> u64 {
    match node_max_entries {
        0 => 10_000,
        entries => entries.saturating_mul(100).min(1_000_000),
    }
}

pub(super) const XDEL: Command = Command {
    name: "xdel",
    syntax: "key id [id ...]",
    summary: "Returns the number of messages after removing them from a stream.",
    complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
    flags: FAST_WRITE,
    keys: &[DELETES],
    handler: Some(xdel),
    ..STREAM
};

fn xdel(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    // Redis complains about the key before the ids.
    if call.peek_as::<Stream>(key)?.is_none() {
        call.reply.int(0);
        return Ok(());
    }
    let ids = args.map(ids::strict).collect::<Result<Vec<StreamId>>>()?;
    let edit = |stream: &mut Stream| {
        let log = &mut stream.parts_mut().log;
        ids.iter().filter(|id| log.delete(**id)).count() as u64
    };
    let removed = call.edit(key, |stream, _| edit(stream))?.unwrap_or(0);
    report(call, key, "xdel", removed);
    Ok(())
}
