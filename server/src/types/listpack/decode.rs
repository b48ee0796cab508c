//! An entry's bytes read back: the element, the way to the next entry and to the one before. And the
//! check of bytes from outside, after which nothing here fails. The layout is drawn in `encode`.

use super::encode::{INT_16, INT_24, INT_32, INT_64, STR_32, backlen, backlen_len};
use super::{Corrupt, Item, RDB_END, RDB_HEADER, UNKNOWN};

/// The element at the front of `bytes` and its length without the backlen; `None` if it is none.
#[inline]
pub(in crate::types) fn element(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
    let int = |value: i64, len: usize| Some((Item::Int(value), len));
    let text = |rest: &'_ [u8], len: usize, head: usize| -> Option<(usize, usize)> {
        (len <= rest.len()).then_some((head, head + len))
    };
    let (start, end) = match *bytes {
        [value @ 0..=0x7f, ..] => return int(value.into(), 1),
        [head @ 0x80..=0xbf, ref rest @ ..] => text(rest, usize::from(head & 0x3f), 1)?,
        [head @ 0xc0..=0xdf, low, ..] => {
            let unsigned = i16::from_le_bytes([low, head & 0x1f]);
            return int((unsigned << 3 >> 3).into(), 2);
        }
        [head @ 0xe0..=0xef, low, ref rest @ ..] => {
            text(rest, usize::from(u16::from_le_bytes([low, head & 0xf])), 2)?
        }
        [STR_32, a, b, c, d, ref rest @ ..] => {
            text(rest, u32::from_le_bytes([a, b, c, d]) as usize, 5)?
        }
        [INT_16, a, b, ..] => return int(i16::from_le_bytes([a, b]).into(), 3),
        [INT_24, a, b, c, ..] => {
            return int((i32::from_le_bytes([0, a, b, c]) >> 8).into(), 4);
        }
        [INT_32, a, b, c, d, ..] => return int(i32::from_le_bytes([a, b, c, d]).into(), 5),
        [INT_64, a, b, c, d, e, f, g, h, ..] => {
            return int(i64::from_le_bytes([a, b, c, d, e, f, g, h]), 9);
        }
        _ => return None,
    };
    Some((Item::Bytes(&bytes[start..end]), end))
}

/// Length of the element at the front of `bytes`, without reading it.
#[inline]
pub(in crate::types) fn element_len(bytes: &[u8]) -> usize {
    match *bytes {
        [0..=0x7f, ..] => 1,
        [head @ 0x80..=0xbf, ..] => 1 + usize::from(head & 0x3f),
        [0xc0..=0xdf, ..] => 2,
        [head @ 0xe0..=0xef, low, ..] => 2 + usize::from(u16::from_le_bytes([low, head & 0xf])),
        [STR_32, a, b, c, d, ..] => 5 + u32::from_le_bytes([a, b, c, d]) as usize,
        [INT_16, ..] => 3,
        [INT_24, ..] => 4,
        [INT_32, ..] => 5,
        [INT_64, ..] => 9,
        _ => unreachable!("an entry was checked before or made here"),
    }
}

/// Where the entry behind the one at `at` begins.
#[inline]
pub(super) fn next(bytes: &[u8], at: usize) -> usize {
    let len = element_len(&bytes[at..]);
    at + len + backlen_len(len)
}

/// Where the entry that ends at `end` begins.
#[inline]
pub(in crate::types) fn previous(bytes: &[u8], end: usize) -> usize {
    let mut len = 0;
    for (nth, byte) in bytes[..end].iter().rev().take(5).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            break;
        }
    }
    end - len - backlen_len(len)
}

/// Whether `bytes` are a listpack in RDB's form to the last bit; if so, how many elements it has.
pub(super) fn check(bytes: &[u8]) -> Result<usize, Corrupt> {
    let (header, _) = bytes.split_first_chunk::<RDB_HEADER>().ok_or(Corrupt)?;
    let [a, b, c, d, low, high] = *header;
    let total = u32::from_le_bytes([a, b, c, d]);
    if usize::try_from(total) != Ok(bytes.len()) {
        return Err(Corrupt);
    }
    let (mut at, mut count) = (RDB_HEADER, 0);
    while bytes.len() - at > 1 {
        at += entry_len(&bytes[at..]).ok_or(Corrupt)?;
        count += 1;
    }
    let said = u16::from_le_bytes([low, high]);
    let count_is_true = said == UNKNOWN || usize::from(said) == count;
    if bytes[at..] == [RDB_END] && count_is_true { Ok(count) } else { Err(Corrupt) }
}

/// Length of the entry at the front of `bytes`, if it is one and something follows.
fn entry_len(bytes: &[u8]) -> Option<usize> {
    let (_, len) = element(bytes)?;
    let behind = backlen(len);
    let end = len + behind.len();
    (bytes.get(len..end)? == behind.as_slice() && end < bytes.len()).then_some(end)
}
