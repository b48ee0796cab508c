//! A snapshot's walk through the table, and which entries it is done with ahead of their turn.
//!
//! The walk goes by hash from 0 up, so how far it came is one number, whatever splits and merges
//! meanwhile: what lies before it is done with. Ahead of it, an entry may be *settled*: saved early,
//! because it was about to change, or not to be saved at all, because it is newer than the snapshot.
//! A bit of the entry's header says so, and the walk takes it away as it comes by. So the snapshot
//! costs no memory, and a change touches nothing but what it changes.
//!
//! A snapshot that is given up leaves bits behind. They are told from new ones by the *epoch*: a segment
//! notes during which snapshot its bits were set, and before the first is set in another, the old ones
//! go. A thousand entries at most are looked at for that.

use super::segment::{TAG_BITS, home};
use super::{LOOKAHEAD, Place, Table};
use crate::keyspace::{Entry, hash::Hash, slot::Slot};

/// A place in hash space.
pub(in crate::keyspace) type Frontier = u64;

impl Table {
    /// A snapshot begins: nothing is settled.
    pub(in crate::keyspace) fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            (0..self.segments.len()).for_each(|number| self.clear_marks(number));
            self.epoch = 1;
        }
    }

    /// The entry was saved, or is not to be.
    pub(in crate::keyspace) fn settle(&mut self, place: Place) {
        let marked_in = self.segments[place.segment].marked_in;
        if marked_in != self.epoch {
            self.clear_marks(place.segment);
            self.segments[place.segment].marked_in = self.epoch;
        }
        self.slot(place).entry().set_settled(true);
    }

    /// Whether a walk that came as far as `frontier` still has to save the entry.
    pub(in crate::keyspace) fn is_unsaved(&self, place: Place, frontier: Frontier) -> bool {
        let segment = &self.segments[place.segment];
        let slot = &segment.slots[place.index];
        if segment.marked_in == self.epoch && slot.entry().is_settled() {
            return false;
        }
        let first = segment.start_of(slot.tag());
        let last = first | u64::MAX >> (TAG_BITS + segment.depth());
        match frontier {
            _ if frontier <= first => true,
            _ if frontier > last => false,
            // The walk stands between hashes that share the tag.
            _ => self.hasher.hash(slot.entry().key()).0 >= frontier,
        }
    }

    /// Shows the entries from `from` on that are not settled, until `more` says no. How far it came;
    /// `None` at the end. Entries whose tags are equal are shown together, whatever `more` says.
    pub(in crate::keyspace) fn save_from(
        &mut self,
        mut from: Frontier,
        more: &mut impl FnMut(Entry<'_>) -> bool,
    ) -> Option<Frontier> {
        let mut wanted = true;
        while wanted {
            let number = self.segment_of(Hash(from))?;
            if self.segments[number].marked_in != self.epoch {
                self.clear_marks(number);
            }
            if let Some(at) = self.save_segment(number, from, &mut wanted, more) {
                return Some(at);
            }
            self.segments[number].marked_in = 0;
            from = self.segments[number].last_hash().checked_add(1)?;
        }
        Some(from)
    }

    /// Shows a segment's entries; where it stopped, unless it came to the end.
    fn save_segment(
        &self,
        number: usize,
        from: Frontier,
        wanted: &mut bool,
        more: &mut impl FnMut(Entry<'_>) -> bool,
    ) -> Option<Frontier> {
        let segment = &self.segments[number];
        let first_tag = segment.tag(Hash(from));
        let inside_tag = segment.start_of(first_tag) < from;
        let mut last_tag = None;
        let slots = &segment.slots[home(first_tag, segment.slots.len())..];
        for (nth, slot) in slots.iter().enumerate() {
            if let Some(ahead) = slots.get(nth + LOOKAHEAD) {
                ahead.prefetch();
            }
            if slot.is_empty() || slot.tag() < first_tag {
                continue;
            }
            if !*wanted && last_tag != Some(slot.tag()) {
                return Some(segment.start_of(slot.tag()));
            }
            last_tag = Some(slot.tag());
            let is_done = inside_tag
                && slot.tag() == first_tag
                && self.hasher.hash(slot.entry().key()).0 < from;
            if !is_done && !was_settled(slot) {
                *wanted &= more(slot.entry());
            }
        }
        None
    }

    /// Before two segments become one: whatever marks both have are of the same epoch.
    pub(super) fn agree_on_marks(&mut self, a: usize, b: usize) {
        let (of_a, of_b) = (self.segments[a].marked_in, self.segments[b].marked_in);
        if of_a == of_b {
            return;
        }
        for number in [a, b] {
            if self.segments[number].marked_in != self.epoch {
                self.clear_marks(number);
            }
        }
        let marked = of_a == self.epoch || of_b == self.epoch;
        for number in [a, b] {
            self.segments[number].marked_in = if marked { self.epoch } else { 0 };
        }
    }

    fn clear_marks(&mut self, number: usize) {
        let segment = &mut self.segments[number];
        if std::mem::take(&mut segment.marked_in) == 0 {
            return;
        }
        for (nth, slot) in segment.slots.iter().enumerate() {
            if let Some(ahead) = segment.slots.get(nth + LOOKAHEAD) {
                ahead.prefetch();
            }
            if !slot.is_empty() {
                slot.entry().set_settled(false);
            }
        }
    }
}

/// Takes the mark of a slot's entry away; whether it was there.
fn was_settled(slot: &Slot) -> bool {
    let settled = slot.entry().is_settled();
    if settled {
        slot.entry().set_settled(false);
    }
    settled
}
