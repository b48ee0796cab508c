//! Walking a list of either form from either end.

use std::collections::vec_deque;

use super::node::{self, Node};
use crate::types::listpack::Item;

/// Elements in order.
#[derive(Clone, Default)]
pub struct Iter<'a> {
    front: node::Iter<'a>,
    nodes: vec_deque::Iter<'a, Node>,
    back: node::Iter<'a>,
}

impl<'a> Iter<'a> {
    pub(super) fn over_one(node: node::Iter<'a>) -> Self {
        Self { front: node, ..Self::default() }
    }

    /// First `front`, then all of `nodes`.
    pub(super) fn over(front: node::Iter<'a>, nodes: vec_deque::Iter<'a, Node>) -> Self {
        Self { front, nodes, back: node::Iter::default() }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.front.next() {
                return Some(item);
            }
            let Some(node) = self.nodes.next() else { return self.back.next() };
            self.front = node.iter();
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.back.next_back() {
                return Some(item);
            }
            let Some(node) = self.nodes.next_back() else { return self.front.next_back() };
            self.back = node.iter();
        }
    }
}
