//! ZSCAN.

use super::SORTED_SET;
use crate::commands::scan::{Options, Walk, parse_cursor};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::number::DoubleText;
use crate::types::sorted_set::SortedSet;

pub(super) const ZSCAN: Command = Command {
    name: "zscan",
    syntax: "key cursor [MATCH pattern] [COUNT count] [NOSCORES]",
    summary: "Iterates over members and scores of a sorted set.",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    since: "2.8.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(zscan),
    history: &[("8.0.0", "Added noscores option.")],
    tips: &["nondeterministic_output"],
    ..SORTED_SET
};

fn zscan(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let cursor = parse_cursor(args.required()?)?;
    let options = Options::parse(args, Walk::SortedSet)?;
    let (set, reply) = call.read_as_and_reply::<SortedSet>(key)?;
    let set = set.as_deref();
    let start = reply.position();
    let mut items = 0;
    let visit = |member: &[u8], score: f64| {
        if !options.pattern.matches(member) {
            return;
        }
        reply.bulk(member);
        items += 1;
        if !options.names_only {
            reply.bulk(DoubleText::new(score).as_bytes());
            items += 1;
        }
    };
    let next = set.map_or(0, |set| set.scan(cursor, options.count, visit));
    reply.insert(start, |reply| {
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        reply.array(items);
    });
    Ok(())
}
