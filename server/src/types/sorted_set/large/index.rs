//! Which leaf a member is in: extendible hashing over small segments that are ordered by hash.
//!
//! A slot is 8 bytes: 32 bits of the member's hash and the number of its leaf. The member itself is
//! in the leaf only, where every candidate is verified. Since a slot keeps all of the hash that is
//! ever used, growing and splitting read no members.
//!
//! The rest is as in `keyspace::table`: the top bits of the hash choose a segment through the
//! directory, a segment is an array in the order of hashes by linear probing, which grows in steps
//! of a fifth and splits alone at its largest. So nothing ever pauses, slots are nine tenths full,
//! and a place in hash space is a cursor.

use super::run::Run;
use crate::types::slots::{SMALLEST, fitting, limit, longer, overflow, roomy};

/// A segment of this many slots splits rather than grows.
const LARGEST: usize = 512;
/// Beyond this depth a segment grows further instead of splitting.
const MAX_DEPTH: u32 = 24;

#[derive(Clone, Debug)]
pub(super) struct Index {
    /// By the top `depth` bits of a hash: the number of its segment.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
    /// Numbers of segments that are gone.
    vacant: Vec<u32>,
    /// How many segments have each depth, to know when the directory can halve.
    at_depth: [u32; MAX_DEPTH as usize + 1],
    slots: usize,
}

#[derive(Clone, Debug)]
struct Segment {
    slots: Box<[Slot]>,
    /// The bits that its hashes share, at the top; `depth` says how many.
    prefix: u32,
    depth: u32,
    len: u32,
}

/// The hash in the upper half, the leaf in the lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot(u64);

impl Slot {
    /// No leaf has this number.
    const EMPTY: Slot = Slot(u64::MAX);

    fn new(hash: u32, leaf: u32) -> Self {
        Self(u64::from(hash) << 32 | u64::from(leaf))
    }

    #[inline]
    fn hash(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    fn leaf(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    fn is_empty(self) -> bool {
        self.leaf() == u32::MAX
    }
}

/// The part of a member's hash that is used.
#[inline]
pub(super) fn hash(member: &[u8]) -> u32 {
    (crate::types::members::hash(member) >> 32) as u32
}

impl Segment {
    #[inline]
    fn home(&self, hash: u32) -> usize {
        home(hash, self.depth, self.slots.len())
    }

    fn last_hash(&self) -> u32 {
        self.prefix | u32::MAX >> self.depth
    }

    fn occupied(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().copied().filter(|slot| !slot.is_empty())
    }

    /// Where to look for `hash` from: its home, or up to a line before its place.
    #[inline]
    fn first_candidate(&self, hash: u32) -> usize {
        const LINE: usize = 64 / size_of::<Slot>();
        let mut at = self.home(hash);
        while let Some(slot) = self.slots.get(at + LINE)
            && !slot.is_empty()
            && slot.hash() < hash
        {
            at += LINE;
        }
        at
    }

    /// The slots of `hash`.
    #[inline]
    fn candidates(&self, hash: u32) -> impl Iterator<Item = (usize, Slot)> + '_ {
        let from = self.first_candidate(hash);
        let slots = self.slots[from..].iter().copied().enumerate();
        slots
            .map(move |(nth, slot)| (from + nth, slot))
            .take_while(move |(_, slot)| !slot.is_empty() && slot.hash() <= hash)
            .filter(move |(_, slot)| slot.hash() == hash)
    }

    fn insert(&mut self, slot: Slot) -> bool {
        if self.len as usize >= limit(self.slots.len()) {
            return false;
        }
        let first = self.first_candidate(slot.hash());
        let slots = &mut self.slots;
        let greater = |other: &Slot| other.is_empty() || other.hash() > slot.hash();
        let Some(ahead) = slots[first..].iter().position(greater) else { return false };
        let at = first + ahead;
        let Some(run) = slots[at..].iter().position(|slot| slot.is_empty()) else { return false };
        slots.copy_within(at..at + run, at + 1);
        slots[at] = slot;
        self.len += 1;
        true
    }

    /// Empties a place and moves back what it had displaced.
    fn remove(&mut self, at: usize) {
        let (depth, slots) = (self.depth, &mut self.slots);
        let len = slots.len();
        let settled =
            |&at: &usize| slots[at].is_empty() || home(slots[at].hash(), depth, len) == at;
        let end = (at + 1..len).find(settled).unwrap_or(len);
        slots.copy_within(at + 1..end, at);
        slots[end - 1] = Slot::EMPTY;
        self.len -= 1;
    }
}

#[inline]
fn home(hash: u32, depth: u32, slots: usize) -> usize {
    let within = u64::from(hash << depth);
    ((within * (slots - overflow(slots)) as u64) >> 32) as usize
}

/// Lays `ordered` out over `slots` places or more, each slot at its home or after the one before.
fn spread(ordered: &[Slot], depth: u32, mut slots: usize) -> Box<[Slot]> {
    'longer: loop {
        let mut array = vec![Slot::EMPTY; slots].into_boxed_slice();
        let mut next = 0;
        for &slot in ordered {
            let at = home(slot.hash(), depth, slots).max(next);
            let Some(place) = array.get_mut(at) else {
                slots = longer(slots);
                continue 'longer;
            };
            *place = slot;
            next = at + 1;
        }
        return array;
    }
}

impl Index {
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn new() -> Self {
        let slots = vec![Slot::EMPTY; SMALLEST].into_boxed_slice();
        let mut at_depth = [0; MAX_DEPTH as usize + 1];
        at_depth[0] = 1;
        Self {
            directory: vec![0],
            depth: 0,
            segments: vec![Segment { slots, prefix: 0, depth: 0, len: 0 }],
            vacant: Vec::new(),
            at_depth,
            slots: SMALLEST,
        }
    }

    pub(super) fn used_bytes(&self) -> usize {
        size_of::<Self>()
            + self.slots * size_of::<Slot>()
            + self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment>()
    }

    pub(super) fn allocations(&self) -> usize {
        self.segments.len()
    }

    #[inline]
    fn segment_of(&self, hash: u32) -> usize {
        self.directory[(u64::from(hash) << self.depth >> 32) as usize] as usize
    }

    /// The leaf among the candidates in which `verify` finds the member, with what it found.
    #[inline]
    pub(super) fn find<T>(
        &self,
        hash: u32,
        mut verify: impl FnMut(u32) -> Option<T>,
    ) -> Option<(u32, T)> {
        let mut candidates = self.segments[self.segment_of(hash)].candidates(hash);
        candidates.find_map(|(_, slot)| Some((slot.leaf(), verify(slot.leaf())?)))
    }

    pub(super) fn insert(&mut self, hash: u32, leaf: u32) {
        let slot = Slot::new(hash, leaf);
        loop {
            let number = self.segment_of(hash);
            if self.segments[number].insert(slot) {
                return;
            }
            self.grow(number);
        }
    }

    pub(super) fn remove(&mut self, hash: u32, leaf: u32) {
        let number = self.segment_of(hash);
        if let Some(at) = self.place(number, hash, leaf) {
            self.segments[number].remove(at);
            self.shrink(number);
        }
    }

    /// The members of `run` have come from leaf `from` to leaf `to`.
    pub(super) fn move_all(&mut self, run: &Run, from: u32, to: u32) {
        for at in 0..run.len() {
            let hash = hash(run.member(at));
            let number = self.segment_of(hash);
            if let Some(at) = self.place(number, hash, from) {
                self.segments[number].slots[at] = Slot::new(hash, to);
            }
        }
    }

    fn place(&self, segment: usize, hash: u32, leaf: u32) -> Option<usize> {
        let mut candidates = self.segments[segment].candidates(hash);
        candidates.find(|(_, slot)| slot.leaf() == leaf).map(|(at, _)| at)
    }

    // ── Growing and shrinking ───────────────────────────────────────────────────────────────

    fn grow(&mut self, number: usize) {
        let segment = &self.segments[number];
        let (slots, depth) = (segment.slots.len(), segment.depth);
        if slots >= LARGEST && depth < MAX_DEPTH {
            return self.split(number);
        }
        let ordered: Vec<Slot> = segment.occupied().collect();
        self.set_slots(number, spread(&ordered, depth, longer(slots)));
    }

    fn split(&mut self, number: usize) {
        let Segment { depth, prefix, .. } = self.segments[number];
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&number| [number, number]).collect();
            self.depth += 1;
        }
        let upper_prefix = prefix | 1 << (u32::BITS - 1 - depth);
        let ordered: Vec<Slot> = self.segments[number].occupied().collect();
        let lower_len = ordered.partition_point(|slot| slot.hash() < upper_prefix);
        let (lower, upper) = ordered.split_at(lower_len);
        self.at_depth[depth as usize] -= 1;
        self.at_depth[depth as usize + 1] += 2;
        let depth = depth + 1;

        self.set_slots(number, spread(lower, depth, fitting(lower.len())));
        let kept = &mut self.segments[number];
        kept.depth = depth;
        kept.len = lower.len() as u32;

        let slots = spread(upper, depth, fitting(upper.len()));
        self.slots += slots.len();
        let other = Segment { slots, prefix: upper_prefix, depth, len: upper.len() as u32 };
        let other = self.add_segment(other);
        self.point_directory(other);
    }

    fn add_segment(&mut self, segment: Segment) -> usize {
        if let Some(number) = self.vacant.pop() {
            self.segments[number as usize] = segment;
            return number as usize;
        }
        self.segments.push(segment);
        self.segments.len() - 1
    }

    fn set_slots(&mut self, number: usize, slots: Box<[Slot]>) {
        self.slots = self.slots + slots.len() - self.segments[number].slots.len();
        self.segments[number].slots = slots;
    }

    /// Makes the directory lead to a segment for all hashes that it covers.
    fn point_directory(&mut self, number: usize) {
        let Segment { prefix, depth, .. } = self.segments[number];
        let first = (u64::from(prefix) << self.depth >> 32) as usize;
        self.directory[first..first + (1 << (self.depth - depth))].fill(number as u32);
    }

    /// Gives back what a segment has too much of: a shorter array, or one for two neighbours.
    fn shrink(&mut self, number: usize) {
        let Segment { len, depth, .. } = self.segments[number];
        let slots = self.segments[number].slots.len();
        let len = len as usize;
        if len >= slots * 3 / 8 || slots == SMALLEST && depth == 0 {
            return;
        }
        let mut merged = number;
        while let Some(buddy) = self.mergeable_buddy(merged) {
            merged = self.merge(merged, buddy);
        }
        if merged == number && self.segments[number].depth == depth && slots > SMALLEST {
            let ordered: Vec<Slot> = self.segments[number].occupied().collect();
            self.set_slots(number, spread(&ordered, depth, roomy(len)));
        }
    }

    /// The other half of what was one segment, if both together fill half of one.
    fn mergeable_buddy(&self, number: usize) -> Option<usize> {
        let own = &self.segments[number];
        let bit = 1u32.checked_shl(u32::BITS - own.depth)?;
        let buddy = self.segment_of(own.prefix ^ bit);
        let other = &self.segments[buddy];
        let len = (own.len + other.len) as usize;
        (other.depth == own.depth && len <= LARGEST / 2).then_some(buddy)
    }

    fn merge(&mut self, a: usize, b: usize) -> usize {
        let (lower, upper) =
            if self.segments[a].prefix < self.segments[b].prefix { (a, b) } else { (b, a) };
        let pair = [lower, upper].map(|number| &self.segments[number]);
        let ordered: Vec<Slot> = pair.into_iter().flat_map(Segment::occupied).collect();
        let depth = pair[0].depth - 1;
        self.set_slots(lower, spread(&ordered, depth, roomy(ordered.len())));
        self.set_slots(upper, Box::default());
        self.vacant.push(upper as u32);
        let kept = &mut self.segments[lower];
        kept.len = ordered.len() as u32;
        kept.depth = depth;
        self.at_depth[depth as usize + 1] -= 2;
        self.at_depth[depth as usize] += 1;
        self.point_directory(lower);
        while self.depth > 0 && self.at_depth[self.depth as usize] == 0 {
            self.directory = self.directory.iter().copied().step_by(2).collect();
            self.depth -= 1;
        }
        lower
    }

    // ── Walk ────────────────────────────────────────────────────────────────────────────────

    /// Visits (hash, leaf) from a hash on until `count` slots were seen, and all of the last hash;
    /// where to go on.
    pub(super) fn scan(
        &self,
        from: u32,
        count: usize,
        mut visit: impl FnMut(u32, u32),
    ) -> Option<u32> {
        let mut from = from;
        let mut seen = 0;
        let mut last = None;
        loop {
            let segment = &self.segments[self.segment_of(from)];
            for slot in &segment.slots[segment.home(from)..] {
                if slot.is_empty() || slot.hash() < from {
                    continue;
                }
                if seen >= count && last != Some(slot.hash()) {
                    return Some(slot.hash());
                }
                seen += 1;
                last = Some(slot.hash());
                visit(slot.hash(), slot.leaf());
            }
            from = segment.last_hash().checked_add(1)?;
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self, len: usize) {
        let mut total = 0;
        let mut slots = 0;
        let mut at = 0;
        while at < self.directory.len() {
            let number = self.directory[at] as usize;
            let segment = &self.segments[number];
            let copies = 1 << (self.depth - segment.depth);
            assert!(self.directory[at..at + copies].iter().all(|&n| n as usize == number));
            at += copies;
            slots += segment.slots.len();
            assert_eq!(segment.occupied().count(), segment.len as usize);
            assert!(segment.occupied().is_sorted_by_key(Slot::hash), "slots are in order");
            for (place, slot) in segment.slots.iter().enumerate().filter(|(_, s)| !s.is_empty()) {
                assert!((segment.prefix..=segment.last_hash()).contains(&slot.hash()));
                let home = segment.home(slot.hash());
                assert!(home <= place);
                assert!(segment.slots[home..place].iter().all(|slot| !slot.is_empty()), "no gap");
            }
            total += segment.len as usize;
        }
        assert_eq!((total, slots), (len, self.slots));
    }
}
