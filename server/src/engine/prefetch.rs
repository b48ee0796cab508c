//! Memory that commands will look at, fetched into the processor's cache before they do.
//!
//! A key costs two misses, its slot's and its entry's, and they are a third of what GET costs. Of a
//! pipeline, they are taken for many keys together; of a lone command, while its client is looked at
//! and the clock is read. That nearly every command's key comes first is guess enough.

use super::Engine;
use crate::resp::{Argv, Batch};

/// Commands whose keys are fetched together.
pub(super) const AT_ONCE: usize = 16;

/// Below this many keys a database lies in the cache anyway, and hashing keys twice only costs.
const MIN_KEYS: usize = 50_000;

impl Engine {
    /// For the commands from `from` on. To be called before anything else is done with a batch; where
    /// its keys are is a guess then.
    pub fn prefetch(&self, db: usize, batch: &Batch, buffer: &[u8], from: usize) {
        let to = batch.len().min(from + AT_ONCE);
        self.prefetch_keys(db, (from..to).map(|at| batch.command(buffer, at)));
    }

    /// Of the first commands that there are.
    #[inline]
    pub(super) fn prefetch_keys<'b>(
        &self,
        db: usize,
        commands: impl ExactSizeIterator<Item = Argv<'b>>,
    ) {
        let db = self.keyspace.db(db);
        if db.len() < MIN_KEYS {
            return;
        }
        let is_alone = commands.len() == 1;
        let mut commands = commands.map(|argv| argv.get(1).map(|key| db.key(key)));
        if is_alone {
            return commands.flatten().for_each(|key| db.prefetch(key));
        }
        let mut keys = [None; AT_ONCE];
        keys.iter_mut().zip(&mut commands).for_each(|(slot, key)| *slot = key);
        keys.iter().flatten().for_each(|key| db.prefetch(*key));
        keys.iter().flatten().for_each(|key| db.prefetch_entry(*key));
    }

    /// The second step for a lone command, by when its slot may have come.
    pub(super) fn prefetch_entry_of_one(&self, db: usize, batch: &Batch, buffer: &[u8]) {
        let db = self.keyspace.db(db);
        if batch.len() == 1
            && db.len() >= MIN_KEYS
            && let Some(key) = batch.command(buffer, 0).get(1)
        {
            db.prefetch_entry(db.key(key));
        }
    }
}
