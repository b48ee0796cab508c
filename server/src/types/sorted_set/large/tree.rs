//! The counted B+tree: pairs in order of (score, member), reached by either or by rank.
//!
//! Leaves are [`Run`]s of about a kilobyte, linked both ways. An inner node keeps, for each child,
//! a separator (nothing in the child is before it, everything in the children to the left is) and
//! how many pairs lie below. Separators are as short as they can be: a score alone where that tells
//! the sides apart, else the shortest prefix of a member that does.
//!
//! A full leaf shares with a neighbour that has room; where none has, one of two neighbours becomes a
//! third between them. So leaves that are filled at random are four fifths full.
//!
//! Two neighbours that would fit well into one node become one; a node is never filled up from its
//! neighbour. So a node may stay small, but no two small ones lie side by side, and since a run is
//! as large as what it holds, small ones waste no memory.

#[cfg(test)]
mod check;
mod insert;
mod node;
mod remove;

use node::{Inner, Leaf};

use super::arena::Arena;
use super::run::{LEAF, Run};
use crate::types::parts::Parts;

/// Children of an inner node, at which it splits.
const FANOUT: usize = 63;
/// A node smaller than half is merged with a neighbour if both fill no more than three quarters.
const fn small(limit: usize) -> usize {
    limit / 2
}
const fn mergeable(limit: usize) -> usize {
    limit / 4 * 3
}
/// A leaf that uses no more takes pairs from a full neighbour.
const ROOMY: usize = LEAF / 8 * 7;
/// Neighbours have 48 children or more together, so sixteen levels hold 24^16 leaves.
const MAX_HEIGHT: usize = 16;
/// No leaf's number.
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
pub(super) struct Tree {
    leaves: Arena<Leaf>,
    inners: Arena<Inner>,
    /// An inner node, or a leaf while `height` is 0.
    root: u32,
    /// Levels of inner nodes.
    height: usize,
    len: usize,
    /// What the leaves' runs have allocated.
    run_bytes: usize,
    /// There while the tree is saved in parts.
    pub(super) parts: Parts<Run>,
}

/// Where a pair is, or would be: the way down to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// From the root down: an inner node, and which of its children was taken.
    steps: [(u32, u32); MAX_HEIGHT],
    height: usize,
    pub(super) leaf: u32,
    /// In the leaf; its length if the pair would be behind all of it.
    pub(super) at: usize,
}

impl Path {
    fn steps(&self) -> impl DoubleEndedIterator<Item = (u32, usize)> + '_ {
        self.steps[..self.height].iter().map(|&(inner, child)| (inner, child as usize))
    }
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut leaves = Arena::new();
        let root = leaves.insert(Leaf::default());
        let (inners, parts) = (Arena::new(), Parts::default());
        Self { leaves, inners, root, height: 0, len: 0, run_bytes: 0, parts }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn used_bytes(&self) -> usize {
        /// What an inner node's separators, children and counts have allocated, about.
        const INNER: usize = FANOUT * 24;
        let nodes = self.leaves.used_bytes() + self.inners.used_bytes();
        size_of::<Self>() + nodes + self.run_bytes + self.inners.len() * INNER
    }

    /// Allocations, about.
    pub(super) fn allocations(&self) -> usize {
        self.leaves.len() + 3 * self.inners.len()
    }

    pub(super) fn run(&self, leaf: u32) -> &Run {
        &self.leaves[leaf].run
    }

    // ── Finding ─────────────────────────────────────────────────────────────────────────────

    /// The first pair that `before` says no to; it says yes to all earlier ones.
    #[inline]
    pub(super) fn seek(&self, before: impl Fn(f64, &[u8]) -> bool) -> Path {
        let mut path = self.root_path();
        let mut node = self.root;
        for level in 0..self.height {
            let inner = &self.inners[node];
            let child = inner.child(&before);
            path.steps[level] = (node, child as u32);
            node = inner.children[child];
        }
        let run = self.run(node);
        path.leaf = node;
        path.at = run.partition_point(|at| {
            let (score, member) = run.pair(at);
            before(score, member)
        });
        path
    }

    /// Where a pair is, or belongs.
    #[inline]
    pub(super) fn seek_pair(&self, score: f64, member: &[u8]) -> Path {
        let mut path = self.root_path();
        let mut node = self.root;
        for level in 0..self.height {
            let inner = &self.inners[node];
            let child = inner.child_of(score, member);
            path.steps[level] = (node, child as u32);
            node = inner.children[child];
        }
        path.leaf = node;
        path.at = self.run(node).place(0, score, member);
        path
    }

    /// Pairs in the whole tree before the one that is reached by this path.
    pub(super) fn rank(&self, path: &Path) -> usize {
        let before =
            |(inner, child): (u32, usize)| self.inners[inner].counts[..child].iter().sum::<usize>();
        path.at + path.steps().map(before).sum::<usize>()
    }

    /// The pair of a rank; behind the last one for the length.
    #[inline]
    pub(super) fn seek_rank(&self, rank: usize) -> Path {
        let mut path = self.root_path();
        let mut node = self.root;
        let mut left = rank;
        for level in 0..self.height {
            let inner = &self.inners[node];
            let mut child = 0;
            while left >= inner.counts[child] && child + 1 < inner.counts.len() {
                left -= inner.counts[child];
                child += 1;
            }
            path.steps[level] = (node, child as u32);
            node = inner.children[child];
        }
        path.leaf = node;
        path.at = left;
        path
    }

    fn root_path(&self) -> Path {
        Path { steps: [(0, 0); MAX_HEIGHT], height: self.height, leaf: self.root, at: 0 }
    }

    /// The leaf behind or before one.
    #[inline]
    pub(super) fn next(&self, leaf: u32) -> Option<u32> {
        Some(self.leaves[leaf].next).filter(|&next| next != NONE)
    }

    #[inline]
    pub(super) fn previous(&self, leaf: u32) -> Option<u32> {
        Some(self.leaves[leaf].previous).filter(|&previous| previous != NONE)
    }

    fn edit<R>(&mut self, leaf: u32, change: impl FnOnce(&mut Run) -> R) -> R {
        self.before_change(leaf);
        let run = &mut self.leaves[leaf].run;
        let before = run.capacity();
        let result = change(run);
        self.run_bytes = self.run_bytes + run.capacity() - before;
        result
    }

    #[inline]
    fn before_change(&mut self, leaf: u32) {
        let Self { parts, leaves, .. } = self;
        parts.before_change(leaf as usize, || {
            let run = leaves[leaf].run.clone();
            let bytes = run.capacity();
            (run, bytes)
        });
    }

    /// A run that is not saved yet, if there is one, shown to `visit`.
    pub(super) fn save_run(&mut self, visit: impl FnOnce(&Run)) -> bool {
        if let Some(kept) = self.parts.next_kept() {
            visit(&kept);
            return true;
        }
        while let Some(number) = self.parts.next_node() {
            // Some numbers are no leaf's.
            if let Some(leaf) = self.leaves.get(number as u32) {
                visit(&leaf.run);
                return true;
            }
        }
        false
    }

    /// All numbers of leaves are below.
    pub(super) fn leaves_end(&self) -> usize {
        self.leaves.end()
    }
}
