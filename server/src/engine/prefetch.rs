//! Memory that commands will look at, fetched into the processor's cache before they do.
//!
//! A key costs two misses, its slot's and its entry's, and they are a third of what GET costs. Of a
//! pipeline, they are taken for many keys together; of a lone command, while its client is looked at
//! and the clock is read. That nearly every command's key comes first is guess enough.

use super::Engine;
use crate::keyspace::Fetching;
use crate::resp::{Argv, Batch};

/// Commands whose keys are fetched together.
pub(super) const AT_ONCE: usize = 16;

/// Below this many keys a database lies in the cache anyway, and hashing keys twice only costs.
const MIN_KEYS: usize = 50_000;

impl Engine {
    /// For the commands from `from` on. To be called before anything else is done with a batch; where
    /// its keys are is a guess then.
    pub fn prefetch(&mut self, db: usize, batch: &Batch, buffer: &[u8], from: usize) {
        if batch.len() == 1 {
            self.fetching = self.prefetch_of_one(db, batch.command(buffer, 0));
            return;
        }
        let to = batch.len().min(from + AT_ONCE);
        self.prefetch_keys(db, (from..to).map(|at| batch.command(buffer, at)));
    }

    /// Of the first commands that there are.
    #[inline]
    pub(super) fn prefetch_keys<'b>(&self, db: usize, commands: impl Iterator<Item = Argv<'b>>) {
        let db = self.keyspace.db(db);
        if db.len() < MIN_KEYS {
            return;
        }
        let mut lookups = [None; AT_ONCE];
        for (lookup, argv) in lookups.iter_mut().zip(commands) {
            *lookup = argv.get(1).map(|key| db.prefetch(db.key(key)));
        }
        lookups.into_iter().flatten().for_each(|lookup| db.prefetch_entry(lookup));
    }

    fn prefetch_of_one(&self, db: usize, argv: Argv<'_>) -> Option<(usize, Fetching)> {
        let place = self.keyspace.db(db);
        let key = argv.get(1).filter(|_| place.len() >= MIN_KEYS)?;
        Some((db, place.prefetch(place.key(key))))
    }

    /// The second step for a lone command, by when its slot may have come.
    #[inline]
    pub(super) fn prefetch_entry_of_one(&mut self) {
        if let Some((db, lookup)) = self.fetching.take() {
            self.keyspace.db(db).prefetch_entry(lookup);
        }
    }
}
