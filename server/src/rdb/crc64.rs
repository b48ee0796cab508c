//! The checksum of payloads and files: CRC-64 "Jones", as Redis has it.
//!
//! By table, and where an x86 processor multiplies without carries (PCLMULQDQ, since 2010) 16 bytes at a
//! time: what came so far, a polynomial of degree 127, is folded over the next 16 bytes, until the
//! table does the rest. Source: Gopal et al., "Fast CRC Computation for Generic Polynomials Using
//! PCLMULQDQ Instruction", Intel 2009, for reflected bits.

use std::sync::LazyLock;

use crc::{CRC_64_REDIS, Crc, Table};

/// Where the processor folds, the table has the ends only, and is a small one.
#[cfg(target_arch = "x86_64")]
type Tables = Table<1>;
#[cfg(not(target_arch = "x86_64"))]
type Tables = Table<16>;

/// Made at the first use: in the program they would be KBs that no compression makes smaller.
static TABLES: LazyLock<Box<Crc<u64, Tables>>> =
    LazyLock::new(|| Box::new(Crc::<u64, Tables>::new(&CRC_64_REDIS)));

/// A checksum of bytes that come piece by piece.
#[derive(Clone, Default)]
pub struct Crc64(u64);

impl Crc64 {
    pub fn of(bytes: &[u8]) -> u64 {
        let mut crc = Self::default();
        crc.update(bytes);
        crc.value()
    }

    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.fold(bytes);
        self.look_up(rest);
    }

    /// The checksum of everything so far; more may come.
    pub fn value(&self) -> u64 {
        self.0
    }

    fn look_up(&mut self, bytes: &[u8]) {
        // The crate takes the value to begin with in the order of bits that the polynomial is given in.
        let mut digest = TABLES.digest_with_initial(self.0.reverse_bits());
        digest.update(bytes);
        self.0 = digest.finalize();
    }

    /// Takes what there is of whole blocks, if they are worth it; what is left.
    #[cfg(target_arch = "x86_64")]
    fn fold<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        /// Below it the table alone is as fast: it has one block of them to do in any case.
        const WORTH: usize = 64;
        let (blocks, rest) = bytes.as_chunks();
        if bytes.len() < WORTH || !is_x86_feature_detected!("pclmulqdq") {
            return bytes;
        }
        // SAFETY: the processor has the instruction.
        let folded = unsafe { folding::fold(self.0, blocks) };
        self.0 = 0;
        self.look_up(&folded);
        rest
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn fold<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }
}

#[cfg(target_arch = "x86_64")]
mod folding {
    use std::arch::x86_64::{
        __m128i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_unpackhi_epi64,
        _mm_xor_si128,
    };

    /// The polynomial, its lowest bit the highest power below 64.
    const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9_u64.reverse_bits();
    /// What the earlier and the later half of a block are multiplied by to come 128 bits further. The
    /// product of two reflected halves is one power short.
    const EARLIER: u64 = power(128 + 64 - 1);
    const LATER: u64 = power(128 - 1);

    /// x to this power, modulo the polynomial.
    const fn power(exponent: u32) -> u64 {
        let mut value = 1 << 63;
        let mut nth = 0;
        while nth < exponent {
            value = (value >> 1) ^ if value & 1 == 1 { POLYNOMIAL } else { 0 };
            nth += 1;
        }
        value
    }

    /// Sixteen bytes with the checksum that `crc` and all of `blocks` have.
    #[target_feature(enable = "pclmulqdq")]
    pub(super) fn fold(crc: u64, blocks: &[[u8; 16]]) -> [u8; 16] {
        let by = _mm_set_epi64x(LATER as i64, EARLIER as i64);
        let mut state = _mm_set_epi64x(0, crc as i64);
        let mut is_first = true;
        for block in blocks {
            if !is_first {
                let earlier = _mm_clmulepi64_si128::<0x00>(state, by);
                state = _mm_xor_si128(earlier, _mm_clmulepi64_si128::<0x11>(state, by));
            }
            is_first = false;
            state = _mm_xor_si128(state, load(block));
        }
        let halves = [state, _mm_unpackhi_epi64(state, state)].map(|half| _mm_cvtsi128_si64(half));
        (u128::from(halves[1] as u64) << 64 | u128::from(halves[0] as u64)).to_le_bytes()
    }

    #[target_feature(enable = "pclmulqdq")]
    fn load(block: &[u8; 16]) -> __m128i {
        let bits = u128::from_le_bytes(*block);
        _mm_set_epi64x((bits >> 64) as i64, bits as i64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_have_the_checksum_of_the_whole() {
        // The check value of Redis' crc64.c.
        assert_eq!(Crc64::of(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let mut crc = Crc64::default();
        assert_eq!(crc.value(), 0);
        crc.update(b"1234");
        assert_eq!(crc.value(), Crc64::of(b"1234"));
        crc.update(b"56789");
        assert_eq!(crc.value(), 0xe9c6_d914_c4b8_d9ca);
    }

    proptest! {
        #[test]
        fn folded_blocks_have_the_checksum_that_the_table_gives(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut expected = Crc64::default();
            expected.look_up(&bytes);
            prop_assert_eq!(Crc64::of(&bytes), expected.value());
            let mut crc = Crc64::default();
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            crc.update(first);
            crc.update(second);
            prop_assert_eq!(crc.value(), expected.value());
        }
    }
}
