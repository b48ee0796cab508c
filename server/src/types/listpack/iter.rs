//! Walking a listpack, from either end, and looking for an element.

use super::{Cursor, Item, Listpack, Sought, decode};

/// Elements with their places.
#[derive(Clone)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    /// Offsets of what was not given out yet.
    front: usize,
    back: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(listpack: &'a Listpack) -> Self {
        let bytes = listpack.bytes();
        Self { bytes, front: listpack.start(), back: bytes.len() }
    }

    /// From `from` to the end.
    pub(super) fn starting_at(listpack: &'a Listpack, from: Cursor) -> Self {
        Self { front: from.offset(), ..Self::new(listpack) }
    }

    fn is_over(&self) -> bool {
        self.front >= self.back
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Cursor, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over() {
            return None;
        }
        let cursor = Cursor::new(self.front);
        let (item, len) = decode::element(&self.bytes[self.front..]).expect("entries are checked");
        self.front += len + super::encode::backlen_len(len);
        Some((cursor, item))
    }

    /// Skips without reading.
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        for _ in 0..n {
            if self.is_over() {
                return None;
            }
            self.front = decode::next(self.bytes, self.front);
        }
        self.next()
    }

    fn count(mut self) -> usize {
        let mut count = 0;
        while !self.is_over() {
            self.front = decode::next(self.bytes, self.front);
            count += 1;
        }
        count
    }
}

impl DoubleEndedIterator for Entries<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.is_over() {
            return None;
        }
        self.back = decode::previous(self.bytes, self.back);
        let (item, _) = decode::element(&self.bytes[self.back..]).expect("entries are checked");
        Some((Cursor::new(self.back), item))
    }

    /// Skips without reading.
    fn nth_back(&mut self, n: usize) -> Option<Self::Item> {
        for _ in 0..n {
            if self.is_over() {
                return None;
            }
            self.back = decode::previous(self.bytes, self.back);
        }
        self.next_back()
    }
}

/// Elements in order.
#[derive(Clone)]
pub struct Iter<'a>(Entries<'a>);

impl<'a> Iter<'a> {
    pub(super) fn new(listpack: &'a Listpack) -> Self {
        Self(Entries::new(listpack))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        self.0.next().map(|(_, item)| item)
    }

    fn nth(&mut self, n: usize) -> Option<Item<'a>> {
        self.0.nth(n).map(|(_, item)| item)
    }

    fn count(self) -> usize {
        self.0.count()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(_, item)| item)
    }

    fn nth_back(&mut self, n: usize) -> Option<Self::Item> {
        self.0.nth_back(n).map(|(_, item)| item)
    }
}

impl Listpack {
    /// Elements from `from` to the last, each with its place.
    pub fn entries_from(&self, from: Cursor) -> Entries<'_> {
        Entries::starting_at(self, from)
    }

    /// Elements from `from` to the last.
    pub fn iter_from(&self, from: Cursor) -> Iter<'_> {
        Iter(self.entries_from(from))
    }

    /// The first element from `from` on, every `step`-th, whose text is `text`: with 2, the field of
    /// a hash.
    pub fn find(&self, text: &[u8], from: Cursor, step: usize) -> Option<Cursor> {
        let sought = Sought::new(text);
        let mut entries = self.entries_from(from);
        let mut found = entries.next();
        while let Some((cursor, item)) = found {
            if sought.is(item) {
                return Some(cursor);
            }
            found = entries.nth(step - 1);
        }
        None
    }
}
