//! The sorted set: members with scores, in order of (score, member). Equal scores order members by
//! their bytes. A score is never NaN.
//!
//! Small ones are a listpack, `small`; large ones a counted B+tree with an index, `large`. Ranges by
//! score and by member are ranges of ranks, found in O(log n).

mod bounds;
mod large;
mod small;

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use super::listpack::{Corrupt, Listpack};
use super::parts::{MANY, Part, Ticket};
use super::string::Digits;
use large::Large;
use small::Small;

pub use super::listpack::Item;
pub use bounds::{LexBound, LexRange, ScoreRange};

#[derive(Clone)]
pub struct SortedSet(Encoding);

#[derive(Clone)]
enum Encoding {
    Small(Small),
    Large(Box<Large>),
}

const _: () = assert!(size_of::<SortedSet>() <= 16);

/// How much a small one may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_entries: usize,
    pub max_member_len: usize,
}

impl Limits {
    fn allow(&self, entries: usize, member_len: usize) -> bool {
        entries <= self.max_entries && member_len <= self.max_member_len
    }
}

/// What [`SortedSet::change`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Nothing was to be done.
    None,
    /// The member has the score that it had before.
    Same(f64),
    Added(f64),
    Updated(f64),
}

/// Puts pairs in the order of a sorted set. Zeros are equal, whatever their sign.
pub fn put_in_order(pairs: &mut [(Vec<u8>, f64)]) {
    let by_score = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    pairs.sort_unstable_by(|a, b| by_score(a.1, b.1).then_with(|| a.0.cmp(&b.0)));
}

#[expect(clippy::len_without_is_empty, reason = "an empty sorted set is never kept")]
impl SortedSet {
    pub fn new() -> Self {
        Self(Encoding::Small(Small::default()))
    }

    /// An empty one, for so many members that are up to so long.
    pub fn for_members(limits: &Limits, entries: usize, member_len: usize) -> Self {
        let mut set = Self::new();
        set.prepare(limits, entries, member_len);
        set
    }

    /// Changes the encoding if so many members alone would.
    pub fn prepare(&mut self, limits: &Limits, entries: usize, member_len: usize) {
        if !limits.allow(entries, member_len) {
            self.enlarge();
        }
    }

    /// From members that are all different, in any order.
    pub fn from_members(limits: &Limits, mut pairs: Vec<(Vec<u8>, f64)>) -> Self {
        let longest = pairs.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
        let mut set = Self::for_members(limits, pairs.len(), longest);
        put_in_order(&mut pairs);
        for (member, score) in &pairs {
            set.insert_new(*score, member, limits);
        }
        set
    }

    /// From a listpack of members and scores in turn, each of which is checked. Members are put in
    /// order if they are not.
    pub fn of_listpack(listpack: Listpack, limits: &Limits) -> Result<Self, Corrupt> {
        let small = Small::checked(listpack)?;
        if !small.is_sorted() {
            let pairs = small.pairs().map(|(member, score)| (member.to_vec(), score)).collect();
            return Ok(Self::from_members(limits, pairs));
        }
        let entries = small.len();
        let mut set = Self(Encoding::Small(small));
        set.prepare(limits, entries, 0);
        Ok(set)
    }

    /// From a listpack of members, each followed by its score, in order.
    pub(crate) fn of_pairs(listpack: Listpack) -> Self {
        Self(Encoding::Small(Small::of_pairs(listpack)))
    }

    /// The listpack that a small one is.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.0 {
            Encoding::Small(small) => Some(small.as_listpack()),
            Encoding::Large(_) => None,
        }
    }

    /// Places in the index of a large one.
    pub fn table_slots(&self) -> Option<usize> {
        match &self.0 {
            Encoding::Small(_) => None,
            Encoding::Large(large) => Some(large.slots()),
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Small(small) => small.len(),
            Encoding::Large(large) => large.len(),
        }
    }

    /// As OBJECT ENCODING names it.
    pub fn encoding(&self) -> &'static str {
        match self.0 {
            Encoding::Small(_) => "listpack",
            Encoding::Large(_) => "skiplist",
        }
    }

    pub fn memory_bytes(&self) -> usize {
        match &self.0 {
            Encoding::Small(small) => small.memory_bytes(),
            Encoding::Large(large) => large.memory_bytes(),
        }
    }

    pub fn free_effort(&self) -> usize {
        match &self.0 {
            Encoding::Small(_) => 1,
            Encoding::Large(large) => large.allocations(),
        }
    }

    // ── Saving ──────────────────────────────────────────────────────────────────────────────

    /// Whether it is to be saved in parts.
    pub(super) fn has_parts(&self) -> bool {
        matches!(&self.0, Encoding::Large(large) if large.len() >= MANY)
    }

    pub(super) fn begin_save(&mut self, ticket: Ticket) {
        if let Encoding::Large(large) = &mut self.0 {
            large.begin_save(ticket);
        }
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        match &self.0 {
            Encoding::Large(large) => large.ticket(),
            _ => None,
        }
    }

    pub(super) fn end_save(&mut self) {
        if let Encoding::Large(large) = &mut self.0 {
            large.end_save();
        }
    }

    /// Visits about `most` elements that are not saved yet. Whether there may be others.
    pub(super) fn save_part(&mut self, most: usize, visit: &mut dyn FnMut(Part<'_>)) -> bool {
        match &mut self.0 {
            Encoding::Large(large) => large.save_part(most, |member, score| {
                visit(Part::Scored { member, score });
            }),
            _ => false,
        }
    }

    // ── One member ──────────────────────────────────────────────────────────────────────────

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Encoding::Small(small) => small.score(member),
            Encoding::Large(large) => large.score(member),
        }
    }

    /// How many come before the member, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Encoding::Small(small) => small.rank(member),
            Encoding::Large(large) => large.rank(member),
        }
    }

    /// Gives `member` the score that `decide` makes of its present one, if there is one.
    pub fn change<E>(
        &mut self,
        member: &[u8],
        limits: &Limits,
        decide: impl FnOnce(Option<f64>) -> Result<Option<f64>, E>,
    ) -> Result<Change, E> {
        let (old, place) = match &self.0 {
            Encoding::Small(small) => (small.score(member), None),
            Encoding::Large(large) => {
                let place = large.find(member);
                (place.map(|place| place.score), place)
            }
        };
        let Some(new) = decide(old)? else { return Ok(Change::None) };
        debug_assert!(!new.is_nan());
        Ok(match old {
            None => {
                self.insert_new(new, member, limits);
                Change::Added(new)
            }
            Some(old) if old == new => Change::Same(new),
            Some(_) => {
                match (&mut self.0, place) {
                    (Encoding::Large(large), Some(place)) => large.set_score(place, new, member),
                    (Encoding::Small(small), _) => small.set_score(member, new),
                    (Encoding::Large(_), None) => {}
                }
                Change::Updated(new)
            }
        })
    }

    /// Sets a member's score, new or not.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Change {
        let decide = |_| Ok::<_, std::convert::Infallible>(Some(score));
        let Ok(change) = self.change(member, limits, decide);
        change
    }

    fn insert_new(&mut self, score: f64, member: &[u8], limits: &Limits) {
        if let Encoding::Small(small) = &self.0
            && !(limits.allow(small.len() + 1, member.len()) && small.fits(member.len()))
        {
            self.enlarge();
        }
        match &mut self.0 {
            Encoding::Small(small) => small.insert(score, member),
            Encoding::Large(large) => large.insert(score, member),
        }
    }

    fn enlarge(&mut self) {
        let Encoding::Small(small) = &self.0 else { return };
        let mut large = Large::new();
        let mut digits = Digits::new();
        for (member, score) in small.pairs() {
            large.insert(score, member.write_to(&mut digits));
        }
        self.0 = Encoding::Large(Box::new(large));
    }

    /// Removes a member; the score it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Encoding::Small(small) => small.remove(member),
            Encoding::Large(large) => large.remove(member),
        }
    }

    // ── Many members ────────────────────────────────────────────────────────────────────────

    /// The ranks of the scores in a range; empty, wherever that is, if there are none.
    pub fn ranks_by_score(&self, range: &ScoreRange) -> Range<usize> {
        let start = self.count_before(|score, _| range.is_below(score));
        let end = self.count_before(|score, _| range.reaches(score));
        start..end.max(start)
    }

    /// The same of the members in a range.
    pub fn ranks_by_lex(&self, range: &LexRange<'_>) -> Range<usize> {
        let start = self.count_before(|_, member| range.is_below(member));
        let end = self.count_before(|_, member| range.reaches(member));
        start..end.max(start)
    }

    fn count_before(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        match &self.0 {
            Encoding::Small(small) => {
                let mut digits = Digits::new();
                let mut pairs = small.pairs();
                let behind =
                    |(member, score): (Item<'_>, f64)| !before(score, member.write_to(&mut digits));
                pairs.position(behind).unwrap_or(small.len())
            }
            Encoding::Large(large) => large.count_before(before),
        }
    }

    /// All members, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// The members of some ranks, which may be more than there are.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let len = ranks.end.min(self.len()).saturating_sub(ranks.start);
        match &self.0 {
            Encoding::Small(small) => {
                let mut pairs = small.pairs();
                if let Some(skipped) = ranks.start.checked_sub(1) {
                    pairs.nth(skipped);
                }
                let behind = small.len().saturating_sub(ranks.start + len);
                if let Some(skipped) = behind.checked_sub(1)
                    && len > 0
                {
                    pairs.nth_back(skipped);
                }
                Iter(Inner::Small(pairs, len))
            }
            Encoding::Large(large) => Iter(Inner::Large(large.range(ranks.start, len))),
        }
    }

    /// The member of a rank.
    pub fn get(&self, rank: usize) -> Option<(Item<'_>, f64)> {
        self.range(rank..rank.checked_add(1)?).next()
    }

    pub fn remove_range(&mut self, ranks: Range<usize>) {
        let count = ranks.end.min(self.len()).saturating_sub(ranks.start);
        if count == 0 {
            return;
        }
        match &mut self.0 {
            Encoding::Small(small) => small.remove_ranks(ranks.start, count),
            Encoding::Large(large) => large.remove_ranks(ranks.start, count),
        }
    }

    /// Visits about `count` members from `cursor` on, or all of a small one; the next cursor, 0 at
    /// the end. A member that stays from the first cursor to the last is visited exactly once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match &self.0 {
            Encoding::Small(small) => {
                let mut digits = Digits::new();
                small.pairs().for_each(|(item, score)| visit(item.write_to(&mut digits), score));
                0
            }
            Encoding::Large(large) => large.scan(cursor, count, visit),
        }
    }
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for SortedSet {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for SortedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Members with their scores, from either end.
#[derive(Clone)]
pub struct Iter<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    Small(small::Pairs<'a>, usize),
    Large(large::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Inner::Small(pairs, left) => {
                *left = left.checked_sub(1)?;
                pairs.next()
            }
            Inner::Large(pairs) => pairs.next().map(|(member, score)| (Item::Bytes(member), score)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Inner::Small(_, left) => (*left, Some(*left)),
            Inner::Large(pairs) => pairs.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Inner::Small(pairs, left) => {
                *left = left.checked_sub(1)?;
                pairs.next_back()
            }
            Inner::Large(pairs) => {
                pairs.next_back().map(|(member, score)| (Item::Bytes(member), score))
            }
        }
    }
}

#[cfg(test)]
mod tests;
