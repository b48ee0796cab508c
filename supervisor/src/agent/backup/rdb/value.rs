//! How long a value of each form is: the byte in front of it names the form.

use std::io::Read;

use super::source::Source;
use super::{Fault, VALKEY};

const ID_BYTES: u64 = 16;
const TIME_BYTES: u64 = 8;
const SCORE_BYTES: u64 = 8;

pub(super) fn skip<R: Read>(source: &mut Source<R>, form: u8, version: u16) -> Result<(), Fault> {
    let of_valkey = VALKEY.contains(&version);
    match form {
        // A string, and whatever is packed into one.
        0 | 9..=13 | 16 | 17 | 20 => source.strings(1),
        // Lists and sets of strings, lists of packed strings.
        1 | 2 | 14 => each(source, |source| source.strings(1)),
        3 => each(source, |source| {
            source.strings(1)?;
            skip_text_score(source)
        }),
        4 => each(source, |source| source.strings(2)),
        5 => each(source, |source| {
            source.strings(1)?;
            source.skip(SCORE_BYTES)
        }),
        15 | 19 | 21 => skip_stream(source, form),
        18 => each(source, |source| {
            source.numbers(1)?;
            source.strings(1)
        }),
        22 if of_valkey => each(source, |source| {
            source.strings(2)?;
            source.skip(TIME_BYTES)
        }),
        22 => skip_fields_with_times(source),
        23 if !of_valkey => source.strings(1),
        24 if !of_valkey => {
            source.skip(TIME_BYTES)?;
            skip_fields_with_times(source)
        }
        25 if !of_valkey => {
            source.skip(TIME_BYTES)?;
            source.strings(1)
        }
        6 | 7 | 247 => Err(source.unknown("a module's data, which the server does not load")),
        _ => Err(source.unknown("a value of an unknown form")),
    }
}

fn each<R: Read>(
    source: &mut Source<R>,
    skip_one: impl Fn(&mut Source<R>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let count = source.number()?;
    (0..count).try_for_each(|_| skip_one(source))
}

/// Decimal digits behind their count; the last three counts are infinities and what is no number.
fn skip_text_score<R: Read>(source: &mut Source<R>) -> Result<(), Fault> {
    match source.byte()? {
        253..=255 => Ok(()),
        digits => source.skip(digits.into()),
    }
}

fn skip_fields_with_times<R: Read>(source: &mut Source<R>) -> Result<(), Fault> {
    each(source, |source| {
        source.numbers(1)?;
        source.strings(2)
    })
}

/// Nodes, counters and groups; later forms have more of them.
fn skip_stream<R: Read>(source: &mut Source<R>, form: u8) -> Result<(), Fault> {
    const SECOND: u8 = 19;
    each(source, |source| source.strings(2))?;
    let counters = if form >= SECOND { 8 } else { 3 };
    source.numbers(counters)?;
    each(source, |source| {
        source.strings(1)?;
        source.numbers(if form >= SECOND { 3 } else { 2 })?;
        each(source, |source| {
            source.skip(ID_BYTES + TIME_BYTES)?;
            source.numbers(1)
        })?;
        each(source, |source| skip_consumer(source, form))
    })
}

fn skip_consumer<R: Read>(source: &mut Source<R>, form: u8) -> Result<(), Fault> {
    const THIRD: u8 = 21;
    source.strings(1)?;
    source.skip(if form >= THIRD { 2 * TIME_BYTES } else { TIME_BYTES })?;
    each(source, |source| source.skip(ID_BYTES))
}
