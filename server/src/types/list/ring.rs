//! The nodes of a quicklist, and while the list is saved in parts, what became of those that there were
//! when that began.
//!
//! Elements are saved in their order, so unlike [`parts`](crate::types::parts) the walk needs to know
//! where in the old order everything belongs: *stretches* of old nodes that still lie in the ring as
//! they were, with their places there and then; and old nodes that were changed or removed since, kept
//! under their old places. Both ends change often and cost one node each; a change in the middle cuts a
//! stretch in two.

use std::collections::{BTreeMap, VecDeque, vec_deque};
use std::ops::{Index, Range, RangeBounds};

use super::node::Node;
use crate::types::parts::{Kept, Ticket};

/// Bytes and elements do not matter to whether a list is saved in parts: nodes are of 8 KB as a rule.
/// (Tests have it smaller, so that they meet it.)
pub(super) const MANY_NODES: usize = if cfg!(test) { 3 } else { 16 };

#[derive(Debug, Default)]
pub(super) struct Ring {
    nodes: VecDeque<Node>,
    old: Option<Box<Old>>,
}

/// What is still to be saved.
#[derive(Debug)]
struct Old {
    ticket: Ticket,
    /// In order of both kinds of places.
    stretches: VecDeque<Stretch>,
    /// By their old places.
    kept: BTreeMap<usize, Kept<Node>>,
}

/// Old nodes side by side that are as they were.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: usize,
    to: usize,
    /// The old place of the first.
    old: usize,
}

/// A copy is not being saved.
impl Clone for Ring {
    fn clone(&self) -> Self {
        Self { nodes: self.nodes.clone(), old: None }
    }
}

impl FromIterator<Node> for Ring {
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Self {
        Self { nodes: nodes.into_iter().collect(), old: None }
    }
}

impl Index<usize> for Ring {
    type Output = Node;

    fn index(&self, at: usize) -> &Node {
        &self.nodes[at]
    }
}

impl Ring {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.nodes.capacity()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }

    pub(super) fn front(&self) -> Option<&Node> {
        self.nodes.front()
    }

    pub(super) fn back(&self) -> Option<&Node> {
        self.nodes.back()
    }

    pub(super) fn iter(&self) -> vec_deque::Iter<'_, Node> {
        self.nodes.iter()
    }

    pub(super) fn range(&self, range: impl RangeBounds<usize>) -> vec_deque::Iter<'_, Node> {
        self.nodes.range(range)
    }

    // ── Change ──────────────────────────────────────────────────────────────────────────────

    /// A node that is about to change.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Node> {
        let node = self.nodes.get_mut(at)?;
        if let Some(old) = &mut self.old
            && let Some(place) = old.cut_out(at)
        {
            old.keep(place, node.clone());
        }
        Some(node)
    }

    /// A node that is about to be compressed or opened, which is no change.
    pub(super) fn form_mut(&mut self, at: usize) -> Option<&mut Node> {
        self.nodes.get_mut(at)
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Node> {
        self.get_mut(0)
    }

    pub(super) fn back_mut(&mut self) -> Option<&mut Node> {
        self.get_mut(self.nodes.len().checked_sub(1)?)
    }

    pub(super) fn insert(&mut self, at: usize, node: Node) {
        self.nodes.insert(at, node);
        if let Some(old) = &mut self.old {
            old.make_room(at);
        }
    }

    pub(super) fn push_front(&mut self, node: Node) {
        self.insert(0, node);
    }

    pub(super) fn push_back(&mut self, node: Node) {
        self.insert(self.nodes.len(), node);
    }

    /// Takes a node out. One that is still to be saved is copied.
    pub(super) fn remove(&mut self, at: usize) -> Option<Node> {
        self.get_mut(at)?;
        if let Some(old) = &mut self.old {
            old.close_gap(at..at + 1);
        }
        self.nodes.remove(at)
    }

    /// Drops nodes. Those that are still to be saved are kept, not copied.
    pub(super) fn drop_range(&mut self, range: Range<usize>) {
        let Some(old) = &mut self.old else {
            self.nodes.drain(range);
            return;
        };
        let places: Vec<Option<usize>> = range.clone().map(|at| old.cut_out(at)).collect();
        let gone = self.nodes.drain(range.clone());
        for (place, node) in places.into_iter().zip(gone) {
            if let Some(place) = place {
                old.keep(place, node);
            }
        }
        old.close_gap(range);
    }

    /// Drops nodes that have run empty. (So they have changed, and are none that is still to be saved.)
    pub(super) fn drop_empty(&mut self) {
        if let Some(old) = &mut self.old {
            let is_empty = |at: &usize| self.nodes[*at].count() == 0;
            for at in (0..self.nodes.len()).rev().filter(is_empty) {
                old.close_gap(at..at + 1);
            }
        }
        self.nodes.retain(|node| node.count() > 0);
    }

    // ── Saving ──────────────────────────────────────────────────────────────────────────────

    pub(super) fn begin_save(&mut self, ticket: Ticket) {
        let all = Stretch { from: 0, to: self.nodes.len(), old: 0 };
        self.old = Some(Box::new(Old { ticket, stretches: [all].into(), kept: BTreeMap::new() }));
    }

    pub(super) fn end_save(&mut self) {
        self.old = None;
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.old.as_ref().map(|old| old.ticket)
    }

    /// Shows the next of the old nodes; false if all were shown.
    pub(super) fn save_node(&mut self, visit: impl FnOnce(&Node)) -> bool {
        let Some(old) = &mut self.old else { return false };
        let there = old.stretches.front_mut().filter(|stretch| stretch.from < stretch.to);
        let first_kept = old.kept.first_key_value().map(|(place, _)| *place);
        match there {
            Some(there) if first_kept.is_none_or(|place| there.old < place) => {
                visit(&self.nodes[there.from]);
                there.from += 1;
                there.old += 1;
                if there.from == there.to {
                    old.stretches.pop_front();
                }
                true
            }
            _ => old.kept.pop_first().inspect(|(_, node)| visit(node)).is_some(),
        }
    }
}

impl Old {
    fn keep(&mut self, place: usize, node: Node) {
        let bytes = node.memory_bytes();
        self.kept.insert(place, Kept::new(node, bytes));
    }

    /// The old place of a node that is still to be saved from where it lies; from now on it is not.
    fn cut_out(&mut self, at: usize) -> Option<usize> {
        let nth = self.stretches.partition_point(|stretch| stretch.to <= at);
        let stretch = self.stretches.get_mut(nth).filter(|stretch| stretch.from <= at)?;
        let whole = *stretch;
        let place = whole.old + (at - whole.from);
        let behind = Stretch { from: at + 1, old: place + 1, ..whole };
        match (whole.from < at, behind.from < whole.to) {
            (true, true) => {
                stretch.to = at;
                self.stretches.insert(nth + 1, behind);
            }
            (true, false) => stretch.to = at,
            (false, true) => *stretch = behind,
            (false, false) => _ = self.stretches.remove(nth),
        }
        Some(place)
    }

    /// A node was put in at `at`.
    fn make_room(&mut self, at: usize) {
        let nth = self.stretches.partition_point(|stretch| stretch.to <= at);
        if let Some(stretch) = self.stretches.get_mut(nth)
            && stretch.from < at
        {
            let behind = Stretch { from: at, old: stretch.old + (at - stretch.from), ..*stretch };
            stretch.to = at;
            self.stretches.insert(nth + 1, behind);
        }
        for stretch in self.stretches.iter_mut().rev().take_while(|stretch| stretch.from >= at) {
            stretch.from += 1;
            stretch.to += 1;
        }
    }

    /// Nodes have gone, none of which is in a stretch.
    fn close_gap(&mut self, gone: Range<usize>) {
        for stretch in self.stretches.iter_mut().rev().take_while(|it| it.from >= gone.end) {
            stretch.from -= gone.len();
            stretch.to -= gone.len();
        }
    }
}
