//! The table: buckets that split and merge one at a time.

use std::fmt;
use std::marker::PhantomData;

use super::bucket::Bucket;
use super::buckets::{Buckets, place_of};
use super::deadlines::{Deadlines, NEVER};
use super::{LOAD, Record, hash};
use crate::types::parts::{Parts, Ticket};

/// Below a third of the load buckets merge. Far enough from it that a record coming and going moves
/// nothing.
const LEAST_LOAD: usize = LOAD / 3;

/// Buckets that are looked at to estimate what all are like.
const SAMPLE: usize = 64;

/// Where a record lies. Valid until the table changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    bucket: usize,
    slot: usize,
}

#[derive(Clone)]
pub struct Table<R> {
    buckets: Buckets,
    len: usize,
    /// Not below the records of any bucket.
    longest: usize,
    /// Records with a deadline.
    volatile: usize,
    /// There while any record has one.
    deadlines: Option<Box<Deadlines>>,
    /// There while the table is saved in parts.
    parts: Parts<Bucket>,
    record: PhantomData<fn() -> R>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self {
            buckets: Buckets::one(),
            len: 0,
            longest: 0,
            volatile: 0,
            deadlines: None,
            parts: Parts::default(),
            record: PhantomData,
        }
    }
}

impl<R: Record> Table<R> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Records that as many buckets have room for, as they are usually filled.
    pub fn slots(&self) -> usize {
        self.buckets.len() * LOAD
    }

    /// Bytes that it takes: exact for up to [`SAMPLE`] buckets, an estimate beyond.
    pub fn memory_bytes(&self) -> usize {
        let deadlines = self.deadlines.as_ref().map_or(0, |deadlines| deadlines.memory_bytes());
        let blocks = self.sampled(Bucket::memory_bytes);
        size_of::<Self>() + blocks + self.buckets.memory_bytes() + deadlines
    }

    /// Allocations to free, about.
    pub fn free_effort(&self) -> usize {
        self.sampled(Bucket::allocations)
    }

    /// The sum over all buckets, or what some of them let one expect.
    fn sampled(&self, of: impl Fn(&Bucket) -> usize) -> usize {
        let count = self.buckets.len();
        let step = count.div_ceil(SAMPLE);
        let looked_at = count.div_ceil(step);
        let sum: usize = (0..count).step_by(step).map(|index| of(self.buckets.get(index))).sum();
        (sum as u128 * count as u128 / looked_at as u128) as usize
    }

    // ── Lookup ──────────────────────────────────────────────────────────────────────────────

    /// The record found by `key`, whose [`hash`] is given.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<(Place, &[u8])> {
        let bucket = self.buckets.index(place_of(hash));
        let found = self.buckets.get(bucket).find(tag(hash), |record| R::key(record) == key);
        found.map(|(slot, record)| (Place { bucket, slot }, record))
    }

    /// The record found by `key`.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.find(hash(key), key).map(|(_, record)| record)
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        self.find(hash(key), key).is_some()
    }

    #[inline(always)]
    pub fn record(&self, place: Place) -> &[u8] {
        self.buckets.get(place.bucket).record(place.slot)
    }

    // ── Change ──────────────────────────────────────────────────────────────────────────────

    /// Adds a record, given in parts, whose key is not there.
    pub fn insert(&mut self, hash: u64, parts: &[&[u8]]) {
        let index = self.buckets.index(place_of(hash));
        let bucket = self.bucket_mut(index);
        let slot = bucket.push(tag(hash), parts);
        let len = bucket.len();
        self.longest = self.longest.max(len);
        if R::has_deadline(parts) {
            self.note_deadline(Place { bucket: index, slot });
        }
        self.len += 1;
        if self.len > self.buckets.len() * LOAD {
            self.split_next();
        }
    }

    /// Puts another record with the same key in a record's place.
    #[inline]
    pub fn replace(&mut self, place: Place, parts: &[&[u8]]) {
        self.forget_deadline(place);
        self.bucket_mut(place.bucket).replace(place.slot, parts);
        if R::has_deadline(parts) {
            self.note_deadline(place);
        }
    }

    /// The record's bytes, to be changed without changing its key or its deadline.
    pub fn record_mut(&mut self, place: Place) -> &mut [u8] {
        self.bucket_mut(place.bucket).record_mut(place.slot)
    }

    pub fn remove(&mut self, place: Place) {
        self.forget_deadline(place);
        self.bucket_mut(place.bucket).remove(place.slot);
        self.len -= 1;
        self.merge_if_sparse();
    }

    /// A bucket that is about to change.
    #[inline]
    fn bucket_mut(&mut self, index: usize) -> &mut Bucket {
        let bucket = self.buckets.get_mut(index);
        self.parts.before_change(index, || (bucket.clone(), bucket.memory_bytes()));
        bucket
    }

    // ── Growth ──────────────────────────────────────────────────────────────────────────────

    /// Splits the bucket whose turn it is. The new one is the last.
    fn split_next(&mut self) {
        let new = self.buckets.len();
        let (old, middle) = self.buckets.next_to_split();
        let bucket = std::mem::take(self.bucket_mut(old));
        let (stays, goes) = bucket.split(|record| place_of(hash(R::key(record))) >= middle);
        *self.buckets.get_mut(old) = stays;
        self.buckets.push(goes);
        self.parts.added(new);
        if let Some(deadlines) = &mut self.deadlines {
            // What bounded both bounds each.
            deadlines.set(new, deadlines.bound(old));
        }
    }

    fn merge_if_sparse(&mut self) {
        if self.buckets.len() > 1 && self.len < self.buckets.len() * LEAST_LOAD {
            self.merge_last();
        }
    }

    /// The last bucket goes back to where it came from.
    fn merge_last(&mut self) {
        let last = self.buckets.len() - 1;
        self.bucket_mut(last);
        let Some(bucket) = self.buckets.pop() else { return };
        let (into, _) = self.buckets.next_to_split();
        let kept = self.bucket_mut(into);
        kept.append(bucket);
        let len = kept.len();
        self.longest = self.longest.max(len);
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.add(into, deadlines.bound(last));
            deadlines.set(last, NEVER);
        }
    }

    // ── Deadlines ───────────────────────────────────────────────────────────────────────────

    /// No record is due before this; `None` where none has a deadline.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.as_ref().map(|deadlines| deadlines.nearest())
    }

    #[inline]
    fn note_deadline(&mut self, place: Place) {
        if let Some(deadline) = R::deadline(self.record(place)) {
            self.volatile += 1;
            self.deadlines.get_or_insert_default().add(place.bucket, deadline);
        }
    }

    /// The record's deadline no longer counts. Its bucket's bound stays as it is.
    #[inline]
    fn forget_deadline(&mut self, place: Place) {
        if self.volatile > 0 && R::deadline(self.record(place)).is_some() {
            self.forget_deadlines(1);
        }
    }

    fn forget_deadlines(&mut self, count: usize) {
        self.volatile -= count;
        if self.volatile == 0 {
            self.deadlines = None;
        }
    }

    /// Removes records that are due at `now_ms`, up to `limit` and a bucket's more, and shows each to
    /// `visit` before. How many; `next_deadline` says whether there are more.
    pub fn remove_due(&mut self, now_ms: i64, limit: usize, mut visit: impl FnMut(&[u8])) -> usize {
        let mut removed = 0;
        while removed < limit
            && let Some(index) = self.due_bucket(now_ms)
        {
            removed += self.remove_due_of(index, now_ms, &mut visit);
        }
        removed
    }

    fn due_bucket(&self, now_ms: i64) -> Option<usize> {
        let deadlines = self.deadlines.as_ref()?;
        if deadlines.nearest() <= now_ms { deadlines.nearest_bucket() } else { None }
    }

    fn remove_due_of(&mut self, index: usize, now_ms: i64, visit: &mut impl FnMut(&[u8])) -> usize {
        let mut nearest = NEVER;
        let mut removed = 0;
        for slot in (0..self.buckets.get(index).len()).rev() {
            let record = self.buckets.get(index).record(slot);
            match R::deadline(record) {
                Some(deadline) if deadline <= now_ms => {
                    visit(record);
                    self.bucket_mut(index).remove(slot);
                    removed += 1;
                }
                Some(deadline) => nearest = nearest.min(deadline),
                None => {}
            }
        }
        self.len -= removed;
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.set(index, nearest);
        }
        self.forget_deadlines(removed);
        // One merge for each record that went, so that the load stays what it is.
        (0..removed).for_each(|_| self.merge_if_sparse());
        removed
    }

    // ── Saving ──────────────────────────────────────────────────────────────────────────────

    /// Begins to save the records that are there now, in parts.
    pub fn begin_save(&mut self, ticket: Ticket) {
        self.parts.begin(ticket, self.buckets.len());
    }

    pub fn end_save(&mut self) {
        self.parts.end();
    }

    pub fn ticket(&self) -> Option<Ticket> {
        self.parts.ticket()
    }

    /// Visits records that are not saved yet, `most` of them and a bucket's more. Whether there may be
    /// others.
    pub fn save_part(&mut self, most: usize, mut visit: impl FnMut(&[u8])) -> bool {
        let mut seen = 0;
        let mut show = |bucket: &Bucket| {
            bucket.records().for_each(|(_, record)| visit(record));
            seen += bucket.len();
            seen < most
        };
        while let Some(kept) = self.parts.next_kept() {
            if !show(&kept) {
                return true;
            }
        }
        while let Some(index) = self.parts.next_node() {
            if !show(self.buckets.get(index)) {
                return true;
            }
        }
        false
    }

    // ── Walks ───────────────────────────────────────────────────────────────────────────────

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.buckets.iter().flat_map(Bucket::records).map(|(_, record)| record)
    }

    /// Visits records from a place in hash space on, buckets whole, until `count` were seen. Returns
    /// the place to go on from, 0 at the end. A walk from 0 to 0 visits each record that is there all
    /// the time exactly once.
    ///
    /// A cursor is the upper 48 bits of a place: more than the deepest bucket has, and a client that
    /// keeps numbers as doubles loses none of it.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8])) -> u64 {
        const CURSOR_SHIFT: u32 = 16;
        if cursor >> (u64::BITS - CURSOR_SHIFT) != 0 {
            return 0;
        }
        let mut from = cursor << CURSOR_SHIFT;
        let mut seen = 0;
        while seen < count.max(1) {
            let (index, first, last) = self.buckets.interval(from);
            for (_, record) in self.buckets.get(index).records() {
                // The cursor may lie within a bucket that has taken others in since.
                if first == from || place_of(hash(R::key(record))) >= from {
                    visit(record);
                    seen += 1;
                }
            }
            match last.checked_add(1) {
                Some(next) => from = next,
                None => return 0,
            }
        }
        from >> CURSOR_SHIFT
    }

    /// A record, each as likely as any other. `draw` gives random numbers.
    ///
    /// A bucket and a slot are drawn evenly, and drawn anew if nothing is there: some three times in
    /// the mean.
    pub fn random(&self, mut draw: impl FnMut() -> u64) -> Option<Place> {
        if self.len == 0 {
            return None;
        }
        loop {
            let drawn = draw();
            let bucket = scaled(drawn & u64::from(u32::MAX), self.buckets.len());
            let slot = scaled(drawn >> 32, self.longest);
            if slot < self.buckets.get(bucket).len() {
                return Some(Place { bucket, slot });
            }
        }
    }

    /// What must always hold; for tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let (mut len, mut volatile) = (0, 0);
        for (index, bucket) in self.buckets.iter().enumerate() {
            bucket.check();
            len += bucket.len();
            assert!(bucket.len() <= self.longest);
            let mut nearest = NEVER;
            for (slot, (tag_of, record)) in bucket.records().enumerate() {
                assert_eq!(bucket.record(slot), record);
                let hash = hash(R::key(record));
                assert_eq!(tag_of, tag(hash));
                let place = place_of(hash);
                assert_eq!(self.buckets.index(place), index);
                let (same, first, last) = self.buckets.interval(place);
                assert_eq!(same, index);
                assert!((first..=last).contains(&place));
                volatile += usize::from(R::deadline(record).is_some());
                nearest = nearest.min(R::deadline(record).unwrap_or(NEVER));
            }
            let bound = self.deadlines.as_ref().map_or(NEVER, |deadlines| deadlines.bound(index));
            assert!(bound <= nearest, "a bound is not after what it bounds");
        }
        assert_eq!((len, volatile), (self.len, self.volatile));
        assert!(self.len <= self.buckets.len() * LOAD);
        assert!(self.buckets.len() == 1 || self.len + 1 >= self.buckets.len() * LEAST_LOAD);
    }
}

/// Eight bits of a hash that do not choose the bucket.
#[inline]
fn tag(hash: u64) -> u8 {
    hash as u8
}

/// Takes 32 random bits to below `limit`, evenly.
fn scaled(bits: u64, limit: usize) -> usize {
    ((u128::from(bits) * limit as u128) >> 32) as usize
}

impl<R: Record> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.iter().map(|record| record.escape_ascii().to_string());
        f.debug_set().entries(records).finish()
    }
}
