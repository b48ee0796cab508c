//! Ways through the table: SCAN's cursor, everything, one at random, some from a random place on.

use super::segment::home;
use super::{LARGEST, Table, directory_index};
use crate::keyspace::{Entry, entry::OwnedEntry, hash::Hash, slot::Slot};

impl Table {
    /// Visits keys from a place in hash space on; see [`Db::scan`](super::Db::scan).
    ///
    /// A cursor is the upper 48 bits of a hash: enough for the tags of the deepest segment, and
    /// a client that keeps numbers as doubles loses none of it.
    pub(in crate::keyspace) fn scan(
        &self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(Entry<'_>),
    ) -> u64 {
        const CURSOR_SHIFT: u32 = 16;
        if cursor >> (u64::BITS - CURSOR_SHIFT) != 0 {
            return 0;
        }
        let mut from = cursor << CURSOR_SHIFT;
        let mut seen = 0;
        while let Some(number) = self.segment_of(Hash(from)) {
            let segment = &self.segments[number];
            let first_tag = segment.tag(Hash(from));
            // The cursor may lie between hashes that share a tag, if it was given out when the
            // segment was smaller.
            let inside_tag = segment.start_of(first_tag) < from;
            let mut last_tag = None;
            for slot in &segment.slots[home(first_tag, segment.slots.len())..] {
                if slot.is_empty() || slot.tag() < first_tag {
                    continue;
                }
                if seen >= count && last_tag != Some(slot.tag()) {
                    return segment.start_of(slot.tag()) >> CURSOR_SHIFT;
                }
                last_tag = Some(slot.tag());
                let entry = slot.entry();
                if inside_tag
                    && slot.tag() == first_tag
                    && self.hasher.hash(entry.key()) < Hash(from)
                {
                    continue;
                }
                seen += 1;
                visit(entry);
            }
            match segment.last_hash().checked_add(1) {
                None => break,
                Some(next) => from = next,
            }
            if seen >= count {
                return from >> CURSOR_SHIFT;
            }
        }
        0
    }

    pub(in crate::keyspace) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let slots = self.segments.iter().flat_map(|segment| segment.slots.iter());
        slots.filter(|slot| !slot.is_empty()).map(Slot::entry)
    }

    /// Every entry, taken out for good.
    pub(in crate::keyspace) fn drain(&mut self) -> impl Iterator<Item = OwnedEntry> {
        let segments = std::mem::replace(self, Self::new(self.hasher)).segments;
        let slots = segments.into_iter().flat_map(|segment| segment.slots);
        slots.filter(|slot| !slot.is_empty()).map(Slot::into_owned)
    }

    /// A key, each as likely as any other: a segment and a place in it are drawn evenly, and
    /// drawn anew if nothing is there; that takes two or three draws in the mean.
    pub(in crate::keyspace) fn random(&self, mut draw: impl FnMut() -> u64) -> Option<Entry<'_>> {
        const DRAWS: usize = 512;
        if self.len == 0 {
            return None;
        }
        let longest = if self.depth == 0 { self.segments[0].slots.len() } else { LARGEST };
        for _ in 0..DRAWS {
            let drawn = draw();
            let index = drawn as usize & (self.directory.len() - 1);
            let segment = &self.segments[self.directory[index] as usize];
            let place = ((drawn >> 32) as usize * longest) >> 32;
            if let Some(slot) = segment.slots.get(place)
                && directory_index(Hash(segment.prefix), self.depth) == index
                && !slot.is_empty()
            {
                return Some(slot.entry());
            }
        }
        // Segments are at least a quarter full in the mean, so this is next to impossible.
        self.iter().next()
    }

    /// The slots in use of a segment, for entries that move; `None` behind the last segment.
    pub(in crate::keyspace) fn slots_mut(
        &mut self,
        segment: usize,
    ) -> Option<impl Iterator<Item = &mut Slot>> {
        Some(self.segments.get_mut(segment)?.slots.iter_mut().filter(|slot| !slot.is_empty()))
    }

    /// Shows slots one after the other, from a place that `drawn` chooses on, until `more` says
    /// no; whether it never did, in a bounded number of slots.
    pub(in crate::keyspace) fn walk(
        &self,
        drawn: u64,
        more: &mut impl FnMut(&Slot) -> bool,
    ) -> bool {
        const MOST: usize = 4 * LARGEST;
        if self.segments.is_empty() {
            return true;
        }
        let first = self.directory[drawn as usize & (self.directory.len() - 1)] as usize;
        let from = (drawn >> 32) as usize % self.segments[first].slots.len();
        let rounds = (0..self.segments.len()).map(|nth| (first + nth) % self.segments.len());
        let after = self.segments[first].slots[from..].iter();
        let others = rounds.skip(1).flat_map(|number| self.segments[number].slots.iter());
        let before = self.segments[first].slots[..from].iter();
        after.chain(others).chain(before).take(MOST).all(more)
    }
}
