//! What a database gives away: a key's content taken out whole, and what is left of removed ones.

use crate::keyspace::{Value, save::Ticket};

/// A key's content after it was taken out of a database whole.
#[derive(Clone, Debug)]
pub struct Taken {
    pub value: Value,
    pub expire_at: Option<i64>,
    /// See [`Entry::access`].
    pub access: u32,
    /// Of a value that is being saved, wherever it goes.
    pub(super) ticket: Option<Ticket>,
}

/// What is left of a removed key: a value with memory of its own. Dropping it frees the value;
/// where [`Self::is_big`], better outside the engine's lock.
#[derive(Debug)]
pub struct Dropped {
    value: Option<Value>,
}

impl Dropped {
    pub(crate) fn of(value: Option<Value>) -> Self {
        Self { value }
    }

    /// Bytes that freeing it sets free.
    pub fn used_bytes(&self) -> usize {
        match &self.value {
            None => 0,
            Some(Value::Str(string)) => string.view().len(),
            Some(Value::Collection(collection)) => collection.memory_bytes(),
        }
    }

    /// Whether freeing takes long enough to be left to another thread.
    pub fn is_big(&self) -> bool {
        const BIG_BYTES: usize = 64 * 1024;
        /// Allocations, as Redis' `LAZYFREE_THRESHOLD`.
        const BIG_EFFORT: usize = 64;
        match &self.value {
            None => false,
            Some(Value::Str(string)) => string.view().len() > BIG_BYTES,
            Some(Value::Collection(collection)) => collection.free_effort() > BIG_EFFORT,
        }
    }
}
