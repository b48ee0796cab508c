//! HSCAN.

use super::{HASH, due_from, reply_item};
use crate::commands::scan::{Options, Walk, parse_cursor};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::Result;
use crate::types::hash::Hash;
use crate::types::string::Digits;

pub(super) const HSCAN: Command = Command {
    name: "hscan",
    syntax: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    summary: "Iterates over fields and values of a hash.",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    since: "2.8.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"])],
    handler: Some(hscan),
    tips: &["nondeterministic_output"],
    ..HASH
};

fn hscan(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let cursor = parse_cursor(args.required()?)?;
    let options = Options::parse(args, Walk::Hash);
    let due_from = due_from(call);
    let (hash, reply) = call.read_as_and_reply::<Hash>(key)?;
    let hash = hash.as_deref();
    let start = reply.position();
    let mut items = 0;
    let mut next = 0;
    // Where there is no key, nobody looks at the options.
    if let Some(hash) = hash {
        let options = options?;
        next = hash.scan(cursor, options.count, due_from, |pair| {
            if !options.pattern.matches(pair.field.write_to(&mut Digits::new())) {
                return;
            }
            reply_item(reply, pair.field);
            items += 1;
            if !options.names_only {
                reply_item(reply, pair.value);
                items += 1;
            }
        });
    }
    reply.insert(start, |reply| {
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        reply.array(items);
    });
    Ok(())
}
