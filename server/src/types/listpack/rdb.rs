//! RDB's form element by element, for who keeps the elements otherwise in memory.

use super::encode::{Element, backlen, backlen_len};
use super::{Corrupt, RDB_END, RDB_HEADER, UNKNOWN, decode};

/// The elements of bytes from outside, each as it is encoded, once all of them are checked.
pub(in crate::types) fn elements(bytes: &[u8]) -> Result<Elements<'_>, Corrupt> {
    decode::check(bytes)?;
    Ok(Elements(&bytes[RDB_HEADER..bytes.len() - 1]))
}

pub(in crate::types) struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let len = decode::element_len(self.0);
        let (element, rest) = self.0.split_at(len);
        self.0 = &rest[backlen_len(len)..];
        Some(element)
    }
}

/// A listpack that is written behind what `out` holds.
pub(in crate::types) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    count: usize,
}

impl<'a> Writer<'a> {
    pub(in crate::types) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend([0; RDB_HEADER]);
        Self { out, start, count: 0 }
    }

    pub(in crate::types) fn int(&mut self, value: i64) {
        let element = Element::int(value);
        self.encoded(element.pieces()[0]);
    }

    /// An element as [`elements`] gives it.
    pub(in crate::types) fn encoded(&mut self, element: &[u8]) {
        self.out.extend_from_slice(element);
        self.out.extend_from_slice(backlen(element.len()).as_slice());
        self.count += 1;
    }

    pub(in crate::types) fn finish(self) {
        self.out.push(RDB_END);
        let written = &mut self.out[self.start..];
        let header = header(written.len(), self.count);
        written[..RDB_HEADER].copy_from_slice(&header);
    }
}

pub(super) fn header(total: usize, count: usize) -> [u8; RDB_HEADER] {
    let [a, b, c, d] = u32::try_from(total).expect("a listpack is below 4 GiB").to_le_bytes();
    let [low, high] = u16::try_from(count).unwrap_or(UNKNOWN).to_le_bytes();
    [a, b, c, d, low, high]
}
