//! BITFIELD and BITFIELD_RO: integers of any width at any place of a string.

use super::{BITMAP, GROWS, READS, offset, within_limit};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::keyspace::Value;
use crate::number;
use crate::types::bitmap::{Field, Overflow};
use crate::types::string::{Digits, Str};

pub(super) const BITFIELD: Command = Command {
    name: "bitfield",
    syntax: "key [<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value:integer | INCRBY encoding offset increment:integer>> ...]",
    summary: "Performs arbitrary bitfield integer operations on strings.",
    complexity: "O(1) for each subcommand specified",
    since: "3.2.0",
    flags: GROWS,
    keys: &[BOTH
        .noted("This command allows both access and modification of the key")
        .varying(|line| if only_gets(line) { &READS } else { &BOTH })],
    handler: Some(bitfield),
    ..BITMAP
};

const BOTH: KeySpec = KeySpec::one(1, Access::ReadWrite, &["update", "access", "variable_flags"]);

fn only_gets(line: &[&[u8]]) -> bool {
    line.get(2..).unwrap_or_default().chunks(3).all(|words| words[0].eq_ignore_ascii_case(b"get"))
}

fn bitfield(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let steps = Step::parse_all(args, call)?;
    match steps.iter().filter(|step| step.writes()).map(|step| step.field.end_byte()).max() {
        Some(end) => write(call, key, &steps, usize::try_from(end).unwrap_or(usize::MAX)),
        None => read(call, key, &steps),
    }
}

pub(super) const BITFIELD_RO: Command = Command {
    name: "bitfield_ro",
    syntax: "key [GET encoding offset [GET encoding offset ...]]",
    summary: "Performs arbitrary read-only bitfield integer operations on strings.",
    since: "6.0.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[READS],
    handler: Some(bitfield_ro),
    ..BITFIELD
};

fn bitfield_ro(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let steps = Step::parse_all(args, call)?;
    if steps.iter().any(Step::writes) {
        return Err(error::BITFIELD_RO_ONLY_GET);
    }
    read(call, key, &steps)
}

/// One of a command's operations.
struct Step {
    field: Field,
    action: Action,
    overflow: Overflow,
}

enum Action {
    Get,
    Set(i64),
    Add(i64),
}

/// What the operations on a string led to.
struct Done {
    /// Each one's answer; `None` where a value did not fit.
    answers: Vec<Option<i64>>,
    written: u64,
    changed: u64,
}

impl Step {
    fn parse_all(mut args: Args<'_>, call: &Call<'_>) -> Result<Vec<Self>> {
        let mut overflow = Overflow::Wrap;
        let mut steps = Vec::new();
        while !args.is_empty() {
            let behind = args.left() - 1;
            if behind >= 1 && args.keyword("overflow") {
                overflow = parse_overflow(args.required()?)?;
            } else if behind >= 2 && args.keyword("get") {
                let field = parse_field(&mut args, call)?;
                steps.push(Self { field, action: Action::Get, overflow });
            } else if behind >= 3 && args.keyword("set") {
                let field = parse_field(&mut args, call)?;
                steps.push(Self { field, action: Action::Set(args.int()?), overflow });
            } else if behind >= 3 && args.keyword("incrby") {
                let field = parse_field(&mut args, call)?;
                steps.push(Self { field, action: Action::Add(args.int()?), overflow });
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(steps)
    }

    fn writes(&self) -> bool {
        !matches!(self.action, Action::Get)
    }

    fn run(&self, bytes: &mut [u8], done: &mut Done) {
        let before = self.field.read(bytes);
        let wanted = match self.action {
            Action::Get => return done.answers.push(Some(before)),
            Action::Set(value) => self.field.given(value),
            Action::Add(increment) => i128::from(before) + i128::from(increment),
        };
        let Some(after) = self.field.fit(wanted, self.overflow) else {
            return done.answers.push(None);
        };
        self.field.write(bytes, after);
        done.written += 1;
        done.changed += u64::from(before != after);
        done.answers.push(Some(if let Action::Set(_) = self.action { before } else { after }));
    }
}

fn parse_overflow(word: &[u8]) -> Result<Overflow> {
    match word.to_ascii_lowercase().as_slice() {
        b"wrap" => Ok(Overflow::Wrap),
        b"sat" => Ok(Overflow::Saturate),
        b"fail" => Ok(Overflow::Fail),
        _ => Err(error::BITFIELD_OVERFLOW),
    }
}

/// A type as `u8` or `i64`, and an offset, in bits or (`#2`) in fields of this width.
fn parse_field(args: &mut Args<'_>, call: &Call<'_>) -> Result<Field> {
    let (signed, max_width, digits) = match args.required()? {
        [b'i', digits @ ..] => (true, 64, digits),
        [b'u', digits @ ..] => (false, 63, digits),
        _ => return Err(error::BITFIELD_TYPE),
    };
    let width = number::parse_int(digits).and_then(|width| u32::try_from(width).ok());
    let width = width.filter(|width| (1..=max_width).contains(width));
    let width = width.ok_or(error::BITFIELD_TYPE)?;
    let offset = match args.required()? {
        [b'#', nth @ ..] => {
            let nth = number::parse_int(nth).and_then(|nth| u64::try_from(nth).ok());
            within_limit(call, nth.and_then(|nth| nth.checked_mul(width.into())))?
        }
        text => offset(call, text)?,
    };
    Ok(Field { signed, width, offset })
}

fn read(call: &mut Call<'_>, key: &[u8], steps: &[Step]) -> Result {
    let (found, reply) = call.read_string_and_reply(key)?;
    let mut digits = Digits::new();
    let bytes = found.map_or(&[][..], |value| value.bytes(&mut digits));
    reply.array(steps.len());
    steps.iter().for_each(|step| reply.int(step.field.read(bytes)));
    Ok(())
}

/// Runs the operations on the string, made at least `len` long before.
fn write(call: &mut Call<'_>, key: &[u8], steps: &[Step], len: usize) -> Result {
    let mut done = Done { answers: Vec::with_capacity(steps.len()), written: 0, changed: 0 };
    let grows = match call.write_string(key)? {
        Some(mut value) => {
            let grows = value.view().len() < len;
            let bytes = value.bytes_mut(len);
            steps.iter().for_each(|step| step.run(bytes, &mut done));
            grows
        }
        None => {
            let mut bytes = vec![0; len];
            steps.iter().for_each(|step| step.run(&mut bytes, &mut done));
            call.set_value(key, Value::Str(Str::Raw(bytes)), None);
            true
        }
    };
    // Writing what was there is no change, unless it made the string longer; that is one even where no
    // value did fit.
    let changes = if grows { done.written.max(1) } else { done.changed };
    if changes > 0 {
        call.changed(key);
        call.dirty(changes - 1);
        call.event(Class::STRING, "setbit", key);
    }
    call.reply.array(done.answers.len());
    for answer in done.answers {
        match answer {
            Some(int) => call.reply.int(int),
            None => call.reply.null(),
        }
    }
    Ok(())
}
