//! BITOP: strings combined bit by bit.

use super::{BITMAP, GROWS};
use crate::commands::spec::{Access, Command, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};
use crate::keyspace::Value;
use crate::types::bitmap::{Combination, Operation};
use crate::types::string::{Digits, Str};

pub(super) const BITOP: Command = Command {
    name: "bitop",
    syntax: "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
    summary: "Performs bitwise operations on multiple strings, and stores the result.",
    complexity: "O(N)",
    since: "2.6.0",
    flags: GROWS,
    keys: &[
        KeySpec::one(2, Access::Overwrite, &["update"]),
        KeySpec::rest(3, Access::ReadOnly, &["access"]),
    ],
    handler: Some(bitop),
    ..BITMAP
};

/// Those behind NOT are Redis 8.2's.
const OPERATIONS: [(&str, Operation); 8] = [
    ("AND", Operation::And),
    ("OR", Operation::Or),
    ("XOR", Operation::Xor),
    ("NOT", Operation::Not),
    ("DIFF", Operation::Diff),
    ("DIFF1", Operation::Diff1),
    ("ANDOR", Operation::AndOr),
    ("ONE", Operation::One),
];

fn bitop(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let word = args.required()?;
    let named = OPERATIONS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    let (name, operation) = *named.ok_or(error::SYNTAX)?;
    let target = args.required()?;
    match (operation, args.left()) {
        (Operation::Not, 2..) => return Err(error::BITOP_NOT_TAKES_ONE),
        (Operation::Diff | Operation::Diff1 | Operation::AndOr, ..2) => {
            return Err(error::bitop_takes_two(name));
        }
        _ => {}
    }
    let mut combination = Combination::new(operation);
    for key in args {
        let mut digits = Digits::new();
        let row = call.read_string(key)?;
        combination.add(row.map_or(&[][..], |row| row.bytes(&mut digits)));
    }
    let result = combination.finish();
    let len = result.len();
    store(call, target, result);
    call.reply.len(len);
    Ok(())
}

/// Sets the target, or removes it if there is nothing to set it to.
fn store(call: &mut Call<'_>, key: &[u8], result: Vec<u8>) {
    if !result.is_empty() {
        call.set_value(key, Value::Str(Str::Raw(result)), None);
        call.changed(key);
        call.event(Class::STRING, "set", key);
    } else if call.remove(key) {
        call.changed(key);
        call.event(Class::GENERIC, "del", key);
    }
}
