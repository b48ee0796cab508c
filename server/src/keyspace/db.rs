//! One database.

use std::{cell::Cell, collections::BTreeMap, ops::Bound};

use super::{AsKey, Encoding, Hash, Hasher, Key, Ttl, Value, ValueRef};
use crate::types::string::{Digits, Str, StrRef, StringEncoding, embeds};

struct Record {
    access: Cell<u32>,
    expire_at: Option<i64>,
    value: Value,
}

pub struct Db {
    hasher: Hasher,
    initial_access: u32,
    volatile: usize,
    records: BTreeMap<(Hash, Box<[u8]>), Record>,
}

/// A key where it lies in the table.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    key: &'a [u8],
    record: &'a Record,
}

impl<'a> Entry<'a> {
    pub fn key(self) -> &'a [u8] {
        self.key
    }

    pub fn value(self) -> ValueRef<'a> {
        match &self.record.value {
            Value::Str(string) => ValueRef::Str(string.view()),
        }
    }

    /// Unix milliseconds on the server's timeline.
    pub fn expire_at(self) -> Option<i64> {
        self.record.expire_at
    }

    /// Whether the key is past its expiry: dead at the very millisecond it names, or after.
    pub fn is_due(self, now_ms: i64) -> bool {
        self.expire_at().is_some_and(|at| at <= now_ms)
    }

    /// The 24 bits that eviction keeps about the last accesses (LRU clock or LFU counter).
    pub fn access(self) -> u32 {
        self.record.access.get()
    }

    /// Keeps the low 24 bits.
    pub fn set_access(self, access: u32) {
        self.record.access.set(access & 0xff_ffff);
    }

    pub fn encoding(self) -> Encoding {
        let Value::Str(string) = &self.record.value;
        Encoding::String(match string {
            Str::Int(_) => StringEncoding::Int,
            Str::Bytes(bytes)
                if embeds(self.key.len(), bytes.len(), self.expire_at().is_some()) =>
            {
                StringEncoding::Embstr
            }
            _ => StringEncoding::Raw,
        })
    }

    /// Bytes that this key takes in memory: entry, value and its share of the table.
    pub fn used_bytes(self) -> usize {
        self.key.len() + 64
    }
}

/// A key where it lies, for changing its value.
pub struct EntryMut<'a> {
    key: &'a [u8],
    record: &'a mut Record,
}

impl<'a> EntryMut<'a> {
    pub fn entry(&self) -> Entry<'_> {
        Entry { key: self.key, record: self.record }
    }

    /// For string commands; `None` if the key holds another type.
    pub fn into_str(self) -> Option<StrMut<'a>> {
        let Value::Str(string) = &mut self.record.value;
        Some(StrMut { string })
    }
}

/// A string value, for editing it in place.
pub struct StrMut<'a> {
    string: &'a mut Str,
}

impl StrMut<'_> {
    pub fn view(&self) -> StrRef<'_> {
        self.string.view()
    }

    /// Replaces the value by an integer; no allocation where an integer of that width was before.
    pub fn set_int(&mut self, int: i64) {
        *self.string = Str::Int(int);
    }

    /// APPEND; returns the new length.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let old_len = self.view().len();
        self.set_range(old_len, bytes)
    }

    /// SETRANGE: `bytes` at `offset`, zeros in a gap; returns the new length.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let room = self.bytes_mut(offset + bytes.len());
        room[offset..offset + bytes.len()].copy_from_slice(bytes);
        room.len()
    }

    /// The text, made at least `min_len` long with zeros, for SETBIT and its like.
    pub fn bytes_mut(&mut self, min_len: usize) -> &mut [u8] {
        if let Str::Int(int) = *self.string {
            *self.string = Str::Raw(Digits::new().format(int).as_bytes().to_vec());
        }
        if let Str::Bytes(bytes) = self.string {
            *self.string = Str::Raw(std::mem::take(bytes));
        }
        let Str::Raw(bytes) = self.string else { unreachable!("made raw above") };
        if bytes.len() < min_len {
            bytes.resize(min_len, 0);
        }
        bytes
    }
}

/// A key's content after it was taken out of a database whole.
pub struct Taken {
    pub value: Value,
    pub expire_at: Option<i64>,
    /// See [`Entry::access`].
    pub access: u32,
}

/// What is left of a removed key. Dropping it frees the value; where [`Self::is_big`], better
/// outside the engine's lock.
pub struct Dropped {
    value: Option<Value>,
}

impl Dropped {
    pub fn is_big(&self) -> bool {
        matches!(&self.value, Some(Value::Str(string)) if string.view().len() > 64 * 1024)
    }
}

/// What a bounded slice of work did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Keys removed.
    pub removed: usize,
    /// Work is left; call again soon.
    pub more: bool,
}

impl Db {
    pub fn new(hasher: Hasher) -> Self {
        Self { hasher, initial_access: 0, volatile: 0, records: BTreeMap::new() }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys that have an expiry.
    pub fn volatile_len(&self) -> usize {
        self.volatile
    }

    pub fn used_bytes(&self) -> usize {
        self.iter().map(Entry::used_bytes).sum()
    }

    /// See [`Keyspace::set_initial_access`](super::Keyspace::set_initial_access).
    pub fn set_initial_access(&mut self, access: u32) {
        self.initial_access = access;
    }

    /// The key with its hash, for several calls.
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        bytes.hashed(&self.hasher)
    }

    /// Starts to load what a lookup of `key` will touch.
    pub fn prefetch(&self, _key: Key<'_>) {}

    /// The key as it lies there, due or not.
    pub fn find<'k>(&self, key: impl AsKey<'k>) -> Option<Entry<'_>> {
        let key = key.hashed(&self.hasher);
        let (place, record) = self.records.get_key_value(&place(key))?;
        Some(Entry { key: &place.1, record })
    }

    pub fn contains<'k>(&self, key: impl AsKey<'k>) -> bool {
        self.find(key).is_some()
    }

    pub fn find_mut<'k>(&mut self, key: impl AsKey<'k>) -> Option<EntryMut<'_>> {
        let key = key.hashed(&self.hasher);
        let mut found =
            self.records.range_mut((Bound::Included(place(key)), Bound::Included(place(key))));
        let (place, record) = found.next()?;
        Some(EntryMut { key: &place.1, record })
    }

    /// Sets key, value and expiry; true if the key was there.
    pub fn set<'k>(&mut self, key: impl AsKey<'k>, value: Value, expire_at: Option<i64>) -> bool {
        let ttl = expire_at.map_or(Ttl::Clear, Ttl::At);
        self.put(key.hashed(&self.hasher), value, ttl)
    }

    /// SET: stored as an integer where `text` is a canonical one. True if the key was there.
    pub fn set_string<'k>(&mut self, key: impl AsKey<'k>, text: &[u8], ttl: Ttl) -> bool {
        self.put(key.hashed(&self.hasher), Value::Str(Str::new(text.to_vec())), ttl)
    }

    /// Sets bytes that stay bytes even where they read as an integer (INCRBYFLOAT's result).
    pub fn set_bytes<'k>(&mut self, key: impl AsKey<'k>, text: &[u8], ttl: Ttl) -> bool {
        self.put(key.hashed(&self.hasher), Value::Str(Str::Bytes(text.to_vec())), ttl)
    }

    pub fn set_int<'k>(&mut self, key: impl AsKey<'k>, int: i64, ttl: Ttl) -> bool {
        self.put(key.hashed(&self.hasher), Value::Str(Str::Int(int)), ttl)
    }

    pub fn remove<'k>(&mut self, key: impl AsKey<'k>) -> Option<Dropped> {
        self.take(key).map(|taken| Dropped { value: Some(taken.value) })
    }

    /// Takes the key's content out, for RENAME and MOVE.
    pub fn take<'k>(&mut self, key: impl AsKey<'k>) -> Option<Taken> {
        let record = self.records.remove(&place(key.hashed(&self.hasher)))?;
        self.volatile -= usize::from(record.expire_at.is_some());
        Some(Taken {
            value: record.value,
            expire_at: record.expire_at,
            access: record.access.get(),
        })
    }

    /// The other half of [`Self::take`]; true if the key was there and is overwritten.
    pub fn put_back<'k>(&mut self, key: impl AsKey<'k>, taken: Taken) -> bool {
        let key = key.hashed(&self.hasher);
        let replaced = self.set(key, taken.value, taken.expire_at);
        self.find(key).expect("set just now").set_access(taken.access);
        replaced
    }

    pub fn expire_at<'k>(&self, key: impl AsKey<'k>) -> Option<i64> {
        self.find(key)?.expire_at()
    }

    /// Gives the key an expiry, or another; false if there is no such key.
    pub fn set_expire<'k>(&mut self, key: impl AsKey<'k>, at_ms: i64) -> bool {
        let key = key.hashed(&self.hasher);
        let Some(record) = self.records.get_mut(&place(key)) else { return false };
        self.volatile += usize::from(record.expire_at.is_none());
        record.expire_at = Some(at_ms);
        true
    }

    /// Takes the key's expiry away; false if it had none.
    pub fn persist<'k>(&mut self, key: impl AsKey<'k>) -> bool {
        let key = key.hashed(&self.hasher);
        let Some(record) = self.records.get_mut(&place(key)) else { return false };
        let had = record.expire_at.take().is_some();
        self.volatile -= usize::from(had);
        had
    }

    /// Visits about `count` keys (at least one, if there is one) from `cursor` on and returns the
    /// cursor to go on from; 0 starts, and 0 returned says that all is done. A cursor is a place
    /// in hash space: a key that is there from the first call to the last is visited exactly
    /// once, however the table grows or shrinks between the calls.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Entry<'_>)) -> u64 {
        let from = self.records.range((Hash(cursor), Box::default())..);
        for (seen, ((hash, key), record)) in from.enumerate() {
            if seen >= count.max(1) {
                return hash.0;
            }
            visit(Entry { key, record });
        }
        0
    }

    /// A key, each as likely as any other, for random numbers from `draw`.
    pub fn random(&self, mut draw: impl FnMut() -> u64) -> Option<Entry<'_>> {
        let nth = draw().checked_rem(self.len() as u64)?;
        self.iter().nth(nth as usize)
    }

    /// Removes keys that are due at `now_ms`, those first that are due the longest, and shows each
    /// to `visit` before; examines at most about `budget` keys.
    pub fn expire_due(
        &mut self,
        now_ms: i64,
        budget: usize,
        mut visit: impl FnMut(Entry<'_>),
    ) -> Slice {
        let mut due: Vec<_> = self.iter().filter(|entry| entry.is_due(now_ms)).collect();
        due.sort_by_key(|entry| entry.expire_at());
        let more = due.len() > budget;
        due.truncate(budget);
        due.iter().for_each(|&entry| visit(entry));
        let keys: Vec<Vec<u8>> = due.iter().map(|entry| entry.key().to_vec()).collect();
        for key in &keys {
            self.remove(key);
        }
        Slice { removed: keys.len(), more }
    }

    /// No key is due before this; `None` without volatile keys.
    pub fn next_deadline(&self) -> Option<i64> {
        self.iter().filter_map(Entry::expire_at).min()
    }

    /// Every key, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.records.iter().map(|(place, record)| Entry { key: &place.1, record })
    }

    /// Empties the database; the old content comes back, to be dropped now or elsewhere.
    pub fn flush(&mut self) -> Db {
        let empty = Self { initial_access: self.initial_access, ..Self::new(self.hasher) };
        std::mem::replace(self, empty)
    }

    fn put(&mut self, key: Key<'_>, value: Value, ttl: Ttl) -> bool {
        let old = self.records.remove(&place(key));
        let expire_at = ttl.applied_to(old.as_ref().and_then(|old| old.expire_at));
        let had = old.as_ref().is_some_and(|old| old.expire_at.is_some());
        self.volatile = self.volatile + usize::from(expire_at.is_some()) - usize::from(had);
        let access = old.as_ref().map_or(self.initial_access, |old| old.access.get());
        let record = Record { access: Cell::new(access), expire_at, value };
        self.records.insert(place(key), record);
        old.is_some()
    }
}

fn place(key: Key<'_>) -> (Hash, Box<[u8]>) {
    (key.hash, key.bytes.into())
}
