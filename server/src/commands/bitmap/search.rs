//! BITCOUNT and BITPOS: bits of a range counted, the first one found.

use std::ops::Range;

use super::{BITMAP, READS};
use crate::commands::spec::{Command, Flags};
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::bitmap;
use crate::types::string::{Digits, StrRef};

pub(super) const BITCOUNT: Command = Command {
    name: "bitcount",
    syntax: "key [start [end [BYTE | BIT]]]",
    summary: "Counts the number of set bits (population counting) in a string.",
    complexity: "O(N)",
    since: "2.6.0",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(bitcount),
    history: &[
        ("7.0.0", "Added the `BYTE|BIT` option."),
        (
            "8.0.0",
            "`end` made optional; when called without argument the command reports the last BYTE.",
        ),
    ],
    ..BITMAP
};

fn bitcount(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let place = Place::parse(args)?;
    let (found, reply) = call.read_string_and_reply(key)?;
    let mut digits = Digits::new();
    let bytes = text(found, &mut digits);
    let bits = if place.is_backwards() { 0..0 } else { place.bits(bytes) };
    reply.int(bitmap::count(bytes, bits) as i64);
    Ok(())
}

pub(super) const BITPOS: Command = Command {
    name: "bitpos",
    syntax: "key bit:integer [start [end [BYTE | BIT]]]",
    summary: "Finds the first set (1) or clear (0) bit in a string.",
    complexity: "O(N)",
    since: "2.8.7",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(bitpos),
    history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
    ..BITMAP
};

fn bitpos(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let bit = match args.int()? {
        0 => false,
        1 => true,
        _ => return Err(error::BIT_NOT_0_OR_1),
    };
    let place = Place::parse(args)?;
    let (found, reply) = call.read_string_and_reply(key)?;
    if found.is_none() {
        // Zeros without end.
        reply.int(if bit { -1 } else { 0 });
        return Ok(());
    }
    let mut digits = Digits::new();
    let bytes = text(found, &mut digits);
    let bits = place.bits(bytes);
    let position = bitmap::position(bytes, bits.clone(), bit);
    // Behind the string are zeros, unless the client says where to stop.
    let behind = (!bit && place.end.is_none() && !bits.is_empty()).then_some(bits.end);
    reply.int(position.or(behind).map_or(-1, |at| at as i64));
    Ok(())
}

fn text<'a>(found: Option<StrRef<'a>>, digits: &'a mut Digits) -> &'a [u8] {
    found.map_or(&[], |value| value.bytes(digits))
}

/// A range as clients give it: of bytes or bits, negative places from the end.
#[derive(Clone, Copy, Default)]
struct Place {
    start: i64,
    end: Option<i64>,
    in_bits: bool,
}

impl Place {
    fn parse(mut args: Args<'_>) -> Result<Self> {
        let mut place = Self::default();
        if args.is_empty() {
            return Ok(place);
        }
        place.start = args.int()?;
        if args.is_empty() {
            return Ok(place);
        }
        let end = args.required()?;
        // Redis complains about the unit before the end.
        place.in_bits = args.keyword("bit");
        if !place.in_bits && !args.keyword("byte") {
            args.finish()?;
        }
        args.finish()?;
        place.end = Some(crate::number::parse_int(end).ok_or(error::NOT_INTEGER)?);
        Ok(place)
    }

    /// From nearer the end to farther from it: nothing, even where both are before the start.
    fn is_backwards(self) -> bool {
        self.start < 0 && self.end.is_some_and(|end| end < 0 && self.start > end)
    }

    /// The bits meant, of those that are there.
    fn bits(self, bytes: &[u8]) -> Range<u64> {
        let unit = if self.in_bits { 1 } else { 8 };
        let len = bytes.len() as i64 * 8 / unit;
        let from_start = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
        let start = from_start(self.start);
        let behind = from_start(self.end.unwrap_or(-1)).saturating_add(1).min(len);
        if start >= behind { 0..0 } else { (start * unit) as u64..(behind * unit) as u64 }
    }
}
