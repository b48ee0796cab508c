//! Saving a database as it was at one moment, while it changes.
//!
//! A walk shows the entries by and by. Whatever is about to change before its turn is saved first, and
//! what is newer than the snapshot is passed over; [`table`](super::table) knows which is which. While
//! none runs, all this costs one branch per change.
//!
//! **Big values** take the walk several steps: they are *begun*, and stay where they are meanwhile,
//! wherever their keys go. Collections see to it themselves that they are saved as they were when that
//! began ([`parts`](crate::types::parts)). A big value that is removed or overwritten before it is saved
//! is given away instead of being freed, so that nothing is copied. A big string that is edited in place
//! is copied whole.
//!
//! Not here: how an entry is written, and where to. That is the [`Saver`]'s.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{
    AsKey, Db, Entry, Value,
    db::Dropped,
    table::{Frontier, Place},
};
use crate::types::collection::Collection;
pub use crate::types::parts::Ticket;
use crate::types::string::StrRef;

/// What saves entries that cannot wait for the walk. `db` is the number that their database had when
/// the snapshot began.
pub trait Saver: Send {
    /// Saves an entry whole, now.
    fn save(&mut self, db: usize, entry: Entry<'_>);

    /// Notes all of an entry but its value, which follows in parts.
    fn begin(&mut self, db: usize, entry: Entry<'_>) -> Ticket;

    /// A value that was begun leaves the keyspace.
    fn give(&mut self, ticket: Ticket, value: Value);

    /// Another handle of the same.
    fn another(&self) -> Box<dyn Saver>;
}

/// A value that was begun, where it lies.
#[derive(Debug)]
pub enum Begun<'a> {
    String(&'a [u8]),
    Collection(&'a mut Collection),
}

/// How far a database is saved.
pub(super) struct Saving {
    /// Where the walk goes on; `None` at its end.
    frontier: Option<Frontier>,
    /// The database's number when that began.
    db: usize,
    saver: Box<dyn Saver>,
    /// Values that are being saved in parts, and whose they are.
    begun: BTreeMap<Ticket, Box<[u8]>>,
}

/// A longer string is saved in parts. Copying so much takes some 50 µs. (Tests have it shorter, so that
/// they meet it.)
const BIG_STRING: usize = if cfg!(test) { 600 } else { 256 * 1024 };

fn is_big(entry: Entry<'_>) -> bool {
    match entry.large_collection() {
        Some(collection) => collection.has_parts(),
        None => is_big_string(entry),
    }
}

fn is_big_string(entry: Entry<'_>) -> bool {
    entry.vector_bytes() > BIG_STRING
}

impl Db {
    /// From now on the content of this moment, when the database has the number `db`, can be saved.
    /// A snapshot before it is over.
    pub fn begin_save(&mut self, db: usize, saver: Box<dyn Saver>) {
        self.end_save();
        self.table.begin_epoch();
        let saving = Saving { frontier: Some(0), db, saver, begun: BTreeMap::new() };
        self.saving = Some(Box::new(saving));
    }

    /// Everything is saved, or nobody wants it any more.
    pub fn end_save(&mut self) {
        let Some(saving) = self.saving.take() else { return };
        for key in saving.begun.values() {
            if let Some(collection) = self.collection_mut(key) {
                collection.end_save();
            }
        }
    }

    fn collection_mut(&mut self, key: &[u8]) -> Option<&mut Collection> {
        let place = self.table.find(self.key(key))?;
        self.table.slot_mut(place).edit_collection()
    }

    /// The number that the database had when the running snapshot began.
    pub fn saved_as(&self) -> Option<usize> {
        self.saving.as_ref().map(|saving| saving.db)
    }

    /// Whether the walk has not come to its end.
    pub fn has_unsaved(&self) -> bool {
        self.saving.as_ref().is_some_and(|saving| saving.frontier.is_some())
    }

    /// Shows entries that are not saved yet, until `save` says that it is enough. Big values are not
    /// shown but begun, which ends the step.
    pub fn save_some(&mut self, mut save: impl FnMut(Entry<'_>) -> bool) {
        let Some(saving) = &mut self.saving else { return };
        let Some(frontier) = saving.frontier else { return };
        let mut big: Vec<Box<[u8]>> = Vec::new();
        saving.frontier = self.table.save_from(frontier, &mut |entry| {
            if is_big(entry) {
                big.push(entry.key().into());
                return false;
            }
            save(entry)
        });
        // The saver may be at work in it.
        drop(save);
        for key in big {
            let Some(place) = self.table.find(self.key(&key)) else { continue };
            self.begin_at(place);
        }
    }

    /// What takes the place of a database that is flushed: all in it will be newer than the snapshot,
    /// but for values that come from other databases.
    pub(super) fn saving_of_successor(&self) -> Option<Box<Saving>> {
        let Saving { db, saver, .. } = &**self.saving.as_ref()?;
        let (db, saver) = (*db, saver.another());
        Some(Box::new(Saving { frontier: None, db, saver, begun: BTreeMap::new() }))
    }

    /// Values that were begun and are still here.
    pub fn begun(&self) -> impl Iterator<Item = Ticket> {
        self.saving.iter().flat_map(|saving| saving.begun.keys().copied())
    }

    /// A value that was begun, unless it has left.
    pub fn begun_mut(&mut self, ticket: Ticket) -> Option<Begun<'_>> {
        let key = self.saving.as_ref()?.begun.get(&ticket)?;
        let place = self.table.find(self.key(key))?;
        if self.table.slot(place).entry().large_collection().is_some() {
            return self.table.slot_mut(place).edit_collection().map(Begun::Collection);
        }
        match self.table.slot(place).entry().string() {
            StrRef::Bytes(text) => Some(Begun::String(text)),
            StrRef::Int(_) => None,
        }
    }

    /// A value that was begun is saved.
    pub fn finish(&mut self, ticket: Ticket) {
        let Some(key) = self.saving.as_mut().and_then(|saving| saving.begun.remove(&ticket)) else {
            return;
        };
        if let Some(collection) = self.collection_mut(&key) {
            collection.end_save();
        }
    }

    // ── Before changes ──────────────────────────────────────────────────────────────────────

    /// To be called before an entry changes where it lies.
    #[inline]
    pub(super) fn before_change(&mut self, place: Place) {
        if self.saving.is_some() {
            self.save_before_change(place);
        }
    }

    /// To be called before an entry goes, or its value. A value with memory of its own then belongs to
    /// whom the ticket names: see [`Self::leave`].
    #[inline]
    pub(super) fn before_removal(&mut self, place: Place) -> Option<Ticket> {
        if self.saving.is_some() { self.save_before_removal(place) } else { None }
    }

    /// To be called for an entry that is new.
    #[inline]
    pub(super) fn after_insertion(&mut self, place: Place) {
        if self.saving.is_some() && self.is_unsaved(place) {
            self.table.settle(place);
        }
    }

    #[cold]
    fn save_before_change(&mut self, place: Place) {
        let entry = self.table.slot(place).entry();
        if self.is_unsaved(place) {
            // Collections keep what they were; strings do not.
            let keeps = entry.large_collection().is_some_and(Collection::has_parts);
            self.table.settle(place);
            if keeps { self.begin_at(place) } else { self.save_at(place) }
        } else if is_big_string(entry)
            && let Some(ticket) = self.take_begun(place)
        {
            let copy = self.table.slot(place).entry().to_value();
            self.give(ticket, copy);
        }
    }

    #[cold]
    fn save_before_removal(&mut self, place: Place) -> Option<Ticket> {
        if self.is_unsaved(place) {
            let is_big = is_big(self.table.slot(place).entry());
            self.table.settle(place);
            if is_big { self.begin_at(place) } else { self.save_at(place) }
        }
        self.take_begun(place)
    }

    fn save_at(&mut self, place: Place) {
        if let Some(saving) = &mut self.saving {
            saving.saver.save(saving.db, self.table.slot(place).entry());
        }
    }

    fn begin_at(&mut self, place: Place) {
        let Some(saving) = &mut self.saving else { return };
        let entry = self.table.slot(place).entry();
        let ticket = saving.saver.begin(saving.db, entry);
        saving.begun.insert(ticket, entry.key().into());
        if let Some(collection) = self.table.slot_mut(place).edit_collection() {
            collection.begin_save(ticket);
        }
    }

    fn is_unsaved(&self, place: Place) -> bool {
        let frontier = self.saving.as_ref().and_then(|saving| saving.frontier);
        frontier.is_some_and(|frontier| self.table.is_unsaved(place, frontier))
    }

    /// The ticket of an entry that was begun, whose value is about to leave.
    fn take_begun(&mut self, place: Place) -> Option<Ticket> {
        let begun = &mut self.saving.as_mut()?.begun;
        let entry = self.table.slot(place).entry();
        let ticket = match entry.large_collection() {
            Some(collection) => collection.ticket()?,
            None if begun.is_empty() || !is_big_string(entry) => return None,
            None => *begun.iter().find(|(_, key)| ***key == *entry.key())?.0,
        };
        begun.remove(&ticket).map(|_| ticket)
    }

    /// What is left of an entry that has gone: nothing, if its value is still to be saved.
    #[inline]
    pub(super) fn leave(&mut self, ticket: Option<Ticket>, value: Option<Value>) -> Dropped {
        match (ticket, value) {
            (Some(ticket), Some(value)) => {
                self.give(ticket, value);
                Dropped::of(None)
            }
            (_, value) => Dropped::of(value),
        }
    }

    fn give(&mut self, ticket: Ticket, value: Value) {
        if let Some(saving) = &mut self.saving {
            saving.saver.give(ticket, value);
        }
    }

    /// Has a value that was begun elsewhere saved from here on.
    pub(super) fn adopt<'k>(&mut self, ticket: Ticket, key: impl AsKey<'k>) {
        let key = self.key_of(key);
        if let Some(saving) = &mut self.saving {
            saving.begun.insert(ticket, key.bytes.into());
        }
    }
}
