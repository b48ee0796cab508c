//! Entries between two ids, across nodes, in either direction.

use std::collections::btree_map::{self, BTreeMap};
use std::ops::RangeInclusive;

use super::StreamId;
use super::node::{Backward, Entry, Forward, Node};

type Nodes<'a> = btree_map::Range<'a, StreamId, Node>;

/// The nodes that may hold entries of the range: from the one that begins at or before its start.
fn nodes<'a>(
    nodes: &'a BTreeMap<StreamId, Node>,
    ids: &RangeInclusive<StreamId>,
) -> Option<Nodes<'a>> {
    if ids.is_empty() {
        return None;
    }
    let first = nodes.range(..=*ids.start()).next_back().map_or(*ids.start(), |(id, _)| *id);
    Some(nodes.range(first..=*ids.end()))
}

/// From the start on.
pub struct Range<'a> {
    nodes: Option<Nodes<'a>>,
    node: Option<Forward<'a>>,
    ids: RangeInclusive<StreamId>,
}

impl<'a> Range<'a> {
    pub(super) fn new(all: &'a BTreeMap<StreamId, Node>, ids: RangeInclusive<StreamId>) -> Self {
        Self { nodes: nodes(all, &ids), node: None, ids }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(node) = &mut self.node else {
                let (master, node) = self.nodes.as_mut()?.next()?;
                self.node = Some(node.forward_from(*master, *self.ids.start()));
                continue;
            };
            match node.find(|entry| entry.id >= *self.ids.start() && !entry.deleted) {
                Some(entry) if entry.id <= *self.ids.end() => return Some(entry),
                Some(_) => self.nodes = None,
                None => {}
            }
            self.node = None;
        }
    }
}

/// From the end back.
pub struct RangeBack<'a> {
    nodes: Option<Nodes<'a>>,
    node: Option<Backward<'a>>,
    ids: RangeInclusive<StreamId>,
}

impl<'a> RangeBack<'a> {
    pub(super) fn new(all: &'a BTreeMap<StreamId, Node>, ids: RangeInclusive<StreamId>) -> Self {
        Self { nodes: nodes(all, &ids), node: None, ids }
    }
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(node) = &mut self.node else {
                let (master, node) = self.nodes.as_mut()?.next_back()?;
                self.node = Some(node.backward(*master));
                continue;
            };
            match node.find(|entry| entry.id <= *self.ids.end() && !entry.deleted) {
                Some(entry) if entry.id >= *self.ids.start() => return Some(entry),
                Some(_) => self.nodes = None,
                None => {}
            }
            self.node = None;
        }
    }
}
