//! Ziplist: what listpacks replaced in Redis 7.
//!
//! ```text
//!   total bytes   last entry's offset   count   entry   entry  …  end
//!   u32           u32                   u16                       0xff
//!
//!   entry:  length of the entry before (u8, or 254 and u32), encoding, contents
//! ```
//!
//! | encoding               | contents                                     |
//! |------------------------|----------------------------------------------|
//! | `00llllll`             | string of up to 63 bytes                     |
//! | `01llllll` l           | string of up to 16,383 bytes                 |
//! | `10000000` llll        | string; these lengths are big-endian         |
//! | `1100`, `1101`, `1110` and `0000` | integer of 2, 4 or 8 bytes        |
//! | `11110000`, `11111110` | integer of 3 or 1 bytes                      |
//! | `1111xxxx`             | integer xxxx - 1, with xxxx from 1 to 13     |

use crate::types::listpack::{Corrupt, Item, Listpack};

const HEADER: usize = 10;
const END: u8 = 0xff;
/// The count is not known, or does not fit.
const UNKNOWN: u16 = u16::MAX;
const LONG_BEFORE: u8 = 254;

/// The same elements as a listpack. Every byte of the ziplist is checked.
pub(in crate::rdb) fn to_listpack(bytes: &[u8]) -> Result<Listpack, Corrupt> {
    let (header, _) = bytes.split_first_chunk::<HEADER>().ok_or(Corrupt)?;
    let [a, b, c, d, e, f, g, h, low, high] = *header;
    let (total, last) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    if total as usize != bytes.len() {
        return Err(Corrupt);
    }
    let (mut at, mut before, mut count) = (HEADER, 0, 0usize);
    let mut listpack = Listpack::new();
    while bytes.get(at).ok_or(Corrupt)? != &END {
        let (item, len) = entry(&bytes[at..], before).ok_or(Corrupt)?;
        push(&mut listpack, item)?;
        (at, before, count) = (at + len, len, count + 1);
    }
    let said = u16::from_le_bytes([low, high]);
    let counted = said == UNKNOWN || usize::from(said) == count;
    let whole = at + 1 == bytes.len() && last as usize == at - before;
    if counted && whole { Ok(listpack) } else { Err(Corrupt) }
}

fn push(listpack: &mut Listpack, item: Item<'_>) -> Result<(), Corrupt> {
    /// More than an entry takes beyond its text.
    const OVERHEAD: usize = 16;
    match item {
        Item::Int(int) => listpack.push_back_int(int),
        Item::Bytes(text) if listpack.fits(text.len() + OVERHEAD) => listpack.push_back(text),
        Item::Bytes(_) => return Err(Corrupt),
    }
    Ok(())
}

/// The entry at the front, and its length; the one before it has `before` bytes.
fn entry(bytes: &[u8], before: usize) -> Option<(Item<'_>, usize)> {
    let (said, rest) = match *bytes {
        [LONG_BEFORE, a, b, c, d, ref rest @ ..] => {
            (u32::from_le_bytes([a, b, c, d]) as usize, rest)
        }
        [said @ 0..LONG_BEFORE, ref rest @ ..] => (usize::from(said), rest),
        _ => return None,
    };
    let (item, len) = contents(rest)?;
    (said == before).then_some((item, bytes.len() - rest.len() + len))
}

/// The encoding and the contents at the front, and their length.
fn contents(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
    let text = |head: usize, len: usize| {
        let end = head.checked_add(len)?;
        Some((Item::Bytes(bytes.get(head..end)?), end))
    };
    let int = |value: i64, len: usize| Some((Item::Int(value), 1 + len));
    match *bytes {
        [head @ 0..0x40, ..] => text(1, usize::from(head)),
        [head @ 0x40..0x80, low, ..] => text(2, usize::from(head & 0x3f) << 8 | usize::from(low)),
        [0x80, a, b, c, d, ..] => text(5, u32::from_be_bytes([a, b, c, d]) as usize),
        [0xc0, a, b, ..] => int(i16::from_le_bytes([a, b]).into(), 2),
        [0xd0, a, b, c, d, ..] => int(i32::from_le_bytes([a, b, c, d]).into(), 4),
        [0xe0, a, b, c, d, e, f, g, h, ..] => int(i64::from_le_bytes([a, b, c, d, e, f, g, h]), 8),
        [0xf0, a, b, c, ..] => int((i32::from_le_bytes([0, a, b, c]) >> 8).into(), 3),
        [0xfe, a, ..] => int(i8::from_le_bytes([a]).into(), 1),
        [head @ 0xf1..=0xfd, ..] => int(i64::from(head & 0xf) - 1, 0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ziplist of entries without their first field, whose header is right.
    fn ziplist(entries: &[&[u8]]) -> Vec<u8> {
        let (mut body, mut before) = (Vec::new(), 0usize);
        for entry in entries {
            let start = body.len();
            match u8::try_from(before).ok().filter(|before| *before < LONG_BEFORE) {
                Some(before) => body.push(before),
                None => {
                    body.push(LONG_BEFORE);
                    body.extend((before as u32).to_le_bytes());
                }
            }
            body.extend_from_slice(entry);
            before = body.len() - start;
        }
        let mut bytes = (HEADER as u32 + body.len() as u32 + 1).to_le_bytes().to_vec();
        bytes.extend(((HEADER + body.len() - before) as u32).to_le_bytes());
        bytes.extend((entries.len() as u16).to_le_bytes());
        bytes.extend(body);
        bytes.push(END);
        bytes
    }

    #[test]
    fn every_encoding_is_read() {
        let middling = [&[0x41, 0x2c][..], &[b'm'; 300]].concat();
        let long = [&[0x80, 0, 0, 0x40, 0][..], &[b'l'; 0x4000]].concat();
        let bytes = ziplist(&[
            b"\x02ab",
            &middling,
            &long,
            b"\xc0\xff\x7f",
            b"\xd0\0\0\0\x80",
            b"\xe0\0\0\0\0\0\0\0\x80",
            b"\xf0\xff\xff\xff",
            b"\xfe\x80",
            b"\xf1",
            b"\xfd",
            b"\0",
        ]);
        let listpack = to_listpack(&bytes).expect("every entry is right");
        let texts: Vec<Vec<u8>> = listpack.iter().map(Item::to_vec).collect();
        let expected: [&[u8]; 11] = [
            b"ab",
            &[b'm'; 300],
            &[b'l'; 0x4000],
            b"32767",
            b"-2147483648",
            b"-9223372036854775808",
            b"-1",
            b"-128",
            b"0",
            b"12",
            b"",
        ];
        assert_eq!(texts, expected);
        assert!(to_listpack(&ziplist(&[])).is_ok_and(|listpack| listpack.is_empty()));
    }

    #[test]
    fn a_wrong_byte_is_found_or_changes_a_text() {
        let good = ziplist(&[b"\x02ab", b"\xc0\x01\x02", b"\x01c"]);
        let elements = to_listpack(&good).expect("right").len();
        for at in 0..good.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = good.clone();
                bytes[at] = byte;
                if let Ok(listpack) = to_listpack(&bytes) {
                    assert!((1..=elements + 3).contains(&listpack.len()), "{at} {byte}");
                }
                assert!(to_listpack(&bytes[..at]).is_err());
            }
        }
    }
}
