//! Changing a listpack: every edit replaces a run of entries by new ones in one go.

use super::{Cursor, Encoded, HEADER, Listpack, MAX_BYTES, UNKNOWN, decode, header};

/// Some entries by where they lie.
struct Run {
    at: usize,
    len_bytes: usize,
    count: usize,
}

impl Run {
    fn nothing_at(at: usize) -> Self {
        Self { at, len_bytes: 0, count: 0 }
    }
}

impl Listpack {
    pub fn push_back(&mut self, element: &[u8]) {
        self.put(Run::nothing_at(self.end()), Encoded::of(element));
    }

    pub fn push_back_int(&mut self, element: i64) {
        self.put(Run::nothing_at(self.end()), Encoded::int(element));
    }

    pub fn push_front(&mut self, element: &[u8]) {
        self.put(Run::nothing_at(HEADER), Encoded::of(element));
    }

    /// Puts an element before the one at `cursor`; where the new one is.
    pub fn insert_before(&mut self, cursor: Cursor, element: &[u8]) -> Cursor {
        self.put(Run::nothing_at(cursor.offset()), Encoded::of(element))
    }

    /// Puts an element behind the one at `cursor`; where the new one is.
    pub fn insert_after(&mut self, cursor: Cursor, element: &[u8]) -> Cursor {
        let behind = decode::next(self.as_bytes(), cursor.offset());
        self.put(Run::nothing_at(behind), Encoded::of(element))
    }

    pub fn insert_after_int(&mut self, cursor: Cursor, element: i64) -> Cursor {
        let behind = decode::next(self.as_bytes(), cursor.offset());
        self.put(Run::nothing_at(behind), Encoded::int(element))
    }

    /// Puts another element in the place of the one at `cursor`, which stays where it is.
    pub fn replace(&mut self, cursor: Cursor, element: &[u8]) -> Cursor {
        self.put(self.run(cursor, 1), Encoded::of(element))
    }

    pub fn replace_int(&mut self, cursor: Cursor, element: i64) -> Cursor {
        self.put(self.run(cursor, 1), Encoded::int(element))
    }

    /// The place of the element that followed, which is that of the removed one.
    pub fn remove(&mut self, cursor: Cursor) -> Option<Cursor> {
        self.remove_range(cursor, 1)
    }

    /// Removes up to `count` elements from `from` on; the place of the one that followed.
    pub fn remove_range(&mut self, from: Cursor, count: usize) -> Option<Cursor> {
        self.splice(self.run(from, count), [&[]; 3], 0);
        self.cursor(from.offset())
    }

    /// Takes the elements from `from` on off, as a listpack of their own.
    pub fn split_off(&mut self, from: Cursor) -> Listpack {
        let run = Run {
            at: from.offset(),
            len_bytes: self.end() - from.offset(),
            count: self.entries_from(from).count(),
        };
        let mut tail = Listpack::new();
        let moved = &self.as_bytes()[run.at..][..run.len_bytes];
        tail.splice(Run::nothing_at(HEADER), [moved, &[], &[]], run.count);
        self.splice(run, [&[]; 3], 0);
        tail
    }

    /// Puts the elements of `other` behind the own ones.
    pub fn append(&mut self, other: &Listpack) {
        let body = &other.as_bytes()[HEADER..other.end()];
        self.splice(Run::nothing_at(self.end()), [body, &[], &[]], other.len());
    }

    /// Where the end mark is.
    fn end(&self) -> usize {
        self.len_bytes() - 1
    }

    fn run(&self, from: Cursor, count: usize) -> Run {
        let (mut behind, mut counted) = (from.offset(), 0);
        while counted < count && behind < self.end() {
            behind = decode::next(self.as_bytes(), behind);
            counted += 1;
        }
        Run { at: from.offset(), len_bytes: behind - from.offset(), count: counted }
    }

    fn put(&mut self, instead_of: Run, element: Encoded<'_>) -> Cursor {
        let cursor = Cursor::new(instead_of.at);
        self.splice(instead_of, element.pieces(), 1);
        cursor
    }

    /// Every edit: `pieces`, which are `added` entries, in the place of `removed`.
    fn splice(&mut self, removed: Run, pieces: [&[u8]; 3], added: usize) {
        let added_bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let total = self.len_bytes() - removed.len_bytes + added_bytes;
        assert!(total <= MAX_BYTES || added_bytes == 0, "callers ask `fits` first");
        let count = match self.known_len() {
            Some(count) => usize::from(count) - removed.count + added,
            None => usize::from(UNKNOWN),
        };
        let count = u16::try_from(count).unwrap_or(UNKNOWN);
        self.block.splice(removed.at, removed.len_bytes, pieces, header(total, count));
        self.recount_if_it_may_fit();
    }

    /// The count comes back as soon as so few bytes are left that it fits its two bytes.
    fn recount_if_it_may_fit(&mut self) {
        const SMALLEST_ENTRY: usize = 2;
        let most = (self.end() - HEADER) / SMALLEST_ENTRY;
        if most < usize::from(UNKNOWN) && self.known_len().is_none() {
            let count = u16::try_from(self.iter().count()).unwrap_or(UNKNOWN);
            self.block.splice(HEADER, 0, [&[]; 3], header(self.len_bytes(), count));
        }
    }
}
