//! The table of entries: extendible hashing over small segments that are ordered by hash.
//!
//! The top bits of a key's hash choose a segment through the directory; the next 16 are its tag.
//! A segment is an array of [`Slot`]s kept in the order of tags by linear probing: a key's home is
//! the tag scaled to the array's length, an insertion moves what is greater one place on, a removal
//! moves what was displaced one place back. A few slots past the last home take the overflow, so
//! nothing wraps around. (Ordered linear probing: Amble and Knuth, 1974; extendible hashing: Fagin
//! et al., 1979.)
//!
//! What the order buys:
//! * SCAN's cursor is a place in hash space, so it means the same whatever became of the table.
//! * A segment grows in steps of a fifth, by one pass over its slots that reads no key, since tags
//!   say where everything goes; so slots are nine tenths full and the table costs 9 to 10 bytes a
//!   key at any size.
//! * A lookup that fails stops at the first greater tag.
//!
//! At its largest, a segment splits alone, which reads the keys of that segment only (40 µs, the
//! misses overlapped): there is no moment when the table as a whole grows, but for the directory,
//! four bytes per segment. Half-empty neighbours merge again, without reading keys.
//!
//! A lookup reads the directory and a segment's array pointer (both stay in cache), then the slot's
//! line and the entry: two misses.

mod settled;

pub(super) use settled::Frontier;

use super::{
    Entry, Key,
    entry::OwnedEntry,
    hash::{Hash, Hasher},
    slot::{Slot, prefetch},
};
use crate::types::slots::{SMALLEST, fitting, limit, longer, overflow, roomy};

/// A segment of this many slots splits rather than grows: it bounds the longest pause, and fills
/// a size class of the allocator.
const LARGEST: usize = 1024;
/// Beyond this depth a segment grows further instead of splitting. Never reached by keyed hashes.
const MAX_DEPTH: u32 = 32;
const TAG_BITS: u32 = 16;
/// Entries whose keys are being loaded while others are worked on.
const LOOKAHEAD: usize = 12;

/// Where an entry lies. Valid until the table changes.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) segment: usize,
    pub(super) index: usize,
}

pub(super) struct Table {
    hasher: Hasher,
    /// By the top `depth` bits of a hash: the number of its segment. Empty until the first key.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
    /// Numbers of segments that are gone.
    vacant: Vec<u32>,
    /// How many segments have each depth, to know when the directory can halve.
    at_depth: [u32; MAX_DEPTH as usize + 1],
    len: usize,
    slots: usize,
    /// Which snapshot is running or was the last; see [`settled`].
    epoch: u16,
}

/// The keys whose hashes share their top bits.
struct Segment {
    slots: Box<[Slot]>,
    /// The shared bits, at the top.
    prefix: u64,
    /// How many they are.
    depth: u16,
    /// The epoch whose marks its entries bear (see `settled`), 0 where they bear none.
    marked_in: u16,
    /// Keys.
    len: u32,
}

// Lookups index by it.
const _: () = assert!(size_of::<Segment>() == 32);

impl Segment {
    #[inline]
    fn tag(&self, hash: Hash) -> u16 {
        tag(hash, self.depth())
    }

    #[inline]
    fn depth(&self) -> u32 {
        u32::from(self.depth)
    }

    /// The end of the part of hash space that it covers.
    fn last_hash(&self) -> u64 {
        self.prefix | u64::MAX >> self.depth
    }

    fn occupied(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().copied().filter(|slot| !slot.is_empty())
    }

    /// Where to look for `tag` from: its home, or up to a line before its place, if its home is
    /// far off. In a full segment entries are displaced by some twenty places; this steps over
    /// them a line at a time.
    ///
    /// It never steps too far: a smaller tag at a place says that all before it are smaller, and
    /// were there a gap between `tag`'s home and that place, nothing smaller could lie behind it.
    #[inline]
    fn first_candidate(&self, tag: u16) -> usize {
        const LINE: usize = 64 / size_of::<Slot>();
        let mut at = home(tag, self.slots.len());
        while let Some(slot) = self.slots.get(at + LINE)
            && !slot.is_empty()
            && slot.tag() < tag
        {
            at += LINE;
        }
        at
    }

    /// Opens a place for `tag`, after those that are equal.
    fn make_room(&mut self, tag: u16) -> Option<usize> {
        if self.len as usize >= limit(self.slots.len()) {
            return None;
        }
        let first = self.first_candidate(tag);
        let slots = &mut self.slots;
        let greater = |slot: &Slot| slot.is_empty() || slot.tag() > tag;
        let index = first + slots[first..].iter().position(greater)?;
        let run = slots[index..].iter().position(|slot| slot.is_empty())?;
        slots.copy_within(index..index + run, index + 1);
        Some(index)
    }

    /// Empties a place and moves back what it had displaced.
    fn close_gap(&mut self, index: usize) -> Slot {
        let slots = &mut self.slots;
        let len = slots.len();
        let removed = slots[index];
        let settled = |&at: &usize| slots[at].is_empty() || home(slots[at].tag(), len) == at;
        let end = (index + 1..len).find(settled).unwrap_or(len);
        slots.copy_within(index + 1..end, index);
        slots[end - 1] = Slot::EMPTY;
        removed
    }

    /// Where in hash space `tag` begins.
    fn start_of(&self, tag: u16) -> u64 {
        self.prefix | u64::from(tag) << (u64::BITS - TAG_BITS - self.depth())
    }
}

#[inline]
fn tag(hash: Hash, depth: u32) -> u16 {
    (hash.0 << depth >> (u64::BITS - TAG_BITS)) as u16
}

#[inline]
fn directory_index(hash: Hash, depth: u32) -> usize {
    (hash.0 >> 1 >> (u64::BITS - 1 - depth)) as usize
}

#[inline]
fn home(tag: u16, slots: usize) -> usize {
    (usize::from(tag) * (slots - overflow(slots))) >> TAG_BITS
}

/// Lays `ordered` out over `slots` places, each slot at its home or after the one before.
fn spread(ordered: impl Iterator<Item = Slot>, slots: usize) -> Option<Box<[Slot]>> {
    let mut array = vec![Slot::EMPTY; slots].into_boxed_slice();
    let mut next = 0;
    for slot in ordered {
        let at = home(slot.tag(), slots).max(next);
        *array.get_mut(at)? = slot;
        next = at + 1;
    }
    Some(array)
}

/// As [`spread`], over as many more places as it takes.
fn spread_or_longer(ordered: &[Slot], mut slots: usize) -> Box<[Slot]> {
    loop {
        match spread(ordered.iter().copied(), slots) {
            Some(array) => return array,
            None => slots = longer(slots),
        }
    }
}

impl Table {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self {
            hasher,
            directory: Vec::new(),
            depth: 0,
            segments: Vec::new(),
            vacant: Vec::new(),
            at_depth: [0; MAX_DEPTH as usize + 1],
            len: 0,
            slots: 0,
            epoch: 0,
        }
    }

    pub(super) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn slots_len(&self) -> usize {
        self.slots
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.slots * size_of::<Slot>()
            + self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment>()
    }

    // ── Lookup ──────────────────────────────────────────────────────────────────────────────

    #[inline]
    pub(super) fn find(&self, key: Key<'_>) -> Option<Place> {
        let number = self.segment_of(key.hash)?;
        let segment = &self.segments[number];
        let tag = segment.tag(key.hash);
        let first = segment.first_candidate(tag);
        for (nth, slot) in segment.slots[first..].iter().enumerate() {
            if slot.is_empty() || slot.tag() > tag {
                return None;
            }
            if slot.tag() == tag && slot.entry().key() == key.bytes {
                return Some(Place { segment: number, index: first + nth });
            }
        }
        None
    }

    /// Starts to load the segment that a key of this hash would be in, without its slots.
    #[inline]
    pub(super) fn prefetch_segment(&self, hash: Hash) {
        if let Some(number) = self.segment_of(hash) {
            prefetch(self.segments.as_ptr().wrapping_add(number));
        }
    }

    /// Starts to load the slots where a key of this hash would be.
    #[inline]
    pub(super) fn prefetch_slots(&self, hash: Hash) {
        let Some(number) = self.segment_of(hash) else { return };
        let segment = &self.segments[number];
        let first = home(segment.tag(hash), segment.slots.len());
        const LINE: usize = 64 / size_of::<Slot>();
        prefetch(segment.slots.as_ptr().wrapping_add(first));
        prefetch(segment.slots.as_ptr().wrapping_add(first + LINE));
    }

    /// Starts to load the entry that a key of this hash probably is.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: Hash) {
        let Some(number) = self.segment_of(hash) else { return };
        let segment = &self.segments[number];
        let tag = segment.tag(hash);
        let from = &segment.slots[segment.first_candidate(tag)..];
        let candidate = from.iter().find(|slot| slot.is_empty() || slot.tag() >= tag);
        if let Some(slot) = candidate
            && !slot.is_empty()
        {
            slot.prefetch();
        }
    }

    #[inline]
    fn segment_of(&self, hash: Hash) -> Option<usize> {
        self.directory.get(directory_index(hash, self.depth)).map(|&number| number as usize)
    }

    #[inline]
    pub(super) fn slot(&self, place: Place) -> &Slot {
        &self.segments[place.segment].slots[place.index]
    }

    #[inline]
    pub(super) fn slot_mut(&mut self, place: Place) -> &mut Slot {
        &mut self.segments[place.segment].slots[place.index]
    }

    /// All slots of a segment, empty ones too.
    pub(super) fn slots(&self, segment: usize) -> &[Slot] {
        &self.segments[segment].slots
    }

    // ── Insertion ───────────────────────────────────────────────────────────────────────────

    /// Puts in a key that is not there. If its segment is full the entry comes back, and
    /// [`Self::grow`] must come before the next attempt.
    pub(super) fn insert(&mut self, hash: Hash, entry: OwnedEntry) -> Result<Place, OwnedEntry> {
        let Some(number) = self.segment_of(hash) else { return Err(entry) };
        let segment = &mut self.segments[number];
        let tag = segment.tag(hash);
        let Some(index) = segment.make_room(tag) else { return Err(entry) };
        segment.slots[index] = Slot::new(entry, tag);
        segment.len += 1;
        self.len += 1;
        Ok(Place { segment: number, index })
    }

    /// Makes room where `hash` belongs: a longer array, or two segments from one. Then returns
    /// the number of the old one, which keeps the lower half, and that of the new.
    pub(super) fn grow(&mut self, hash: Hash) -> Option<(usize, usize)> {
        let Some(number) = self.segment_of(hash) else {
            let first = self.add_segment(vec![Slot::EMPTY; SMALLEST].into(), 0, 0, 0);
            self.directory.push(first as u32);
            return None;
        };
        let segment = &self.segments[number];
        let slots = segment.slots.len();
        if slots >= LARGEST && segment.depth() < MAX_DEPTH {
            return Some((number, self.split(number)));
        }
        let ordered: Vec<Slot> = segment.occupied().collect();
        self.set_slots(number, spread_or_longer(&ordered, longer(slots)));
        None
    }

    /// Makes room for so many keys in a table that has none yet, so that nothing grows on the way.
    pub(super) fn expect(&mut self, keys: usize) {
        if !self.segments.is_empty() || keys == 0 {
            return;
        }
        // Segments do not get the same number of keys; twice the standard deviation is enough for
        // all but a few.
        let slots = |depth: u32| fitting((keys >> depth) + 2 * (keys >> depth).isqrt());
        let depth = (0..MAX_DEPTH).find(|depth| slots(*depth) <= LARGEST).unwrap_or(MAX_DEPTH);
        self.depth = depth;
        for nth in 0..1u64 << depth {
            let prefix = nth << 1 << (u64::BITS - 1 - depth);
            let array = vec![Slot::EMPTY; slots(depth)].into();
            let number = self.add_segment(array, prefix, depth, 0);
            self.directory.push(number as u32);
        }
    }

    /// Gives back what all segments have too much of; see [`Self::shrink`].
    pub(super) fn shrink_all(&mut self, mut merged: impl FnMut(usize, usize)) {
        for number in 0..self.segments.len() {
            if !self.segments[number].slots.is_empty() {
                self.shrink(number, &mut merged);
            }
        }
    }

    fn split(&mut self, number: usize) -> usize {
        let Segment { prefix, marked_in, .. } = self.segments[number];
        let depth = self.segments[number].depth();
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&number| [number, number]).collect();
            self.depth += 1;
        }
        let slots: Vec<Slot> = self.segments[number].occupied().collect();
        let mut halves = [Vec::with_capacity(slots.len()), Vec::with_capacity(slots.len())];
        for (at, slot) in slots.iter().enumerate() {
            if let Some(ahead) = slots.get(at + LOOKAHEAD) {
                ahead.prefetch();
            }
            let hash = self.hasher.hash(slot.entry().key());
            let upper = hash.0 >> (u64::BITS - 1 - depth) & 1;
            halves[upper as usize].push(slot.with_tag(tag(hash, depth + 1)));
        }
        // Nearly in order: only slots of the same tag may have changed places by the new bit.
        halves.iter_mut().for_each(|half| half.sort_by_key(|slot| slot.tag()));
        let [lower, upper] = halves;

        self.set_slots(number, spread_or_longer(&lower, fitting(lower.len())));
        let kept = &mut self.segments[number];
        kept.depth += 1;
        kept.len = lower.len() as u32;
        self.at_depth[depth as usize] -= 1;
        self.at_depth[depth as usize + 1] += 1;

        let upper_prefix = prefix | 1 << (u64::BITS - 1 - depth);
        let array = spread_or_longer(&upper, fitting(upper.len()));
        let other = self.add_segment(array, upper_prefix, depth + 1, upper.len());
        self.segments[other].marked_in = marked_in;
        self.point_directory(other);
        other
    }

    fn add_segment(&mut self, slots: Box<[Slot]>, prefix: u64, depth: u32, len: usize) -> usize {
        self.at_depth[depth as usize] += 1;
        self.slots += slots.len();
        let segment = Segment { slots, prefix, depth: depth as u16, marked_in: 0, len: len as u32 };
        if let Some(number) = self.vacant.pop() {
            self.segments[number as usize] = segment;
            return number as usize;
        }
        self.segments.push(segment);
        self.segments.len() - 1
    }

    fn set_slots(&mut self, segment: usize, slots: Box<[Slot]>) {
        self.slots += slots.len();
        self.slots -= self.segments[segment].slots.len();
        self.segments[segment].slots = slots;
    }

    /// Makes the directory lead to a segment for all hashes that it covers.
    fn point_directory(&mut self, number: usize) {
        let Segment { prefix, depth, .. } = self.segments[number];
        let first = directory_index(Hash(prefix), self.depth);
        self.directory[first..first + (1 << (self.depth - u32::from(depth)))].fill(number as u32);
    }

    // ── Removal ─────────────────────────────────────────────────────────────────────────────

    /// Takes an entry out and closes the gap; [`Self::shrink`] is to follow.
    pub(super) fn remove(&mut self, place: Place) -> OwnedEntry {
        let segment = &mut self.segments[place.segment];
        let removed = segment.close_gap(place.index);
        segment.len -= 1;
        self.len -= 1;
        removed.into_owned()
    }

    /// Gives back what a segment has too much of: a shorter array, or one array for it and its
    /// neighbours. `merged` is told which segment took in which.
    pub(super) fn shrink(&mut self, number: usize, mut merged: impl FnMut(usize, usize)) {
        let segment = &self.segments[number];
        let (len, slots) = (segment.len as usize, segment.slots.len());
        if len >= slots * 3 / 8 {
            return;
        }
        let mut number = number;
        let mut alone = true;
        while let Some(buddy) = self.mergeable_buddy(number) {
            let (into, from) = self.merge(number, buddy);
            merged(into, from);
            number = into;
            alone = false;
        }
        if alone && slots > SMALLEST {
            let ordered: Vec<Slot> = self.segments[number].occupied().collect();
            self.set_slots(number, spread_or_longer(&ordered, roomy(len)));
        }
    }

    /// The other half of what was one segment, if both together fill half of one.
    fn mergeable_buddy(&self, number: usize) -> Option<usize> {
        let own = &self.segments[number];
        let bit = 1u64.checked_shl(u64::BITS - own.depth())?;
        let buddy = self.segment_of(Hash(own.prefix ^ bit))?;
        let other = &self.segments[buddy];
        let len = (own.len + other.len) as usize;
        (other.depth == own.depth && len <= LARGEST / 2).then_some(buddy)
    }

    fn merge(&mut self, a: usize, b: usize) -> (usize, usize) {
        let (lower, upper) =
            if self.segments[a].prefix < self.segments[b].prefix { (a, b) } else { (b, a) };
        self.agree_on_marks(lower, upper);
        // One bit comes back in front of the tag and the last one drops out: the order stays.
        let widened = |slot: Slot, bit: u16| slot.with_tag(slot.tag() >> 1 | bit << 15);
        let ordered: Vec<Slot> = (self.segments[lower].occupied().map(|slot| widened(slot, 0)))
            .chain(self.segments[upper].occupied().map(|slot| widened(slot, 1)))
            .collect();
        self.set_slots(lower, spread_or_longer(&ordered, roomy(ordered.len())));
        self.set_slots(upper, Box::default());
        self.segments[upper].len = 0;
        self.vacant.push(upper as u32);
        let kept = &mut self.segments[lower];
        kept.len = ordered.len() as u32;
        kept.depth -= 1;
        let depth = kept.depth as usize;
        self.at_depth[depth + 1] -= 2;
        self.at_depth[depth] += 1;
        self.point_directory(lower);
        while self.depth > 0 && self.at_depth[self.depth as usize] == 0 {
            self.directory = self.directory.iter().copied().step_by(2).collect();
            self.depth -= 1;
        }
        (lower, upper)
    }

    // ── Walks ───────────────────────────────────────────────────────────────────────────────

    /// Visits keys from a place in hash space on; see [`Db::scan`](super::Db::scan).
    ///
    /// A cursor is the upper 48 bits of a hash: enough for the tags of the deepest segment, and
    /// a client that keeps numbers as doubles loses none of it.
    pub(super) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Entry<'_>)) -> u64 {
        const CURSOR_SHIFT: u32 = 16;
        if cursor >> (u64::BITS - CURSOR_SHIFT) != 0 {
            return 0;
        }
        let mut from = cursor << CURSOR_SHIFT;
        let mut seen = 0;
        while let Some(number) = self.segment_of(Hash(from)) {
            let segment = &self.segments[number];
            let first_tag = segment.tag(Hash(from));
            // The cursor may lie between hashes that share a tag, if it was given out when the
            // segment was smaller.
            let inside_tag = segment.start_of(first_tag) < from;
            let mut last_tag = None;
            for slot in &segment.slots[home(first_tag, segment.slots.len())..] {
                if slot.is_empty() || slot.tag() < first_tag {
                    continue;
                }
                if seen >= count && last_tag != Some(slot.tag()) {
                    return segment.start_of(slot.tag()) >> CURSOR_SHIFT;
                }
                last_tag = Some(slot.tag());
                let entry = slot.entry();
                if inside_tag
                    && slot.tag() == first_tag
                    && self.hasher.hash(entry.key()) < Hash(from)
                {
                    continue;
                }
                seen += 1;
                visit(entry);
            }
            match segment.last_hash().checked_add(1) {
                None => break,
                Some(next) => from = next,
            }
            if seen >= count {
                return from >> CURSOR_SHIFT;
            }
        }
        0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let slots = self.segments.iter().flat_map(|segment| segment.slots.iter());
        slots.filter(|slot| !slot.is_empty()).map(Slot::entry)
    }

    /// Every entry, taken out for good.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = OwnedEntry> {
        let segments = std::mem::replace(self, Self::new(self.hasher)).segments;
        let slots = segments.into_iter().flat_map(|segment| segment.slots);
        slots.filter(|slot| !slot.is_empty()).map(Slot::into_owned)
    }

    /// A key, each as likely as any other: a segment and a place in it are drawn evenly, and
    /// drawn anew if nothing is there; that takes two or three draws in the mean.
    pub(super) fn random(&self, mut draw: impl FnMut() -> u64) -> Option<Entry<'_>> {
        const DRAWS: usize = 512;
        if self.len == 0 {
            return None;
        }
        let longest = if self.depth == 0 { self.segments[0].slots.len() } else { LARGEST };
        for _ in 0..DRAWS {
            let drawn = draw();
            let index = drawn as usize & (self.directory.len() - 1);
            let segment = &self.segments[self.directory[index] as usize];
            let place = ((drawn >> 32) as usize * longest) >> 32;
            if let Some(slot) = segment.slots.get(place)
                && directory_index(Hash(segment.prefix), self.depth) == index
                && !slot.is_empty()
            {
                return Some(slot.entry());
            }
        }
        // Segments are at least a quarter full in the mean, so this is next to impossible.
        self.iter().next()
    }

    /// The slots in use of a segment, for entries that move; `None` behind the last segment.
    pub(super) fn slots_mut(&mut self, segment: usize) -> Option<impl Iterator<Item = &mut Slot>> {
        Some(self.segments.get_mut(segment)?.slots.iter_mut().filter(|slot| !slot.is_empty()))
    }

    /// Shows slots one after the other, from a place that `drawn` chooses on, until `more` says
    /// no; whether it never did, in a bounded number of slots.
    pub(super) fn walk(&self, drawn: u64, more: &mut impl FnMut(&Slot) -> bool) -> bool {
        const MOST: usize = 4 * LARGEST;
        if self.segments.is_empty() {
            return true;
        }
        let first = self.directory[drawn as usize & (self.directory.len() - 1)] as usize;
        let from = (drawn >> 32) as usize % self.segments[first].slots.len();
        let rounds = (0..self.segments.len()).map(|nth| (first + nth) % self.segments.len());
        let after = self.segments[first].slots[from..].iter();
        let others = rounds.skip(1).flat_map(|number| self.segments[number].slots.iter());
        let before = self.segments[first].slots[..from].iter();
        after.chain(others).chain(before).take(MOST).all(more)
    }

    /// What must always hold; for tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut keys = 0;
        let mut slots = 0;
        let mut at = 0;
        while at < self.directory.len() {
            let number = self.directory[at] as usize;
            let segment = &self.segments[number];
            assert_eq!(directory_index(Hash(segment.prefix), self.depth), at);
            let copies = 1 << (self.depth - segment.depth());
            assert!(self.directory[at..at + copies].iter().all(|&n| n as usize == number));
            at += copies;
            let array = &segment.slots;
            slots += array.len();
            let mut previous = None;
            let mut len = 0;
            for (index, slot) in array.iter().enumerate() {
                if slot.is_empty() {
                    continue;
                }
                len += 1;
                assert!(previous <= Some(slot.tag()), "slots are in order");
                previous = Some(slot.tag());
                let hash = self.hasher.hash(slot.entry().key());
                assert_eq!(segment.tag(hash), slot.tag());
                assert!((segment.prefix..=segment.last_hash()).contains(&hash.0));
                let home = home(slot.tag(), array.len());
                assert!(home <= index);
                assert!(array[home..index].iter().all(|slot| !slot.is_empty()), "no gap");
                let entry = slot.entry();
                assert!(entry.next_deadline().is_none() || slot.horizon() != 0);
                // What was due within a collection may have gone without a word.
                assert!(
                    entry.expire_at().is_some()
                        || entry.collection().is_some()
                        || slot.horizon() == 0
                );
            }
            assert_eq!(len, segment.len);
            keys += len as usize;
        }
        assert_eq!(keys, self.len);
        assert_eq!(slots, self.slots);
    }
}
