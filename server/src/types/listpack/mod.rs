//! Listpack: short strings and integers one behind the other in one allocation, entry for entry as RDB
//! keeps them, so that loading and saving are copies. What small lists, hashes, sets and sorted sets are
//! made of. Streams are saved as listpacks, too: what writes and reads those is in `rdb`.
//!
//! ```text
//!   in memory:   header                      entry            entry  …
//!                4 or 8, see `header`        element backlen
//!   in RDB:      total bytes   count         entry            entry  …  end
//!                u32           u16                                      0xff
//! ```
//!
//! In RDB the count is 0xffff where it does not fit. Entries are drawn in `encode`. The layout is that
//! of Redis (<https://github.com/antirez/listpack>).
//!
//! A [`Cursor`] is the place of an entry; an edit at or before it makes it stale, and so does any that
//! changes the header's length. A stale cursor may panic or show something else, and can do no worse.

pub(super) mod decode;
mod distinct;
mod edit;
pub(super) mod encode;
mod header;
mod item;
mod iter;
pub(super) mod rdb;

use std::fmt;

use super::block::{Block, Format};
use encode::Encoded;
use header::{Head, SHORT};

pub use distinct::are_distinct;
pub use item::{Item, Sought};
pub use iter::{Entries, Iter};

/// Of RDB's form.
const RDB_HEADER: usize = 6;
const RDB_END: u8 = 0xff;
/// The count of a listpack with more elements than RDB's header can say.
const UNKNOWN: u16 = u16::MAX;
/// No listpack grows over this, as in Redis: far from where the total would overflow.
const MAX_BYTES: usize = 1 << 30;

#[derive(Clone)]
pub struct Listpack {
    block: Bytes,
}

/// A listpack's block.
pub(crate) type Bytes = Block<Layout, SHORT>;

pub(crate) struct Layout;

impl Format<SHORT> for Layout {
    const EMPTY: &'static [u8] = &[SHORT as u8, 0, 0, 0];

    #[inline]
    fn total(header: [u8; SHORT]) -> usize {
        Head::read(header).total()
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

    pub(crate) fn of_block(block: Bytes) -> Self {
        Self { block }
    }

    pub(crate) fn as_block(&self) -> &Bytes {
        &self.block
    }

    /// A copy of bytes from outside in RDB's form, each entry of which is checked.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let count = decode::check(bytes)?;
        Ok(Self::of_written(bytes, count))
    }

    /// The listpack of `count` elements that [`Self::write_to`] wrote.
    pub(in crate::types) fn of_written(bytes: &[u8], count: usize) -> Self {
        let mut listpack = Self::new();
        listpack.fill(&bytes[RDB_HEADER..bytes.len() - 1], count);
        listpack
    }

    /// RDB's form.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len_bytes());
        out.extend_from_slice(&rdb::header(self.len_bytes(), self.len()));
        out.extend_from_slice(self.body());
        out.push(RDB_END);
    }

    /// Bytes that RDB's form has: what limits are about.
    pub fn len_bytes(&self) -> usize {
        RDB_HEADER + self.body().len() + 1
    }

    /// All entries.
    fn body(&self) -> &[u8] {
        &self.bytes()[self.start()..]
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.block.as_slice()
    }

    #[inline]
    fn head(&self) -> Head {
        Head::read(self.block.header())
    }

    /// Where the first entry is.
    #[inline]
    fn start(&self) -> usize {
        self.head().len()
    }

    /// Bytes of memory behind the pointer.
    pub fn memory_bytes(&self) -> usize {
        self.block.memory_bytes()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.head().count().unwrap_or_else(|| {
            let second = self.bytes()[SHORT..].first_chunk().expect("a long header");
            u32::from_le_bytes(*second) as usize
        })
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
        self.cursor(self.start())
    }

    pub fn last(&self) -> Option<Cursor> {
        let bytes = self.bytes();
        (!self.is_empty()).then(|| Cursor::new(decode::previous(bytes, bytes.len())))
    }

    pub fn next(&self, cursor: Cursor) -> Option<Cursor> {
        self.cursor(decode::next(self.bytes(), cursor.offset()))
    }

    pub fn prev(&self, cursor: Cursor) -> Option<Cursor> {
        let at = cursor.offset();
        (at > self.start()).then(|| Cursor::new(decode::previous(self.bytes(), at)))
    }

    /// The entry at `offset`, unless that is the end.
    fn cursor(&self, offset: usize) -> Option<Cursor> {
        (offset < self.block.len()).then(|| Cursor::new(offset))
    }

    /// The element at `cursor`.
    #[inline]
    pub fn item(&self, cursor: Cursor) -> Item<'_> {
        let (item, _) =
            decode::element(&self.bytes()[cursor.offset()..]).expect("a cursor is at an entry");
        item
    }

    /// The place of element `index`, from the end if negative: O(n) from the nearer end.
    pub fn get(&self, index: isize) -> Option<Cursor> {
        let len = isize::try_from(self.len()).ok()?;
        let index = if index < 0 { index + len } else { index };
        if !(0..len).contains(&index) {
            return None;
        }
        let mut entries = self.entries();
        let from_front = index <= len / 2;
        let steps = if from_front { index } else { len - 1 - index } as usize;
        let found = if from_front { entries.nth(steps) } else { entries.nth_back(steps) };
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

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes() || self.iter().eq(other.iter())
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
