//! Many keys at once, as files bring them: none of them is there yet, and the memory that one needs
//! is on its way while others are put in.

use std::collections::VecDeque;

use super::{
    Db, Key, Keyspace, Value,
    entry::{Content, OwnedEntry},
};

/// Keys whose places are being loaded into the cache: enough to hide its latency behind the work on
/// the others.
const LOOKAHEAD: usize = 8;

/// A value on its way from a file into the keyspace.
#[derive(Debug, PartialEq)]
pub enum Loaded<'a> {
    Int(i64),
    /// Text that is no integer.
    Bytes(&'a [u8]),
    Owned(Value),
}

/// A key that is to be put in.
#[derive(Debug)]
pub struct NewKey<'a> {
    pub database: usize,
    pub name: &'a [u8],
    pub value: Loaded<'a>,
    /// On the server's timeline.
    pub expire_at: Option<i64>,
    /// See [`Entry::access`](super::Entry::access); `None` is what keys start with.
    pub access: Option<u32>,
}

/// A key that was there already.
#[derive(Debug, PartialEq, Eq)]
pub struct Duplicate {
    pub database: usize,
    pub name: Vec<u8>,
}

impl Keyspace {
    /// Puts keys in, in their order, up to one that is there already; if `replaces`, that goes.
    pub fn load<'a>(
        &mut self,
        keys: impl Iterator<Item = NewKey<'a>>,
        replaces: bool,
    ) -> Result<(), Duplicate> {
        let mut coming = VecDeque::with_capacity(LOOKAHEAD + 1);
        for new in keys {
            let db = self.db(new.database);
            let key = db.key(new.name);
            db.prefetch(key);
            coming.push_back((key, new));
            if coming.len() > LOOKAHEAD
                && let Some((key, new)) = coming.pop_front()
            {
                self.load_one(key, new, replaces)?;
            }
        }
        coming.into_iter().try_for_each(|(key, new)| self.load_one(key, new, replaces))
    }

    fn load_one(&mut self, key: Key<'_>, new: NewKey<'_>, replaces: bool) -> Result<(), Duplicate> {
        let db = self.db_mut(new.database);
        if db.contains(key) {
            if !replaces {
                return Err(Duplicate { database: new.database, name: new.name.to_vec() });
            }
            db.remove(key);
        }
        db.add(key, new);
        Ok(())
    }
}

impl Db {
    /// Puts in a key that is not there.
    fn add(&mut self, key: Key<'_>, new: NewKey<'_>) {
        let mut room = Vec::new();
        let (content, edited) = match new.value {
            Loaded::Int(int) => (Content::Int(int), false),
            Loaded::Bytes(bytes) => (Content::bytes(bytes), false),
            Loaded::Owned(value) => Content::of(value, &mut room),
        };
        let access = new.access.unwrap_or(self.initial_access);
        let heap = &mut self.heap;
        let entry = OwnedEntry::new(heap, access, key.bytes, new.expire_at, content, edited);
        self.insert(key, entry);
    }
}
