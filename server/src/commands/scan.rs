//! Commands that walk the keys of a database: SCAN and KEYS; the options of all that are called
//! …SCAN.

use super::spec::{Command, Flags, Group};
use crate::engine::{Args, Call, Engine};
use crate::error::{self, Error, Result};
use crate::glob;
use crate::keyspace::Entry;

pub(super) const COMMANDS: &[Command] = &[KEYS, SCAN];

const KEYS: Command = Command {
    name: "keys",
    syntax: "pattern",
    summary: "Returns all key names that match a pattern.",
    complexity: "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.",
    group: Group::Generic,
    flags: Flags::READONLY.union(Flags::DANGEROUS),
    handler: Some(keys),
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    ..Command::BASE
};

fn keys(call: &mut Call<'_>) -> Result {
    let pattern = Pattern::new(call.args().required()?);
    let due = call.engine.due_keys(call.client, call.now);
    let db = call.engine.keyspace.db(call.client.db);
    let reply = &mut call.reply;
    let start = reply.position();
    let mut found = 0;
    for entry in db.iter() {
        if pattern.matches(entry.key()) && due.shows(entry) {
            reply.bulk(entry.key());
            found += 1;
        }
    }
    reply.insert(start, |reply| reply.array(found));
    Ok(())
}

const SCAN: Command = Command {
    name: "scan",
    syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
    summary: "Iterates over the key names in the database.",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    since: "2.8.0",
    group: Group::Generic,
    flags: Flags::READONLY.union(Flags::TOUCHES_ARBITRARY_KEYS),
    handler: Some(scan),
    history: &[("6.0.0", "Added the `TYPE` subcommand.")],
    tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
    ..Command::BASE
};

fn scan(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let cursor = parse_cursor(args.required()?)?;
    let options = Options::parse(args, Walk::Keys)?;
    let due = call.engine.due_keys(call.client, call.now);
    let db = call.client.db;
    let Engine { keyspace, overdue, journal, .. } = &mut *call.engine;
    let reply = &mut call.reply;
    let start = reply.position();
    let mut found = 0;
    let next = keyspace.db(db).scan(cursor, options.count, |entry| {
        if options.admit(entry) && due.admit(db, entry, overdue, journal) {
            reply.bulk(entry.key());
            found += 1;
        }
    });
    reply.insert(start, |reply| {
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        reply.array(found);
    });
    Ok(())
}

/// The names that TYPE takes; a type that is not built yet is simply never found.
const TYPES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];
const DEFAULT_COUNT: usize = 10;

/// What is walked: SCAN, SSCAN, HSCAN, ZSCAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    Keys,
    Set,
    Hash,
    SortedSet,
}

pub(super) struct Options<'a> {
    pub(super) pattern: Pattern<'a>,
    /// Keys or members to look at, about.
    pub(super) count: usize,
    kind: Option<&'static str>,
    /// HSCAN without values, ZSCAN without scores.
    pub(super) names_only: bool,
}

impl<'a> Options<'a> {
    pub(super) fn parse(mut args: Args<'a>, walk: Walk) -> Result<Self> {
        let mut options =
            Self { pattern: Pattern::All, count: DEFAULT_COUNT, kind: None, names_only: false };
        while !args.is_empty() {
            let has_value = args.left() >= 2;
            if has_value && args.keyword("count") {
                options.count = usize::try_from(args.int()?).map_err(|_| error::SYNTAX)?;
                if options.count == 0 {
                    return Err(error::SYNTAX);
                }
            } else if has_value && args.keyword("match") {
                options.pattern = Pattern::new(args.required()?);
            } else if has_value && walk == Walk::Keys && args.keyword("type") {
                options.kind = Some(parse_type(args.required()?)?);
            } else if args.keyword("novalues") {
                options.names_only = true;
                if walk != Walk::Hash {
                    return Err(error::NOVALUES_OUTSIDE_HSCAN);
                }
            } else if args.keyword("noscores") {
                options.names_only = true;
                if walk != Walk::SortedSet {
                    return Err(error::NOSCORES_OUTSIDE_ZSCAN);
                }
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(options)
    }

    fn admit(&self, entry: Entry<'_>) -> bool {
        self.kind.is_none_or(|kind| entry.kind().name() == kind)
            && self.pattern.matches(entry.key())
    }
}

fn parse_type(name: &[u8]) -> Result<&'static str> {
    let known = TYPES.into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name));
    known.ok_or_else(|| Error::owned(format!("ERR unknown type name '{}'", error::printable(name))))
}

/// A cursor of ours, or anything that C's `strtoull` reads as a number.
pub(super) fn parse_cursor(text: &[u8]) -> Result<u64> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    parsed.filter(|_| digits.first().is_some_and(u8::is_ascii_digit)).ok_or(error::INVALID_CURSOR)
}

#[derive(Clone, Copy)]
pub(super) enum Pattern<'a> {
    /// `*`
    All,
    Glob(&'a [u8]),
}

impl<'a> Pattern<'a> {
    fn new(pattern: &'a [u8]) -> Self {
        if pattern == b"*" { Self::All } else { Self::Glob(pattern) }
    }

    pub(super) fn matches(self, key: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Glob(pattern) => glob::matches(pattern, key, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_an_unsigned_number() {
        for (text, expected) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("007", Some(7)),
            ("+7", Some(7)),
            ("18446744073709551616", None),
            ("-1", None),
            ("++7", None),
            ("+", None),
            ("", None),
            (" 7", None),
            ("7 ", None),
            ("0x10", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()).ok(), expected, "{text:?}");
        }
    }
}
