//! One key with its value and expiry, in one piece of memory behind a thin pointer.
//!
//! ```text
//! byte   0        1..4      4 (or 4..8)   5 (or 8)
//!        +--------+---------+-------------+-----+--------------+---------------------------+
//!        | flags  | access  | key length  | key | expiry 0/6/8 | value                     |
//!        +--------+---------+-------------+-----+--------------+---------------------------+
//! flags  bits 0-2 form of the value: a 4-byte or 8-byte integer | length (1 or 2 bytes) and
//!                 bytes | pointer, length, capacity of a byte vector of its own | a
//!                 collection, aligned to 8 | the block of a small one, see `packed`
//!        bit 3    settled: the running snapshot has it, or must not have it (see `save`)
//!        bits 4-5 width of the expiry: none, 6 bytes (until the year 10889), 8 bytes
//!        bit 6    edited in place (OBJECT ENCODING says raw); of packed collections, the last
//!                 bit of what they are
//!        bit 7    the key's length takes 4 bytes
//! access          24 bits of LRU clock or LFU counter
//! ```
//!
//! All numbers are little-endian and not aligned, but for the first four bytes, which are the only
//! ones that change under a shared [`Entry`]: nothing ever makes a reference to them.
//!
//! A 15-byte key with an 8-byte value takes 32 bytes, its expiry 8 more.

mod content;
mod owned;
mod packed;
mod shown;

pub(super) use content::{Content, may_be_packed};
pub(super) use owned::{MOVED_MAX, OwnedEntry};
pub use packed::CollectionRef;
pub use shown::Entry;

use std::ptr::NonNull;

use packed::Packed;

/// A longer byte value gets a vector of its own, which can grow and be freed elsewhere.
pub(super) const INLINE_MAX: usize = 384;

const FORM: u8 = 0x07;
const INT32: u8 = 0;
const INT64: u8 = 1;
const INLINE: u8 = 2;
const VECTOR: u8 = 3;
const COLLECTION: u8 = 4;
/// The first of those of packed collections, two to each with `EDITED`.
const PACKED: u8 = 5;
const SETTLED: u8 = 0x08;
const EXPIRY_SHIFT: u8 = 4;
const EXPIRY: u8 = 0x30;
const EDITED: u8 = 0x40;
const LONG_KEY: u8 = 0x80;

const SHORT_KEY_MAX: usize = 255;
const HEADER: usize = 4;
/// A vector's three words.
const VECTOR_LEN: usize = 3 * size_of::<usize>();
/// Where a collection may lie: pieces are aligned to this too.
const COLLECTION_ALIGN: usize = 8;

/// What a packed collection is whose entry has these flags.
#[inline]
fn packed_of(flags: u8) -> Option<Packed> {
    let nth = ((flags & FORM).checked_sub(PACKED)? * 2) | u8::from(flags & EDITED != 0);
    Packed::ALL.get(usize::from(nth)).copied()
}

fn inline_size(len: usize) -> usize {
    len + if len < 0x80 { 1 } else { 2 }
}

fn expiry_flags(expire_at: Option<i64>) -> u8 {
    match expire_at {
        None => 0,
        Some(at) if (0..1 << 48).contains(&at) => 1 << EXPIRY_SHIFT,
        Some(_) => 2 << EXPIRY_SHIFT,
    }
}

fn expiry_size(flags: u8) -> usize {
    match (flags & EXPIRY) >> EXPIRY_SHIFT {
        0 => 0,
        1 => 6,
        _ => 8,
    }
}

fn key_offset(flags: u8) -> usize {
    if flags & LONG_KEY == 0 { HEADER + 1 } else { HEADER + 4 }
}

/// Flags and access bits, the aligned first word.
///
/// # Safety
/// `start` has room for a header.
unsafe fn write_header(start: NonNull<u8>, flags: u8, access: u32) {
    let word = u32::from(flags) | access << 8;
    // SAFETY: the caller's; pieces are aligned to 8.
    unsafe { start.cast::<u32>().write(word.to_le()) };
}

#[cfg(test)]
mod tests;
