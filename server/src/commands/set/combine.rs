//! Several sets at once: SINTER, SUNION, SDIFF, their …STORE variants, and SINTERCARD.

use super::sources::with_sets;
use super::{SET, reply_member};
use crate::commands::spec::{Access, Command, Find, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::set::algebra::{self, Operation};

pub(super) const SINTER: Command = Command {
    name: "sinter",
    syntax: "key [key ...]",
    summary: "Returns the intersect of multiple sets.",
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    flags: Flags::READONLY,
    keys: &[KeySpec::rest(1, Access::ReadOnly, &["access"])],
    handler: Some(|call| show(call, Operation::Intersection)),
    tips: &["nondeterministic_output_order"],
    ..SET
};

pub(super) const SUNION: Command = Command {
    name: "sunion",
    syntax: "key [key ...]",
    summary: "Returns the union of multiple sets.",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    flags: Flags::READONLY,
    keys: &[KeySpec::rest(1, Access::ReadOnly, &["access"])],
    handler: Some(|call| show(call, Operation::Union)),
    tips: &["nondeterministic_output_order"],
    ..SET
};

pub(super) const SDIFF: Command = Command {
    name: "sdiff",
    syntax: "key [key ...]",
    summary: "Returns the difference of multiple sets.",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    flags: Flags::READONLY,
    keys: &[KeySpec::rest(1, Access::ReadOnly, &["access"])],
    handler: Some(|call| show(call, Operation::Difference)),
    tips: &["nondeterministic_output_order"],
    ..SET
};

fn show(call: &mut Call<'_>, operation: Operation) -> Result {
    let keys = call.args();
    with_sets(call, keys, |sets, reply, settings| {
        let start = reply.position();
        let mut found = 0;
        algebra::visit(operation, sets, &settings.set_limits, |member| {
            reply_member(reply, member);
            found += 1;
            true
        });
        reply.insert(start, |reply| reply.set(found));
    })
}

pub(super) const SINTERSTORE: Command = Command {
    name: "sinterstore",
    syntax: "destination key [key ...]",
    summary: "Stores the intersect of multiple sets in a key.",
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::Overwrite, &["update"]),
        KeySpec::rest(2, Access::ReadOnly, &["access"]),
    ],
    handler: Some(|call| store(call, Operation::Intersection, "sinterstore")),
    ..SET
};

pub(super) const SUNIONSTORE: Command = Command {
    name: "sunionstore",
    syntax: "destination key [key ...]",
    summary: "Stores the union of multiple sets in a key.",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::Overwrite, &["update"]),
        KeySpec::rest(2, Access::ReadOnly, &["access"]),
    ],
    handler: Some(|call| store(call, Operation::Union, "sunionstore")),
    ..SET
};

pub(super) const SDIFFSTORE: Command = Command {
    name: "sdiffstore",
    syntax: "destination key [key ...]",
    summary: "Stores the difference of multiple sets in a key.",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[
        KeySpec::one(1, Access::Overwrite, &["update"]),
        KeySpec::rest(2, Access::ReadOnly, &["access"]),
    ],
    handler: Some(|call| store(call, Operation::Difference, "sdiffstore")),
    ..SET
};

fn store(call: &mut Call<'_>, operation: Operation, event: &str) -> Result {
    let mut keys = call.args();
    let destination = keys.required()?;
    let result = with_sets(call, keys, |sets, _, settings| {
        algebra::collect(operation, sets, &settings.set_limits)
    })?;
    let len = result.len();
    let was_there = call.store(destination, Some(result));
    if len > 0 {
        call.changed(destination);
        call.event(Class::SET, event, destination);
    } else if was_there {
        call.changed(destination);
        call.event(Class::GENERIC, "del", destination);
    }
    call.reply.len(len);
    Ok(())
}

pub(super) const SINTERCARD: Command = Command {
    name: "sintercard",
    syntax: "numkeys key [key ...] [LIMIT limit:integer]",
    summary: "Returns the number of members of the intersect of multiple sets.",
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    since: "7.0.0",
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::ReadOnly, &["access"]).found(Find::Count { step: 1 })],
    handler: Some(sintercard),
    ..SET
};

fn sintercard(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (keys, limit) = parse_sintercard(&mut args)?;
    with_sets(call, keys, |sets, reply, settings| {
        let mut found = 0;
        algebra::visit(Operation::Intersection, sets, &settings.set_limits, |_| {
            found += 1;
            limit == 0 || found < limit
        });
        reply.len(found);
    })
}

/// The keys, and the limit: 0 for none.
fn parse_sintercard<'a>(args: &mut Args<'a>) -> Result<(Args<'a>, usize)> {
    let count = crate::number::parse_int(args.required()?).filter(|count| *count > 0);
    let count = count.and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(error::NUMKEYS_NOT_ABOVE_0)?;
    let keys = args.split_off(count).map_err(|_| error::MORE_KEYS_THAN_ARGS)?;
    let mut limit = 0;
    while !args.is_empty() {
        if args.left() < 2 || !args.keyword("limit") {
            return Err(error::SYNTAX);
        }
        let given = args.int_or(error::LIMIT_IS_NEGATIVE)?;
        limit = usize::try_from(given).map_err(|_| error::LIMIT_IS_NEGATIVE)?;
    }
    Ok((keys, limit))
}
