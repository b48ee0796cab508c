//! The set: integers in order while it is small and has nothing else ("intset"), short members one
//! behind the other ("listpack"), or a table ("hashtable"). It changes over as Valkey does, and never
//! back; the whole is 16 bytes in its key's entry.

pub mod algebra;
mod iter;
mod random;
#[cfg(test)]
mod tests;

use super::intset::Intset;
use super::listpack::{Item, Listpack};
use super::members::{Record, Table, hash};
use super::parts::{MANY, Part, Ticket};
use super::string::Digits;
use crate::number::parse_int;

/// When a set is too big for a compact encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `set-max-intset-entries`
    pub intset_entries: usize,
    /// `set-max-listpack-entries`
    pub listpack_entries: usize,
    /// `set-max-listpack-value`, in bytes
    pub listpack_value: usize,
}

#[derive(Clone, Debug)]
pub struct Set(Encoding);

#[derive(Clone, Debug)]
enum Encoding {
    Intset(Intset),
    Listpack(Listpack),
    Table(Box<Table<Member>>),
}

const _: () = assert!(size_of::<Set>() <= 16);

/// A member in the table: nothing but its bytes.
#[derive(Clone, Copy)]
pub struct Member;

impl Record for Member {
    #[inline]
    fn key(record: &[u8]) -> &[u8] {
        record
    }
}

/// What a set is made of, for whoever saves it.
#[derive(Clone, Copy)]
pub enum View<'a> {
    Intset(&'a Intset),
    Listpack(&'a Listpack),
    Table(&'a Table<Member>),
}

#[allow(clippy::len_without_is_empty)]
impl Set {
    /// An empty set for `first` and about `expected` members.
    pub fn new(first: &[u8], expected: usize, limits: &Limits) -> Self {
        if parse_int(first).is_some() && expected <= limits.intset_entries {
            Self(Encoding::Intset(Intset::new()))
        } else if expected <= limits.listpack_entries {
            Self(Encoding::Listpack(Listpack::new()))
        } else {
            Self(Encoding::Table(Box::default()))
        }
    }

    pub fn of_intset(intset: Intset) -> Self {
        Self(Encoding::Intset(intset))
    }

    /// Of members that are all different.
    pub fn of_listpack(listpack: Listpack) -> Self {
        Self(Encoding::Listpack(listpack))
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Intset(ints) => ints.len(),
            Encoding::Listpack(list) => list.len(),
            Encoding::Table(table) => table.len(),
        }
    }

    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Encoding::Intset(_) => "intset",
            Encoding::Listpack(_) => "listpack",
            Encoding::Table(_) => "hashtable",
        }
    }

    pub fn view(&self) -> View<'_> {
        match &self.0 {
            Encoding::Intset(ints) => View::Intset(ints),
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
            Encoding::Intset(ints) => ints.memory_bytes(),
            Encoding::Listpack(list) => list.memory_bytes(),
            Encoding::Table(table) => table.memory_bytes(),
        }
    }

    pub fn free_effort(&self) -> usize {
        match &self.0 {
            Encoding::Table(table) => table.free_effort(),
            _ => 1,
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
            Encoding::Table(table) => table.save_part(most, |member| visit(Part::Member(member))),
            _ => false,
        }
    }

    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Encoding::Intset(ints) => parse_int(member).is_some_and(|int| ints.contains(int)),
            Encoding::Listpack(list) => find(list, member).is_some(),
            Encoding::Table(table) => table.contains(member),
        }
    }

    /// The same for a member of another set.
    pub fn contains_item(&self, member: Item<'_>) -> bool {
        match (&self.0, member) {
            (Encoding::Intset(ints), Item::Int(int)) => ints.contains(int),
            _ => self.contains(member.write_to(&mut Digits::new())),
        }
    }

    // ── Change ──────────────────────────────────────────────────────────────────────────────

    /// Before `expected` members are put in: changes over at once where they will be too many.
    pub fn expect(&mut self, expected: usize, limits: &Limits) {
        let too_many = match &self.0 {
            Encoding::Intset(_) => expected > limits.intset_entries,
            Encoding::Listpack(_) => expected > limits.listpack_entries,
            Encoding::Table(_) => false,
        };
        if too_many {
            self.become_table();
        }
    }

    /// Whether the member is new.
    #[inline]
    pub fn insert(&mut self, member: &[u8], limits: &Limits) -> bool {
        match &mut self.0 {
            Encoding::Table(table) => insert(table, member),
            Encoding::Listpack(list) => {
                if find(list, member).is_some() {
                    return false;
                }
                if list.len() < limits.listpack_entries && limits.takes(list, member) {
                    list.push_back(member);
                } else {
                    insert(self.become_table(), member);
                }
                true
            }
            Encoding::Intset(ints) => match parse_int(member) {
                Some(int) => {
                    let is_new = ints.insert(int);
                    if is_new && ints.len() > limits.intset_entries.min(MAX_INTSET) {
                        self.become_table();
                    }
                    is_new
                }
                None => {
                    self.leave_integers(member, limits);
                    true
                }
            },
        }
    }

    /// The same for a member of another set.
    pub fn insert_item(&mut self, member: Item<'_>, limits: &Limits) -> bool {
        self.insert(member.write_to(&mut Digits::new()), limits)
    }

    /// Whether the member was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Encoding::Intset(ints) => parse_int(member).is_some_and(|int| ints.remove(int)),
            Encoding::Listpack(list) => {
                let found = find(list, member);
                found.inspect(|&cursor| _ = list.remove(cursor)).is_some()
            }
            Encoding::Table(table) => {
                let found = table.find(hash(member), member).map(|(place, _)| place);
                found.inspect(|place| table.remove(*place)).is_some()
            }
        }
    }

    /// An intset gets its first member that is no integer.
    fn leave_integers(&mut self, member: &[u8], limits: &Limits) {
        let Encoding::Intset(ints) = &self.0 else { return };
        let ends = [ints.get(0), ints.len().checked_sub(1).and_then(|last| ints.get(last))];
        let longest = ends.into_iter().flatten().map(|int| Item::Int(int).text_len()).max();
        if ints.len() < limits.listpack_entries
            && longest.is_none_or(|len| len <= limits.listpack_value)
            && member.len() <= limits.listpack_value
        {
            let mut list = Listpack::new();
            ints.iter().for_each(|int| list.push_back_int(int));
            list.push_back(member);
            self.0 = Encoding::Listpack(list);
        } else {
            insert(self.become_table(), member);
        }
    }

    fn become_table(&mut self) -> &mut Table<Member> {
        if !matches!(self.0, Encoding::Table(_)) {
            let mut table = Box::<Table<Member>>::default();
            for member in self.iter() {
                insert(&mut table, member.write_to(&mut Digits::new()));
            }
            self.0 = Encoding::Table(table);
        }
        let Encoding::Table(table) = &mut self.0 else { unreachable!("it is one now") };
        table
    }

    /// SINTERSTORE: a result of integers only is kept as such, if it is not too big.
    pub fn become_intset_if_possible(&mut self, limits: &Limits) {
        if matches!(self.0, Encoding::Intset(_))
            || self.len() > limits.intset_entries.min(MAX_INTSET)
        {
            return;
        }
        if let Some(ints) = self.iter().map(Item::as_int).collect::<Option<Vec<i64>>>() {
            self.0 = Encoding::Intset(ints.into_iter().collect());
        }
    }
}

/// Whatever `set-max-intset-entries` says.
const MAX_INTSET: usize = 1 << 30;

impl Limits {
    fn takes(&self, list: &Listpack, member: &[u8]) -> bool {
        member.len() <= self.listpack_value && list.fits(member.len())
    }
}

fn find(list: &Listpack, member: &[u8]) -> Option<super::listpack::Cursor> {
    list.find(member, list.first()?, 1)
}

/// Whether the member is new.
#[inline]
fn insert(table: &mut Table<Member>, member: &[u8]) -> bool {
    let hash = hash(member);
    let is_new = table.find(hash, member).is_none();
    if is_new {
        table.insert(hash, &[member]);
    }
    is_new
}

/// Of the same members.
impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.contains_item(member))
    }
}
