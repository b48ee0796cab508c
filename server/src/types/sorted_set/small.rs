//! The small encoding: a listpack of members, each followed by its score, in order. Scores are kept
//! as Valkey keeps them: integers where they are whole, else their shortest text.

use crate::number;
use crate::types::listpack::{Corrupt, Cursor, Entries, Item, Listpack, are_distinct};
use crate::types::string::Digits;

#[derive(Clone, Debug, Default)]
pub(super) struct Small(Listpack);

/// Elements of the listpack to a pair.
const PAIR: usize = 2;

impl Small {
    pub(super) fn len(&self) -> usize {
        self.0.len() / PAIR
    }

    pub(super) fn of_pairs(listpack: Listpack) -> Self {
        Self(listpack)
    }

    /// Members that are all different, each with a score.
    pub(super) fn checked(listpack: Listpack) -> Result<Self, Corrupt> {
        let is_score = |item: Item<'_>| match item {
            Item::Int(_) => true,
            Item::Bytes(text) => number::parse_float(text).is_some(),
        };
        let paired = listpack.len().is_multiple_of(PAIR);
        let scored = listpack.iter().skip(1).step_by(PAIR).all(is_score);
        if paired && scored && are_distinct(listpack.iter().step_by(PAIR)) {
            Ok(Self(listpack))
        } else {
            Err(Corrupt)
        }
    }

    pub(super) fn is_sorted(&self) -> bool {
        let before = |a: &(Item<'_>, f64), b: &(Item<'_>, f64)| {
            let (mut x, mut y) = (Digits::new(), Digits::new());
            a.1 < b.1 || a.1 == b.1 && a.0.write_to(&mut x) < b.0.write_to(&mut y)
        };
        self.pairs().is_sorted_by(before)
    }

    pub(super) fn as_listpack(&self) -> &Listpack {
        &self.0
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }

    /// Whether a member of this length can be added.
    pub(super) fn fits(&self, member_len: usize) -> bool {
        const HEADERS_AND_SCORE: usize = 64;
        self.0.fits(member_len.saturating_add(HEADERS_AND_SCORE))
    }

    pub(super) fn pairs(&self) -> Pairs<'_> {
        Pairs(self.0.entries())
    }

    fn find(&self, member: &[u8]) -> Option<Cursor> {
        self.0.find(member, self.0.first()?, PAIR)
    }

    fn score_behind(&self, member: Cursor) -> f64 {
        self.0.next(member).map_or(0.0, |score| read(self.0.item(score)))
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|at| self.score_behind(at))
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let found = |(_, (_, (item, score))): (usize, (Cursor, (Item<'_>, f64)))| {
            (item == *member).then_some(score)
        };
        let mut pairs = self.pairs().located().enumerate();
        pairs.find_map(|pair| Some((pair.0, found(pair)?)))
    }

    /// Puts in a member that is not there.
    pub(super) fn insert(&mut self, score: f64, member: &[u8]) {
        let Some(at) = self.first_behind(score, member) else {
            self.0.push_back(member);
            return match whole(score) {
                Some(whole) => self.0.push_back_int(whole),
                None => self.0.push_back(number::DoubleText::new(score).as_bytes()),
            };
        };
        let at = self.0.insert_before(at, member);
        match whole(score) {
            Some(whole) => self.0.insert_after_int(at, whole),
            None => self.0.insert_after(at, number::DoubleText::new(score).as_bytes()),
        };
    }

    fn first_behind(&self, score: f64, member: &[u8]) -> Option<Cursor> {
        let mut digits = Digits::new();
        let mut is_behind = |(item, other): (Item<'_>, f64)| {
            other > score || (other == score && item.write_to(&mut digits) > member)
        };
        // What is added in order goes to the end.
        if !self.pairs().next_back().is_some_and(&mut is_behind) {
            return None;
        }
        self.pairs().located().find(|(_, pair)| is_behind(*pair)).map(|(at, _)| at)
    }

    pub(super) fn set_score(&mut self, member: &[u8], score: f64) {
        if self.remove(member).is_some() {
            self.insert(score, member);
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.find(member)?;
        let score = self.score_behind(at);
        self.0.remove_range(at, PAIR);
        Some(score)
    }

    pub(super) fn remove_ranks(&mut self, from: usize, count: usize) {
        let from = self.pairs().located().nth(from).map(|(at, _)| at);
        if let Some(at) = from {
            self.0.remove_range(at, count.saturating_mul(PAIR));
        }
    }
}

/// The score as an integer, where Valkey keeps it as one.
fn whole(score: f64) -> Option<i64> {
    const LIMIT: f64 = (i64::MAX / 2) as f64;
    let whole = score as i64;
    (score.abs() <= LIMIT && whole as f64 == score).then_some(whole)
}

fn read(item: Item<'_>) -> f64 {
    match item {
        Item::Int(int) => int as f64,
        Item::Bytes(text) => number::parse_float(text).unwrap_or(0.0),
    }
}

/// Pairs in order, from either end.
#[derive(Clone)]
pub(super) struct Pairs<'a>(Entries<'a>);

impl<'a> Pairs<'a> {
    /// The pairs with their places.
    fn located(mut self) -> impl Iterator<Item = (Cursor, (Item<'a>, f64))> {
        std::iter::from_fn(move || {
            let (at, member) = self.0.next()?;
            let (_, score) = self.0.next()?;
            Some((at, (member, read(score))))
        })
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (_, member) = self.0.next()?;
        let (_, score) = self.0.next()?;
        Some((member, read(score)))
    }

    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        if n > 0 {
            self.0.nth(n * PAIR - 1)?;
        }
        self.next()
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let (_, score) = self.0.next_back()?;
        let (_, member) = self.0.next_back()?;
        Some((member, read(score)))
    }

    fn nth_back(&mut self, n: usize) -> Option<Self::Item> {
        if n > 0 {
            self.0.nth_back(n * PAIR - 1)?;
        }
        self.next_back()
    }
}
