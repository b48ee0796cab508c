//! One database: the table, the memory of its entries and the expiry index kept in step.

use super::{
    AsKey, Entry, Hash, Hasher, Key, Ttl, Value,
    deadlines::{Deadlines, horizon},
    entry::{Content, OwnedEntry, may_be_packed},
    heap::Heap,
    save::{Saving, Ticket},
    slot::Slot,
    string_mut::StrMut,
    table::{Place, Table},
};
use crate::number::parse_int;
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
    /// The segment whose keys are gathered next; see [`Self::gather`].
    gather_next: usize,
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

/// A key's content after it was taken out of a database whole.
#[derive(Clone, Debug)]
pub struct Taken {
    pub value: Value,
    pub expire_at: Option<i64>,
    /// See [`Entry::access`].
    pub access: u32,
    /// Of a value that is being saved, wherever it goes.
    ticket: Option<Ticket>,
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

/// What a bounded slice of work did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Keys removed because they were due.
    pub removed: usize,
    /// Fields of hashes removed.
    pub fields: usize,
    /// Work is left; call again soon.
    pub more: bool,
}

/// What [`Db::expire_due`] found.
#[derive(Clone, Copy)]
pub enum Due<'a> {
    /// A key, which goes now.
    Key(Entry<'a>),
    /// A field of the hash that is shown next, which goes now.
    Field(&'a [u8]),
    /// A hash some of whose fields have gone; it goes, too, if none are left.
    Fields(Entry<'a>),
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
            gather_next: 0,
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

    // ── Writing ─────────────────────────────────────────────────────────────────────────────

    pub fn find_mut<'k>(&mut self, key: impl AsKey<'k>) -> Option<EntryMut<'_>> {
        let place = self.table.find(key.hashed(self.table.hasher()))?;
        Some(EntryMut { db: self, place })
    }

    /// Sets key, value and expiry; true if the key was there.
    pub fn set<'k>(&mut self, key: impl AsKey<'k>, value: Value, expire_at: Option<i64>) -> bool {
        let ttl = expire_at.map_or(Ttl::Clear, Ttl::At);
        let mut room = Vec::new();
        let (content, edited) = Content::of(value, &mut room);
        self.put(key.hashed(self.table.hasher()), content, edited, ttl)
    }

    /// SET: stored as an integer where `text` is a canonical one. True if the key was there.
    #[inline]
    pub fn set_string<'k>(&mut self, key: impl AsKey<'k>, text: &[u8], ttl: Ttl) -> bool {
        match parse_int(text) {
            Some(int) => self.set_int(key, int, ttl),
            None => self.set_bytes(key, text, ttl),
        }
    }

    /// Sets bytes that stay bytes even where they read as an integer (INCRBYFLOAT's result).
    pub fn set_bytes<'k>(&mut self, key: impl AsKey<'k>, text: &[u8], ttl: Ttl) -> bool {
        self.put(key.hashed(self.table.hasher()), Content::bytes(text), false, ttl)
    }

    pub fn set_int<'k>(&mut self, key: impl AsKey<'k>, int: i64, ttl: Ttl) -> bool {
        self.put(key.hashed(self.table.hasher()), Content::Int(int), false, ttl)
    }

    pub fn remove<'k>(&mut self, key: impl AsKey<'k>) -> Option<Dropped> {
        let place = self.table.find(key.hashed(self.table.hasher()))?;
        let ticket = self.before_removal(place);
        let value = self.remove_at(place);
        self.shrink(place.segment);
        Some(self.leave(ticket, value))
    }

    /// Takes the key's content out, for RENAME and MOVE.
    pub fn take<'k>(&mut self, key: impl AsKey<'k>) -> Option<Taken> {
        let place = self.table.find(key.hashed(self.table.hasher()))?;
        let entry = self.table.slot(place).entry();
        let (expire_at, access) = (entry.expire_at(), entry.access());
        // A value with memory of its own comes back from the removal, and is not copied.
        let copied = (!entry.has_own_value()).then(|| entry.to_value());
        let ticket = self.before_removal(place);
        let own = self.remove_at(place);
        self.shrink(place.segment);
        let value = own.or(copied).expect("a value is in the entry or owns memory");
        Some(Taken { value, expire_at, access, ticket })
    }

    /// The other half of [`Self::take`]; true if the key was there and is overwritten.
    pub fn put_back<'k>(&mut self, key: impl AsKey<'k>, taken: Taken) -> bool {
        let key = key.hashed(self.table.hasher());
        let replaced = self.set(key, taken.value, taken.expire_at);
        if let Some(ticket) = taken.ticket {
            self.adopt(ticket, key);
        }
        self.find(key).expect("set just now").set_access(taken.access);
        replaced
    }

    /// Gives the key an expiry, or another; false if there is no such key.
    pub fn set_expire<'k>(&mut self, key: impl AsKey<'k>, at_ms: i64) -> bool {
        let key = key.hashed(self.table.hasher());
        let Some(place) = self.table.find(key) else { return false };
        self.change(place, |entry, heap| entry.set_expire(heap, Some(at_ms)));
        true
    }

    /// Takes the key's expiry away; false if it had none.
    pub fn persist<'k>(&mut self, key: impl AsKey<'k>) -> bool {
        let key = key.hashed(self.table.hasher());
        let Some(place) = self.table.find(key) else { return false };
        if self.table.slot(place).entry().expire_at().is_none() {
            return false;
        }
        self.change(place, |entry, heap| entry.set_expire(heap, None));
        true
    }

    #[inline]
    pub fn has_replaced(&self) -> bool {
        !self.replaced.is_empty()
    }

    /// Collections that were overwritten since the last call.
    pub fn take_replaced(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.replaced)
    }

    /// Empties the database; the old content comes back, to be dropped now or elsewhere, or to be saved
    /// first if it [is being](Self::has_unsaved).
    pub fn flush(&mut self) -> Db {
        let mut empty = Self::new(*self.table.hasher());
        empty.saving = self.saving_of_successor();
        empty.set_initial_access(self.initial_access, self.writes_are_accesses);
        std::mem::replace(self, empty)
    }

    fn put(&mut self, key: Key<'_>, content: Content<'_>, edited: bool, ttl: Ttl) -> bool {
        let Some(place) = self.table.find(key) else {
            let expire_at = ttl.applied_to(None);
            let access = self.initial_access;
            let heap = &mut self.heap;
            let entry = OwnedEntry::new(heap, access, key.bytes, expire_at, content, edited);
            self.insert(key, entry);
            return false;
        };
        let entry = self.table.slot(place).entry();
        if self.writes_are_accesses {
            entry.set_access(self.initial_access);
        }
        let expire_at = ttl.applied_to(entry.expire_at());
        let is_collection = entry.large_collection().is_some();
        let ticket = self.before_removal(place);
        if is_collection || ticket.is_some() {
            let mut replaced = None;
            self.change_saved(place, |mut entry, heap| {
                replaced = entry.take_value();
                entry.refill(heap, expire_at, content, edited)
            });
            let dropped = self.leave(ticket, replaced);
            if is_collection {
                self.replaced.push(dropped);
            }
            return true;
        }
        self.change_saved(place, |entry, heap| entry.rewrite(heap, expire_at, content, edited));
        true
    }

    pub(super) fn insert(&mut self, key: Key<'_>, mut entry: OwnedEntry) {
        let place = loop {
            match self.table.insert(key.hash, entry) {
                Ok(place) => break place,
                Err(back) => entry = back,
            }
            if let Some((old, new)) = self.table.grow(key.hash) {
                self.deadlines.split(old, new);
            }
        };
        self.after_insertion(place);
        self.count(place, true);
        self.note_deadline(place, self.table.slot(place).entry().next_deadline());
    }

    pub(super) fn change(
        &mut self,
        place: Place,
        change: impl FnOnce(OwnedEntry, &mut Heap) -> OwnedEntry,
    ) {
        self.before_change(place);
        self.change_saved(place, change);
    }

    /// Changes an entry that a running snapshot needs no more.
    fn change_saved(
        &mut self,
        place: Place,
        change: impl FnOnce(OwnedEntry, &mut Heap) -> OwnedEntry,
    ) {
        self.count(place, false);
        let heap = &mut self.heap;
        self.table.slot_mut(place).replace(|entry| change(entry, heap));
        self.count(place, true);
        self.note_deadline(place, self.table.slot(place).entry().next_deadline());
    }

    /// Puts a changed collection in the place of the old one; `None` for the one that is there, which
    /// may have become small enough to be packed. Its deadlines are the caller's to note.
    fn put_collection(&mut self, place: Place, new: Option<Collection>) {
        let owned = self.table.slot(place).entry().owns_memory();
        let heap = &mut self.heap;
        self.table.slot_mut(place).replace(|mut entry| {
            let expire_at = entry.entry().expire_at();
            let old = entry.take_value();
            match new.map(Value::Collection).or(old) {
                Some(Value::Collection(collection)) => {
                    entry.refill(heap, expire_at, Content::Collection(collection), false)
                }
                _ => unreachable!("the entry of a collection"),
            }
        });
        let owns = self.table.slot(place).entry().owns_memory();
        self.owners = self.owners - usize::from(owned) + usize::from(owns);
    }

    /// Adds an entry to the sums that are kept over all, or takes it from them.
    fn count(&mut self, place: Place, add: bool) {
        let entry = self.table.slot(place).entry();
        let one = |yes: bool| usize::from(yes);
        let (owners, bytes) = match entry.owns_memory() {
            true => (1, entry.vector_bytes()),
            false => (0, 0),
        };
        let (volatile, within) =
            (one(entry.expire_at().is_some()), one(entry.is_volatile_within()));
        let each = [
            (&mut self.owners, owners),
            (&mut self.vector_bytes, bytes),
            (&mut self.volatile, volatile),
            (&mut self.volatile_within, within),
        ];
        for (sum, change) in each {
            *sum = if add { *sum + change } else { *sum - change };
        }
    }

    /// To be called when the next deadline within a key's value has changed; `had` says whether there
    /// was one before.
    pub fn note_deadline_within<'k>(&mut self, key: impl AsKey<'k>, had: bool) {
        if let Some(place) = self.table.find(key.hashed(self.table.hasher())) {
            self.note_within(place, had);
        }
    }

    fn note_within(&mut self, place: Place, had: bool) {
        let entry = self.table.slot(place).entry();
        self.volatile_within += usize::from(entry.is_volatile_within());
        self.volatile_within -= usize::from(had);
        self.note_deadline(place, entry.next_deadline());
    }

    /// Brings the expiry index up to an entry's next deadline.
    fn note_deadline(&mut self, place: Place, deadline: Option<i64>) {
        let slot = self.table.slot(place);
        let after = deadline.map_or(0, |at| horizon(at.saturating_sub(self.now_ms)));
        if slot.horizon() != after {
            let slot = self.table.slot_mut(place);
            *slot = slot.with_horizon(after);
        }
        if let Some(at) = deadline {
            self.deadlines.add(place.segment, after, at);
        }
    }

    /// Leaves the segment as large as it was. A value with memory of its own comes back.
    fn remove_at(&mut self, place: Place) -> Option<Value> {
        self.count(place, false);
        self.table.remove(place).destroy(&mut self.heap)
    }

    fn shrink(&mut self, segment: usize) {
        let deadlines = &mut self.deadlines;
        self.table.shrink(segment, |into, from| deadlines.merge(into, from));
    }

    // ── Compaction ──────────────────────────────────────────────────────────────────────────

    /// Whether slabs hold so much free memory that gathering their pieces is worth while.
    pub fn is_sparse(&self) -> bool {
        /// Free pieces of the slabs being filled, one of each class, are no waste.
        const FREE_MIN: usize = 1 << 20;
        let free = self.heap.free_bytes();
        free > FREE_MIN + self.heap.used_bytes() / 32
    }

    /// Moves the keys of one segment from sparse slabs into denser ones, and `values` too, if so
    /// asked, that have memory of their own. How many keys moved; `None` after the last segment, and
    /// the next call begins anew.
    pub fn gather(&mut self, values: bool) -> Option<usize> {
        let Some(slots) = self.table.slots_mut(self.gather_next) else {
            self.gather_next = 0;
            return None;
        };
        self.gather_next += 1;
        let mut moved = 0;
        let heap = &mut self.heap;
        for slot in slots {
            slot.replace(|mut entry| {
                if values {
                    entry.renew_value();
                }
                let (entry, has_moved) = entry.gathered(heap);
                moved += usize::from(has_moved);
                entry
            });
        }
        Some(moved)
    }

    // ── Expiry ──────────────────────────────────────────────────────────────────────────────

    /// Nothing is due before this; `None` where nothing ever is.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.nearest_bound()
    }

    /// Removes keys that are due at `now_ms`, and what is due within those that stay; those first
    /// that are due the longest (segment by segment). Each is shown to `visit`. Looks at about
    /// `budget` keys, and at up to a thousand more; each costs 20 to 200 ns.
    pub fn expire_due(
        &mut self,
        now_ms: i64,
        budget: usize,
        mut visit: impl FnMut(Due<'_>),
    ) -> Slice {
        self.now_ms = now_ms;
        let mut slice = Slice::default();
        let mut left = budget.max(1);
        while let Some((deadline, segment)) = self.deadlines.nearest()
            && deadline <= now_ms
        {
            if left == 0 {
                slice.more = true;
                break;
            }
            let looked_at = self.expire_segment(segment, left, &mut slice, &mut visit);
            left = left.saturating_sub(looked_at);
        }
        slice
    }

    /// Looks at those keys of a segment whose horizon has come due, and removes at most `limit`.
    /// Returns how much was looked at.
    fn expire_segment(
        &mut self,
        segment: usize,
        limit: usize,
        slice: &mut Slice,
        visit: &mut impl FnMut(Due<'_>),
    ) -> usize {
        let candidates = self.take_candidates(segment);
        // A pass over the slots costs about as much as a look at sixteen keys.
        let mut looked_at = candidates.len() + 16;
        let mut due = self.due_of(segment, candidates);
        for &(_, index) in due.iter().skip(limit) {
            let place = Place { segment, index };
            self.note_deadline(place, self.table.slot(place).entry().next_deadline());
        }
        due.truncate(limit);
        let mut gone = Vec::with_capacity(due.len());
        for &(_, index) in &due {
            let place = Place { segment, index };
            let entry = self.table.slot(place).entry();
            if entry.is_due(self.now_ms) {
                visit(Due::Key(entry));
                slice.removed += 1;
                gone.push(index);
                continue;
            }
            let fields = self.expire_fields(place, limit, visit);
            slice.fields += fields;
            looked_at += fields;
            self.note_within(place, true);
            let entry = self.table.slot(place).entry();
            if entry.large_collection().is_some_and(Collection::is_void) {
                gone.push(index);
            }
        }
        // From the end, since a removal moves what follows.
        gone.sort_unstable_by_key(|&index| std::cmp::Reverse(index));
        for &index in &gone {
            let place = Place { segment, index };
            let ticket = self.before_removal(place);
            let value = self.remove_at(place);
            let dropped = self.leave(ticket, value);
            if dropped.is_big() {
                self.replaced.push(dropped);
            }
        }
        if !gone.is_empty() {
            self.shrink(segment);
        }
        looked_at + 4 * gone.len()
    }

    /// The slots of a segment whose horizon has come due.
    fn take_candidates(&mut self, segment: usize) -> Vec<usize> {
        let horizons = self.deadlines.take_due(segment, self.now_ms);
        let slots = self.table.slots(segment).iter().enumerate();
        slots
            .filter(|(_, slot)| horizons >> slot.horizon() & 1 != 0)
            .map(|(index, _)| index)
            .collect()
    }

    /// Those of them that are due, in order of their deadlines; the others are noted again.
    fn due_of(&mut self, segment: usize, candidates: Vec<usize>) -> Vec<(i64, usize)> {
        const LOOKAHEAD: usize = 8;
        let mut due = Vec::new();
        for (nth, &index) in candidates.iter().enumerate() {
            if let Some(&ahead) = candidates.get(nth + LOOKAHEAD) {
                self.table.slots(segment)[ahead].prefetch();
            }
            let place = Place { segment, index };
            match self.table.slot(place).entry().next_deadline() {
                Some(at) if at <= self.now_ms => due.push((at, index)),
                deadline => self.note_deadline(place, deadline),
            }
        }
        due.sort_unstable();
        due
    }

    /// Removes fields of a hash that are due; how many.
    fn expire_fields(
        &mut self,
        place: Place,
        limit: usize,
        visit: &mut impl FnMut(Due<'_>),
    ) -> usize {
        self.before_change(place);
        let now_ms = self.now_ms;
        let removed = match self.table.slot_mut(place).edit_collection() {
            Some(Collection::Hash(hash)) => {
                hash.remove_due(now_ms, limit, |field| visit(Due::Field(field)))
            }
            _ => 0,
        };
        if removed > 0 {
            visit(Due::Fields(self.table.slot(place).entry()));
        }
        removed
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
