//! SSCAN.

use super::{SET, reply_member};
use crate::commands::scan::{Options, Walk, parse_cursor};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::types::set::Set;
use crate::types::string::Digits;

pub(super) const SSCAN: Command = Command {
    name: "sscan",
    syntax: "key cursor [MATCH pattern] [COUNT count]",
    summary: "Iterates over members of a set.",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    since: "2.8.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(sscan),
    tips: &["nondeterministic_output"],
    ..SET
};

fn sscan(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let cursor = parse_cursor(args.required()?)?;
    let options = Options::parse(args, Walk::Set);
    let (set, reply) = call.read_as_and_reply::<Set>(key)?;
    let set = set.as_deref();
    let start = reply.position();
    let mut found = 0;
    let mut next = 0;
    // Where there is no key, nobody looks at the options.
    if let Some(set) = set {
        let options = options?;
        next = set.scan(cursor, options.count, |member| {
            if options.pattern.matches(member.write_to(&mut Digits::new())) {
                reply_member(reply, member);
                found += 1;
            }
        });
    }
    reply.insert(start, |reply| {
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        reply.array(found);
    });
    Ok(())
}
