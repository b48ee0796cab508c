//! Consumer groups: how far each has read, what was delivered and not yet acknowledged, and to whom.
//!
//! A pending entry lies once in its group, with who has it; a consumer's own list holds ids only.
//! Times are milliseconds on the timeline of whoever calls; they are compared, never read.

use std::collections::btree_map::{self, BTreeMap};
use std::ops::RangeBounds;

use super::StreamId;
use super::consumers::{Consumer, ConsumerId, Consumers};

/// The groups of one stream, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups(BTreeMap<Box<[u8]>, Group>);

impl Groups {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.0.get(name)
    }

    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.0.get_mut(name)
    }

    /// Adds a group; whether there was none of that name.
    pub fn insert(&mut self, name: &[u8], group: Group) -> bool {
        match self.0.entry(name.into()) {
            btree_map::Entry::Occupied(_) => false,
            btree_map::Entry::Vacant(place) => {
                place.insert(group);
                true
            }
        }
    }

    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.0.remove(name).is_some()
    }

    pub fn memory_bytes(&self) -> usize {
        self.0.values().map(|group| size_of::<Group>() + group.memory_bytes()).sum()
    }

    /// Allocations to free.
    pub fn free_effort(&self) -> usize {
        self.0.values().map(|group| 1 + group.consumers.len() + group.pending.len()).sum()
    }

    /// Groups in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.0.iter().map(|(name, group)| (&**name, group))
    }
}

#[derive(Clone, Debug)]
pub struct Group {
    /// The last entry delivered by `>`.
    pub last_id: StreamId,
    /// How many entries the stream had been given up to `last_id`; `None` where that is not known.
    pub entries_read: Option<i64>,
    pending: BTreeMap<StreamId, Nack>,
    consumers: Consumers,
}

/// An entry that was delivered and not yet acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack {
    pub consumer: ConsumerId,
    pub delivered_ms: i64,
    pub deliveries: u64,
}

impl Group {
    pub fn new(last_id: StreamId, entries_read: Option<i64>) -> Self {
        Self { last_id, entries_read, pending: BTreeMap::new(), consumers: Consumers::default() }
    }

    pub fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers.consumer_mut(id)
    }

    /// Adds a consumer unless there is one of that name; its id, and whether it is new.
    pub fn find_or_add_consumer(&mut self, name: &[u8], now_ms: i64) -> (ConsumerId, bool) {
        match self.consumers.find(name) {
            Some(id) => (id, false),
            None => (self.consumers.add(name, now_ms), true),
        }
    }

    /// Removes a consumer with what is pending for it; how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        for id in consumer.pending.iter() {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    fn memory_bytes(&self) -> usize {
        /// B-tree nodes are half full after a sequence of ascending ids.
        const NACK: usize = 2 * (size_of::<(StreamId, Nack)>() + size_of::<StreamId>());
        const CONSUMER: usize = size_of::<Consumer>() + 64;
        self.pending.len() * NACK + self.consumers.len() * CONSUMER
    }

    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub fn nack(&self, id: StreamId) -> Option<&Nack> {
        self.pending.get(&id)
    }

    /// What is pending in a range of ids, in order.
    pub fn pending(
        &self,
        ids: impl RangeBounds<StreamId>,
    ) -> impl DoubleEndedIterator<Item = (StreamId, &Nack)> {
        self.pending.range(ids).map(|(id, nack)| (*id, nack))
    }

    /// Makes an entry pending for a consumer, as delivered `deliveries` times, whoever had it before.
    pub fn assign(&mut self, id: StreamId, nack: Nack) {
        let before = self.pending.insert(id, nack).map(|before| before.consumer);
        if before == Some(nack.consumer) {
            return;
        }
        if let Some(before) = before {
            self.consumers.consumer_mut(before).pending.remove(&id);
        }
        self.consumers.consumer_mut(nack.consumer).pending.insert(id);
    }

    /// Delivers a pending entry to its consumer once more.
    pub fn redeliver(&mut self, id: StreamId, now_ms: i64) -> Option<&Nack> {
        let nack = self.pending.get_mut(&id)?;
        nack.delivered_ms = now_ms;
        nack.deliveries = nack.deliveries.saturating_add(1);
        Some(nack)
    }

    /// Forgets a pending entry: it was acknowledged, or is no longer in the stream.
    pub fn forget(&mut self, id: StreamId) -> bool {
        let Some(nack) = self.pending.remove(&id) else { return false };
        self.consumers.consumer_mut(nack.consumer).pending.remove(&id);
        true
    }
}

/// Equal in content: consumers may have been added in another order.
impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        let shown = |group: &Self| -> Vec<_> {
            let name = |nack: &Nack| group.consumers.consumer(nack.consumer).name().to_vec();
            group
                .pending(..)
                .map(|(id, nack)| (id, name(nack), nack.delivered_ms, nack.deliveries))
                .collect()
        };
        self.last_id == other.last_id
            && self.entries_read == other.entries_read
            && self.consumers.iter().eq(other.consumers.iter())
            && shown(self) == shown(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_with(names: &[&str]) -> (Group, Vec<ConsumerId>) {
        let mut group = Group::new(StreamId::MIN, Some(0));
        let ids = names.iter().map(|name| group.find_or_add_consumer(name.as_bytes(), 5).0);
        let ids = ids.collect();
        (group, ids)
    }

    fn nack(consumer: ConsumerId) -> Nack {
        Nack { consumer, delivered_ms: 7, deliveries: 1 }
    }

    #[test]
    fn a_pending_entry_is_in_one_consumers_list() {
        let (mut group, ids) = group_with(&["a", "b"]);
        let entry = StreamId::new(1, 1);
        group.assign(entry, nack(ids[0]));
        group.assign(entry, nack(ids[1]));
        let pending = |group: &Group, at: usize| group.consumers().consumer(ids[at]).pending.len();
        assert_eq!((pending(&group, 0), pending(&group, 1)), (0, 1));
        assert_eq!(group.pending_len(), 1);
        assert!(group.forget(entry));
        assert!(!group.forget(entry));
        assert_eq!((pending(&group, 1), group.pending_len()), (0, 0));
    }

    #[test]
    fn a_removed_consumer_takes_what_is_pending_for_it_along() {
        let (mut group, ids) = group_with(&["a", "b"]);
        group.assign(StreamId::new(1, 0), nack(ids[0]));
        group.assign(StreamId::new(2, 0), nack(ids[1]));
        assert_eq!(group.remove_consumer(b"a"), Some(1));
        assert_eq!(group.remove_consumer(b"a"), None);
        let left: Vec<_> = group.pending(..).map(|(id, _)| id).collect();
        assert_eq!(left, [StreamId::new(2, 0)]);
    }

    #[test]
    fn groups_are_equal_in_whatever_order_consumers_came() {
        let (mut one, ids) = group_with(&["a", "b"]);
        one.assign(StreamId::new(1, 0), nack(ids[0]));
        let (mut other, ids) = group_with(&["b", "a"]);
        assert_ne!(one, other);
        other.assign(StreamId::new(1, 0), nack(ids[1]));
        assert_eq!(one, other);
    }
}
