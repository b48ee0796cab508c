//! What stands before a listpack's entries in memory: their bytes and their number, in a word where
//! both are small, else in two. RDB's header, which says the same, takes more.
//!
//! ```text
//!   bit 31   30 … 19   18 … 0
//!   0        count     total bytes
//!   1        total bytes             count, in the next four bytes
//! ```
//!
//! The total counts the header. Both words are little-endian.

pub(super) const SHORT: usize = 4;
pub(super) const LONG: usize = 8;

const IS_LONG: u32 = 1 << 31;
const TOTAL_BITS: u32 = 19;
const SHORT_TOTAL_MAX: usize = (1 << TOTAL_BITS) - 1;
const SHORT_COUNT_MAX: usize = (1 << (31 - TOTAL_BITS)) - 1;

/// A header's first word.
#[derive(Clone, Copy)]
pub(super) struct Head(u32);

impl Head {
    #[inline]
    pub(super) fn read(bytes: [u8; SHORT]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    #[inline]
    pub(super) fn total(self) -> usize {
        let mask = if self.is_long() { !IS_LONG } else { SHORT_TOTAL_MAX as u32 };
        (self.0 & mask) as usize
    }

    /// Bytes of the header.
    #[inline]
    pub(super) fn len(self) -> usize {
        if self.is_long() { LONG } else { SHORT }
    }

    /// `None` where the second word has it.
    #[inline]
    pub(super) fn count(self) -> Option<usize> {
        (!self.is_long()).then_some((self.0 >> TOTAL_BITS) as usize)
    }

    #[inline]
    fn is_long(self) -> bool {
        self.0 & IS_LONG != 0
    }
}

/// What a header says.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Bytes of the entries.
    pub(super) body: usize,
    pub(super) count: usize,
}

impl Sizes {
    /// Bytes of the header that it takes.
    #[inline]
    pub(super) fn header_len(self) -> usize {
        let is_short = self.body <= SHORT_TOTAL_MAX - SHORT && self.count <= SHORT_COUNT_MAX;
        if is_short { SHORT } else { LONG }
    }

    /// The first word of a header of `header_len` bytes, which is enough.
    #[inline]
    pub(super) fn word(self, header_len: usize) -> [u8; SHORT] {
        let total = u32::try_from(self.body + header_len).expect("a listpack is below 2 GiB");
        let rest = if header_len == SHORT { (self.count as u32) << TOTAL_BITS } else { IS_LONG };
        (total | rest).to_le_bytes()
    }

    /// The second word of a long one.
    pub(super) fn second_word(self) -> [u8; LONG - SHORT] {
        u32::try_from(self.count).expect("an entry takes two bytes").to_le_bytes()
    }
}
