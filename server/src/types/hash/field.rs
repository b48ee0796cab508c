//! A field in the table: its bytes.
//!
//! ```text
//! head       the field's length, up to 126; 127: it follows in four bytes. High bit: a deadline
//! (length    u32)
//! (deadline  i64, milliseconds)
//! field
//! value
//! ```
//!
//! Integers are little-endian.

use super::Pair;
use crate::types::listpack::Item;
use crate::types::members::Record;

#[derive(Clone, Copy)]
pub struct Field;

const HAS_DEADLINE: u8 = 0x80;
const LONG: u8 = 0x7f;
const LONGEST_HEAD: usize = 1 + size_of::<u32>() + size_of::<i64>();

impl Record for Field {
    #[inline]
    fn key(record: &[u8]) -> &[u8] {
        // What most records are like.
        if let [head @ 0..LONG, rest @ ..] = record {
            return &rest[..usize::from(*head)];
        }
        parse(record).0
    }

    fn deadline(record: &[u8]) -> Option<i64> {
        parse(record).1
    }

    #[inline]
    fn has_deadline(parts: &[&[u8]]) -> bool {
        let head = parts.iter().find_map(|part| part.first());
        head.is_some_and(|head| head & HAS_DEADLINE != 0)
    }
}

/// What stands before a field and its value.
pub(super) struct Head {
    bytes: [u8; LONGEST_HEAD],
    len: usize,
}

impl Head {
    #[inline]
    pub(super) fn new(field: &[u8], deadline: Option<i64>) -> Self {
        let mut head = Self { bytes: [0; LONGEST_HEAD], len: 0 };
        let short = u8::try_from(field.len()).ok().filter(|len| *len < LONG);
        let flag = if deadline.is_some() { HAS_DEADLINE } else { 0 };
        head.push(&[short.unwrap_or(LONG) | flag]);
        if short.is_none() {
            let len = u32::try_from(field.len()).expect("a field is below 4 GiB");
            head.push(&len.to_le_bytes());
        }
        if let Some(deadline) = deadline {
            head.push(&deadline.to_le_bytes());
        }
        head
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Field, deadline and value.
#[inline]
pub(super) fn parse(record: &[u8]) -> (&[u8], Option<i64>, &[u8]) {
    let mut rest = record;
    let [head] = take(&mut rest);
    let len = match head & !HAS_DEADLINE {
        LONG => u32::from_le_bytes(take(&mut rest)) as usize,
        len => usize::from(len),
    };
    let deadline = (head & HAS_DEADLINE != 0).then(|| i64::from_le_bytes(take(&mut rest)));
    let (field, value) = rest.split_at(len);
    (field, deadline, value)
}

#[inline]
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (head, rest) = bytes.split_first_chunk().expect("a record is written whole");
    *bytes = rest;
    *head
}

pub(super) fn pair(record: &[u8]) -> Pair<'_> {
    let (field, deadline, value) = parse(record);
    Pair { field: Item::Bytes(field), value: Item::Bytes(value), deadline }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for len in [0, 1, 126, 127, 128, 70_000] {
            for deadline in [None, Some(0), Some(i64::MAX), Some(-1)] {
                for value in [&b""[..], b"v"] {
                    let field = vec![b'f'; len];
                    let record = [Head::new(&field, deadline).bytes(), &field, value].concat();
                    assert_eq!(parse(&record), (field.as_slice(), deadline, value));
                    assert_eq!(Field::key(&record), field.as_slice());
                    assert_eq!(Field::deadline(&record), deadline);
                    assert_eq!(Field::has_deadline(&[&record]), deadline.is_some());
                }
            }
        }
    }
}
