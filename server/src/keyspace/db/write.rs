//! Setting, changing and removing keys: the table, the heap, the sums and the expiry index follow.

use super::{Db, Dropped, EntryMut, Taken};
use crate::keyspace::{
    AsKey, Key, Ttl, Value,
    deadlines::horizon,
    entry::{Content, OwnedEntry},
    heap::Heap,
    table::Place,
};
use crate::number::parse_int;
use crate::types::collection::Collection;

impl Db {
    pub fn find_mut<'k>(&mut self, key: impl AsKey<'k>) -> Option<EntryMut<'_>> {
        let place = self.table.find(key.hashed(self.table.hasher()))?;
        Some(EntryMut { db: self, place })
    }

    /// Sets key, value and expiry; true if the key was there.
    pub fn set<'k>(&mut self, key: impl AsKey<'k>, value: Value, expire_at: Option<i64>) -> bool {
        let ttl = expire_at.map_or(Ttl::Clear, Ttl::At);
        let mut room = Vec::new();
        let (content, edited) = Content::of(value, &mut room);
        self.put(key.hashed(self.table.hasher()), content, edited, ttl)
    }

    /// SET: stored as an integer where `text` is a canonical one. True if the key was there.
    #[inline]
    pub fn set_string<'k>(&mut self, key: impl AsKey<'k>, text: &[u8], ttl: Ttl) -> bool {
        match parse_int(text) {
            Some(int) => self.set_int(key, int, ttl),
            None => self.set_bytes(key, text, ttl),
        }
    }

    /// Sets bytes that stay bytes even where they read as an integer (INCRBYFLOAT's result).
    pub fn set_bytes<'k>(&mut self, key: impl AsKey<'k>, text: &[u8], ttl: Ttl) -> bool {
        self.put(key.hashed(self.table.hasher()), Content::bytes(text), false, ttl)
    }

    pub fn set_int<'k>(&mut self, key: impl AsKey<'k>, int: i64, ttl: Ttl) -> bool {
        self.put(key.hashed(self.table.hasher()), Content::Int(int), false, ttl)
    }

    pub fn remove<'k>(&mut self, key: impl AsKey<'k>) -> Option<Dropped> {
        let place = self.table.find(key.hashed(self.table.hasher()))?;
        let ticket = self.before_removal(place);
        let value = self.remove_at(place);
        self.shrink(place.segment);
        Some(self.leave(ticket, value))
    }

    /// Takes the key's content out, for RENAME and MOVE.
    pub fn take<'k>(&mut self, key: impl AsKey<'k>) -> Option<Taken> {
        let place = self.table.find(key.hashed(self.table.hasher()))?;
        let entry = self.table.slot(place).entry();
        let (expire_at, access) = (entry.expire_at(), entry.access());
        // A value with memory of its own comes back from the removal, and is not copied.
        let copied = (!entry.has_own_value()).then(|| entry.to_value());
        let ticket = self.before_removal(place);
        let own = self.remove_at(place);
        self.shrink(place.segment);
        let value = own.or(copied).expect("a value is in the entry or owns memory");
        Some(Taken { value, expire_at, access, ticket })
    }

    /// The other half of [`Self::take`]; true if the key was there and is overwritten.
    pub fn put_back<'k>(&mut self, key: impl AsKey<'k>, taken: Taken) -> bool {
        let key = key.hashed(self.table.hasher());
        let replaced = self.set(key, taken.value, taken.expire_at);
        if let Some(ticket) = taken.ticket {
            self.adopt(ticket, key);
        }
        self.find(key).expect("set just now").set_access(taken.access);
        replaced
    }

    /// Gives the key an expiry, or another; false if there is no such key.
    pub fn set_expire<'k>(&mut self, key: impl AsKey<'k>, at_ms: i64) -> bool {
        let key = key.hashed(self.table.hasher());
        let Some(place) = self.table.find(key) else { return false };
        self.change(place, |entry, heap| entry.set_expire(heap, Some(at_ms)));
        true
    }

    /// Takes the key's expiry away; false if it had none.
    pub fn persist<'k>(&mut self, key: impl AsKey<'k>) -> bool {
        let key = key.hashed(self.table.hasher());
        let Some(place) = self.table.find(key) else { return false };
        if self.table.slot(place).entry().expire_at().is_none() {
            return false;
        }
        self.change(place, |entry, heap| entry.set_expire(heap, None));
        true
    }

    #[inline]
    pub fn has_replaced(&self) -> bool {
        !self.replaced.is_empty()
    }

    /// Collections that were overwritten since the last call.
    pub fn take_replaced(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.replaced)
    }

    /// Empties the database; the old content comes back, to be dropped now or elsewhere, or to be saved
    /// first if it [is being](Self::has_unsaved).
    pub fn flush(&mut self) -> Db {
        let mut empty = Self::new(*self.table.hasher());
        empty.saving = self.saving_of_successor();
        empty.set_initial_access(self.initial_access, self.writes_are_accesses);
        std::mem::replace(self, empty)
    }

    fn put(&mut self, key: Key<'_>, content: Content<'_>, edited: bool, ttl: Ttl) -> bool {
        let Some(place) = self.table.find(key) else {
            let expire_at = ttl.applied_to(None);
            let access = self.initial_access;
            let heap = &mut self.heap;
            let entry = OwnedEntry::new(heap, access, key.bytes, expire_at, content, edited);
            self.insert(key, entry);
            return false;
        };
        let entry = self.table.slot(place).entry();
        if self.writes_are_accesses {
            entry.set_access(self.initial_access);
        }
        let expire_at = ttl.applied_to(entry.expire_at());
        let is_collection = entry.large_collection().is_some();
        let ticket = self.before_removal(place);
        if is_collection || ticket.is_some() {
            let mut replaced = None;
            self.change_saved(place, |mut entry, heap| {
                replaced = entry.take_value();
                entry.refill(heap, expire_at, content, edited)
            });
            let dropped = self.leave(ticket, replaced);
            if is_collection {
                self.replaced.push(dropped);
            }
            return true;
        }
        self.change_saved(place, |entry, heap| entry.rewrite(heap, expire_at, content, edited));
        true
    }

    pub(in crate::keyspace) fn insert(&mut self, key: Key<'_>, mut entry: OwnedEntry) {
        let place = loop {
            match self.table.insert(key.hash, entry) {
                Ok(place) => break place,
                Err(back) => entry = back,
            }
            if let Some((old, new)) = self.table.grow(key.hash) {
                self.deadlines.split(old, new);
            }
        };
        self.after_insertion(place);
        self.count(place, true);
        self.note_deadline(place, self.table.slot(place).entry().next_deadline());
    }

    pub(in crate::keyspace) fn change(
        &mut self,
        place: Place,
        change: impl FnOnce(OwnedEntry, &mut Heap) -> OwnedEntry,
    ) {
        self.before_change(place);
        self.change_saved(place, change);
    }

    /// Changes an entry that a running snapshot needs no more.
    fn change_saved(
        &mut self,
        place: Place,
        change: impl FnOnce(OwnedEntry, &mut Heap) -> OwnedEntry,
    ) {
        self.count(place, false);
        let heap = &mut self.heap;
        self.table.slot_mut(place).replace(|entry| change(entry, heap));
        self.count(place, true);
        self.note_deadline(place, self.table.slot(place).entry().next_deadline());
    }

    /// Puts a changed collection in the place of the old one; `None` for the one that is there, which
    /// may have become small enough to be packed. Its deadlines are the caller's to note.
    pub(super) fn put_collection(&mut self, place: Place, new: Option<Collection>) {
        let owned = self.table.slot(place).entry().owns_memory();
        let heap = &mut self.heap;
        self.table.slot_mut(place).replace(|mut entry| {
            let expire_at = entry.entry().expire_at();
            let old = entry.take_value();
            match new.map(Value::Collection).or(old) {
                Some(Value::Collection(collection)) => {
                    entry.refill(heap, expire_at, Content::Collection(collection), false)
                }
                _ => unreachable!("the entry of a collection"),
            }
        });
        let owns = self.table.slot(place).entry().owns_memory();
        self.owners = self.owners - usize::from(owned) + usize::from(owns);
    }

    /// Adds an entry to the sums that are kept over all, or takes it from them.
    fn count(&mut self, place: Place, add: bool) {
        let entry = self.table.slot(place).entry();
        let one = |yes: bool| usize::from(yes);
        let (owners, bytes) = match entry.owns_memory() {
            true => (1, entry.vector_bytes()),
            false => (0, 0),
        };
        let (volatile, within) =
            (one(entry.expire_at().is_some()), one(entry.is_volatile_within()));
        let each = [
            (&mut self.owners, owners),
            (&mut self.vector_bytes, bytes),
            (&mut self.volatile, volatile),
            (&mut self.volatile_within, within),
        ];
        for (sum, change) in each {
            *sum = if add { *sum + change } else { *sum - change };
        }
    }

    /// To be called when the next deadline within a key's value has changed; `had` says whether there
    /// was one before.
    pub fn note_deadline_within<'k>(&mut self, key: impl AsKey<'k>, had: bool) {
        if let Some(place) = self.table.find(key.hashed(self.table.hasher())) {
            self.note_within(place, had);
        }
    }

    pub(super) fn note_within(&mut self, place: Place, had: bool) {
        let entry = self.table.slot(place).entry();
        self.volatile_within += usize::from(entry.is_volatile_within());
        self.volatile_within -= usize::from(had);
        self.note_deadline(place, entry.next_deadline());
    }

    /// Brings the expiry index up to an entry's next deadline.
    pub(super) fn note_deadline(&mut self, place: Place, deadline: Option<i64>) {
        let slot = self.table.slot(place);
        let after = deadline.map_or(0, |at| horizon(at.saturating_sub(self.now_ms)));
        if slot.horizon() != after {
            let slot = self.table.slot_mut(place);
            *slot = slot.with_horizon(after);
        }
        if let Some(at) = deadline {
            self.deadlines.add(place.segment, after, at);
        }
    }

    /// Leaves the segment as large as it was. A value with memory of its own comes back.
    pub(super) fn remove_at(&mut self, place: Place) -> Option<Value> {
        self.count(place, false);
        self.table.remove(place).destroy(&mut self.heap)
    }

    pub(super) fn shrink(&mut self, segment: usize) {
        let deadlines = &mut self.deadlines;
        self.table.shrink(segment, |into, from| deadlines.merge(into, from));
    }
}
