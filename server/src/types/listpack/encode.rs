//! An element as a listpack's entry: which encoding it takes, and its bytes.
//!
//! | first byte  | element                                                     |
//! |-------------|-------------------------------------------------------------|
//! | `0xxxxxxx`  | integer 0 to 127                                            |
//! | `10xxxxxx`  | string of up to 63 bytes                                    |
//! | `110xxxxx`  | integer of 13 bits, its lower 8 in the next byte            |
//! | `1110xxxx`  | string of up to 4095 bytes, length's lower 8 in the next    |
//! | `11110000`  | string, length in the next 4 bytes                          |
//! | `11110001` to `11110100` | integer in the next 2, 3, 4 or 8 bytes         |
//! | `11111111`  | not an element: the end of RDB's form                       |
//!
//! Behind the element comes the length of all that ("backlen"), to walk backwards by: 7 bits a byte,
//! the most significant first; all bytes but the first have the top bit set. Everything else is
//! little-endian.

use crate::number::parse_int;

pub(super) const STR_6: u8 = 0x80;
pub(super) const INT_13: u8 = 0xc0;
pub(super) const STR_12: u8 = 0xe0;
pub(super) const STR_32: u8 = 0xf0;
pub(super) const INT_16: u8 = 0xf1;
pub(super) const INT_24: u8 = 0xf2;
pub(super) const INT_32: u8 = 0xf3;
pub(super) const INT_64: u8 = 0xf4;

/// An element without its backlen, in the pieces that are copied one behind the other.
pub(in crate::types) struct Element<'a> {
    /// An integer, or what comes before a string.
    head: Few<9>,
    text: &'a [u8],
}

impl<'a> Element<'a> {
    /// As an integer if the text is the canonical form of one.
    pub(in crate::types) fn of(text: &'a [u8]) -> Self {
        match parse_int(text) {
            Some(value) => Self::int(value),
            None => Self { head: string_head(text.len()), text },
        }
    }

    pub(in crate::types) fn int(value: i64) -> Self {
        Self { head: int_head(value), text: &[] }
    }

    pub(in crate::types) fn pieces(&self) -> [&[u8]; 2] {
        [self.head.as_slice(), self.text]
    }

    fn len(&self) -> usize {
        self.head.len() + self.text.len()
    }
}

/// An entry: an element and its backlen.
pub(super) struct Encoded<'a> {
    element: Element<'a>,
    backlen: Few<5>,
}

impl<'a> Encoded<'a> {
    /// As an integer if the text is the canonical form of one.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self::new(Element::of(text))
    }

    pub(super) fn int(value: i64) -> Self {
        Self::new(Element::int(value))
    }

    fn new(element: Element<'a>) -> Self {
        let backlen = backlen(element.len());
        Self { element, backlen }
    }

    pub(super) fn pieces(&self) -> [&[u8]; 3] {
        let [head, text] = self.element.pieces();
        [head, text, self.backlen.as_slice()]
    }

    /// Bytes of the whole entry.
    pub(super) fn len(&self) -> usize {
        self.element.len() + self.backlen.len()
    }
}

fn int_head(value: i64) -> Few<9> {
    let bytes = value.to_le_bytes();
    let wide = |kind: u8, len: usize| {
        let mut head = Few::new(&[kind]);
        head.extend(&bytes[..len]);
        head
    };
    match value {
        0..=0x7f => Few::new(&bytes[..1]),
        -0x1000..=0xfff => Few::new(&[INT_13 | (bytes[1] & 0x1f), bytes[0]]),
        -0x8000..=0x7fff => wide(INT_16, 2),
        -0x80_0000..=0x7f_ffff => wide(INT_24, 3),
        -0x8000_0000..=0x7fff_ffff => wide(INT_32, 4),
        _ => wide(INT_64, 8),
    }
}

fn string_head(len: usize) -> Few<9> {
    let bytes = u32::try_from(len).expect("a listpack's element is below 4 GiB").to_le_bytes();
    match len {
        0..=0x3f => Few::new(&[STR_6 | bytes[0]]),
        0x40..=0xfff => Few::new(&[STR_12 | bytes[1], bytes[0]]),
        _ => {
            let mut head = Few::new(&[STR_32]);
            head.extend(&bytes);
            head
        }
    }
}

/// The length that stands behind an element of `len` bytes.
pub(in crate::types) fn backlen(len: usize) -> Few<5> {
    let count = backlen_len(len);
    let mut few = Few { bytes: [0; 5], len: count as u8 };
    for (nth, byte) in few.bytes[..count].iter_mut().rev().enumerate() {
        let continues = if nth + 1 == count { 0 } else { 0x80 };
        *byte = (len >> (7 * nth)) as u8 & 0x7f | continues;
    }
    few
}

/// Bytes that the length behind an element of `len` bytes takes.
#[inline]
pub(in crate::types) fn backlen_len(len: usize) -> usize {
    match len {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        0x20_0000..=0xfff_ffff => 4,
        _ => 5,
    }
}

/// Up to `N` bytes.
#[derive(Clone, Copy)]
pub(in crate::types) struct Few<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Few<N> {
    fn new(bytes: &[u8]) -> Self {
        let mut few = Self { bytes: [0; N], len: 0 };
        few.extend(bytes);
        few
    }

    fn extend(&mut self, more: &[u8]) {
        let (start, end) = (self.len(), self.len() + more.len());
        self.bytes[start..end].copy_from_slice(more);
        self.len = end as u8;
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(in crate::types) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }
}
