//! Insertion: a full leaf shares with a neighbour, or two become three.

use super::node::{Inner, Leaf, separator};
use super::{FANOUT, NONE, Path, ROOMY, Tree};
use crate::types::sorted_set::large::index::{Index, hash};
use crate::types::sorted_set::large::run::{LEAF, Run};

impl Tree {
    /// Puts in a pair that is not there.
    pub(in crate::types::sorted_set::large) fn insert(
        &mut self,
        score: f64,
        member: &[u8],
        index: &mut Index,
    ) {
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
    pub(in crate::types::sorted_set::large) fn move_within(
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
}

/// Where to divide a run so that the first part has about so many bytes, and both have something.
fn place_at(run: &Run, bytes: usize) -> usize {
    let at = run.partition_point(|at| run.used_up_to(at) < bytes);
    at.clamp(1, run.len() - 1)
}
