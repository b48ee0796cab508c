//! A segment: slots in the order of tags, by linear probing.

use crate::keyspace::{hash::Hash, slot::Slot};
use crate::types::slots::{limit, longer, overflow};

pub(super) const TAG_BITS: u32 = 16;

/// The keys whose hashes share their top bits.
pub(super) struct Segment {
    pub(super) slots: Box<[Slot]>,
    /// The shared bits, at the top.
    pub(super) prefix: u64,
    /// How many they are.
    pub(super) depth: u16,
    /// The epoch whose marks its entries bear (see `settled`), 0 where they bear none.
    pub(super) marked_in: u16,
    /// Keys.
    pub(super) len: u32,
}

// Lookups index by it.
const _: () = assert!(size_of::<Segment>() == 32);

impl Segment {
    #[inline]
    pub(super) fn tag(&self, hash: Hash) -> u16 {
        tag(hash, self.depth())
    }

    #[inline]
    pub(super) fn depth(&self) -> u32 {
        u32::from(self.depth)
    }

    /// The end of the part of hash space that it covers.
    pub(super) fn last_hash(&self) -> u64 {
        self.prefix | u64::MAX >> self.depth
    }

    pub(super) fn occupied(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().copied().filter(|slot| !slot.is_empty())
    }

    /// Where to look for `tag` from: its home, or up to a line before its place, if its home is
    /// far off. In a full segment entries are displaced by some twenty places; this steps over
    /// them a line at a time.
    ///
    /// It never steps too far: a smaller tag at a place says that all before it are smaller, and
    /// were there a gap between `tag`'s home and that place, nothing smaller could lie behind it.
    #[inline]
    pub(super) fn first_candidate(&self, tag: u16) -> usize {
        const LINE: usize = 64 / size_of::<Slot>();
        let mut at = home(tag, self.slots.len());
        while let Some(slot) = self.slots.get(at + LINE)
            && !slot.is_empty()
            && slot.tag() < tag
        {
            at += LINE;
        }
        at
    }

    /// Opens a place for `tag`, after those that are equal.
    pub(super) fn make_room(&mut self, tag: u16) -> Option<usize> {
        if self.len as usize >= limit(self.slots.len()) {
            return None;
        }
        let first = self.first_candidate(tag);
        let slots = &mut self.slots;
        let greater = |slot: &Slot| slot.is_empty() || slot.tag() > tag;
        let index = first + slots[first..].iter().position(greater)?;
        let run = slots[index..].iter().position(|slot| slot.is_empty())?;
        slots.copy_within(index..index + run, index + 1);
        Some(index)
    }

    /// Empties a place and moves back what it had displaced.
    pub(super) fn close_gap(&mut self, index: usize) -> Slot {
        let slots = &mut self.slots;
        let len = slots.len();
        let removed = slots[index];
        let settled = |&at: &usize| slots[at].is_empty() || home(slots[at].tag(), len) == at;
        let end = (index + 1..len).find(settled).unwrap_or(len);
        slots.copy_within(index + 1..end, index);
        slots[end - 1] = Slot::EMPTY;
        removed
    }

    /// Where in hash space `tag` begins.
    pub(super) fn start_of(&self, tag: u16) -> u64 {
        self.prefix | u64::from(tag) << (u64::BITS - TAG_BITS - self.depth())
    }
}

#[inline]
pub(super) fn tag(hash: Hash, depth: u32) -> u16 {
    (hash.0 << depth >> (u64::BITS - TAG_BITS)) as u16
}

#[inline]
pub(super) fn home(tag: u16, slots: usize) -> usize {
    (usize::from(tag) * (slots - overflow(slots))) >> TAG_BITS
}

/// Lays `ordered` out over `slots` places, each slot at its home or after the one before.
fn spread(ordered: impl Iterator<Item = Slot>, slots: usize) -> Option<Box<[Slot]>> {
    let mut array = vec![Slot::EMPTY; slots].into_boxed_slice();
    let mut next = 0;
    for slot in ordered {
        let at = home(slot.tag(), slots).max(next);
        *array.get_mut(at)? = slot;
        next = at + 1;
    }
    Some(array)
}

/// As [`spread`], over as many more places as it takes.
pub(super) fn spread_or_longer(ordered: &[Slot], mut slots: usize) -> Box<[Slot]> {
    loop {
        match spread(ordered.iter().copied(), slots) {
            Some(array) => return array,
            None => slots = longer(slots),
        }
    }
}
