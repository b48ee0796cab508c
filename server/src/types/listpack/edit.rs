//! Changing a listpack: every edit replaces a run of entries by new ones in one go.

use super::header::{SHORT, Sizes};
use super::{Cursor, Encoded, Listpack, MAX_BYTES, decode};

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
        self.put(Run::nothing_at(self.start()), Encoded::of(element));
    }

    /// Puts an element before the one at `cursor`; where the new one is.
    pub fn insert_before(&mut self, cursor: Cursor, element: &[u8]) -> Cursor {
        self.put(Run::nothing_at(cursor.offset()), Encoded::of(element))
    }

    /// Puts an element behind the one at `cursor`; where the new one is.
    pub fn insert_after(&mut self, cursor: Cursor, element: &[u8]) -> Cursor {
        let behind = decode::next(self.bytes(), cursor.offset());
        self.put(Run::nothing_at(behind), Encoded::of(element))
    }

    pub fn insert_after_int(&mut self, cursor: Cursor, element: i64) -> Cursor {
        let behind = decode::next(self.bytes(), cursor.offset());
        self.put(Run::nothing_at(behind), Encoded::int(element))
    }

    /// Puts another element in the place of the one at `cursor`, which stays where it is.
    pub fn replace(&mut self, cursor: Cursor, element: &[u8]) -> Cursor {
        self.put(self.run(cursor, 1), Encoded::of(element))
    }

    /// The place of the element that followed, which is that of the removed one.
    pub fn remove(&mut self, cursor: Cursor) -> Option<Cursor> {
        self.remove_range(cursor, 1)
    }

    /// Removes up to `count` elements from `from` on; the place of the one that followed.
    pub fn remove_range(&mut self, from: Cursor, count: usize) -> Option<Cursor> {
        let at = self.splice(self.run(from, count), [&[]; 3], 0);
        self.cursor(at)
    }

    /// Takes the elements from `from` on off, as a listpack of their own.
    pub fn split_off(&mut self, from: Cursor) -> Listpack {
        let run = Run {
            at: from.offset(),
            len_bytes: self.end() - from.offset(),
            count: self.entries_from(from).count(),
        };
        let mut tail = Listpack::new();
        tail.fill(&self.bytes()[run.at..][..run.len_bytes], run.count);
        self.splice(run, [&[]; 3], 0);
        tail
    }

    /// Puts the elements of `other` behind the own ones.
    pub fn append(&mut self, other: &Listpack) {
        self.splice(Run::nothing_at(self.end()), [other.body(), &[], &[]], other.len());
    }

    /// Puts `count` entries into an empty listpack.
    pub(super) fn fill(&mut self, entries: &[u8], count: usize) {
        self.splice(Run::nothing_at(self.end()), [entries, &[], &[]], count);
    }

    /// Where entries end.
    fn end(&self) -> usize {
        self.block.len()
    }

    fn run(&self, from: Cursor, count: usize) -> Run {
        let (mut behind, mut counted) = (from.offset(), 0);
        while counted < count && behind < self.end() {
            behind = decode::next(self.bytes(), behind);
            counted += 1;
        }
        Run { at: from.offset(), len_bytes: behind - from.offset(), count: counted }
    }

    fn put(&mut self, instead_of: Run, element: Encoded<'_>) -> Cursor {
        Cursor::new(self.splice(instead_of, element.pieces(), 1))
    }

    /// Every edit: `pieces`, which are `added` entries, in the place of `removed`. Where that is now.
    fn splice(&mut self, removed: Run, pieces: [&[u8]; 3], added: usize) -> usize {
        let added_bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let (before, old_header) = (self.sizes(), self.start());
        let after = Sizes {
            body: before.body - removed.len_bytes + added_bytes,
            count: before.count - removed.count + added,
        };
        assert!(after.body <= MAX_BYTES || added_bytes == 0, "callers ask `fits` first");
        let header = old_header.max(after.header_len());
        let mut at = removed.at;
        if header > old_header {
            self.block.splice(SHORT, 0, [&[0; SHORT], &[], &[]], before.word(header));
            at += SHORT;
        }
        self.block.splice(at, removed.len_bytes, pieces, after.word(header));
        if header == SHORT {
            return at;
        }
        self.end_long_edit(after, at)
    }

    /// Brings a long header up to date, or has a short one take its place.
    #[cold]
    fn end_long_edit(&mut self, sizes: Sizes, at: usize) -> usize {
        if sizes.header_len() == SHORT {
            self.block.splice(SHORT, SHORT, [&[]; 3], sizes.word(SHORT));
            return at - SHORT;
        }
        self.block.body_mut()[..SHORT].copy_from_slice(&sizes.second_word());
        at
    }

    fn sizes(&self) -> Sizes {
        Sizes { body: self.block.len() - self.start(), count: self.len() }
    }
}
