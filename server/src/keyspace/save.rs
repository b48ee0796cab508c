//! Saving a database as it was at one moment, while it changes.
//!
//! A walk shows the entries by and by. Whatever is about to change before its turn is saved first, and
//! what is newer than the snapshot is passed over; [`table`](super::table) knows which is which. While
//! none runs, all this costs one branch per change.
//!
//! **Big strings** take the walk several steps; they stay where they are meanwhile. One that is removed
//! or overwritten before it is saved is given away instead of being freed, so that nothing is copied.
//! One that is edited in place is copied whole.
//!
//! Not here: how an entry is written, and where to. That is the [`Saver`]'s.

#[cfg(test)]
mod tests;

use super::{
    AsKey, Db, Entry, Value,
    db::Dropped,
    table::{Frontier, Place},
};

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

/// Names a big value that is being saved in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u32);

/// How far a database is saved.
pub(super) struct Saving {
    /// Where the walk goes on; `None` at its end.
    frontier: Option<Frontier>,
    /// The database's number when that began.
    db: usize,
    saver: Box<dyn Saver>,
    /// Values that are being saved in parts, and whose they are.
    begun: Vec<(Ticket, Box<[u8]>)>,
}

/// A longer string is saved in parts. Copying so much takes some 50 µs. (Tests have it shorter, so that
/// they meet it.)
const BIG_STRING: usize = if cfg!(test) { 600 } else { 256 * 1024 };

fn is_big(entry: Entry<'_>) -> bool {
    entry.vector_bytes() > BIG_STRING
}

impl Db {
    /// From now on the content of this moment, when the database has the number `db`, can be saved.
    /// A snapshot before it is over.
    pub fn begin_save(&mut self, db: usize, saver: Box<dyn Saver>) {
        self.end_save();
        self.table.begin_epoch();
        let saving = Saving { frontier: Some(0), db, saver, begun: Vec::new() };
        self.saving = Some(Box::new(saving));
    }

    /// Everything is saved, or nobody wants it any more.
    pub fn end_save(&mut self) {
        self.saving = None;
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
        Some(Box::new(Saving { frontier: None, db, saver, begun: Vec::new() }))
    }

    /// Values that were begun and are still here.
    pub fn begun(&self) -> impl Iterator<Item = Ticket> {
        let begun = self.saving.iter().flat_map(|saving| &saving.begun);
        begun.map(|(ticket, _)| *ticket)
    }

    /// The entry of a value that was begun, unless it has left.
    pub fn entry_begun(&self, ticket: Ticket) -> Option<Entry<'_>> {
        let saving = self.saving.as_ref()?;
        let (_, key) = saving.begun.iter().find(|(begun, _)| *begun == ticket)?;
        self.find(&**key)
    }

    /// A value that was begun is saved.
    pub fn finish(&mut self, ticket: Ticket) {
        if let Some(saving) = &mut self.saving {
            saving.begun.retain(|(begun, _)| *begun != ticket);
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
        if self.is_unsaved(place) {
            self.save_at(place);
        } else if let Some(ticket) = self.take_begun(place) {
            let copy = self.table.slot(place).entry().to_value();
            self.give(ticket, copy);
        }
    }

    #[cold]
    fn save_before_removal(&mut self, place: Place) -> Option<Ticket> {
        if self.is_unsaved(place) {
            if !is_big(self.table.slot(place).entry()) {
                self.save_at(place);
                return None;
            }
            self.table.settle(place);
            self.begin_at(place);
        }
        self.take_begun(place)
    }

    fn save_at(&mut self, place: Place) {
        self.table.settle(place);
        if let Some(saving) = &mut self.saving {
            saving.saver.save(saving.db, self.table.slot(place).entry());
        }
    }

    fn begin_at(&mut self, place: Place) {
        let Some(saving) = &mut self.saving else { return };
        let entry = self.table.slot(place).entry();
        let ticket = saving.saver.begin(saving.db, entry);
        saving.begun.push((ticket, entry.key().into()));
    }

    fn is_unsaved(&self, place: Place) -> bool {
        let frontier = self.saving.as_ref().and_then(|saving| saving.frontier);
        frontier.is_some_and(|frontier| self.table.is_unsaved(place, frontier))
    }

    /// The ticket of an entry that was begun, which is so no longer.
    fn take_begun(&mut self, place: Place) -> Option<Ticket> {
        let begun = &mut self.saving.as_mut()?.begun;
        let entry = self.table.slot(place).entry();
        if begun.is_empty() || !is_big(entry) {
            return None;
        }
        let nth = begun.iter().position(|(_, key)| **key == *entry.key())?;
        Some(begun.swap_remove(nth).0)
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
            saving.begun.push((ticket, key.bytes.into()));
        }
    }
}
