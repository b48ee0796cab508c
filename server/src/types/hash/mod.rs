//! The hash: fields and values in turn while they are few and short ("listpack"), or a table
//! ("hashtable"). It changes over as Valkey does, and never back; the whole is 16 bytes in its key's
//! entry.
//!
//! Fields of the table may have a deadline. Nothing here knows the time: `now_ms` says from when on
//! a field is due, and what is due is hidden from everything but `len`, until it is removed
//! ([`Hash::remove_due`]).

mod change;
mod field;
mod iter;
#[cfg(test)]
mod tests;

use super::listpack::{Cursor, Item, Listpack};
use super::members::Table;
use super::parts::{MANY, Part, Ticket};

pub use change::{Put, Ttl};
pub use field::Field;

/// When a hash is too big for a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `hash-max-listpack-entries`, in fields
    pub listpack_entries: usize,
    /// `hash-max-listpack-value`, in bytes
    pub listpack_value: usize,
}

/// `now_ms` for whoever sees due fields, too.
pub const SHOW_DUE: i64 = i64::MIN;

#[derive(Clone, Debug)]
pub struct Hash(Encoding);

#[derive(Clone, Debug)]
enum Encoding {
    Listpack(Listpack),
    Table(Box<Table<Field>>),
}

const _: () = assert!(size_of::<Hash>() <= 16);

/// A field with its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair<'a> {
    pub field: Item<'a>,
    pub value: Item<'a>,
    pub deadline: Option<i64>,
}

impl Pair<'_> {
    fn is_live(&self, now_ms: i64) -> bool {
        self.deadline.is_none_or(|deadline| deadline > now_ms)
    }
}

/// What a hash is made of, for whoever saves it.
#[derive(Clone, Copy)]
pub enum View<'a> {
    Listpack(&'a Listpack),
    Table(&'a Table<Field>),
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(clippy::len_without_is_empty)]
impl Hash {
    pub const fn new() -> Self {
        Self(Encoding::Listpack(Listpack::new()))
    }

    /// Of fields and values in turn, the fields all different.
    pub fn of_listpack(listpack: Listpack) -> Self {
        Self(Encoding::Listpack(listpack))
    }

    /// Fields, those due but not yet removed among them.
    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Listpack(list) => list.len() / 2,
            Encoding::Table(table) => table.len(),
        }
    }

    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Encoding::Listpack(_) => "listpack",
            Encoding::Table(_) => "hashtable",
        }
    }

    pub fn view(&self) -> View<'_> {
        match &self.0 {
            Encoding::Listpack(list) => View::Listpack(list),
            Encoding::Table(table) => View::Table(table),
        }
    }

    /// Places in its table; `None` if it is none.
    pub fn table_slots(&self) -> Option<usize> {
        match &self.0 {
            Encoding::Table(table) => Some(table.slots()),
            _ => None,
        }
    }

    pub fn memory_bytes(&self) -> usize {
        match &self.0 {
            Encoding::Listpack(list) => list.memory_bytes(),
            Encoding::Table(table) => table.memory_bytes(),
        }
    }

    pub fn free_effort(&self) -> usize {
        match &self.0 {
            Encoding::Listpack(_) => 1,
            Encoding::Table(table) => table.free_effort(),
        }
    }

    // ── Saving ──────────────────────────────────────────────────────────────────────────────

    /// Whether it is to be saved in parts.
    pub(super) fn has_parts(&self) -> bool {
        matches!(&self.0, Encoding::Table(table) if table.len() >= MANY)
    }

    pub(super) fn begin_save(&mut self, ticket: Ticket) {
        if let Encoding::Table(table) = &mut self.0 {
            table.begin_save(ticket);
        }
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        match &self.0 {
            Encoding::Table(table) => table.ticket(),
            _ => None,
        }
    }

    pub(super) fn end_save(&mut self) {
        if let Encoding::Table(table) = &mut self.0 {
            table.end_save();
        }
    }

    /// Visits about `most` elements that are not saved yet. Whether there may be others.
    pub(super) fn save_part(&mut self, most: usize, visit: &mut dyn FnMut(Part<'_>)) -> bool {
        match &mut self.0 {
            Encoding::Table(table) => table.save_part(most, |record| {
                let (field, deadline, value) = field::parse(record);
                visit(Part::Pair { field, value, deadline });
            }),
            _ => false,
        }
    }

    // ── Reading ─────────────────────────────────────────────────────────────────────────────

    #[inline]
    pub fn get(&self, field: &[u8], now_ms: i64) -> Option<Item<'_>> {
        match &self.0 {
            Encoding::Listpack(list) => find(list, field).map(|(_, value)| list.item(value)),
            Encoding::Table(table) => {
                let record = table.get(field)?;
                let (_, deadline, value) = field::parse(record);
                deadline.is_none_or(|at| at > now_ms).then_some(Item::Bytes(value))
            }
        }
    }

    pub fn contains(&self, field: &[u8], now_ms: i64) -> bool {
        self.get(field, now_ms).is_some()
    }

    /// When a field is due; `None` if it is not there.
    pub fn deadline(&self, field: &[u8], now_ms: i64) -> Option<Option<i64>> {
        match &self.0 {
            Encoding::Listpack(list) => find(list, field).map(|_| None),
            Encoding::Table(table) => {
                let (_, deadline, _) = field::parse(table.get(field)?);
                deadline.is_none_or(|at| at > now_ms).then_some(deadline)
            }
        }
    }

    /// No field is due before this; `None` without deadlines.
    pub fn next_deadline(&self) -> Option<i64> {
        match &self.0 {
            Encoding::Listpack(_) => None,
            Encoding::Table(table) => table.next_deadline(),
        }
    }
}

/// The places of a field and its value.
#[inline]
fn find(list: &Listpack, field: &[u8]) -> Option<(Cursor, Cursor)> {
    let field = list.find(field, list.first()?, 2)?;
    Some((field, list.next(field)?))
}

/// Of the same fields, values and deadlines.
impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        let same = |pair: Pair<'_>| {
            let field = pair.field.to_vec();
            other.get(&field, SHOW_DUE) == Some(pair.value)
                && other.deadline(&field, SHOW_DUE) == Some(pair.deadline)
        };
        self.len() == other.len() && self.iter(SHOW_DUE).all(same)
    }
}
