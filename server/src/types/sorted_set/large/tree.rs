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

use super::arena::Arena;
use super::index::{Index, hash};
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

#[derive(Clone, Debug)]
struct Leaf {
    run: Run,
    previous: u32,
    next: u32,
}

impl Default for Leaf {
    fn default() -> Self {
        Self { run: Run::default(), previous: NONE, next: NONE }
    }
}

#[derive(Clone, Debug, Default)]
struct Inner {
    /// One for each child; the first is never looked at.
    separators: Run,
    children: Vec<u32>,
    counts: Vec<usize>,
}

impl Inner {
    /// The child in which the first pair lies that `before` says no to.
    #[inline]
    fn child(&self, before: &impl Fn(f64, &[u8]) -> bool) -> usize {
        let passed = self.separators.partition_point(|at| {
            let (score, member) = self.separators.pair(at);
            at == 0 || before(score, member)
        });
        passed.saturating_sub(1)
    }

    fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    fn insert(&mut self, at: usize, separator: (f64, &[u8]), child: u32, count: usize) {
        self.separators.insert(at, separator.0, separator.1);
        self.children.insert(at, child);
        self.counts.insert(at, count);
    }

    fn remove(&mut self, at: usize) {
        self.separators.remove(at, at + 1);
        self.children.remove(at);
        self.counts.remove(at);
    }
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
    /// Pairs before it in the whole tree.
    pub(super) rank: usize,
}

impl Path {
    fn steps(&self) -> impl DoubleEndedIterator<Item = (u32, usize)> + '_ {
        self.steps[..self.height].iter().map(|&(inner, child)| (inner, child as usize))
    }
}

#[inline]
fn is_before(a: (f64, &[u8]), b: (f64, &[u8])) -> bool {
    a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)
}

/// The shortest key that is behind `left` and not behind `right`.
fn separator<'a>(left: (f64, &[u8]), right: (f64, &'a [u8])) -> (f64, &'a [u8]) {
    if left.0 < right.0 {
        return (right.0, b"");
    }
    let common = left.1.iter().zip(right.1).take_while(|(a, b)| a == b).count();
    (right.0, &right.1[..right.1.len().min(common + 1)])
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
            path.rank += inner.counts[..child].iter().sum::<usize>();
            node = inner.children[child];
        }
        let run = self.run(node);
        path.leaf = node;
        path.at = run.partition_point(|at| {
            let (score, member) = run.pair(at);
            before(score, member)
        });
        path.rank += path.at;
        path
    }

    /// Where a pair is, or belongs.
    #[inline]
    pub(super) fn seek_pair(&self, score: f64, member: &[u8]) -> Path {
        // A separator equal to the pair is not behind it: the pair is in that child.
        let mut path = self.root_path();
        let mut node = self.root;
        for level in 0..self.height {
            let inner = &self.inners[node];
            let child = inner.child(&|s, m| !is_before((score, member), (s, m)));
            path.steps[level] = (node, child as u32);
            path.rank += inner.counts[..child].iter().sum::<usize>();
            node = inner.children[child];
        }
        path.leaf = node;
        path.at = self.place_in(node, score, member);
        path.rank += path.at;
        path
    }

    /// Where in a leaf a pair belongs.
    #[inline]
    pub(super) fn place_in(&self, leaf: u32, score: f64, member: &[u8]) -> usize {
        let run = self.run(leaf);
        run.partition_point(|at| {
            let own = run.score(at);
            own < score || (own == score && run.member(at) < member)
        })
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
        path.rank = rank;
        path
    }

    fn root_path(&self) -> Path {
        Path { steps: [(0, 0); MAX_HEIGHT], height: self.height, leaf: self.root, at: 0, rank: 0 }
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

    // ── Insertion ───────────────────────────────────────────────────────────────────────────

    /// Puts in a pair that is not there.
    pub(super) fn insert(&mut self, score: f64, member: &[u8], index: &mut Index) {
        let mut path = self.seek_pair(score, member);
        let run = self.run(path.leaf);
        if run.used_with(member.len()) > LEAF && run.len() > 0 {
            self.make_room(&path, (score, member), index);
            path = self.seek_pair(score, member);
        }
        self.edit(path.leaf, |run| run.insert(path.at, score, member));
        for (inner, child) in path.steps() {
            self.inners[inner].counts[child] += 1;
        }
        self.len += 1;
        index.insert(hash(member), path.leaf);
    }

    /// Changes the score of a pair that keeps its leaf: its place moves to `to`, counted without it.
    pub(super) fn move_within(
        &mut self,
        leaf: u32,
        from: usize,
        to: usize,
        score: f64,
        member: &[u8],
    ) {
        self.edit(leaf, |run| {
            if from == to {
                run.set_score(from, score);
            } else {
                run.remove(from, from + 1);
                run.insert(to, score, member);
            }
        });
    }

    /// Makes room for `pair`, which belongs at `path`.
    fn make_room(&mut self, path: &Path, pair: (f64, &[u8]), index: &mut Index) {
        let (run, next) = (self.run(path.leaf), self.leaves[path.leaf].next);
        let len = run.len();
        // What comes in order fills leaves to the end.
        if next == NONE && path.at == len || len == 1 {
            return self.split_leaf(path, path.at, pair, index);
        }
        let Some(level) = self.height.checked_sub(1) else {
            return self.split_leaf(path, place_at(run, run.used() / 2), pair, index);
        };
        let (parent, at) = (path.steps[level].0, path.steps[level].1 as usize);
        let children = &self.inners[parent].children;
        let right = (at + 1 < children.len()).then_some(at);
        let left = at.checked_sub(1);
        let is_roomy = |at: usize| self.run(children[at]).used() <= ROOMY;
        let room = right.filter(|&at| is_roomy(at + 1)).or(left.filter(|&at| is_roomy(at)));
        if let Some(at) = room {
            return self.share(parent, at, index);
        }
        let thirds = if right.is_some() { 2 } else { 1 };
        self.split_leaf(path, place_at(self.run(path.leaf), LEAF / 3 * thirds), pair, index);
        self.share_with_full(path.leaf, right.is_some(), index);
    }

    /// After a leaf was split in favour of a neighbour: the third next to that takes from it.
    fn share_with_full(&mut self, split: u32, is_right: bool, index: &mut Index) {
        let third = if is_right { self.leaves[split].next } else { split };
        let (score, member) = self.run(third).pair(0);
        let path = self.seek_pair(score, member);
        let (parent, at) = path.steps[self.height - 1];
        let left = if is_right { at as usize } else { (at as usize).wrapping_sub(1) };
        // The parent may have split between them.
        if left < self.inners[parent].children.len() - 1 {
            self.share(parent, left, index);
        }
    }

    /// Moves pairs between children `at` and `at + 1` of an inner node, so that both have about as
    /// many bytes; each keeps one pair at least.
    fn share(&mut self, parent: u32, at: usize, index: &mut Index) {
        let [left, right] = [at, at + 1].map(|at| self.inners[parent].children[at]);
        let (used, other) = (self.run(left).used(), self.run(right).used());
        let wanted = (used + other) / 2;
        if self.run(if used > wanted { left } else { right }).len() < 2 {
            return;
        }
        let count = if used > wanted {
            let keeps = place_at(self.run(left), wanted);
            let moved = self.edit(left, |run| run.split_off(keeps));
            index.move_all(&moved, left, right);
            let count = moved.len();
            self.edit(right, |run| run.prepend(moved));
            count.wrapping_neg()
        } else {
            let goes = place_at(self.run(right), wanted - used);
            let moved = self.edit(right, |run| {
                let rest = run.split_off(goes);
                std::mem::replace(run, rest)
            });
            index.move_all(&moved, right, left);
            self.edit(left, |run| run.extend(&moved, 0));
            moved.len()
        };
        let (last, first) = (self.run(left), self.run(right));
        let (score, member) = separator(last.pair(last.len() - 1), first.pair(0));
        let member = member.to_vec();
        let inner = &mut self.inners[parent];
        inner.separators.remove(at + 1, at + 2);
        inner.separators.insert(at + 1, score, &member);
        inner.counts[at] = inner.counts[at].wrapping_add(count);
        inner.counts[at + 1] = inner.counts[at + 1].wrapping_sub(count);
    }

    /// Splits the leaf of `path` before its pair `at`, for `pair`, which belongs at `path`.
    fn split_leaf(&mut self, path: &Path, at: usize, pair: (f64, &[u8]), index: &mut Index) {
        let Leaf { run, next, .. } = &self.leaves[path.leaf];
        let (next, len) = (*next, run.len());
        let left_end = if at == 0 { pair } else { run.pair(at - 1) };
        let right_start = if at == len { pair } else { run.pair(at) };
        let (score, member) = separator(left_end, right_start);
        let member = member.to_vec();

        let tail = self.edit(path.leaf, |run| run.split_off(at));
        self.run_bytes += tail.capacity();
        let count = tail.len();
        let leaf = Leaf { run: tail, previous: path.leaf, next };
        let right = self.leaves.insert(leaf);
        self.parts.added(right as usize);
        self.leaves[path.leaf].next = right;
        if next != NONE {
            self.leaves[next].previous = right;
        }
        index.move_all(self.run(right), path.leaf, right);
        self.insert_child(path, self.height, (score, &member), right, count);
    }

    /// Adds `child`, split off to the right from the node of `path` at `level`.
    fn insert_child(
        &mut self,
        path: &Path,
        level: usize,
        separator: (f64, &[u8]),
        child: u32,
        count: usize,
    ) {
        let Some(parent) = level.checked_sub(1) else {
            return self.grow_root(separator, child, count);
        };
        let (number, at) = path.steps[parent];
        let at = at as usize;
        let inner = &mut self.inners[number];
        inner.counts[at] -= count;
        inner.insert(at + 1, separator, child, count);
        if inner.children.len() <= FANOUT {
            return;
        }
        let last = inner.children.len() - 1;
        let at = if at + 1 == last { last } else { last / 2 };
        let right = Inner {
            separators: inner.separators.split_off(at),
            children: inner.children.split_off(at),
            counts: inner.counts.split_off(at),
        };
        let (score, member) = right.separators.pair(0);
        let member = member.to_vec();
        let count = right.total();
        let right = self.inners.insert(right);
        self.insert_child(path, parent, (score, &member), right, count);
    }

    fn grow_root(&mut self, separator: (f64, &[u8]), child: u32, count: usize) {
        let mut root = Inner::default();
        root.insert(0, (0.0, b""), self.root, self.len - count);
        root.insert(1, separator, child, count);
        self.root = self.inners.insert(root);
        self.height += 1;
    }

    // ── Removal ─────────────────────────────────────────────────────────────────────────────

    /// Takes out `count` pairs from `path` on, or as many as its leaf has; how many they were.
    pub(super) fn remove(&mut self, path: &Path, count: usize, index: &mut Index) -> usize {
        let run = self.run(path.leaf);
        let end = run.len().min(path.at.saturating_add(count));
        (path.at..end).for_each(|at| index.remove(hash(run.member(at)), path.leaf));
        let gone = end.saturating_sub(path.at);
        self.edit(path.leaf, |run| run.remove(path.at, path.at + gone));
        for (inner, child) in path.steps() {
            self.inners[inner].counts[child] -= gone;
        }
        self.len -= gone;
        self.shrink_leaf(path, index);
        gone
    }

    fn shrink_leaf(&mut self, path: &Path, index: &mut Index) {
        let used = self.run(path.leaf).used();
        if self.height == 0 || used >= small(LEAF) {
            return;
        }
        let (parent, at) = path.steps[self.height - 1];
        let at = at as usize;
        if used == 0 {
            self.drop_leaf(path.leaf);
            self.inners[parent].remove(at);
            return self.shrink_inner(path, self.height - 1);
        }
        let children = &self.inners[parent].children;
        let fits = |left: usize, right: usize| {
            let sizes = [left, right].map(|at| self.run(children[at]).used());
            sizes.iter().sum::<usize>() <= mergeable(LEAF)
        };
        let left = if at + 1 < children.len() && fits(at, at + 1) {
            at
        } else if at > 0 && fits(at - 1, at) {
            at - 1
        } else {
            return;
        };
        let (into, from) = (children[left], children[left + 1]);
        let run = self.drop_leaf(from);
        self.edit(into, |left| left.extend(&run, 0));
        index.move_all(&run, from, into);
        let parent = &mut self.inners[parent];
        parent.counts[left] += parent.counts[left + 1];
        parent.remove(left + 1);
        self.shrink_inner(path, self.height - 1);
    }

    /// Takes a leaf out of the chain.
    fn drop_leaf(&mut self, number: u32) -> Run {
        self.before_change(number);
        let Leaf { run, previous, next } = self.leaves.remove(number);
        if previous != NONE {
            self.leaves[previous].next = next;
        }
        if next != NONE {
            self.leaves[next].previous = previous;
        }
        self.run_bytes -= run.capacity();
        run
    }

    /// The node of `path` at `level` has lost a child.
    fn shrink_inner(&mut self, path: &Path, level: usize) {
        let (number, _) = path.steps[level];
        let children = self.inners[number].children.len();
        if level == 0 {
            return self.shrink_root();
        }
        if children >= small(FANOUT) {
            return;
        }
        let (parent, at) = path.steps[level - 1];
        let at = at as usize;
        if children == 0 {
            self.inners.remove(number);
            self.inners[parent].remove(at);
            return self.shrink_inner(path, level - 1);
        }
        let siblings = &self.inners[parent].children;
        let fits = |left: usize, right: usize| {
            let sizes = [left, right].map(|at| self.inners[siblings[at]].children.len());
            sizes.iter().sum::<usize>() <= mergeable(FANOUT)
        };
        let left = if at + 1 < siblings.len() && fits(at, at + 1) {
            at
        } else if at > 0 && fits(at - 1, at) {
            at - 1
        } else {
            return;
        };
        let (into, from) = (siblings[left], siblings[left + 1]);
        let from = self.inners.remove(from);
        // The first separator of a node may be out of date; its parent's is not.
        let (score, member) = self.inners[parent].separators.pair(left + 1);
        let member = member.to_vec();
        let into = &mut self.inners[into];
        into.separators.insert(into.children.len(), score, &member);
        into.separators.extend(&from.separators, 1);
        into.children.extend(from.children);
        into.counts.extend(from.counts);
        let parent = &mut self.inners[parent];
        parent.counts[left] += parent.counts[left + 1];
        parent.remove(left + 1);
        self.shrink_inner(path, level - 1);
    }

    fn shrink_root(&mut self) {
        while self.height > 0 && self.inners[self.root].children.len() <= 1 {
            let root = self.inners.remove(self.root);
            self.height -= 1;
            match root.children.first() {
                Some(&child) => self.root = child,
                None => {
                    let parts = std::mem::take(&mut self.parts);
                    *self = Self { parts, ..Self::new() };
                    self.parts.added(self.root as usize);
                }
            }
        }
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
        parts.before_change(leaf as usize, || leaves[leaf].run.clone());
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

    /// What must always hold; for tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut chain = Vec::new();
        let end = (f64::INFINITY, &[0xff; 64][..]);
        let len =
            self.check_node(self.root, self.height, (f64::NEG_INFINITY, b""), end, &mut chain);
        assert_eq!(len, self.len);
        assert_eq!(self.leaves[chain[0]].previous, NONE);
        for pair in chain.windows(2) {
            assert_eq!(self.leaves[pair[0]].next, pair[1]);
            assert_eq!(self.leaves[pair[1]].previous, pair[0]);
            assert!(self.run(pair[0]).len() > 0 && self.run(pair[1]).len() > 0, "no leaf is empty");
        }
        assert_eq!(self.leaves[chain[chain.len() - 1]].next, NONE);
        let allocated = chain.iter().map(|&leaf| self.run(leaf).capacity()).sum::<usize>();
        assert_eq!(allocated, self.run_bytes);
    }

    #[cfg(test)]
    fn check_node(
        &self,
        node: u32,
        height: usize,
        from: (f64, &[u8]),
        to: (f64, &[u8]),
        chain: &mut Vec<u32>,
    ) -> usize {
        if height == 0 {
            chain.push(node);
            let run = self.run(node);
            for at in 0..run.len() {
                assert!(!is_before(run.pair(at), from) && is_before(run.pair(at), to));
                assert!(at == 0 || is_before(run.pair(at - 1), run.pair(at)), "in order");
            }
            return run.len();
        }
        let inner = &self.inners[node];
        assert!((1..=FANOUT).contains(&inner.children.len()));
        assert_eq!(inner.separators.len(), inner.children.len());
        let mut total = 0;
        for (at, &child) in inner.children.iter().enumerate() {
            let from = if at == 0 { from } else { inner.separators.pair(at) };
            let last = at + 1 == inner.children.len();
            let to = if last { to } else { inner.separators.pair(at + 1) };
            let count = self.check_node(child, height - 1, from, to, chain);
            assert_eq!(count, inner.counts[at]);
            total += count;
        }
        total
    }
}

/// Where to divide a run so that the first part has about so many bytes, and both have something.
fn place_at(run: &Run, bytes: usize) -> usize {
    let at = run.partition_point(|at| run.used_up_to(at) < bytes);
    at.clamp(1, run.len() - 1)
}
