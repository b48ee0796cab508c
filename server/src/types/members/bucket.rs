//! A bucket: some records in one block of memory.
//!
//! ```text
//! tags     one byte per slot: eight bits of the record's hash
//! lengths  one byte per slot: the record's length, or OUTSIDE
//! records  back to back, in the order of the slots
//! ```
//!
//! Slots are as many as records, rounded up to eight. Where a record begins is the sum of the lengths
//! before it. A record longer than [`LONGEST_INSIDE`] is an allocation of its own, so that a bucket
//! stays small enough to be moved about; its place among those is the number of such records before
//! it.

use super::packed::{self, STEP, sums};

/// Room for records of up to 127 bytes bounds a bucket of usual load at some 6 KB.
const LONGEST_INSIDE: usize = 127;
/// In place of a length: the record lies outside.
const OUTSIDE: u8 = 0x80;

#[derive(Clone, Default)]
pub(super) struct Bucket {
    block: Box<[u8]>,
    /// Bytes of the block in use.
    used: u32,
    /// Records.
    len: u32,
    outside: Option<Box<Outside>>,
}

/// The long records, in the order of their slots.
type Outside = Vec<Box<[u8]>>;

/// Where a record lies.
#[derive(Clone, Copy)]
struct Span {
    at: usize,
    len: usize,
    /// How many records outside come before it.
    outside_before: usize,
    is_outside: bool,
}

impl Bucket {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    fn slots(&self) -> usize {
        self.len().next_multiple_of(STEP)
    }

    fn used(&self) -> usize {
        self.used as usize
    }

    #[inline]
    fn tags(&self) -> &[u8] {
        &self.block[..self.slots()]
    }

    #[inline]
    fn lengths(&self) -> &[u8] {
        &self.block[self.slots()..2 * self.slots()]
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        let outside = self.outside();
        let handles = match outside.is_empty() {
            true => 0,
            false => size_of::<Outside>() + size_of_val(outside),
        };
        self.block.len() + handles + outside.iter().map(|record| record.len()).sum::<usize>()
    }

    /// Allocations to free.
    pub(super) fn allocations(&self) -> usize {
        1 + self.outside.as_ref().map_or(0, |outside| outside.len() + 2)
    }

    // ── Reading ─────────────────────────────────────────────────────────────────────────────

    /// The record that has this tag and is the one wanted, with its slot.
    #[inline]
    pub(super) fn find(&self, tag: u8, wanted: impl Fn(&[u8]) -> bool) -> Option<(usize, &[u8])> {
        packed::find(self.tags(), tag, |slot| {
            // Behind the last record there are tags of none.
            let record = (slot < self.len()).then(|| self.record(slot))?;
            wanted(record).then_some((slot, record))
        })
    }

    #[inline(always)]
    pub(super) fn record(&self, slot: usize) -> &[u8] {
        let span = self.span(slot);
        if span.is_outside {
            &self.outside()[span.outside_before]
        } else {
            &self.block[span.at..span.at + span.len]
        }
    }

    pub(super) fn record_mut(&mut self, slot: usize) -> &mut [u8] {
        let span = self.span(slot);
        if span.is_outside {
            &mut self.outside_mut()[span.outside_before]
        } else {
            &mut self.block[span.at..span.at + span.len]
        }
    }

    #[inline]
    fn span(&self, slot: usize) -> Span {
        debug_assert!(slot < self.len());
        let lengths = self.lengths();
        let (before, outside_before) = sums(lengths, slot);
        let length = lengths[slot];
        Span {
            at: 2 * self.slots() + before,
            len: usize::from(length & !OUTSIDE),
            outside_before,
            is_outside: length == OUTSIDE,
        }
    }

    /// All records with their tags, in the order of the slots.
    pub(super) fn records(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut at = 2 * self.slots();
        let mut outside = self.outside().iter();
        let heads = self.tags().iter().zip(self.lengths()).take(self.len());
        heads.map(move |(&tag, &length)| {
            if length == OUTSIDE {
                return (tag, outside.next().map_or(&[][..], |record| record));
            }
            let record = &self.block[at..at + usize::from(length)];
            at += record.len();
            (tag, record)
        })
    }

    fn outside(&self) -> &[Box<[u8]>] {
        self.outside.as_ref().map_or(&[], |outside| outside)
    }

    fn outside_mut(&mut self) -> &mut Outside {
        self.outside.get_or_insert_default()
    }

    // ── Writing ─────────────────────────────────────────────────────────────────────────────

    /// Two buckets of this one's records: those that stay, and those that go.
    pub(super) fn split(self, goes: impl Fn(&[u8]) -> bool) -> (Self, Self) {
        let goes: Vec<bool> = self.records().map(|(_, record)| goes(record)).collect();
        let mut halves = [false, true].map(|half| {
            let lengths = self.lengths().iter().zip(&goes).filter(|(_, goes)| **goes == half);
            let (mut len, mut bytes) = (0, 0);
            lengths.for_each(|(length, _)| {
                len += 1;
                bytes += usize::from(length & !OUTSIDE);
            });
            Self::with_room(len, bytes)
        });
        self.deal(goes.into_iter().map(usize::from), &mut halves);
        halves.into()
    }

    /// Takes another's records in.
    pub(super) fn append(&mut self, other: Self) {
        let bytes = other.used() - 2 * other.slots();
        let slots = (self.len() + other.len()).next_multiple_of(STEP) - self.slots();
        self.reserve(2 * slots + bytes);
        other.deal(std::iter::repeat(0), std::slice::from_mut(self));
    }

    /// Gives each record to the bucket of its number.
    fn deal(mut self, numbers: impl Iterator<Item = usize>, buckets: &mut [Self]) {
        let outside = self.outside.take().unwrap_or_default();
        let mut outside = outside.into_iter();
        let mut at = 2 * self.slots();
        for (slot, number) in (0..self.len()).zip(numbers) {
            let (tag, length) = (self.tags()[slot], self.lengths()[slot]);
            let bucket = &mut buckets[number];
            if length == OUTSIDE {
                outside.next().into_iter().for_each(|record| bucket.push_outside(tag, record));
            } else {
                let end = at + usize::from(length);
                bucket.push_inside(tag, &[&self.block[at..end]], end - at);
                at = end;
            }
        }
    }

    /// An empty bucket with room for so many records of together so many bytes.
    fn with_room(records: usize, bytes: usize) -> Self {
        let mut bucket = Self::default();
        bucket.set_capacity(size_class(2 * records.next_multiple_of(STEP) + bytes));
        bucket
    }

    /// Adds a record, given in parts; its slot.
    pub(super) fn push(&mut self, tag: u8, parts: &[&[u8]]) -> usize {
        let len = total(parts);
        if len > LONGEST_INSIDE {
            self.push_outside(tag, parts.concat().into());
        } else {
            self.push_inside(tag, parts, len);
        }
        self.len() - 1
    }

    fn push_outside(&mut self, tag: u8, record: Box<[u8]>) {
        self.push_slot(tag, OUTSIDE);
        self.outside_mut().push(record);
    }

    fn push_inside(&mut self, tag: u8, parts: &[&[u8]], len: usize) {
        self.push_slot(tag, len as u8);
        let at = self.used();
        self.reserve(len);
        self.used += len as u32;
        write(&mut self.block[at..at + len], parts);
    }

    fn push_slot(&mut self, tag: u8, length: u8) {
        if self.len() == self.slots() {
            self.add_slots();
        }
        let slot = self.len();
        self.len += 1;
        let slots = self.slots();
        self.block[slot] = tag;
        self.block[slots + slot] = length;
    }

    pub(super) fn remove(&mut self, slot: usize) {
        let span = self.span(slot);
        self.take_bytes(span);
        let (slots, len) = (self.slots(), self.len());
        self.block.copy_within(slot + 1..len, slot);
        self.block.copy_within(slots + slot + 1..slots + len, slots + slot);
        self.len -= 1;
        if self.len() == self.slots() {
            self.drop_slots(slots);
        }
        self.give_back();
    }

    /// Puts another record with the same tag in a record's place.
    pub(super) fn replace(&mut self, slot: usize, parts: &[&[u8]]) {
        let span = self.span(slot);
        let len = total(parts);
        let length_at = self.slots() + slot;
        match (span.is_outside, len > LONGEST_INSIDE) {
            (true, true) => self.outside_mut()[span.outside_before] = parts.concat().into(),
            (false, true) => {
                self.take_bytes(span);
                self.outside_mut().insert(span.outside_before, parts.concat().into());
                self.block[length_at] = OUTSIDE;
            }
            (is_outside, false) => {
                if is_outside {
                    self.take_bytes(span);
                }
                self.resize(span.at, span.len, len);
                write(&mut self.block[span.at..span.at + len], parts);
                self.block[length_at] = len as u8;
            }
        }
        self.give_back();
    }

    /// Makes room for eight more slots: lengths and records move up.
    fn add_slots(&mut self) {
        let (slots, used) = (self.slots(), self.used());
        self.reserve(2 * STEP);
        self.block.copy_within(2 * slots..used, 2 * (slots + STEP));
        self.block.copy_within(slots..2 * slots, slots + STEP);
        self.used += 2 * STEP as u32;
    }

    /// Gives eight slots back that are empty now.
    fn drop_slots(&mut self, slots: usize) {
        let used = self.used();
        self.block.copy_within(slots..2 * slots - STEP, slots - STEP);
        self.block.copy_within(2 * slots..used, 2 * (slots - STEP));
        self.used -= 2 * STEP as u32;
    }

    /// Takes a record's bytes out, leaving tag and length.
    fn take_bytes(&mut self, span: Span) {
        if span.is_outside {
            self.outside_mut().remove(span.outside_before);
            if self.outside().is_empty() {
                self.outside = None;
            }
        } else {
            self.resize(span.at, span.len, 0);
        }
    }

    /// Makes the bytes at `at` more or fewer; what follows moves.
    #[inline]
    fn resize(&mut self, at: usize, old: usize, new: usize) {
        if old == new {
            return;
        }
        let used = self.used();
        if new > old {
            self.reserve(new - old);
        }
        self.block.copy_within(at + old..used, at + new);
        self.used = (used - old + new) as u32;
    }

    fn reserve(&mut self, more: usize) {
        let needed = self.used() + more;
        if needed > self.block.len() {
            self.set_capacity(size_class(needed));
        }
    }

    /// Returns memory once a quarter of the block is unused.
    #[inline]
    fn give_back(&mut self) {
        let fitting = size_class(self.used());
        if fitting < self.block.len() / 4 * 3 {
            self.set_capacity(fitting);
        }
    }

    fn set_capacity(&mut self, capacity: usize) {
        let mut block = std::mem::take(&mut self.block).into_vec();
        block.truncate(capacity);
        block.reserve_exact(capacity - block.len());
        block.resize(capacity, 0);
        self.block = block.into_boxed_slice();
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        let inside: usize =
            self.lengths().iter().take(self.len()).map(|l| usize::from(l & 0x7f)).sum();
        assert_eq!(self.used(), 2 * self.slots() + inside);
        let outside = self.lengths().iter().take(self.len()).filter(|l| **l == OUTSIDE).count();
        assert_eq!(self.outside().len(), outside);
        assert!(self.outside().iter().all(|record| record.len() > LONGEST_INSIDE));
        assert!(self.block.len() >= self.used());
        assert!(
            self.block.len() <= size_class(self.used()) * 4 / 3 + 16,
            "no more than a quarter is unused"
        );
    }
}

fn total(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

fn write(mut to: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let (head, rest) = to.split_at_mut(part.len());
        head.copy_from_slice(part);
        to = rest;
    }
}

/// The allocator's size for so many bytes: four to each doubling, none closer than 16.
fn size_class(bytes: usize) -> usize {
    let step = (bytes.next_power_of_two() / 8).max(16);
    bytes.next_multiple_of(step)
}
