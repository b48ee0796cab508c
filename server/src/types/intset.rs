//! Intset: a sorted set of integers in one allocation, all as wide as the widest needs, byte for byte
//! as RDB keeps it. What small sets of integers are.
//!
//! ```text
//!   width (2, 4 or 8)   count   integer   integer  …
//!   u32                 u32     ascending, `width` bytes each
//! ```
//!
//! Everything is little-endian. The width grows with the first integer that needs it and never
//! shrinks, as in Redis.

use std::cmp::Ordering;
use std::fmt;

use super::block::{Block, Format};
use super::listpack::Corrupt;

const HEADER: usize = 8;

#[derive(Clone)]
pub struct Intset {
    block: Bytes,
}

/// An intset's block.
pub(crate) type Bytes = Block<Layout, HEADER>;

pub(crate) struct Layout;

impl Format<HEADER> for Layout {
    const EMPTY: &'static [u8] = &[2, 0, 0, 0, 0, 0, 0, 0];

    fn total(header: [u8; HEADER]) -> usize {
        let Header { width, count } = Header::read(header);
        HEADER + width * count
    }
}

struct Header {
    /// Bytes of an integer.
    width: usize,
    count: usize,
}

impl Header {
    fn read([w, x, y, z, a, b, c, d]: [u8; HEADER]) -> Self {
        Self {
            width: u32::from_le_bytes([w, x, y, z]) as usize,
            count: u32::from_le_bytes([a, b, c, d]) as usize,
        }
    }

    fn bytes(&self) -> [u8; HEADER] {
        let word = |number: usize| {
            u32::try_from(number).expect("an intset is below 4 Gi integers").to_le_bytes()
        };
        let ([w, x, y, z], [a, b, c, d]) = (word(self.width), word(self.count));
        [w, x, y, z, a, b, c, d]
    }
}

impl Intset {
    /// Takes no memory before the first integer.
    pub const fn new() -> Self {
        Self { block: Block::empty() }
    }

    pub(crate) fn of_block(block: Bytes) -> Self {
        Self { block }
    }

    /// A copy of bytes from outside, which are checked whole.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        check(bytes)?;
        Ok(Self { block: Block::from_slice(bytes) })
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.block.as_slice()
    }

    /// Bytes of memory behind the pointer.
    pub fn memory_bytes(&self) -> usize {
        self.block.memory_bytes()
    }

    pub fn len(&self) -> usize {
        self.header().count
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The integer at `index` in ascending order.
    pub fn get(&self, index: usize) -> Option<i64> {
        self.slots().get(index)
    }

    pub fn contains(&self, value: i64) -> bool {
        self.slots().search(value).is_ok()
    }

    /// An integer chosen by `random`, a number drawn evenly from all.
    pub fn random(&self, random: u64) -> Option<i64> {
        let index = (u128::from(random) * self.len() as u128) >> 64;
        self.get(index as usize)
    }

    /// In ascending order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { slots: self.slots(), front: 0, back: self.len() }
    }

    /// Whether the integer is new.
    pub fn insert(&mut self, value: i64) -> bool {
        let Header { width, count } = self.header();
        if width_of(value) > width {
            self.insert_wider(value);
            return true;
        }
        let Err(index) = self.slots().search(value) else { return false };
        let bytes = value.to_le_bytes();
        let header = Header { width, count: count + 1 }.bytes();
        self.block.splice(HEADER + index * width, 0, [&bytes[..width], &[], &[]], header);
        true
    }

    /// Whether the integer was there.
    pub fn remove(&mut self, value: i64) -> bool {
        let Header { width, count } = self.header();
        let Ok(index) = self.slots().search(value) else { return false };
        let header = Header { width, count: count - 1 }.bytes();
        self.block.splice(HEADER + index * width, width, [&[]; 3], header);
        true
    }

    /// Puts in an integer that no slot is wide enough for: it is below all others or above.
    fn insert_wider(&mut self, value: i64) {
        let (width, count) = (width_of(value), self.len() + 1);
        let (below, above) = if value < 0 { (Some(value), None) } else { (None, Some(value)) };
        let mut slots = Vec::with_capacity(count * width);
        for value in below.into_iter().chain(self.iter()).chain(above) {
            slots.extend_from_slice(&value.to_le_bytes()[..width]);
        }
        let old = self.as_bytes().len() - HEADER;
        self.block.splice(HEADER, old, [&slots, &[], &[]], Header { width, count }.bytes());
    }

    fn header(&self) -> Header {
        Header::read(self.block.header())
    }

    fn slots(&self) -> Slots<'_> {
        Slots { width: self.header().width, bytes: &self.as_bytes()[HEADER..] }
    }
}

/// Bytes that `value` needs.
fn width_of(value: i64) -> usize {
    match value {
        -0x8000..=0x7fff => 2,
        -0x8000_0000..=0x7fff_ffff => 4,
        _ => 8,
    }
}

/// The integers where they lie.
#[derive(Clone, Copy)]
struct Slots<'a> {
    width: usize,
    bytes: &'a [u8],
}

impl Slots<'_> {
    fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    #[inline]
    fn get(&self, index: usize) -> Option<i64> {
        let slot = self.bytes.get(index * self.width..)?;
        match self.width {
            2 => slot.first_chunk().map(|bytes| i16::from_le_bytes(*bytes).into()),
            4 => slot.first_chunk().map(|bytes| i32::from_le_bytes(*bytes).into()),
            _ => slot.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)),
        }
    }

    /// Where `value` is, or where it would be.
    fn search(&self, value: i64) -> Result<usize, usize> {
        // Integers often come in ascending order.
        let last = self.len().checked_sub(1).and_then(|last| self.get(last));
        if last.is_none_or(|last| last < value) {
            return Err(self.len());
        }
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).expect("in range").cmp(&value) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }
}

fn check(bytes: &[u8]) -> Result<(), Corrupt> {
    let (header, body) = bytes.split_first_chunk::<HEADER>().ok_or(Corrupt)?;
    let Header { width, count } = Header::read(*header);
    let fits = count.checked_mul(width).is_some_and(|len| len == body.len());
    if !matches!(width, 2 | 4 | 8) || count == 0 || !fits {
        return Err(Corrupt);
    }
    let slots = Slots { width, bytes: body };
    let ascending = (1..count).all(|index| slots.get(index - 1) < slots.get(index));
    if ascending { Ok(()) } else { Err(Corrupt) }
}

#[derive(Clone)]
pub struct Iter<'a> {
    slots: Slots<'a>,
    front: usize,
    back: usize,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        let value = (self.front < self.back).then(|| self.slots.get(self.front)).flatten()?;
        self.front += 1;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.back - self.front;
        (left, Some(left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<i64> {
        self.back = (self.front < self.back).then(|| self.back - 1)?;
        self.slots.get(self.back)
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl Default for Intset {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Intset {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Intset {}

impl fmt::Debug for Intset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Intset {
    type Item = i64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromIterator<i64> for Intset {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        let mut set = Self::new();
        values.into_iter().for_each(|value| _ = set.insert(value));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Integers of all widths, many of them alike.
    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20i64..20,
            Just(i64::from(i16::MAX) + 1),
            Just(i64::from(i16::MIN)),
            any::<i16>().prop_map(i64::from),
            any::<i32>().prop_map(i64::from),
            any::<i64>(),
        ]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(i64),
        Remove(i64),
        RemoveNth(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => value().prop_map(Step::Insert),
            1 => value().prop_map(Step::Remove),
            2 => any::<usize>().prop_map(Step::RemoveNth),
        ]
    }

    fn apply(step: &Step, set: &mut Intset, model: &mut BTreeSet<i64>) {
        match *step {
            Step::Insert(value) => assert_eq!(set.insert(value), model.insert(value)),
            Step::Remove(value) => assert_eq!(set.remove(value), model.remove(&value)),
            Step::RemoveNth(nth) => {
                let Some(&value) = model.iter().nth(nth % model.len().max(1)) else { return };
                assert!(set.remove(value) && model.remove(&value));
            }
        }
    }

    proptest! {
        #[test]
        fn a_set_does_what_a_tree_does(steps in prop::collection::vec(step(), 0..60)) {
            let (mut set, mut model) = (Intset::new(), BTreeSet::new());
            for step in &steps {
                apply(step, &mut set, &mut model);
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert!(set.iter().rev().eq(model.iter().rev().copied()));
                prop_assert_eq!(set.len(), model.len());
                prop_assert!(model.iter().all(|value| set.contains(*value)));
                prop_assert!(!model.contains(&7_777_777) && !set.contains(7_777_777));
            }
            if !set.is_empty() {
                let copy = Intset::from_bytes(set.as_bytes());
                prop_assert_eq!(copy.as_ref(), Ok(&set));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(
            values in prop::collection::vec(value(), 1..20),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in 0usize..4,
        ) {
            let mut bytes = values.into_iter().collect::<Intset>().as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            if let Ok(set) = Intset::from_bytes(&bytes) {
                prop_assert_eq!(set.as_bytes(), &bytes[..]);
                prop_assert!(set.iter().is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_rdb() {
        let mut set: Intset = [5, -1].into_iter().collect();
        assert_eq!(set.as_bytes(), [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 5, 0]);
        set.insert(0x1_2345);
        #[rustfmt::skip]
        let expected = [
            4, 0, 0, 0, 3, 0, 0, 0,
            0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0, 0x45, 0x23, 1, 0,
        ];
        assert_eq!(set.as_bytes(), expected);
    }

    #[test]
    fn what_is_not_an_intset_is_refused() {
        for bytes in [
            &[][..],
            &[2, 0, 0, 0, 0, 0, 0],
            // Empty, of a wrong width, shorter and longer than it says.
            &[2, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0],
            &[2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 2, 0],
            // Not ascending, twice the same.
            &[2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0],
            &[8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0],
        ] {
            assert_eq!(Intset::from_bytes(bytes), Err(Corrupt), "{bytes:?}");
        }
    }

    #[test]
    fn every_member_is_drawn() {
        let set: Intset = (0..10).collect();
        let drawn: BTreeSet<_> = (0..100u64).map(|n| set.random(n * (u64::MAX / 100))).collect();
        assert_eq!(drawn.len(), 10);
        assert_eq!(Intset::new().random(3), None);
    }
}
