//! Which bucket a place in hash space belongs to, and where the buckets are.
//!
//! `n` buckets are the nodes `n` to `2n - 1` of a binary tree, numbered as in a heap: node `j` has
//! the children `2j` and `2j + 1` and covers what they cover, half the space each. Growing replaces
//! node `n` by its children, shrinking puts them together again.
//!
//! Places are not even: they are dense at the start of the space, where nodes are split already, and
//! half as dense at its end. So bucket `n`, the next to be split, is always the fullest, and at any
//! size there are as many buckets of each fill, from half of that on. (Were places even, all buckets
//! would fill up together, and each would outgrow its block at the same time as all the others: a
//! quarter of the memory would lie in blocks of a size that nobody wants just now.)

use super::bucket::Bucket;

/// The place in hash space of a hash: the hash as a fraction `u` of 1 becomes `(2u + u²) / 3`, which
/// is close to `2^u - 1` and has the right slope at both ends.
#[inline]
pub(super) fn place_of(hash: u64) -> u64 {
    const THIRD: u64 = u64::MAX / 3;
    high_half(hash, 2 * THIRD + high_half(hash, THIRD))
}

fn high_half(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// The buckets, in chunks so that growing copies none but the first few. Never empty.
#[derive(Clone)]
pub(super) struct Buckets {
    chunks: Vec<Vec<Bucket>>,
    len: usize,
    /// That of the deepest node.
    depth: u32,
}

const CHUNK: usize = 512;

impl Buckets {
    pub(super) fn one() -> Self {
        Self { chunks: vec![vec![Bucket::default()]], len: 1, depth: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The index of the bucket for a place.
    #[inline]
    pub(super) fn index(&self, place: u64) -> usize {
        index_of(self.node(place))
    }

    #[inline]
    fn node(&self, place: u64) -> usize {
        let deepest = 1 << self.depth | top_bits(place, self.depth) as usize;
        if deepest < 2 * self.len { deepest } else { deepest >> 1 }
    }

    /// The index of the bucket for a place, and the first and last place that it covers.
    pub(super) fn interval(&self, place: u64) -> (usize, u64, u64) {
        let node = self.node(place);
        let rest = u64::MAX.checked_shr(node.ilog2()).unwrap_or(0);
        (index_of(node), place & !rest, place | rest)
    }

    /// The index of the bucket that the next new one takes its records from, and the first place that
    /// is the new one's.
    pub(super) fn next_to_split(&self) -> (usize, u64) {
        let new = 2 * self.len as u64 + 1;
        (index_of(self.len), new << (u64::BITS - new.ilog2()))
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> &Bucket {
        &self.chunks[index / CHUNK][index % CHUNK]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: usize) -> &mut Bucket {
        &mut self.chunks[index / CHUNK][index % CHUNK]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Bucket> {
        self.chunks.iter().flatten()
    }

    pub(super) fn push(&mut self, bucket: Bucket) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(bucket),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(bucket);
                self.chunks.push(chunk);
            }
        }
        self.set_len(self.len + 1);
    }

    pub(super) fn pop(&mut self) -> Option<Bucket> {
        let chunk = self.chunks.last_mut()?;
        let bucket = chunk.pop();
        if chunk.is_empty() {
            self.chunks.pop();
        } else if chunk.len() < chunk.capacity() / 4 && self.len < CHUNK {
            chunk.shrink_to(chunk.len() * 2);
        }
        self.set_len(self.len - 1);
        bucket
    }

    fn set_len(&mut self, len: usize) {
        self.len = len;
        self.depth = (2 * len - 1).ilog2();
    }

    /// Bytes of the handles; a copy takes as many.
    pub(super) fn memory_bytes(&self) -> usize {
        self.chunks.len() * size_of::<Vec<Bucket>>() + self.len * size_of::<Bucket>()
    }
}

#[inline]
fn top_bits(place: u64, count: u32) -> u64 {
    place >> 1 >> (u64::BITS - 1 - count)
}

/// Where the bucket of a node is: a left child takes its parent's index, and a right one the first
/// that is free when it comes to be.
#[inline]
fn index_of(node: usize) -> usize {
    node >> node.trailing_zeros() >> 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_index_is_used_once_and_the_intervals_cover_the_space() {
        let mut buckets = Buckets::one();
        for len in 1..600 {
            let mut used = vec![false; len];
            let mut from = 0;
            loop {
                let (index, first, last) = buckets.interval(from);
                assert_eq!((first, index), (from, buckets.index(last)));
                assert!(!std::mem::replace(&mut used[index], true));
                match last.checked_add(1) {
                    Some(next) => from = next,
                    None => break,
                }
            }
            assert!(used.iter().all(|used| *used), "{len}");
            let (old, middle) = buckets.next_to_split();
            assert_eq!(buckets.index(middle), old);
            buckets.push(Bucket::default());
            assert_eq!((buckets.index(middle), buckets.index(middle - 1)), (len, old));
        }
    }

    proptest! {
        #[test]
        fn places_keep_the_order_of_hashes(a: u64, b: u64) {
            prop_assert_eq!(a.min(b) == a, place_of(a.min(b)) == place_of(a) || a == b);
            prop_assert!(place_of(a.min(b)) <= place_of(a.max(b)));
        }
    }

    #[test]
    fn the_first_places_are_twice_as_dense_as_the_last() {
        assert_eq!((place_of(0), place_of(u64::MAX) >> 4), (0, u64::MAX >> 4));
        let width = |from: u64| place_of(from + (1 << 50)) - place_of(from);
        let ratio = width(u64::MAX - (1 << 50)) as f64 / width(0) as f64;
        assert!((1.999..2.001).contains(&ratio), "{ratio}");
    }
}
