//! Expiry in slices: due keys and due fields, found by the horizons of their segments.

use super::Db;
use crate::keyspace::{Entry, table::Place};
use crate::types::collection::Collection;

/// What a bounded slice of work did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Keys removed because they were due.
    pub removed: usize,
    /// Fields of hashes removed.
    pub fields: usize,
    /// Work is left; call again soon.
    pub more: bool,
}

/// What [`Db::expire_due`] found.
#[derive(Clone, Copy)]
pub enum Due<'a> {
    /// A key, which goes now.
    Key(Entry<'a>),
    /// A field of the hash that is shown next, which goes now.
    Field(&'a [u8]),
    /// A hash some of whose fields have gone; it goes, too, if none are left.
    Fields(Entry<'a>),
}

impl Db {
    /// Nothing is due before this; `None` where nothing ever is.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.nearest_bound()
    }

    /// Removes keys that are due at `now_ms`, and what is due within those that stay; those first
    /// that are due the longest (segment by segment). Each is shown to `visit`. Looks at about
    /// `budget` keys, and at up to a thousand more; each costs 20 to 200 ns.
    pub fn expire_due(
        &mut self,
        now_ms: i64,
        budget: usize,
        mut visit: impl FnMut(Due<'_>),
    ) -> Slice {
        self.now_ms = now_ms;
        let mut slice = Slice::default();
        let mut left = budget.max(1);
        while let Some((deadline, segment)) = self.deadlines.nearest()
            && deadline <= now_ms
        {
            if left == 0 {
                slice.more = true;
                break;
            }
            let looked_at = self.expire_segment(segment, left, &mut slice, &mut visit);
            left = left.saturating_sub(looked_at);
        }
        slice
    }

    /// Looks at those keys of a segment whose horizon has come due, and removes at most `limit`.
    /// Returns how much was looked at.
    fn expire_segment(
        &mut self,
        segment: usize,
        limit: usize,
        slice: &mut Slice,
        visit: &mut impl FnMut(Due<'_>),
    ) -> usize {
        let candidates = self.take_candidates(segment);
        // A pass over the slots costs about as much as a look at sixteen keys.
        let mut looked_at = candidates.len() + 16;
        let mut due = self.due_of(segment, candidates);
        for &(_, index) in due.iter().skip(limit) {
            let place = Place { segment, index };
            self.note_deadline(place, self.table.slot(place).entry().next_deadline());
        }
        due.truncate(limit);
        let mut gone = Vec::with_capacity(due.len());
        for &(_, index) in &due {
            let place = Place { segment, index };
            let entry = self.table.slot(place).entry();
            if entry.is_due(self.now_ms) {
                visit(Due::Key(entry));
                slice.removed += 1;
                gone.push(index);
                continue;
            }
            let fields = self.expire_fields(place, limit, visit);
            slice.fields += fields;
            looked_at += fields;
            self.note_within(place, true);
            let entry = self.table.slot(place).entry();
            if entry.large_collection().is_some_and(Collection::is_void) {
                gone.push(index);
            }
        }
        // From the end, since a removal moves what follows.
        gone.sort_unstable_by_key(|&index| std::cmp::Reverse(index));
        for &index in &gone {
            let place = Place { segment, index };
            let ticket = self.before_removal(place);
            let value = self.remove_at(place);
            let dropped = self.leave(ticket, value);
            if dropped.is_big() {
                self.replaced.push(dropped);
            }
        }
        if !gone.is_empty() {
            self.shrink(segment);
        }
        looked_at + 4 * gone.len()
    }

    /// The slots of a segment whose horizon has come due.
    fn take_candidates(&mut self, segment: usize) -> Vec<usize> {
        let horizons = self.deadlines.take_due(segment, self.now_ms);
        let slots = self.table.slots(segment).iter().enumerate();
        slots
            .filter(|(_, slot)| horizons >> slot.horizon() & 1 != 0)
            .map(|(index, _)| index)
            .collect()
    }

    /// Those of them that are due, in order of their deadlines; the others are noted again.
    fn due_of(&mut self, segment: usize, candidates: Vec<usize>) -> Vec<(i64, usize)> {
        const LOOKAHEAD: usize = 8;
        let mut due = Vec::new();
        for (nth, &index) in candidates.iter().enumerate() {
            if let Some(&ahead) = candidates.get(nth + LOOKAHEAD) {
                self.table.slots(segment)[ahead].prefetch();
            }
            let place = Place { segment, index };
            match self.table.slot(place).entry().next_deadline() {
                Some(at) if at <= self.now_ms => due.push((at, index)),
                deadline => self.note_deadline(place, deadline),
            }
        }
        due.sort_unstable();
        due
    }

    /// Removes fields of a hash that are due; how many.
    fn expire_fields(
        &mut self,
        place: Place,
        limit: usize,
        visit: &mut impl FnMut(Due<'_>),
    ) -> usize {
        self.before_change(place);
        let now_ms = self.now_ms;
        let removed = match self.table.slot_mut(place).edit_collection() {
            Some(Collection::Hash(hash)) => {
                hash.remove_due(now_ms, limit, |field| visit(Due::Field(field)))
            }
            _ => 0,
        };
        if removed > 0 {
            visit(Due::Fields(self.table.slot(place).entry()));
        }
        removed
    }
}
