//! The entries of a stream, in nodes of some hundred, each found by the id of the first entry that it
//! was given; and what the stream remembers of entries that are gone.

use std::collections::btree_map::{self, BTreeMap};
use std::ops::RangeInclusive;

use super::StreamId;
use super::node::{Corrupt, Node};
use super::range::{Range, RangeBack};
use super::save::Saving;

/// When a node is full: `stream-node-max-bytes` and `stream-node-max-entries`, zero for no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub node_bytes: usize,
    pub node_entries: u64,
}

/// Fields and values of one entry together.
const MAX_BYTES: usize = 1 << 30;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    pub(super) nodes: BTreeMap<StreamId, Node>,
    /// There while the stream is saved in parts.
    pub(super) saving: Saving,
    len: u64,
    /// The first entry that was not deleted; zero while there is none.
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
}

/// What a stream remembers besides its entries, as RDB keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub len: u64,
    pub first_id: StreamId,
    pub last_id: StreamId,
    pub max_deleted_id: StreamId,
    pub entries_added: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// Not behind the last id.
    NotBehindLast,
    TooLarge,
}

impl Log {
    /// A log as it was saved. The entries are counted; what does not add up is refused.
    pub fn from_parts(
        nodes: impl IntoIterator<Item = (StreamId, Vec<u8>)>,
        counters: Counters,
    ) -> Result<Self, Corrupt> {
        let mut log = Self {
            nodes: BTreeMap::new(),
            saving: Saving::default(),
            len: counters.len,
            first_id: counters.first_id,
            last_id: counters.last_id,
            max_deleted_id: counters.max_deleted_id,
            entries_added: counters.entries_added,
        };
        let mut live = 0u64;
        for (master, bytes) in nodes {
            let node = Node::from_listpack(master, &bytes)?;
            live = live.saturating_add(node.live());
            if log.nodes.insert(master, node).is_some() {
                return Err(Corrupt);
            }
        }
        if live == log.len { Ok(log) } else { Err(Corrupt) }
    }

    /// The nodes, each with its master id.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (StreamId, &Node)> {
        self.nodes.iter().map(|(master, node)| (*master, node))
    }

    pub fn counters(&self) -> Counters {
        Counters {
            len: self.len,
            first_id: self.first_id,
            last_id: self.last_id,
            max_deleted_id: self.max_deleted_id,
            entries_added: self.entries_added,
        }
    }

    /// Entries that are there.
    #[expect(clippy::len_without_is_empty, reason = "an empty log is nothing special")]
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The id of the last entry added, whether it is still there or not.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// XSETID.
    pub fn set_last_id(&mut self, id: StreamId) {
        self.last_id = id;
    }

    pub fn set_max_deleted_id(&mut self, id: StreamId) {
        self.max_deleted_id = id;
    }

    pub fn set_entries_added(&mut self, count: u64) {
        self.entries_added = count;
    }

    /// Appends an entry: `words` are its fields and values in turn.
    pub fn add<'w>(
        &mut self,
        id: StreamId,
        words: impl Iterator<Item = &'w [u8]> + Clone,
        limits: Limits,
    ) -> Result<(), AddError> {
        if id <= self.last_id {
            return Err(AddError::NotBehindLast);
        }
        let size = Size::of(words.clone());
        if size.encoded > MAX_BYTES {
            return Err(AddError::TooLarge);
        }
        match self.nodes.last_entry() {
            Some(mut last) if last.get().has_room(size, limits) => {
                let master = *last.key();
                self.saving.before_change(master, last.get());
                last.get_mut().push(master, id, words);
            }
            _ => {
                self.nodes.insert(id, Node::new(words));
                self.saving.added(id);
            }
        }
        if self.len == 0 {
            self.first_id = id;
        }
        self.len += 1;
        self.entries_added += 1;
        self.last_id = id;
        Ok(())
    }

    /// Entries in order of their ids.
    pub fn range(&self, ids: RangeInclusive<StreamId>) -> Range<'_> {
        Range::new(&self.nodes, ids)
    }

    /// The same from the end.
    pub fn range_back(&self, ids: RangeInclusive<StreamId>) -> RangeBack<'_> {
        RangeBack::new(&self.nodes, ids)
    }

    pub fn all(&self) -> Range<'_> {
        self.range(StreamId::MIN..=StreamId::MAX)
    }

    pub fn contains(&self, id: StreamId) -> bool {
        self.range(id..=id).next().is_some()
    }

    /// The last entry that is still there.
    pub fn last_entry_id(&self) -> Option<StreamId> {
        self.range_back(StreamId::MIN..=StreamId::MAX).next().map(|entry| entry.id)
    }

    /// XDEL: whether there was such an entry.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((&master, node)) = self.nodes.range_mut(..=id).next_back() else { return false };
        self.saving.before_change(master, node);
        if node.kill(master, id..=id, 1) == 0 {
            return false;
        }
        if node.live() == 0
            && let Some(node) = self.nodes.remove(&master)
        {
            self.saving.removed(master, node);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id || self.len == 0 {
            self.find_first();
        }
        true
    }

    /// The first node, for trimming.
    pub(super) fn first_node(&mut self) -> Option<btree_map::OccupiedEntry<'_, StreamId, Node>> {
        self.nodes.first_entry()
    }

    /// Removes the whole first node; how many entries went with it.
    pub(super) fn drop_first_node(&mut self) -> u64 {
        let Some((master, node)) = self.nodes.pop_first() else { return 0 };
        let dropped = node.live();
        self.saving.removed(master, node);
        self.len -= dropped;
        dropped
    }

    /// Removes up to `most` entries of the first node whose ids are below `end`.
    pub(super) fn trim_first_node(&mut self, end: Option<StreamId>, most: u64) -> u64 {
        let Some(mut first) = self.nodes.first_entry() else { return 0 };
        let last = match end {
            None => StreamId::MAX,
            Some(end) => match end.previous() {
                Some(last) => last,
                None => return 0,
            },
        };
        let master = *first.key();
        self.saving.before_change(master, first.get());
        let killed = first.get_mut().kill(master, StreamId::MIN..=last, most);
        if first.get().live() == 0 {
            self.saving.removed(master, first.remove());
        }
        self.len -= killed;
        killed
    }

    /// Looks up the first entry that is there.
    pub fn find_first(&mut self) {
        let first = self.all().next().map(|entry| entry.id);
        self.first_id = first.unwrap_or_default();
    }

    pub fn memory_bytes(&self) -> usize {
        /// Nodes looked at; the others are taken to be like them.
        const SAMPLE: usize = 16;
        /// Key and pointer, in B-tree nodes that are half full.
        const SLOT: usize = 48;
        let sampled = self.nodes.len().min(SAMPLE);
        let bytes: usize = self.nodes.values().take(SAMPLE).map(Node::memory_bytes).sum();
        match sampled {
            0 => 0,
            sampled => self.nodes.len() * (bytes / sampled + SLOT),
        }
    }
}

/// What an entry asks for.
#[derive(Clone, Copy)]
struct Size {
    /// Fields and values, which the limit of a node is about.
    words: usize,
    /// An upper bound of what they take in a listpack with all around them.
    encoded: usize,
}

impl Size {
    fn of<'w>(words: impl Iterator<Item = &'w [u8]>) -> Self {
        /// Length before and behind an element.
        const ELEMENT: usize = 10;
        /// Counts at the front of a node, flags, id and count of an entry.
        const AROUND: usize = 100;
        let mut size = Self { words: 0, encoded: AROUND };
        for word in words {
            size.words += word.len();
            size.encoded += word.len() + ELEMENT;
        }
        size
    }
}

impl Node {
    fn has_room(&self, size: Size, limits: Limits) -> bool {
        (limits.node_bytes == 0 || self.len_bytes() + size.words < limits.node_bytes)
            && self.fits(size.encoded)
            && (limits.node_entries == 0 || self.live() + self.dead() < limits.node_entries)
    }
}
