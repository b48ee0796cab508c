//! An element's register and what it raises it to: MurmurHash64A, with Redis' seed.

use super::{INDEX_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;

/// Bits of the hash whose zeros are counted.
const PATTERN_BITS: u32 = u64::BITS - INDEX_BITS;

/// The register, and the length of the run of zeros plus one.
pub(super) fn place_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element);
    let index = hash as usize % REGISTERS;
    let pattern = hash >> INDEX_BITS | 1 << PATTERN_BITS;
    (index, pattern.trailing_zeros() as u8 + 1)
}

/// Austin Appleby's MurmurHash2 for 64-bit platforms.
fn murmur64a(bytes: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = (hash ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> R).wrapping_mul(M);
    hash ^ hash >> R
}
