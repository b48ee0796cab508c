//! Listpack: short strings and integers one behind the other in one allocation, byte for byte as RDB
//! keeps them, so that loading and saving are copies. What small lists, hashes, sets, sorted sets and
//! stream nodes are made of.
//!
//! ```text
//!   total bytes   count   entry   entry  …  end
//!   u32           u16     element backlen   0xff
//! ```
//!
//! The count is 0xffff where it does not fit. Entries are drawn in `encode`. The layout is that of
//! Redis (<https://github.com/antirez/listpack>).
//!
//! A [`Cursor`] is the place of an entry; an edit at or before it makes it stale. A stale cursor may
//! panic or show something else, and can do no worse.

mod decode;
mod distinct;
mod edit;
mod encode;
mod item;
mod iter;

use std::fmt;

use super::block::{Block, Format};
use encode::{END, Encoded};

pub use distinct::are_distinct;
pub use item::{Item, Sought};
pub use iter::{Entries, Iter};

const HEADER: usize = 6;
/// The count of a listpack with more elements than its header can say.
const UNKNOWN: u16 = u16::MAX;
/// No listpack grows over this, as in Redis: far from where the total would overflow.
const MAX_BYTES: usize = 1 << 30;

#[derive(Clone)]
pub struct Listpack {
    block: Block<Layout, HEADER>,
}

struct Layout;

impl Format<HEADER> for Layout {
    const EMPTY: &'static [u8] = &[7, 0, 0, 0, 0, 0, END];

    fn total([a, b, c, d, ..]: [u8; HEADER]) -> usize {
        u32::from_le_bytes([a, b, c, d]) as usize
    }
}

/// The place of an entry: its offset in the listpack's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(u32);

impl Cursor {
    fn new(offset: usize) -> Self {
        Self(u32::try_from(offset).expect("a listpack is below 4 GiB"))
    }

    fn offset(self) -> usize {
        self.0 as usize
    }
}

/// The bytes are not a listpack, or not an intset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl Listpack {
    /// Takes no memory before the first element.
    pub const fn new() -> Self {
        Self { block: Block::empty() }
    }

    /// A copy of bytes from outside, each entry of which is checked.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let count = decode::check(bytes)?;
        let mut listpack = Self { block: Block::from_slice(bytes) };
        // Others leave the count unknown once it was; ours is known wherever it fits.
        let header = header(bytes.len(), u16::try_from(count).unwrap_or(UNKNOWN));
        if listpack.block.header() != header {
            listpack.block.splice(HEADER, 0, [&[]; 3], header);
        }
        Ok(listpack)
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.block.as_slice()
    }

    pub fn len_bytes(&self) -> usize {
        self.block.len()
    }

    /// Bytes of memory behind the pointer.
    pub fn memory_bytes(&self) -> usize {
        self.block.memory_bytes()
    }

    pub fn is_empty(&self) -> bool {
        self.len_bytes() == Layout::EMPTY.len()
    }

    /// Elements. O(1) below 65,535 of them, else each is counted.
    pub fn len(&self) -> usize {
        match self.known_len() {
            Some(count) => count.into(),
            None => self.iter().count(),
        }
    }

    /// The count in the header, unless it does not fit there.
    fn known_len(&self) -> Option<u16> {
        let [.., low, high] = self.block.header();
        Some(u16::from_le_bytes([low, high])).filter(|&count| count != UNKNOWN)
    }

    /// Bytes that `element` takes in a listpack.
    pub fn encoded_len(element: &[u8]) -> usize {
        Encoded::of(element).len()
    }

    /// Whether `add_bytes` more may be put in.
    pub fn fits(&self, add_bytes: usize) -> bool {
        self.len_bytes().saturating_add(add_bytes) <= MAX_BYTES
    }

    pub fn first(&self) -> Option<Cursor> {
        self.cursor(HEADER)
    }

    pub fn last(&self) -> Option<Cursor> {
        let bytes = self.as_bytes();
        (!self.is_empty()).then(|| Cursor::new(decode::previous(bytes, bytes.len() - 1)))
    }

    pub fn next(&self, cursor: Cursor) -> Option<Cursor> {
        self.cursor(decode::next(self.as_bytes(), cursor.offset()))
    }

    pub fn prev(&self, cursor: Cursor) -> Option<Cursor> {
        let at = cursor.offset();
        (at > HEADER).then(|| Cursor::new(decode::previous(self.as_bytes(), at)))
    }

    /// The entry at `offset`, unless that is the end.
    fn cursor(&self, offset: usize) -> Option<Cursor> {
        (offset + 1 < self.len_bytes()).then(|| Cursor::new(offset))
    }

    /// The element at `cursor`.
    #[inline]
    pub fn item(&self, cursor: Cursor) -> Item<'_> {
        let (item, _) =
            decode::element(&self.as_bytes()[cursor.offset()..]).expect("a cursor is at an entry");
        item
    }

    /// The place of element `index`, from the end if negative: O(n) from the nearer end.
    pub fn get(&self, index: isize) -> Option<Cursor> {
        let Some(len) = self.known_len() else { return self.get_uncounted(index) };
        let len = isize::try_from(len).ok()?;
        let index = if index < 0 { index + len } else { index };
        if !(0..len).contains(&index) {
            return None;
        }
        self.get_uncounted(if index > len / 2 { index - len } else { index })
    }

    /// The same, from the end that `index` is counted from.
    fn get_uncounted(&self, index: isize) -> Option<Cursor> {
        let mut entries = self.entries();
        let found = match usize::try_from(index) {
            Ok(index) => entries.nth(index),
            Err(_) => entries.nth_back(index.unsigned_abs() - 1),
        };
        found.map(|(cursor, _)| cursor)
    }

    /// Elements in order, and backwards.
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(self)
    }

    /// The same, each with its place.
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(self)
    }
}

/// A listpack's first bytes.
fn header(total: usize, count: u16) -> [u8; HEADER] {
    let [a, b, c, d] = u32::try_from(total).expect("a listpack is below 4 GiB").to_le_bytes();
    let [low, high] = count.to_le_bytes();
    [a, b, c, d, low, high]
}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes() || self.iter().eq(other.iter())
    }
}

impl Eq for Listpack {}

impl fmt::Debug for Listpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Item<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Listpack {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut listpack = Self::new();
        elements.into_iter().for_each(|element| listpack.push_back(element.as_ref()));
        listpack
    }
}

#[cfg(test)]
mod tests;
