//! Walking a set: from end to end, or from a cursor on.

use super::{Encoding, Set};
use crate::types::listpack::Item;

/// One of the encodings' iterators.
enum Iter<I, L, T> {
    Intset(I),
    Listpack(L),
    Table(T),
}

impl<'a, I, L, T> Iterator for Iter<I, L, T>
where
    I: Iterator<Item = i64>,
    L: Iterator<Item = Item<'a>>,
    T: Iterator<Item = &'a [u8]>,
{
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            Self::Intset(ints) => ints.next().map(Item::Int),
            Self::Listpack(items) => items.next(),
            Self::Table(members) => members.next().map(Item::Bytes),
        }
    }
}

impl Set {
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        match &self.0 {
            Encoding::Intset(ints) => Iter::Intset(ints.iter()),
            Encoding::Listpack(list) => Iter::Listpack(list.iter()),
            Encoding::Table(table) => Iter::Table(table.iter()),
        }
    }

    /// SSCAN: visits about `count` members from the cursor on and returns where to go on, 0 at the
    /// end. A small set is visited whole.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Item<'_>)) -> u64 {
        match &self.0 {
            Encoding::Table(table) => {
                table.scan(cursor, count, |member| visit(Item::Bytes(member)))
            }
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }
}
