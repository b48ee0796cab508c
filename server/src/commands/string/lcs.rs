//! LCS: what two strings have in common, in order.

use super::{READS, STRING};
use crate::commands::spec::{Command, Find, Flags};
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::lcs::{self, Match};

pub(super) const LCS: Command = Command {
    name: "lcs",
    syntax: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len:integer] [WITHMATCHLEN]",
    summary: "Finds the longest common substring.",
    complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
    since: "7.0.0",
    flags: Flags::READONLY,
    keys: &[READS.found(Find::Range { last: 1, step: 1 })],
    handler: Some(lcs),
    ..STRING
};

fn lcs(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key_a, key_b) = (args.required()?, args.required()?);
    // Redis complains about the keys before the options.
    let (a, b) = (text(call, key_a), text(call, key_b));
    let (a, b) = (a?, b?);
    let options = Options::parse(args)?;
    check_size(call, &a, &b)?;
    if options.len {
        call.reply.len(lcs::len(&a, &b));
        return Ok(());
    }
    let matches = lcs::matches(&a, &b);
    if options.idx {
        reply_matches(call, &matches, &options);
    } else {
        let common: Vec<u8> =
            matches.iter().rev().flat_map(|part| &a[part.a..part.a + part.len]).copied().collect();
        call.reply.bulk(&common);
    }
    Ok(())
}

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    min_match_len: usize,
}

impl Options {
    fn parse(mut args: Args<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !args.is_empty() {
            if args.keyword("idx") {
                options.idx = true;
            } else if args.keyword("len") {
                options.len = true;
            } else if args.keyword("withmatchlen") {
                options.with_match_len = true;
            } else if args.keyword("minmatchlen") {
                options.min_match_len = usize::try_from(args.int()?).unwrap_or(0);
            } else {
                return Err(error::SYNTAX);
            }
        }
        if options.len && options.idx { Err(error::LCS_AMBIGUOUS) } else { Ok(options) }
    }
}

fn text(call: &mut Call<'_>, key: &[u8]) -> Result<Vec<u8>> {
    match call.read_string(key) {
        Ok(found) => Ok(found.map_or_else(Vec::new, |value| value.to_cow().into_owned())),
        Err(_) => Err(error::LCS_NOT_STRINGS),
    }
}

/// Redis needs four bytes for each pair of positions and limits them by proto-max-bulk-len. We need
/// a bit, but the work is the same, and it is done under the lock.
fn check_size(call: &Call<'_>, a: &[u8], b: &[u8]) -> Result {
    let limit = call.engine.config.settings().max_bulk_len;
    let cells = (a.len() + 1).checked_mul(b.len() + 1).and_then(|cells| cells.checked_mul(4));
    match cells {
        Some(bytes) if bytes <= limit => Ok(()),
        _ => Err(error::LCS_TOO_LONG),
    }
}

fn reply_matches(call: &mut Call<'_>, matches: &[Match], options: &Options) {
    let total: usize = matches.iter().map(|part| part.len).sum();
    let shown = || matches.iter().filter(|part| part.len >= options.min_match_len);
    let reply = &mut call.reply;
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(shown().count());
    for part in shown() {
        reply.array(if options.with_match_len { 3 } else { 2 });
        for start in [part.a, part.b] {
            reply.array(2);
            reply.len(start);
            reply.len(start + part.len - 1);
        }
        if options.with_match_len {
            reply.len(part.len);
        }
    }
    reply.bulk(b"len");
    reply.len(total);
}
