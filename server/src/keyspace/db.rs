//! One database: the table, the memory of its entries and the expiry index kept in step. Here is what
//! reads; `write`, `expire` and `gather` change it.

mod expire;
mod gather;
mod taken;
mod write;

pub use expire::{Due, Slice};
pub use gather::Scope;
pub use taken::{Dropped, Taken};

use super::{
    AsKey, Entry, Hash, Hasher, Key,
    deadlines::Deadlines,
    entry::may_be_packed,
    heap::Heap,
    save::Saving,
    slot::Slot,
    string_mut::StrMut,
    table::{Place, Table},
};
use crate::types::collection::Collection;

/// A lookup that [`Db::prefetch`] began and [`Db::prefetch_entry`] goes on with.
#[derive(Clone, Copy, Debug)]
pub struct Fetching(Hash);

pub struct Db {
    pub(super) table: Table,
    pub(super) heap: Heap,
    pub(super) deadlines: Deadlines,
    /// Keys with an expiry.
    volatile: usize,
    /// Hashes whose fields have one.
    volatile_within: usize,
    /// Bytes of values that have memory of their own.
    vector_bytes: usize,
    /// How many keys own memory that does not go with the heap.
    pub(super) owners: usize,
    /// Collections that were overwritten, for the caller to free where it likes.
    replaced: Vec<Dropped>,
    pub(super) initial_access: u32,
    /// Whether a key that is overwritten counts as new for eviction.
    writes_are_accesses: bool,
    /// There while a snapshot is taken.
    pub(super) saving: Option<Box<Saving>>,
    /// The segment whose keys are gathered next, and how many of them were; see [`Self::gather`].
    gather_next: (usize, usize),
    /// The time of the last look for due keys. Deadlines are sorted into horizons by it; it need
    /// not be exact.
    now_ms: i64,
}

/// A key where it lies, for changing its value.
pub struct EntryMut<'a> {
    db: &'a mut Db,
    place: Place,
}

impl<'a> EntryMut<'a> {
    #[inline]
    pub fn entry(&self) -> Entry<'_> {
        self.db.table.slot(self.place).entry()
    }

    /// For string commands; `None` if the key holds another type.
    pub fn into_str(self) -> Option<StrMut<'a>> {
        self.entry().value().as_str()?;
        Some(StrMut { db: self.db, place: self.place })
    }

    /// For the other types' commands: changes the value; `None` if the key holds a string. The caller
    /// says whether the next deadline within it changed ([`Db::note_deadline_within`]).
    #[inline]
    pub fn edit_collection<R>(self, edit: impl FnOnce(&mut Collection) -> R) -> Option<R> {
        let Self { db, place } = self;
        db.before_change(place);
        if let Some(collection) = db.table.slot_mut(place).edit_collection() {
            let result = edit(collection);
            if collection.ticket().is_none() && may_be_packed(collection) {
                db.put_collection(place, None);
            }
            return Some(result);
        }
        let mut collection = db.table.slot(place).entry().collection()?.clone();
        let result = edit(&mut collection);
        if !db.table.slot_mut(place).repack(&collection) {
            db.put_collection(place, Some(collection));
        }
        Some(result)
    }
}

impl Db {
    pub fn new(hasher: Hasher) -> Self {
        Self {
            table: Table::new(hasher),
            heap: Heap::new(),
            deadlines: Deadlines::default(),
            volatile: 0,
            volatile_within: 0,
            vector_bytes: 0,
            owners: 0,
            replaced: Vec::new(),
            initial_access: 0,
            writes_are_accesses: true,
            saving: None,
            gather_next: (0, 0),
            now_ms: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Places for keys in the table, taken or free.
    pub fn slots(&self) -> usize {
        self.table.slots_len()
    }

    /// Keys that have an expiry.
    pub fn volatile_len(&self) -> usize {
        self.volatile
    }

    /// Hashes with fields that have an expiry.
    pub fn volatile_within_len(&self) -> usize {
        self.volatile_within
    }

    /// Bytes of the table, without what it points to.
    pub fn table_bytes(&self) -> usize {
        self.table.used_bytes()
    }

    /// Bytes of the expiry index.
    pub fn deadlines_bytes(&self) -> usize {
        self.deadlines.used_bytes()
    }

    /// Bytes that keys, values, table and expiry index take.
    pub fn used_bytes(&self) -> usize {
        self.heap.used_bytes()
            + self.vector_bytes
            + self.table.used_bytes()
            + self.deadlines.used_bytes()
    }

    /// Bytes of the database's slabs that are free for further keys. The process's allocator
    /// counts them as used; what is weighed against `maxmemory` should not.
    pub fn free_bytes(&self) -> usize {
        self.heap.free_bytes()
    }

    /// See [`Keyspace::set_initial_access`](super::Keyspace::set_initial_access).
    pub fn set_initial_access(&mut self, access: u32, writes_are_accesses: bool) {
        self.initial_access = access;
        self.writes_are_accesses = writes_are_accesses;
    }

    // ── Reading ─────────────────────────────────────────────────────────────────────────────

    /// The key with its hash, for several calls.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        bytes.hashed(self.table.hasher())
    }

    /// The same for what may be hashed already.
    #[inline]
    pub fn key_of<'k>(&self, key: impl AsKey<'k>) -> Key<'k> {
        key.hashed(self.table.hasher())
    }

    /// Starts to load what a lookup of `key` reads first. For a batch: call this for all its keys,
    /// then [`Self::prefetch_entry`] for all, then run the commands.
    #[inline]
    pub fn prefetch(&self, key: Key<'_>) -> Fetching {
        self.table.prefetch_slots(key.hash);
        Fetching(key.hash)
    }

    /// Starts to load the entry, once what [`Self::prefetch`] asked for is there.
    #[inline]
    pub fn prefetch_entry(&self, Fetching(hash): Fetching) {
        self.table.prefetch_entry(hash);
    }

    /// The key as it lies there, due or not.
    #[inline]
    pub fn find<'k>(&self, key: impl AsKey<'k>) -> Option<Entry<'_>> {
        let place = self.table.find(key.hashed(self.table.hasher()))?;
        Some(self.table.slot(place).entry())
    }

    pub fn contains<'k>(&self, key: impl AsKey<'k>) -> bool {
        self.find(key).is_some()
    }

    pub fn expire_at<'k>(&self, key: impl AsKey<'k>) -> Option<i64> {
        self.find(key)?.expire_at()
    }

    /// Visits about `count` keys (at least one, if there is one) from `cursor` on and returns the
    /// cursor to go on from; 0 starts, and 0 returned says that all is done. A cursor is a place
    /// in hash space: a key that is there from the first call to the last is visited exactly
    /// once, however the table grows or shrinks between the calls.
    pub fn scan(&self, cursor: u64, count: usize, visit: impl FnMut(Entry<'_>)) -> u64 {
        self.table.scan(cursor, count.max(1), visit)
    }

    /// A key, each as likely as any other, for random numbers from `draw`.
    pub fn random(&self, draw: impl FnMut() -> u64) -> Option<Entry<'_>> {
        self.table.random(draw)
    }

    /// Visits `count` keys from a random place on, only volatile ones if so asked. Fewer where
    /// there are no more, or none within reach of a bounded look.
    pub fn sample(
        &self,
        mut draw: impl FnMut() -> u64,
        volatile: bool,
        count: usize,
        mut visit: impl FnMut(Entry<'_>),
    ) {
        let here = if volatile { self.volatile } else { self.len() };
        let wanted = count.min(here);
        let mut left = wanted;
        let mut look = |slot: &Slot| {
            if !slot.is_empty() && (!volatile || slot.horizon() != 0) {
                visit(slot.entry());
                left -= 1;
            }
            left > 0
        };
        if wanted == 0 || !self.table.walk(draw(), &mut look) {
            return;
        }
        // The look found too few. Where volatile keys are rare, the expiry index knows of some.
        if let Some((_, segment)) = self.deadlines.nearest().filter(|_| volatile) {
            let _ = self.table.slots(segment).iter().all(look);
        } else if left == wanted
            && let Some(entry) = self.random(draw)
        {
            visit(entry);
        }
    }

    /// Every key, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.table.iter()
    }
}

impl Drop for Db {
    /// The heap frees the entries; what they own besides is freed here.
    fn drop(&mut self) {
        if self.owners == 0 {
            return;
        }
        for entry in self.table.drain() {
            if entry.entry().owns_memory() {
                drop(entry.destroy(&mut self.heap));
            }
        }
    }
}
