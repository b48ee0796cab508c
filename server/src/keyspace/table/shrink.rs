//! Removal, and how the table shrinks: a shorter array, or one segment from two.

use super::segment::spread_or_longer;
use super::{LARGEST, Place, Table};
use crate::keyspace::{entry::OwnedEntry, hash::Hash, slot::Slot};
use crate::types::slots::{SMALLEST, roomy};

impl Table {
    /// Takes an entry out and closes the gap; [`Self::shrink`] is to follow.
    pub(in crate::keyspace) fn remove(&mut self, place: Place) -> OwnedEntry {
        let segment = &mut self.segments[place.segment];
        let removed = segment.close_gap(place.index);
        segment.len -= 1;
        self.len -= 1;
        removed.into_owned()
    }

    /// Gives back what a segment has too much of: a shorter array, or one array for it and its
    /// neighbours. `merged` is told which segment took in which.
    pub(in crate::keyspace) fn shrink(
        &mut self,
        number: usize,
        mut merged: impl FnMut(usize, usize),
    ) {
        let segment = &self.segments[number];
        let (len, slots) = (segment.len as usize, segment.slots.len());
        if len >= slots * 3 / 8 {
            return;
        }
        let mut number = number;
        let mut alone = true;
        while let Some(buddy) = self.mergeable_buddy(number) {
            let (into, from) = self.merge(number, buddy);
            merged(into, from);
            number = into;
            alone = false;
        }
        if alone && slots > SMALLEST {
            let ordered: Vec<Slot> = self.segments[number].occupied().collect();
            self.set_slots(number, spread_or_longer(&ordered, roomy(len)));
        }
    }

    /// The other half of what was one segment, if both together fill half of one.
    fn mergeable_buddy(&self, number: usize) -> Option<usize> {
        let own = &self.segments[number];
        let bit = 1u64.checked_shl(u64::BITS - own.depth())?;
        let buddy = self.segment_of(Hash(own.prefix ^ bit))?;
        let other = &self.segments[buddy];
        let len = (own.len + other.len) as usize;
        (other.depth == own.depth && len <= LARGEST / 2).then_some(buddy)
    }

    fn merge(&mut self, a: usize, b: usize) -> (usize, usize) {
        let (lower, upper) =
            if self.segments[a].prefix < self.segments[b].prefix { (a, b) } else { (b, a) };
        self.agree_on_marks(lower, upper);
        // One bit comes back in front of the tag and the last one drops out: the order stays.
        let widened = |slot: Slot, bit: u16| slot.with_tag(slot.tag() >> 1 | bit << 15);
        let ordered: Vec<Slot> = (self.segments[lower].occupied().map(|slot| widened(slot, 0)))
            .chain(self.segments[upper].occupied().map(|slot| widened(slot, 1)))
            .collect();
        self.set_slots(lower, spread_or_longer(&ordered, roomy(ordered.len())));
        self.set_slots(upper, Box::default());
        self.segments[upper].len = 0;
        self.vacant.push(upper as u32);
        let kept = &mut self.segments[lower];
        kept.len = ordered.len() as u32;
        kept.depth -= 1;
        let depth = kept.depth as usize;
        self.at_depth[depth + 1] -= 2;
        self.at_depth[depth] += 1;
        self.point_directory(lower);
        while self.depth > 0 && self.at_depth[self.depth as usize] == 0 {
            self.directory = self.directory.iter().copied().step_by(2).collect();
            self.depth -= 1;
        }
        (lower, upper)
    }
}
