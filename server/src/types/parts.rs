//! Saving a big collection in parts while it changes.
//!
//! Collections of many elements keep them in *nodes*: buckets of a table, leaves of a tree. A walk goes
//! from node to node by number. A node that is about to change before its turn is copied first; one
//! that is newer is passed over. So what is saved is the collection as it was when that began, in no
//! particular order, and a change costs a copy of the nodes that it touches, once.
//!
//! Not here: what a node is, and what becomes of what is saved.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::list;
use super::stream::{self, StreamId};

/// Names a big value that is being saved in parts, wherever it goes meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u32);

/// A collection of fewer elements is saved at once. (Tests have it smaller, so that they meet it.)
pub(crate) const MANY: usize = if cfg!(test) { 40 } else { 128 };

/// A piece of a collection that is saved in parts.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Of a set.
    Member(&'a [u8]),
    /// Of a hash.
    Pair { field: &'a [u8], value: &'a [u8], deadline: Option<i64> },
    /// Of a sorted set.
    Scored { member: &'a [u8], score: f64 },
    /// Of a list, in order.
    Node(list::Part<'a>),
    /// Of a stream, in order: those whose ids follow a master id.
    Entries { master: StreamId, node: &'a stream::Node },
}

/// Bytes of nodes that are kept as they were, of all collections there are.
static KEPT_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes of nodes that changed before they were saved and wait for the walk: memory that a snapshot
/// costs.
pub fn kept_bytes() -> usize {
    KEPT_BYTES.load(Ordering::Relaxed)
}

/// A node as it was before it changed; counted while it waits to be saved.
#[derive(Debug)]
pub(crate) struct Kept<N> {
    node: N,
    bytes: usize,
}

impl<N> Kept<N> {
    pub(crate) fn new(node: N, bytes: usize) -> Self {
        KEPT_BYTES.fetch_add(bytes, Ordering::Relaxed);
        Self { node, bytes }
    }
}

impl<N> Drop for Kept<N> {
    fn drop(&mut self) {
        KEPT_BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<N> Deref for Kept<N> {
    type Target = N;

    fn deref(&self) -> &N {
        &self.node
    }
}

/// How far a collection of nodes `N` is saved, while it is. A copy of the collection is not being saved.
#[derive(Debug)]
pub(crate) struct Parts<N>(Option<Box<Progress<N>>>);

#[derive(Debug)]
struct Progress<N> {
    ticket: Ticket,
    /// Nodes that there were when it began.
    nodes: usize,
    /// By number: nodes that are saved ahead of their turn, or are newer.
    done: Vec<u64>,
    /// The next node to be looked at.
    next: usize,
    /// Nodes as they were before they changed.
    kept: Vec<Kept<N>>,
}

impl<N> Default for Parts<N> {
    fn default() -> Self {
        Self(None)
    }
}

impl<N> Clone for Parts<N> {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl<N> Parts<N> {
    /// All nodes below `nodes` are to be saved as they are now.
    pub(crate) fn begin(&mut self, ticket: Ticket, nodes: usize) {
        let done = vec![0; nodes.div_ceil(u64::BITS as usize)];
        self.0 = Some(Box::new(Progress { ticket, nodes, done, next: 0, kept: Vec::new() }));
    }

    pub(crate) fn end(&mut self) {
        self.0 = None;
    }

    pub(crate) fn ticket(&self) -> Option<Ticket> {
        self.0.as_ref().map(|progress| progress.ticket)
    }

    /// To be called before a node changes, or what is in it goes elsewhere. `copy` makes one of it, and
    /// tells how many bytes that takes.
    #[inline]
    pub(crate) fn before_change(&mut self, node: usize, copy: impl FnOnce() -> (N, usize)) {
        if let Some(progress) = &mut self.0 {
            progress.keep(node, copy);
        }
    }

    /// To be called for a node that is new: everything in it was in other nodes before, or is newer.
    #[inline]
    pub(crate) fn added(&mut self, node: usize) {
        if let Some(progress) = &mut self.0 {
            progress.take(node);
        }
    }

    /// A node that was kept and is to be saved now.
    pub(crate) fn next_kept(&mut self) -> Option<Kept<N>> {
        self.0.as_mut()?.kept.pop()
    }

    /// The number of the next node that is to be saved from where it lies.
    pub(crate) fn next_node(&mut self) -> Option<usize> {
        let progress = self.0.as_mut()?;
        while progress.next < progress.nodes {
            let node = progress.next;
            progress.next += 1;
            if progress.take(node) {
                return Some(node);
            }
        }
        None
    }
}

impl<N> Progress<N> {
    #[cold]
    fn keep(&mut self, node: usize, copy: impl FnOnce() -> (N, usize)) {
        if self.take(node) {
            let (node, bytes) = copy();
            self.kept.push(Kept::new(node, bytes));
        }
    }

    /// Whether a node was still to be saved. It is no longer.
    fn take(&mut self, node: usize) -> bool {
        if node >= self.nodes {
            return false;
        }
        let (word, bit) = (node / u64::BITS as usize, 1 << (node % u64::BITS as usize));
        let was_done = self.done[word] & bit != 0;
        self.done[word] |= bit;
        !was_done
    }
}
