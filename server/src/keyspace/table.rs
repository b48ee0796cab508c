//! The table of entries: extendible hashing over small segments that are ordered by hash.
//!
//! The top bits of a key's hash choose a segment through the directory; the next 16 are its tag.
//! A segment is an array of [`Slot`]s kept in the order of tags by linear probing: a key's home is
//! the tag scaled to the array's length, an insertion moves what is greater one place on, a removal
//! moves what was displaced one place back. A few slots past the last home take the overflow, so
//! nothing wraps around. (Ordered linear probing: Amble and Knuth, 1974; extendible hashing: Fagin
//! et al., 1979.)
//!
//! What the order buys:
//! * SCAN's cursor is a place in hash space, so it means the same whatever became of the table.
//! * A segment grows in steps of a fifth, by one pass over its slots that reads no key, since tags
//!   say where everything goes; so slots are nine tenths full and the table costs 9 to 10 bytes a
//!   key at any size.
//! * A lookup that fails stops at the first greater tag.
//!
//! At its largest, a segment splits alone, which reads the keys of that segment only (40 µs, the
//! misses overlapped): there is no moment when the table as a whole grows, but for the directory,
//! four bytes per segment. Half-empty neighbours merge again, without reading keys.
//!
//! A lookup reads the directory and a segment's array pointer (both stay in cache), then the slot's
//! line and the entry: two misses.

#[cfg(test)]
mod check;
mod grow;
mod segment;
mod settled;
mod shrink;
mod walk;

pub(super) use settled::Frontier;

use segment::{Segment, home};

use super::{
    Key,
    hash::{Hash, Hasher},
    slot::{Slot, prefetch},
};

/// A segment of this many slots splits rather than grows: it bounds the longest pause, and fills
/// a size class of the allocator.
const LARGEST: usize = 1024;
/// Beyond this depth a segment grows further instead of splitting. Never reached by keyed hashes.
const MAX_DEPTH: u32 = 32;
/// Entries whose keys are being loaded while others are worked on.
const LOOKAHEAD: usize = 12;

/// Where an entry lies. Valid until the table changes.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) segment: usize,
    pub(super) index: usize,
}

pub(super) struct Table {
    hasher: Hasher,
    /// By the top `depth` bits of a hash: the number of its segment. Empty until the first key.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
    /// Numbers of segments that are gone.
    vacant: Vec<u32>,
    /// How many segments have each depth, to know when the directory can halve.
    at_depth: [u32; MAX_DEPTH as usize + 1],
    len: usize,
    slots: usize,
    /// Which snapshot is running or was the last; see [`settled`].
    epoch: u16,
}

#[inline]
fn directory_index(hash: Hash, depth: u32) -> usize {
    (hash.0 >> 1 >> (u64::BITS - 1 - depth)) as usize
}

impl Table {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self {
            hasher,
            directory: Vec::new(),
            depth: 0,
            segments: Vec::new(),
            vacant: Vec::new(),
            at_depth: [0; MAX_DEPTH as usize + 1],
            len: 0,
            slots: 0,
            epoch: 0,
        }
    }

    pub(super) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn slots_len(&self) -> usize {
        self.slots
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.slots * size_of::<Slot>()
            + self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment>()
    }

    // ── Lookup ──────────────────────────────────────────────────────────────────────────────

    #[inline]
    pub(super) fn find(&self, key: Key<'_>) -> Option<Place> {
        let number = self.segment_of(key.hash)?;
        let segment = &self.segments[number];
        let tag = segment.tag(key.hash);
        let first = segment.first_candidate(tag);
        for (nth, slot) in segment.slots[first..].iter().enumerate() {
            if slot.is_empty() || slot.tag() > tag {
                return None;
            }
            if slot.tag() == tag && slot.entry().key() == key.bytes {
                return Some(Place { segment: number, index: first + nth });
            }
        }
        None
    }

    /// Starts to load the segment that a key of this hash would be in, without its slots.
    #[inline]
    pub(super) fn prefetch_segment(&self, hash: Hash) {
        if let Some(number) = self.segment_of(hash) {
            prefetch(self.segments.as_ptr().wrapping_add(number));
        }
    }

    /// Starts to load the slots where a key of this hash would be.
    #[inline]
    pub(super) fn prefetch_slots(&self, hash: Hash) {
        let Some(number) = self.segment_of(hash) else { return };
        let segment = &self.segments[number];
        let first = home(segment.tag(hash), segment.slots.len());
        const LINE: usize = 64 / size_of::<Slot>();
        prefetch(segment.slots.as_ptr().wrapping_add(first));
        prefetch(segment.slots.as_ptr().wrapping_add(first + LINE));
    }

    /// Starts to load the entry that a key of this hash probably is.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: Hash) {
        let Some(number) = self.segment_of(hash) else { return };
        let segment = &self.segments[number];
        let tag = segment.tag(hash);
        let from = &segment.slots[segment.first_candidate(tag)..];
        let candidate = from.iter().find(|slot| slot.is_empty() || slot.tag() >= tag);
        if let Some(slot) = candidate
            && !slot.is_empty()
        {
            slot.prefetch();
        }
    }

    #[inline]
    fn segment_of(&self, hash: Hash) -> Option<usize> {
        self.directory.get(directory_index(hash, self.depth)).map(|&number| number as usize)
    }

    #[inline]
    pub(super) fn slot(&self, place: Place) -> &Slot {
        &self.segments[place.segment].slots[place.index]
    }

    #[inline]
    pub(super) fn slot_mut(&mut self, place: Place) -> &mut Slot {
        &mut self.segments[place.segment].slots[place.index]
    }

    /// All slots of a segment, empty ones too.
    pub(super) fn slots(&self, segment: usize) -> &[Slot] {
        &self.segments[segment].slots
    }
}
