//! The large encoding: a counted B+tree of the pairs, and an index from members to its leaves. A
//! member is kept once, in its leaf; the index is 9 bytes for each.
//!
//! Nothing here is ever resized as a whole: leaves and inner nodes split alone, and so do the
//! index' segments.

mod arena;
mod index;
mod run;
mod scores;
mod tree;

use index::{Index, hash};
use run::Run;
use tree::Tree;

use crate::types::parts::Ticket;

#[derive(Clone, Debug)]
pub(super) struct Large {
    tree: Tree,
    index: Index,
}

/// A member in the tree.
#[derive(Clone, Copy)]
pub(super) struct Place {
    leaf: u32,
    at: usize,
    pub(super) score: f64,
}

impl Large {
    pub(super) fn new() -> Self {
        Self { tree: Tree::new(), index: Index::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    pub(super) fn slots(&self) -> usize {
        self.index.slots()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.tree.used_bytes() + self.index.used_bytes()
    }

    pub(super) fn allocations(&self) -> usize {
        self.tree.allocations() + self.index.allocations()
    }

    #[inline]
    pub(super) fn find(&self, member: &[u8]) -> Option<Place> {
        let verify = |leaf| self.tree.run(leaf).position(member);
        let (leaf, at) = self.index.find(hash(member), verify)?;
        Some(Place { leaf, at, score: self.tree.run(leaf).score(at) })
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|place| place.score)
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.tree.rank(&self.tree.seek_pair(score, member)), score))
    }

    /// Puts in a member that is not there.
    pub(super) fn insert(&mut self, score: f64, member: &[u8]) {
        self.tree.insert(score, member, &mut self.index);
    }

    /// Changes the score of the member at `place`.
    pub(super) fn set_score(&mut self, place: Place, score: f64, member: &[u8]) {
        let Place { leaf, at, score: old } = place;
        let to = self.tree.run(leaf).place(0, score, member);
        let last = self.tree.run(leaf).len();
        // Between two pairs of the leaf, one of which may be the member itself.
        if 0 < to && to < last {
            let to = to - usize::from(at < to);
            return self.tree.move_within(leaf, at, to, score, member);
        }
        self.remove_pair(old, member);
        self.insert(score, member);
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.score(member)?;
        self.remove_pair(score, member);
        Some(score)
    }

    fn remove_pair(&mut self, score: f64, member: &[u8]) {
        let path = self.tree.seek_pair(score, member);
        self.tree.remove(&path, 1, &mut self.index);
    }

    /// Removes `count` members from rank `from` on.
    pub(super) fn remove_ranks(&mut self, from: usize, count: usize) {
        let mut left = count;
        while left > 0 {
            let path = self.tree.seek_rank(from);
            match self.tree.remove(&path, left, &mut self.index) {
                0 => return,
                gone => left -= gone,
            }
        }
    }

    /// How many pairs come before the first one that `before` says no to.
    pub(super) fn count_before(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        self.tree.rank(&self.tree.seek(before))
    }

    /// `len` pairs from rank `from` on.
    pub(super) fn range(&self, from: usize, len: usize) -> Iter<'_> {
        let front = self.tree.seek_rank(from);
        Iter {
            tree: &self.tree,
            run: self.tree.run(front.leaf),
            front: (front.leaf, front.at),
            from,
            back: None,
            left: len.min(self.len().saturating_sub(from)),
        }
    }

    /// Visits members in the order of their hashes from `cursor` on, about `count` of them; the
    /// next cursor, or 0.
    pub(super) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        let Ok(from) = u32::try_from(cursor) else { return 0 };
        let mut same = (0, Vec::new());
        let next = self.index.scan(from, count, |hashed, leaf| {
            // Two slots of the same hash and leaf would show what is in there twice.
            if same.0 != hashed {
                same = (hashed, Vec::new());
            }
            if same.1.contains(&leaf) {
                return;
            }
            same.1.push(leaf);
            let run = self.tree.run(leaf);
            let members = (0..run.len()).map(|at| run.pair(at));
            members.filter(|(_, m)| hash(m) == hashed).for_each(|(score, m)| visit(m, score));
        });
        next.map_or(0, u64::from)
    }

    // ── Saving ──────────────────────────────────────────────────────────────────────────────

    pub(super) fn begin_save(&mut self, ticket: Ticket) {
        let end = self.tree.leaves_end();
        self.tree.parts.begin(ticket, end);
    }

    pub(super) fn end_save(&mut self) {
        self.tree.parts.end();
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.tree.parts.ticket()
    }

    /// Visits pairs that are not saved yet, `most` of them and a leaf's more. Whether there may be
    /// others.
    pub(super) fn save_part(&mut self, most: usize, mut visit: impl FnMut(&[u8], f64)) -> bool {
        let mut seen = 0;
        while seen < most {
            let found = self.tree.save_run(|run| {
                (0..run.len()).map(|at| run.pair(at)).for_each(|(score, m)| visit(m, score));
                seen += run.len();
            });
            if !found {
                return false;
            }
        }
        true
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.tree.check();
        self.index.check(self.len());
        for (member, score) in self.range(0, self.len()) {
            assert_eq!(self.score(member), Some(score));
        }
    }
}

/// Pairs by rank, from either end.
#[derive(Clone)]
pub(super) struct Iter<'a> {
    tree: &'a Tree,
    /// The run of the front's leaf.
    run: &'a Run,
    front: (u32, usize),
    /// The front's rank.
    from: usize,
    /// Behind the last pair; looked up when first asked for.
    back: Option<(u32, usize)>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if self.front.1 >= self.run.len() {
            let leaf = self.tree.next(self.front.0)?;
            self.front = (leaf, 0);
            self.run = self.tree.run(leaf);
        }
        let (score, member) = self.run.pair(self.front.1);
        self.front.1 += 1;
        self.from += 1;
        Some((member, score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let left = self.left.checked_sub(1)?;
        let (mut leaf, mut at) = self.back.unwrap_or_else(|| {
            let path = self.tree.seek_rank(self.from + self.left);
            (path.leaf, path.at)
        });
        if at == 0 {
            leaf = self.tree.previous(leaf)?;
            at = self.tree.run(leaf).len();
        }
        at -= 1;
        self.back = Some((leaf, at));
        self.left = left;
        let (score, member) = self.tree.run(leaf).pair(at);
        Some((member, score))
    }
}
