//! Walking a hash: from end to end, from a cursor on, or by chance. What is due is left out.

use std::collections::HashSet;

use super::{Encoding, Field, Hash, Pair, field};
use crate::types::listpack::Iter as Items;
use crate::types::members::{Place, Table};
use crate::types::sample::{below, sample};

/// One of the encodings' iterators.
enum Iter<'a, T> {
    Listpack(Items<'a>),
    Table(T),
}

impl<'a, T: Iterator<Item = &'a [u8]>> Iterator for Iter<'a, T> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        match self {
            Self::Listpack(items) => {
                let (field, value) = (items.next()?, items.next()?);
                Some(Pair { field, value, deadline: None })
            }
            Self::Table(records) => records.next().map(field::pair),
        }
    }
}

impl Hash {
    pub fn iter(&self, now_ms: i64) -> impl Iterator<Item = Pair<'_>> {
        let all = match &self.0 {
            Encoding::Listpack(list) => Iter::Listpack(list.iter()),
            Encoding::Table(table) => Iter::Table(table.iter()),
        };
        all.filter(move |pair| pair.is_live(now_ms))
    }

    /// Fields that are not due.
    pub fn live_len(&self, now_ms: i64) -> usize {
        match self.next_deadline() {
            Some(nearest) if nearest <= now_ms => self.iter(now_ms).count(),
            _ => self.len(),
        }
    }

    /// HSCAN: visits about `count` fields from the cursor on and returns where to go on, 0 at the
    /// end. A small hash is visited whole.
    pub fn scan(
        &self,
        cursor: u64,
        count: usize,
        now_ms: i64,
        mut visit: impl FnMut(Pair<'_>),
    ) -> u64 {
        match &self.0 {
            Encoding::Listpack(_) => {
                self.iter(now_ms).for_each(visit);
                0
            }
            Encoding::Table(table) => table.scan(cursor, count, |record| {
                let pair = field::pair(record);
                if pair.is_live(now_ms) {
                    visit(pair);
                }
            }),
        }
    }

    /// A field, each as likely as any other. `draw` gives random numbers.
    pub fn random(&self, now_ms: i64, mut draw: impl FnMut() -> u64) -> Option<Pair<'_>> {
        match &self.0 {
            Encoding::Listpack(list) => {
                let at = list.get(2 * below(draw(), self.len()) as isize)?;
                let value = list.item(list.next(at)?);
                Some(Pair { field: list.item(at), value, deadline: None })
            }
            Encoding::Table(table) => random_live(table, now_ms, draw).map(|(_, pair)| pair),
        }
    }

    /// `count` fields with repetition.
    pub fn random_many(
        &self,
        count: usize,
        now_ms: i64,
        mut draw: impl FnMut() -> u64,
        mut visit: impl FnMut(Pair<'_>),
    ) {
        // A listpack has no quick way to a place.
        let pairs: Vec<Pair<'_>> = match &self.0 {
            Encoding::Listpack(_) if count > 1 => self.iter(now_ms).collect(),
            _ => Vec::new(),
        };
        for _ in 0..count {
            if pairs.is_empty() {
                let Some(pair) = self.random(now_ms, &mut draw) else { return };
                visit(pair);
            } else {
                visit(pairs[below(draw(), pairs.len())]);
            }
        }
    }

    /// `count` different fields, or all.
    pub fn random_distinct(
        &self,
        count: usize,
        now_ms: i64,
        mut draw: impl FnMut() -> u64,
        mut visit: impl FnMut(Pair<'_>),
    ) {
        /// Below a third of a table, drawing is cheaper than a walk.
        const FEW: usize = 3;
        let has_due = self.next_deadline().is_some_and(|nearest| nearest <= now_ms);
        match &self.0 {
            Encoding::Table(table) if !has_due && count.saturating_mul(FEW) < table.len() => {
                let mut seen = HashSet::with_capacity(count);
                while seen.len() < count
                    && let Some((place, pair)) = random_live(table, now_ms, &mut draw)
                {
                    if seen.insert(place) {
                        visit(pair);
                    }
                }
            }
            _ => {
                let pairs = self.iter(now_ms);
                sample(pairs, self.live_len(now_ms), count, draw).for_each(visit);
            }
        }
    }
}

fn random_live(
    table: &Table<Field>,
    now_ms: i64,
    mut draw: impl FnMut() -> u64,
) -> Option<(Place, Pair<'_>)> {
    /// Due fields drawn before none is taken to be left, as in Valkey.
    const TRIES: usize = 100;
    (0..TRIES).find_map(|_| {
        let place = table.random(&mut draw)?;
        let pair = field::pair(table.record(place));
        pair.is_live(now_ms).then_some((place, pair))
    })
}
