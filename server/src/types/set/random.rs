//! Members by chance, each as likely as any other. `draw` gives random numbers.

use std::collections::HashSet;

use super::{Encoding, Set};
use crate::types::listpack::{Cursor, Item, Listpack};
use crate::types::members;
use crate::types::sample::{below, sample};

/// Where a member is. Valid until the set changes.
#[derive(Clone, Copy)]
enum Place {
    Index(usize),
    Cursor(Cursor),
    Table(members::Place),
}

impl Set {
    pub fn random(&self, draw: impl FnMut() -> u64) -> Option<Item<'_>> {
        Some(self.at(self.random_place(draw)?))
    }

    fn random_place(&self, mut draw: impl FnMut() -> u64) -> Option<Place> {
        if self.len() == 0 {
            return None;
        }
        match &self.0 {
            Encoding::Intset(ints) => Some(Place::Index(below(draw(), ints.len()))),
            Encoding::Listpack(list) => {
                list.get(below(draw(), list.len()) as isize).map(Place::Cursor)
            }
            Encoding::Table(table) => table.random(draw).map(Place::Table),
        }
    }

    fn at(&self, place: Place) -> Item<'_> {
        match (&self.0, place) {
            (Encoding::Intset(ints), Place::Index(index)) => {
                Item::Int(ints.get(index).unwrap_or(0))
            }
            (Encoding::Listpack(list), Place::Cursor(cursor)) => list.item(cursor),
            (Encoding::Table(table), Place::Table(place)) => Item::Bytes(table.record(place)),
            _ => unreachable!("a place is used on the set that gave it"),
        }
    }

    fn remove_at(&mut self, place: Place) {
        match (&mut self.0, place) {
            (Encoding::Intset(ints), Place::Index(index)) => {
                ints.get(index).inspect(|&int| _ = ints.remove(int));
            }
            (Encoding::Listpack(list), Place::Cursor(cursor)) => _ = list.remove(cursor),
            (Encoding::Table(table), Place::Table(place)) => table.remove(place),
            _ => unreachable!("a place is used on the set that gave it"),
        }
    }

    /// `count` members with repetition.
    pub fn random_many(
        &self,
        count: usize,
        mut draw: impl FnMut() -> u64,
        mut visit: impl FnMut(Item<'_>),
    ) {
        // A listpack has no quick way to a place.
        let items: Vec<Item<'_>> = match &self.0 {
            Encoding::Listpack(list) if count > 1 => list.iter().collect(),
            _ => Vec::new(),
        };
        for _ in 0..count {
            match items.is_empty() {
                true => self.random(&mut draw).into_iter().for_each(&mut visit),
                false => visit(items[below(draw(), items.len())]),
            }
        }
    }

    /// `count` different members, or all.
    pub fn random_distinct(
        &self,
        count: usize,
        mut draw: impl FnMut() -> u64,
        mut visit: impl FnMut(Item<'_>),
    ) {
        /// Below a third of a table, drawing is cheaper than a walk.
        const FEW: usize = 3;
        match &self.0 {
            Encoding::Table(table) if count.saturating_mul(FEW) < table.len() => {
                let mut seen = HashSet::with_capacity(count);
                while seen.len() < count
                    && let Some(place) = table.random(&mut draw)
                {
                    if seen.insert(place) {
                        visit(Item::Bytes(table.record(place)));
                    }
                }
            }
            _ => sample(self.iter(), self.len(), count, draw).for_each(visit),
        }
    }

    /// Takes `count` members out, or all.
    pub fn pop(
        &mut self,
        count: usize,
        mut draw: impl FnMut() -> u64,
        mut visit: impl FnMut(Item<'_>),
    ) {
        match &mut self.0 {
            Encoding::Table(_) => self.pop_each(count, draw, visit),
            _ if count == 1 => self.pop_each(count, draw, visit),
            // A removal moves all that follows, so many are taken in one walk.
            Encoding::Intset(ints) => {
                let taken: HashSet<i64> =
                    sample(ints.iter(), ints.len(), count, &mut draw).collect();
                taken.iter().for_each(|&int| visit(Item::Int(int)));
                *ints = ints.iter().filter(|int| !taken.contains(int)).collect();
            }
            Encoding::Listpack(list) => {
                let mut kept = Listpack::new();
                let len = list.len();
                let mut taken = sample(list.entries(), len, count, draw).peekable();
                for (cursor, item) in list.entries() {
                    if taken.next_if(|(next, _)| *next == cursor).is_some() {
                        visit(item);
                    } else {
                        match item {
                            Item::Int(int) => kept.push_back_int(int),
                            Item::Bytes(bytes) => kept.push_back(bytes),
                        }
                    }
                }
                drop(taken);
                *list = kept;
            }
        }
    }

    fn pop_each(
        &mut self,
        count: usize,
        mut draw: impl FnMut() -> u64,
        mut visit: impl FnMut(Item<'_>),
    ) {
        for _ in 0..count {
            let Some(place) = self.random_place(&mut draw) else { return };
            visit(self.at(place));
            self.remove_at(place);
        }
    }
}
