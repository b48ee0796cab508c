//! Quicklist: a big list as a sequence of listpacks, each within the limits, and of plain elements.
//!
//! Nodes lie in a ring of two words each, so both ends are O(1), an index is found by adding up
//! counts that lie side by side, and an edit in the middle moves at most half of the ring: some
//! kilobytes for a list of a million short elements. (Valkey links its nodes; here they cost a
//! quarter of that, and finding one does not chase pointers.) Where elements go, when a node is
//! split and which neighbours are merged is Valkey's, so that lists have the same nodes there.
//!
//! Where `list-compress-depth` asks for it, nodes that are further than that from both ends are
//! compressed. Whoever reads looks at an opened copy of one node at a time; what changes such a node
//! opens it, and compresses it again ([`Quicklist::settle`]).

use std::ops::Range;

use super::limits::Limits;
use super::node::{End, Node};
use super::ring::{MANY_NODES, Ring};
use crate::types::listpack::{Cursor, Item, Listpack};
use crate::types::parts::Ticket;

#[derive(Clone, Debug)]
pub(super) struct Quicklist {
    /// None is empty.
    nodes: Ring,
    /// Elements of all nodes.
    len: usize,
    limits: Limits,
}

/// What DEBUG OBJECT tells of a quicklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// Listpacks and plain elements.
    pub count: usize,
    pub len_bytes: usize,
    /// `list-max-listpack-size` as it was when the quicklist was made.
    pub max_size: i64,
    /// Whether inner nodes are compressed where that is worth it.
    pub are_compressed: bool,
}

/// Where an element is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    node: usize,
    /// `None` in a plain node.
    cursor: Option<Cursor>,
}

/// On which side of a place something is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

impl Quicklist {
    /// A quicklist of that one node, if there is anything in it.
    pub(super) fn of(listpack: Listpack, limits: Limits) -> Self {
        let len = listpack.len();
        let node = (len > 0).then(|| Node::packed(listpack));
        Self { nodes: node.into_iter().collect(), len, limits }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn each_node(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// Puts a whole node behind all others.
    pub(super) fn append(&mut self, node: Node) {
        self.len += node.count();
        self.nodes.push_back(node);
        self.settle_end(End::Tail);
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn nodes(&self) -> Nodes {
        Nodes {
            count: self.nodes.len(),
            len_bytes: self.nodes.iter().map(Node::len_bytes).sum(),
            max_size: self.limits.size(),
            are_compressed: self.limits.depth() > 0,
        }
    }

    /// Bytes of memory, those of big lists from a sample of nodes.
    pub(super) fn memory_bytes(&self) -> usize {
        const SAMPLES: usize = 32;
        let count = self.nodes.len();
        let step = count.div_ceil(SAMPLES).max(1);
        let sampled = self.nodes.iter().step_by(step);
        let (taken, bytes) =
            sampled.fold((0, 0), |(taken, bytes), node| (taken + 1, bytes + node.memory_bytes()));
        let nodes_bytes = (bytes * count).checked_div(taken).unwrap_or(0);
        size_of::<Self>() + self.nodes.capacity() * size_of::<Node>() + nodes_bytes
    }

    /// The listpack, where it is the only node.
    /// Not of a list that is being saved: nodes that it had are among the parts.
    pub(super) fn only_listpack(&mut self) -> Option<&mut Listpack> {
        if self.nodes.len() != 1 || self.ticket().is_some() {
            return None;
        }
        match self.nodes.front_mut()? {
            Node::Packed { listpack, .. } => Some(listpack),
            Node::Plain(_) | Node::Squeezed { .. } => None,
        }
    }

    // ── Saving ──────────────────────────────────────────────────────────────────────────────

    /// Whether it is to be saved in parts.
    pub(super) fn has_parts(&self) -> bool {
        self.nodes.len() >= MANY_NODES
    }

    pub(super) fn begin_save(&mut self, ticket: Ticket) {
        self.nodes.begin_save(ticket);
    }

    pub(super) fn end_save(&mut self) {
        self.nodes.end_save();
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.nodes.ticket()
    }

    /// Shows the next nodes that are to be saved, `most` elements and a node's more. Whether there may
    /// be others.
    pub(super) fn save_part(&mut self, most: usize, mut visit: impl FnMut(&Node)) -> bool {
        let mut seen = 0;
        while seen < most {
            let found = self.nodes.save_node(|node| {
                visit(node);
                seen += node.count();
            });
            if !found {
                return false;
            }
        }
        true
    }

    // ── Elements ────────────────────────────────────────────────────────────────────────────

    pub(super) fn push(&mut self, end: End, element: &[u8]) {
        self.len += 1;
        let node = match end {
            End::Head => self.nodes.front_mut(),
            End::Tail => self.nodes.back_mut(),
        };
        match (node, end) {
            (Some(node), _) if node.admits(element.len(), self.limits) => node.push(end, element),
            (_, End::Head) => {
                self.nodes.push_front(Node::of(element, self.limits));
                self.settle_end(end);
            }
            (_, End::Tail) => {
                self.nodes.push_back(Node::of(element, self.limits));
                self.settle_end(end);
            }
        }
    }

    pub(super) fn peek(&self, end: End) -> Option<Item<'_>> {
        let node = match end {
            End::Head => self.nodes.front(),
            End::Tail => self.nodes.back(),
        };
        node.map(|node| node.peek(end))
    }

    /// Removes the element at an end; whether there was one.
    pub(super) fn drop_end(&mut self, end: End) -> bool {
        let node = match end {
            End::Head => self.nodes.front_mut(),
            End::Tail => self.nodes.back_mut(),
        };
        let Some(node) = node else { return false };
        self.len -= 1;
        if node.drop_end(end) {
            self.nodes.remove(match end {
                End::Head => 0,
                End::Tail => self.nodes.len() - 1,
            });
            self.settle(0..0);
        }
        true
    }

    /// The node that holds element `index`, and how many elements of it come before.
    fn node_of(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index <= self.len / 2 {
            let mut before = index;
            for (nth, node) in self.nodes.iter().enumerate() {
                let Some(behind) = before.checked_sub(node.count()) else {
                    return Some((nth, before));
                };
                before = behind;
            }
            return None;
        }
        let mut start = self.len;
        for (nth, node) in self.nodes.iter().enumerate().rev() {
            start -= node.count();
            if start <= index {
                return Some((nth, index - start));
            }
        }
        None
    }

    /// For a change: the node is open then.
    pub(super) fn place_of(&mut self, index: usize) -> Option<Place> {
        let (node, before) = self.node_of(index)?;
        let cursor = match self.open(node) {
            Node::Packed { listpack, .. } => listpack.get(before as isize),
            _ => None,
        };
        Some(Place { node, cursor })
    }

    /// The first element that is `text`, for a change: the node is open then.
    pub(super) fn find(&mut self, text: &[u8]) -> Option<Place> {
        let node = self.nodes.iter().position(|node| node.opened().contains(text))?;
        let cursor = match self.open(node) {
            Node::Packed { listpack, .. } => listpack.find(text, listpack.first()?, 1),
            _ => None,
        };
        Some(Place { node, cursor })
    }

    /// Puts an element beside another one.
    pub(super) fn insert(&mut self, place: Place, side: Side, element: &[u8]) {
        self.len += 1;
        let (at, limits) = (place.node, self.limits);
        if let (Some(cursor), true) = (place.cursor, self.nodes[at].admits(element.len(), limits))
            && let Some(node) = self.nodes.get_mut(at)
        {
            match side {
                Side::Before => node.admit().insert_before(cursor, element),
                Side::After => node.admit().insert_after(cursor, element),
            };
        } else {
            match place.split_at(&self.nodes[at], side) {
                Some(from) => self.split_for(at, from, side, element),
                None => self.insert_between(at, side, element),
            }
        }
        self.settle_around(at);
    }

    /// Puts an element where the node at `at` ends: into its neighbour, or into one of its own.
    fn insert_between(&mut self, at: usize, side: Side, element: &[u8]) {
        let (neighbour, end, new) = match side {
            Side::Before => (at.checked_sub(1), End::Tail, at),
            Side::After => (Some(at + 1), End::Head, at + 1),
        };
        let has_room = |at: &usize| {
            self.nodes.get(*at).is_some_and(|node| node.admits(element.len(), self.limits))
        };
        match neighbour.filter(has_room) {
            Some(at) => self.node_mut(at).push(end, element),
            None => self.nodes.insert(new, Node::of(element, self.limits)),
        }
    }

    /// Puts an element into a full node: it is split at `from`.
    fn split_for(&mut self, at: usize, from: Cursor, side: Side, element: &[u8]) {
        let mut tail = self.split_off(at, from);
        if self.limits.is_plain(element.len()) {
            self.nodes.insert(at + 1, Node::of(element, self.limits));
            self.nodes.insert(at + 2, tail);
            return;
        }
        let centre = match side {
            Side::Before => {
                self.node_mut(at).push(End::Tail, element);
                at + 1
            }
            Side::After => {
                tail.push(End::Head, element);
                at
            }
        };
        self.nodes.insert(at + 1, tail);
        self.merge_around(centre);
    }

    /// Takes the elements from `from` on out of a listpack's node.
    fn split_off(&mut self, at: usize, from: Cursor) -> Node {
        let Node::Packed { listpack, count } = self.node_mut(at) else {
            unreachable!("a cursor is in a listpack")
        };
        let tail = Node::packed(listpack.split_off(from));
        *count -= tail.count() as u32;
        tail
    }

    /// Puts another element in the place of one.
    pub(super) fn replace(&mut self, place: Place, element: &[u8]) {
        let limits = self.limits;
        let is_plain = limits.is_plain(element.len());
        let at = place.node;
        match (self.node_mut(at), place.cursor) {
            // Beyond the limits, if need be: that is how Valkey has it.
            (Node::Packed { listpack, .. }, Some(cursor))
                if !is_plain && listpack.fits(Listpack::encoded_len(element)) =>
            {
                listpack.replace(cursor, element);
            }
            (Node::Packed { .. }, Some(cursor)) => self.replace_by_node(at, cursor, element),
            (node, _) if is_plain => *node = Node::of(element, limits),
            _ => {
                self.insert_between(at, Side::After, element);
                self.nodes.remove(at);
            }
        }
        self.settle_around(at);
    }

    /// Puts a node of its own in the place of a listpack's element.
    fn replace_by_node(&mut self, at: usize, cursor: Cursor, element: &[u8]) {
        let tail = self.split_off(at, cursor);
        // What is replaced is the tail's first; a node that is left empty goes.
        let mut tail = Some(tail).filter(|tail| tail.count() > 1);
        tail.iter_mut().for_each(|tail| _ = tail.drop_end(End::Head));
        let emptied = self.nodes[at].count() == 0;
        let new = if emptied { at } else { at + 1 };
        if emptied {
            self.nodes.remove(at);
        }
        self.nodes.insert(new, Node::of(element, self.limits));
        if let Some(tail) = tail {
            self.nodes.insert(new + 1, tail);
        }
        if !emptied {
            self.merge_around(new);
        }
    }

    /// Merges the neighbours of a node, and it with them, where two fit one listpack.
    fn merge_around(&mut self, mut centre: usize) {
        if centre >= 2 && self.merge(centre - 2) {
            centre -= 1;
        }
        self.merge(centre + 1);
        if centre >= 1 && self.merge(centre - 1) {
            centre -= 1;
        }
        self.merge(centre);
    }

    /// Merges the node at `at` with the next one if both are listpacks and fit one.
    fn merge(&mut self, at: usize) -> bool {
        const HEADER_AND_END: usize = 7;
        let [Some(a), Some(b)] = [self.nodes.get(at), self.nodes.get(at + 1)] else {
            return false;
        };
        if a.is_plain() || b.is_plain() {
            return false;
        }
        let merged_bytes = a.len_bytes() + b.len_bytes() - HEADER_AND_END;
        if self.limits.exceeded_by(merged_bytes, a.count() + b.count()) {
            return false;
        }
        self.open(at + 1);
        let Some(Node::Packed { listpack: b, count: more }) = self.nodes.remove(at + 1) else {
            unreachable!("the node was a listpack")
        };
        if let Node::Packed { listpack: a, count } = self.node_mut(at) {
            a.append(&b);
            *count += more;
        }
        true
    }

    /// Removes `len` elements from `start` on, as far as there are.
    pub(super) fn remove_range(&mut self, start: usize, len: usize) {
        let len = len.min(self.len.saturating_sub(start));
        let Some((first, before)) = self.node_of(start).filter(|_| len > 0) else { return };
        self.len -= len;
        let (mut left, mut at) = (len, first);
        if before > 0 {
            let here = left.min(self.nodes[at].count() - before);
            self.node_mut(at).remove_range(before, here);
            left -= here;
            at += 1;
        }
        let whole = at;
        while let Some(node) = self.nodes.get(at).filter(|node| node.count() <= left) {
            left -= node.count();
            at += 1;
        }
        self.nodes.drop_range(whole..at);
        if left > 0 {
            self.node_mut(whole).remove_range(0, left);
        }
        self.settle_around(first);
    }

    /// Removes up to `limit` elements that are `text`, looked for from `end`; how many there were.
    pub(super) fn remove_equal(&mut self, text: &[u8], limit: usize, end: End) -> usize {
        let mut removed = 0;
        let count = self.nodes.len();
        for nth in 0..count {
            let at = if end == End::Head { nth } else { count - 1 - nth };
            if removed == limit {
                break;
            }
            if self.nodes[at].opened().contains(text) {
                let is_compressed = self.limits.depth() > 0;
                let node = self.node_mut(at);
                removed += node.remove_equal(text, limit - removed, end);
                if is_compressed {
                    node.squeeze();
                }
            }
        }
        if removed > 0 {
            self.len -= removed;
            self.nodes.drop_empty();
            self.settle(0..0);
        }
        removed
    }

    /// A node that is there, about to change: open.
    fn node_mut(&mut self, at: usize) -> &mut Node {
        let node = self.nodes.get_mut(at).expect("there is such a node");
        node.open();
        node
    }

    /// Shows the elements of a range, in order or from its end back, until `visit` has had enough.
    pub(super) fn each_in(
        &self,
        range: Range<usize>,
        from: End,
        visit: &mut impl FnMut(Item<'_>) -> bool,
    ) {
        let mut left = range.len();
        match from {
            End::Head => {
                let Some((first, mut before)) = self.node_of(range.start) else { return };
                for node in self.nodes.range(first..) {
                    if !show(node.opened().iter_at(before), &mut left, visit) {
                        return;
                    }
                    before = 0;
                }
            }
            End::Tail => {
                let last = range.end.checked_sub(1).and_then(|last| self.node_of(last));
                let Some((last, before)) = last else { return };
                let mut behind = self.nodes[last].count() - 1 - before;
                for node in self.nodes.range(..=last).rev() {
                    if !show(node.opened().iter().rev().skip(behind), &mut left, visit) {
                        return;
                    }
                    behind = 0;
                }
            }
        }
    }

    // ── Compression ─────────────────────────────────────────────────────────────────────────

    fn open(&mut self, at: usize) -> &Node {
        let node = self.nodes.form_mut(at).expect("there is such a node");
        node.open();
        node
    }

    /// To be called after a node was added at an end: the one that it has made an inner one is
    /// compressed.
    #[inline]
    fn settle_end(&mut self, end: End) {
        let depth = self.limits.depth();
        if depth > 0 {
            let inner = match end {
                End::Head => depth,
                End::Tail => self.nodes.len().saturating_sub(depth + 1),
            };
            self.settle(inner..inner + 1);
        }
    }

    /// To be called after nodes about `at` were changed, split or merged.
    fn settle_around(&mut self, at: usize) {
        const REACH: usize = 3;
        self.settle(at.saturating_sub(REACH)..at + REACH + 1);
    }

    /// Opens nodes that are near an end, and compresses those of `inner` that are not.
    #[inline]
    fn settle(&mut self, inner: Range<usize>) {
        if self.limits.depth() > 0 {
            self.open_ends_and_squeeze(inner);
        }
    }

    #[cold]
    fn open_ends_and_squeeze(&mut self, inner: Range<usize>) {
        let (depth, count) = (self.limits.depth(), self.nodes.len());
        let ends = depth.min(count);
        for at in (0..ends).chain(count - ends..count) {
            self.open(at);
        }
        for at in inner.start.max(depth)..inner.end.min(count - ends) {
            self.nodes.form_mut(at).into_iter().for_each(Node::squeeze);
        }
    }
}

/// Shows up to `left` elements. Whether others are wanted.
#[inline]
fn show<'i>(
    items: impl Iterator<Item = Item<'i>>,
    left: &mut usize,
    visit: &mut impl FnMut(Item<'_>) -> bool,
) -> bool {
    for item in items.take(*left) {
        *left -= 1;
        if !visit(item) {
            return false;
        }
    }
    *left > 0
}

impl Place {
    /// Where its node is to be split so that the place's side is an end; `None` if it is one.
    fn split_at(self, node: &Node, side: Side) -> Option<Cursor> {
        let (Node::Packed { listpack, .. }, Some(cursor)) = (node, self.cursor) else {
            return None;
        };
        match side {
            Side::Before => Some(cursor).filter(|_| listpack.first() != Some(cursor)),
            Side::After => listpack.next(cursor),
        }
    }
}
