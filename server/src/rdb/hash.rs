//! Hashes: a listpack as it lies in memory, or fields and values, with the time when they are due
//! where fields have one.
//!
//! Valkey writes that time behind each value. Redis 7.4 writes before each field how much later it is
//! due than the one that is due first, plus one, and zero for never; or a listpack of fields, values
//! and times in turn.

use super::legacy::{ziplist, zipmap};
use super::{Error, Form, Reader, Result, Sink, Source, ToListpack, Writer, fails};
use crate::types::hash::{Hash, Limits, Put, SHOW_DUE, Ttl, View};
use crate::types::listpack::{Listpack, are_distinct};
use crate::types::string::Digits;

pub(super) fn write(writer: &mut Writer<impl Sink>, hash: &Hash) {
    let table = match hash.view() {
        View::Listpack(list) => return writer.listpack(list),
        View::Table(table) => table,
    };
    let with_times = has_times(hash);
    writer.count(table.len());
    for pair in hash.iter(SHOW_DUE) {
        let (mut field, mut value) = (Digits::new(), Digits::new());
        writer.string(pair.field.write_to(&mut field));
        writer.string(pair.value.write_to(&mut value));
        if with_times {
            writer.time(pair.deadline);
        }
    }
}

/// Whether any field has a deadline.
pub(super) fn has_times(hash: &Hash) -> bool {
    hash.next_deadline().is_some()
}

const LISTPACK: &str = "Hash listpack integrity check failed.";
const DUPLICATE: Error = Error::Corrupt("Duplicate hash fields detected");
const BAD_TIME: Error = Error::Corrupt("a field is due at no possible time");

/// Redis keeps times of fields in 48 bits.
const MAX_UNIX_MS: u64 = (1 << 48) - 1;

/// A hash being read, pair by pair.
struct Growing<'l> {
    hash: Hash,
    limits: &'l Limits,
    /// The field, while its value is read.
    field: Vec<u8>,
}

impl<'l> Growing<'l> {
    fn new(count: u64, limits: &'l Limits) -> Self {
        let mut hash = Hash::new();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        hash.expect(count, std::iter::empty(), limits);
        Self { hash, limits, field: Vec::new() }
    }

    fn field(&mut self, field: &[u8]) {
        self.field.clear();
        self.field.extend_from_slice(field);
    }

    fn value(&mut self, value: &[u8], deadline: Option<i64>) -> Result {
        let ttl = deadline.map_or(Ttl::Clear, Ttl::At);
        match self.hash.set(&self.field, value, ttl, self.limits, SHOW_DUE) {
            Put::New => Ok(()),
            _ => Err(DUPLICATE),
        }
    }
}

/// Pairs, with times behind them in Valkey's form.
pub(super) fn read_pairs(
    reader: &mut Reader<impl Source>,
    form: Form,
    limits: &Limits,
) -> Result<Hash> {
    let count = reader.count()?;
    let mut growing = Growing::new(count, limits);
    let mut value = Vec::new();
    for _ in 0..count {
        growing.field(reader.string()?);
        if form == Form::Hash {
            growing.value(reader.string()?, None)?;
            continue;
        }
        value.clear();
        value.extend_from_slice(reader.string()?);
        let deadline = reader.time()?;
        growing.value(&value, deadline)?;
    }
    Ok(growing.hash)
}

/// Redis' form: times before pairs.
pub(super) fn read_with_ttls(
    reader: &mut Reader<impl Source>,
    form: Form,
    limits: &Limits,
) -> Result<Hash> {
    // A time beyond the nearest one counts from 1.
    let base = match form {
        Form::HashWithTtls => nearest_time(reader)?.wrapping_sub(1),
        _ => 0,
    };
    let count = reader.count()?;
    let mut growing = Growing::new(count, limits);
    for _ in 0..count {
        let unix_ms = match reader.number()? {
            0 => None,
            ttl => Some(base.wrapping_add(ttl)),
        };
        let deadline = unix_ms.map(|unix_ms| deadline(reader, unix_ms)).transpose()?;
        growing.field(reader.string()?);
        growing.value(reader.string()?, deadline)?;
    }
    Ok(growing.hash)
}

fn nearest_time(reader: &mut Reader<impl Source>) -> Result<u64> {
    u64::try_from(reader.unix_ms()?).ok().filter(|ms| *ms <= MAX_UNIX_MS + 1).ok_or(BAD_TIME)
}

fn deadline(reader: &Reader<impl Source>, unix_ms: u64) -> Result<i64> {
    let unix_ms = i64::try_from(unix_ms).ok().filter(|ms| *ms as u64 <= MAX_UNIX_MS);
    unix_ms.map(|unix_ms| reader.deadline(unix_ms)).ok_or(BAD_TIME)
}

/// A packed encoding of fields and values in turn.
pub(super) fn read_packed(
    reader: &mut Reader<impl Source>,
    form: Form,
    limits: &Limits,
) -> Result<Hash> {
    let (check, to_listpack): (_, ToListpack) = match form {
        Form::HashZipmap => ("Zipmap integrity check failed.", zipmap::to_listpack),
        Form::HashZiplist => ("Hash ziplist integrity check failed.", ziplist::to_listpack),
        _ => (LISTPACK, Listpack::from_bytes),
    };
    let list = to_listpack(reader.string()?).map_err(fails(check))?;
    if form == Form::HashZipmap && list.is_empty() {
        return Err(Error::Corrupt(check));
    }
    let count = pairs_of(&list, 2)?;
    // Zipmaps knew no limit of lengths.
    let is_long =
        form == Form::HashZipmap && list.iter().any(|text| text.text_len() > limits.listpack_value);
    let mut hash = Hash::of_listpack(list);
    hash.expect(if is_long { usize::MAX } else { count }, std::iter::empty(), limits);
    Ok(hash)
}

/// How many tuples of `width` there are, none of which begins like another.
fn pairs_of(list: &Listpack, width: usize) -> Result<usize> {
    let len = list.len();
    if len == 0 {
        return Err(Error::Empty);
    }
    if !len.is_multiple_of(width) {
        return Err(Error::Corrupt(LISTPACK));
    }
    if are_distinct(list.iter().step_by(width)) {
        Ok(len / width)
    } else {
        Err(Error::Corrupt(LISTPACK))
    }
}

/// Redis' listpack of fields, values and times; zero is never.
pub(super) fn read_triples(
    reader: &mut Reader<impl Source>,
    form: Form,
    limits: &Limits,
) -> Result<Hash> {
    if form == Form::HashListpackWithTtls {
        nearest_time(reader)?;
    }
    let list = Listpack::from_bytes(reader.string()?).map_err(fails(LISTPACK))?;
    let count = pairs_of(&list, 3)?;
    let mut growing = Growing::new(count as u64, limits);
    let mut digits = Digits::new();
    let mut items = list.iter();
    while let (Some(field), Some(value), Some(time)) = (items.next(), items.next(), items.next()) {
        let deadline = match time.as_int().ok_or(BAD_TIME)? {
            0 => None,
            unix_ms => Some(deadline(reader, u64::try_from(unix_ms).map_err(|_| BAD_TIME)?)?),
        };
        growing.field(field.write_to(&mut digits));
        growing.value(value.write_to(&mut digits), deadline)?;
    }
    Ok(growing.hash)
}
