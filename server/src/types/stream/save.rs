//! Saving the entries of a big stream in parts while it changes: nodes in order of their ids. Those that
//! change or go before their turn are kept as they were.
//!
//! What the stream remembers besides, groups among them, is written when that begins.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::log::Log;
use super::node::Node;
use super::{Stream, StreamId};
use crate::types::parts::{Kept, Part, Ticket};

/// A stream of fewer nodes is saved at once. (Tests have it smaller, so that they meet it.)
const MANY_NODES: usize = if cfg!(test) { 3 } else { 16 };

/// How far a log is saved, while it is. A copy of the log is not being saved.
#[derive(Debug, Default)]
pub(super) struct Saving(Option<Box<Progress>>);

#[derive(Debug)]
struct Progress {
    ticket: Ticket,
    /// Nodes up to here are saved.
    after: Bound<StreamId>,
    /// The last node that there was.
    last: StreamId,
    kept: BTreeMap<StreamId, Kept<Node>>,
    /// Nodes that are newer and yet not behind the last one: XSETID let the ids begin anew.
    newer: BTreeSet<StreamId>,
}

impl Clone for Saving {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl PartialEq for Saving {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Progress {
    fn range(&self) -> (Bound<StreamId>, Bound<StreamId>) {
        (self.after, Bound::Included(self.last))
    }

    fn keep(&mut self, master: StreamId, node: Node) {
        let bytes = node.memory_bytes();
        self.kept.insert(master, Kept::new(node, bytes));
    }

    /// Whether a node is still to be saved from where it lies.
    fn wants(&self, master: StreamId) -> bool {
        let is_ahead = match self.after {
            Bound::Excluded(after) => after < master,
            _ => true,
        };
        is_ahead
            && master <= self.last
            && !self.kept.contains_key(&master)
            && !self.newer.contains(&master)
    }
}

impl Saving {
    /// To be called before a node changes.
    #[inline]
    pub(super) fn before_change(&mut self, master: StreamId, node: &Node) {
        if let Some(progress) = &mut self.0
            && progress.wants(master)
        {
            progress.keep(master, node.clone());
        }
    }

    /// A node has gone.
    pub(super) fn removed(&mut self, master: StreamId, node: Node) {
        let Some(progress) = &mut self.0 else { return };
        if progress.wants(master) {
            progress.keep(master, node);
        }
        progress.newer.remove(&master);
    }

    /// A node is new.
    #[inline]
    pub(super) fn added(&mut self, master: StreamId) {
        if let Some(progress) = &mut self.0
            && master <= progress.last
        {
            progress.newer.insert(master);
        }
    }
}

impl Log {
    /// Shows the next node that is to be saved; whether there was one.
    fn save_node(&mut self, visit: impl FnOnce(StreamId, &Node)) -> bool {
        let Some(progress) = &mut self.saving.0 else { return false };
        let mut there = self.nodes.range(progress.range());
        let there = there.find(|(master, _)| !progress.newer.contains(master));
        let master = match (progress.kept.first_key_value(), there) {
            (Some((kept, node)), there) if there.is_none_or(|(there, _)| kept <= there) => {
                visit(*kept, node);
                *kept
            }
            (_, Some((master, node))) => {
                visit(*master, node);
                *master
            }
            (_, None) => return false,
        };
        progress.kept.remove(&master);
        progress.after = Bound::Excluded(master);
        true
    }
}

impl Stream {
    /// Whether it is to be saved in parts.
    pub(in crate::types) fn has_parts(&self) -> bool {
        self.log().nodes().len() >= MANY_NODES
    }

    pub(in crate::types) fn begin_save(&mut self, ticket: Ticket) {
        let log = &mut self.parts_mut().log;
        let Some((&last, _)) = log.nodes.last_key_value() else { return };
        let (kept, newer) = (BTreeMap::new(), BTreeSet::new());
        let progress = Progress { ticket, after: Bound::Unbounded, last, kept, newer };
        log.saving = Saving(Some(Box::new(progress)));
    }

    pub(in crate::types) fn end_save(&mut self) {
        self.parts_mut().log.saving = Saving(None);
    }

    pub(in crate::types) fn ticket(&self) -> Option<Ticket> {
        self.log().saving.0.as_ref().map(|progress| progress.ticket)
    }

    /// Shows nodes that are not saved yet, with about `most` entries. Whether there may be others.
    pub(in crate::types) fn save_part(
        &mut self,
        most: usize,
        visit: &mut dyn FnMut(Part<'_>),
    ) -> bool {
        let mut seen = 0;
        while seen < most {
            let found = self.parts_mut().log.save_node(|master, node| {
                visit(Part::Entries { master, node });
                seen += node.live() as usize + 1;
            });
            if !found {
                return false;
            }
        }
        true
    }
}
