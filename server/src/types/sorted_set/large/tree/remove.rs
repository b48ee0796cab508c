//! Removal: two small neighbours become one.

use super::node::Leaf;
use super::{FANOUT, NONE, Path, Tree, mergeable, small};
use crate::types::sorted_set::large::index::{Index, hash};
use crate::types::sorted_set::large::run::{LEAF, Run};

impl Tree {
    /// Takes out `count` pairs from `path` on, or as many as its leaf has; how many they were.
    pub(in crate::types::sorted_set::large) fn remove(
        &mut self,
        path: &Path,
        count: usize,
        index: &mut Index,
    ) -> usize {
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
}
