//! Many keys at once, as files bring them: none of them is there yet, and the memory that one needs
//! is on its way while others are put in.

use std::collections::VecDeque;

use super::{
    Db, Key, Keyspace, Value,
    entry::{Content, OwnedEntry},
};

/// Keys that are put in while the memory that one needs next is on its way: its segment first, which
/// tells where its slots are, then these.
const LEAD: usize = 8;

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
        let mut coming = VecDeque::<(Key<'_>, NewKey<'_>)>::with_capacity(2 * LEAD + 1);
        for new in keys {
            let db = self.db(new.database);
            let key = db.key(new.name);
            db.table.prefetch_segment(key.hash);
            coming.push_back((key, new));
            if let Some((key, new)) = coming.len().checked_sub(LEAD).and_then(|at| coming.get(at)) {
                self.db(new.database).prefetch(*key);
            }
            if coming.len() > 2 * LEAD
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
    /// Makes room for so many keys, if there are none yet. To be believed by the caller.
    pub fn expect(&mut self, keys: usize) {
        self.table.expect(keys);
    }

    /// Gives back the room of keys that were expected and have not come.
    pub fn trim(&mut self) {
        let deadlines = &mut self.deadlines;
        self.table.shrink_all(|into, from| deadlines.merge(into, from));
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[String]) -> impl Iterator<Item = NewKey<'_>> {
        names.iter().map(|name| NewKey {
            database: 0,
            name: name.as_bytes(),
            value: Loaded::Int(7),
            expire_at: None,
            access: None,
        })
    }

    #[test]
    fn room_that_was_made_is_filled_without_growing() {
        let names: Vec<String> = (0..50_000).map(|nth| format!("key:{nth}")).collect();
        for (expected, slots_per_key) in [(50_000, 1.05..1.45), (0, 1.02..1.35)] {
            let mut keyspace = Keyspace::new(1, &[5; 16]);
            keyspace.db_mut(0).expect(expected);
            let before = keyspace.db(0).slots();
            keyspace.load(keys(&names), false).expect("none is there");
            let db = keyspace.db_mut(0);
            assert!(expected == 0 || db.slots() - before < before / 20, "{before} {}", db.slots());
            assert!(slots_per_key.contains(&(db.slots() as f64 / 50_000.0)), "{}", db.slots());
            db.table.check();
            let slots = db.slots();
            db.trim();
            assert_eq!(db.slots(), slots);
            assert!(names.iter().all(|name| db.contains(name.as_bytes())));
        }
    }

    #[test]
    fn keys_that_have_not_come_take_no_room() {
        for count in [0, 1, 5_000] {
            let names: Vec<String> = (0..count).map(|nth| format!("key:{nth}")).collect();
            let mut keyspace = Keyspace::new(1, &[5; 16]);
            keyspace.db_mut(0).expect(1_000_000);
            keyspace.load(keys(&names), false).expect("none is there");
            let db = keyspace.db_mut(0);
            db.trim();
            db.table.check();
            assert!(db.slots() <= 16 + 3 * count, "{count} keys in {} slots", db.slots());
            assert!(names.iter().all(|name| db.contains(name.as_bytes())));
            // What is not empty is left alone.
            let slots = db.slots();
            db.expect(1_000_000);
            assert!(count == 0 || db.slots() == slots);
        }
    }

    #[test]
    fn a_key_is_put_in_once() {
        let names: Vec<String> = (0..40).map(|nth| format!("key:{}", nth % 39)).collect();
        let mut keyspace = Keyspace::new(1, &[5; 16]);
        let duplicate = keyspace.load(keys(&names), false);
        assert_eq!(duplicate, Err(Duplicate { database: 0, name: b"key:0".to_vec() }));
        assert_eq!(keyspace.len(), 39);
        assert_eq!(keyspace.load(keys(&names), true), Ok(()));
        assert_eq!(keyspace.len(), 39);
    }
}
