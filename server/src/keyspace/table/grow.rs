//! Insertion, and how the table grows: a longer array, or two segments from one.

use super::segment::{Segment, spread_or_longer, tag};
use super::{LARGEST, LOOKAHEAD, MAX_DEPTH, Place, Table, directory_index};
use crate::keyspace::{entry::OwnedEntry, hash::Hash, slot::Slot};
use crate::types::slots::{SMALLEST, fitting, longer};

impl Table {
    /// Puts in a key that is not there. If its segment is full the entry comes back, and
    /// [`Self::grow`] must come before the next attempt.
    pub(in crate::keyspace) fn insert(
        &mut self,
        hash: Hash,
        entry: OwnedEntry,
    ) -> Result<Place, OwnedEntry> {
        let Some(number) = self.segment_of(hash) else { return Err(entry) };
        let segment = &mut self.segments[number];
        let tag = segment.tag(hash);
        let Some(index) = segment.make_room(tag) else { return Err(entry) };
        segment.slots[index] = Slot::new(entry, tag);
        segment.len += 1;
        self.len += 1;
        Ok(Place { segment: number, index })
    }

    /// Makes room where `hash` belongs: a longer array, or two segments from one. Then returns
    /// the number of the old one, which keeps the lower half, and that of the new.
    pub(in crate::keyspace) fn grow(&mut self, hash: Hash) -> Option<(usize, usize)> {
        let Some(number) = self.segment_of(hash) else {
            let first = self.add_segment(vec![Slot::EMPTY; SMALLEST].into(), 0, 0, 0);
            self.directory.push(first as u32);
            return None;
        };
        let segment = &self.segments[number];
        let slots = segment.slots.len();
        if slots >= LARGEST && segment.depth() < MAX_DEPTH {
            return Some((number, self.split(number)));
        }
        let ordered: Vec<Slot> = segment.occupied().collect();
        self.set_slots(number, spread_or_longer(&ordered, longer(slots)));
        None
    }

    /// Makes room for so many keys in a table that has none yet, so that nothing grows on the way.
    pub(in crate::keyspace) fn expect(&mut self, keys: usize) {
        if !self.segments.is_empty() || keys == 0 {
            return;
        }
        // Segments do not get the same number of keys; twice the standard deviation is enough for
        // all but a few.
        let slots = |depth: u32| fitting((keys >> depth) + 2 * (keys >> depth).isqrt());
        let depth = (0..MAX_DEPTH).find(|depth| slots(*depth) <= LARGEST).unwrap_or(MAX_DEPTH);
        self.depth = depth;
        for nth in 0..1u64 << depth {
            let prefix = nth << 1 << (u64::BITS - 1 - depth);
            let array = vec![Slot::EMPTY; slots(depth)].into();
            let number = self.add_segment(array, prefix, depth, 0);
            self.directory.push(number as u32);
        }
    }

    /// Gives back what all segments have too much of; see [`Self::shrink`].
    pub(in crate::keyspace) fn shrink_all(&mut self, mut merged: impl FnMut(usize, usize)) {
        for number in 0..self.segments.len() {
            if !self.segments[number].slots.is_empty() {
                self.shrink(number, &mut merged);
            }
        }
    }

    fn split(&mut self, number: usize) -> usize {
        let Segment { prefix, marked_in, .. } = self.segments[number];
        let depth = self.segments[number].depth();
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&number| [number, number]).collect();
            self.depth += 1;
        }
        let slots: Vec<Slot> = self.segments[number].occupied().collect();
        let mut halves = [Vec::with_capacity(slots.len()), Vec::with_capacity(slots.len())];
        for (at, slot) in slots.iter().enumerate() {
            if let Some(ahead) = slots.get(at + LOOKAHEAD) {
                ahead.prefetch();
            }
            let hash = self.hasher.hash(slot.entry().key());
            let upper = hash.0 >> (u64::BITS - 1 - depth) & 1;
            halves[upper as usize].push(slot.with_tag(tag(hash, depth + 1)));
        }
        // Nearly in order: only slots of the same tag may have changed places by the new bit.
        halves.iter_mut().for_each(|half| half.sort_by_key(|slot| slot.tag()));
        let [lower, upper] = halves;

        self.set_slots(number, spread_or_longer(&lower, fitting(lower.len())));
        let kept = &mut self.segments[number];
        kept.depth += 1;
        kept.len = lower.len() as u32;
        self.at_depth[depth as usize] -= 1;
        self.at_depth[depth as usize + 1] += 1;

        let upper_prefix = prefix | 1 << (u64::BITS - 1 - depth);
        let array = spread_or_longer(&upper, fitting(upper.len()));
        let other = self.add_segment(array, upper_prefix, depth + 1, upper.len());
        self.segments[other].marked_in = marked_in;
        self.point_directory(other);
        other
    }

    fn add_segment(&mut self, slots: Box<[Slot]>, prefix: u64, depth: u32, len: usize) -> usize {
        self.at_depth[depth as usize] += 1;
        self.slots += slots.len();
        let segment = Segment { slots, prefix, depth: depth as u16, marked_in: 0, len: len as u32 };
        if let Some(number) = self.vacant.pop() {
            self.segments[number as usize] = segment;
            return number as usize;
        }
        self.segments.push(segment);
        self.segments.len() - 1
    }

    pub(super) fn set_slots(&mut self, segment: usize, slots: Box<[Slot]>) {
        self.slots += slots.len();
        self.slots -= self.segments[segment].slots.len();
        self.segments[segment].slots = slots;
    }

    /// Puts a segment's array elsewhere: the allocator fills its oldest pages first.
    pub(in crate::keyspace) fn renew(&mut self, segment: usize) {
        let slots = &mut self.segments[segment].slots;
        *slots = slots.clone();
    }

    /// Makes the directory lead to a segment for all hashes that it covers.
    pub(super) fn point_directory(&mut self, number: usize) {
        let Segment { prefix, depth, .. } = self.segments[number];
        let first = directory_index(Hash(prefix), self.depth);
        self.directory[first..first + (1 << (self.depth - u32::from(depth)))].fill(number as u32);
    }
}
