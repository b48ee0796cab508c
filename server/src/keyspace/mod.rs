//! The keyspace: numbered databases of keys, each with a value and perhaps an expiry.
//!
//! Pure data: no I/O, no clock, no randomness of its own. `now_ms` is passed in on the server's
//! timeline, randomness as a number. Nothing here looks at whether a key is due when it is found;
//! that is the caller's policy (a replica, for one, keeps due keys until its primary says so).

mod db;
mod deadlines;
mod entry;
mod hash;
mod heap;
mod load;
mod save;
mod slot;
mod string_mut;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use crate::types::collection::Kind;
pub use db::{Db, Dropped, Due, EntryMut, Fetching, Scope, Slice, Taken};
pub use entry::{CollectionRef, Entry};
pub use hash::{AsKey, Hash, Hasher, Key};
pub use heap::Density;
pub use load::{Duplicate, Loaded, NewKey};
pub use save::{Begun, Saver, Ticket};
pub use string_mut::StrMut;
pub use value::{Encoding, Held, Ttl, Value, ValueRef};

/// All databases of one server.
pub struct Keyspace {
    dbs: Vec<Db>,
}

impl Keyspace {
    /// `databases` empty databases (an empty one costs no allocation) that hash under `secret`.
    pub fn new(databases: usize, secret: &[u8; 16]) -> Self {
        let hasher = Hasher::new(secret);
        Self { dbs: (0..databases).map(|_| Db::new(hasher)).collect() }
    }

    pub fn databases(&self) -> usize {
        self.dbs.len()
    }

    /// # Panics
    /// If there is no database `index`: the caller has checked what a client sent.
    pub fn db(&self, index: usize) -> &Db {
        &self.dbs[index]
    }

    pub fn db_mut(&mut self, index: usize) -> &mut Db {
        &mut self.dbs[index]
    }

    /// Every database with its number.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Db)> {
        self.dbs.iter().enumerate()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Db)> {
        self.dbs.iter_mut().enumerate()
    }

    /// SWAPDB.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.dbs.swap(a, b);
    }

    /// The access field ([`Entry::access`]) that keys created from now on start with.
    /// Keys that are overwritten start anew, too, if so asked.
    pub fn set_initial_access(&mut self, access: u32, writes_are_accesses: bool) {
        self.dbs.iter_mut().for_each(|db| db.set_initial_access(access, writes_are_accesses));
    }

    /// Keys in all databases.
    pub fn len(&self) -> usize {
        self.dbs.iter().map(Db::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See [`Db::free_bytes`].
    pub fn free_bytes(&self) -> usize {
        self.dbs.iter().map(Db::free_bytes).sum()
    }

    /// Bytes that keys, values, table and expiry index take.
    pub fn used_bytes(&self) -> usize {
        self.dbs.iter().map(Db::used_bytes).sum()
    }
}
