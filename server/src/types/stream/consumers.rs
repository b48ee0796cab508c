//! The consumers of a group: found by name, referred to by a number that stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::StreamId;

/// A consumer's number, as long as it is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Shared with the map that finds the consumer by it.
    name: Arc<[u8]>,
    /// When it last asked for something.
    pub seen_ms: i64,
    /// When it last got something.
    pub active_ms: Option<i64>,
    /// Ids of the group's pending entries that this consumer has.
    pub(super) pending: BTreeSet<StreamId>,
}

impl Consumer {
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Ids of what is pending for it, in order.
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

#[derive(Clone, Debug, Default)]
pub struct Consumers {
    by_name: BTreeMap<Arc<[u8]>, ConsumerId>,
    slots: Vec<Option<Consumer>>,
    free: Vec<ConsumerId>,
}

const STAYS: &str = "a consumer's id is dropped with the consumer";

impl Consumers {
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.by_name.get(name).copied()
    }

    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.slots[id.0 as usize].as_ref().expect(STAYS)
    }

    /// Consumers in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.by_name.values().map(|id| self.consumer(*id))
    }

    pub(super) fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.slots[id.0 as usize].as_mut().expect(STAYS)
    }

    /// Adds one that is not there yet.
    pub(super) fn add(&mut self, name: &[u8], now_ms: i64) -> ConsumerId {
        let name: Arc<[u8]> = name.into();
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            ConsumerId(u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 consumers"))
        });
        self.slots[id.0 as usize] = Some(Consumer {
            name: Arc::clone(&name),
            seen_ms: now_ms,
            active_ms: None,
            pending: BTreeSet::new(),
        });
        self.by_name.insert(name, id);
        id
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Consumer> {
        let id = self.by_name.remove(name)?;
        self.free.push(id);
        self.slots[id.0 as usize].take()
    }
}
