//! Rows of bytes looked at eight at a time, as words. Each row's length is a multiple of eight.

/// Rows grow by this.
pub(super) const STEP: usize = 8;

const ONES: u64 = u64::from_le_bytes([1; STEP]);
const LOW: u64 = u64::from_le_bytes([0x7f; STEP]);
const HIGH: u64 = !LOW;
const EVEN: u64 = 0x00ff_00ff_00ff_00ff;

fn words(row: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (words, rest) = row.as_chunks::<STEP>();
    debug_assert!(rest.is_empty());
    words.iter().map(|word| u64::from_le_bytes(*word))
}

/// Where in `row` the byte is.
#[inline]
pub(super) fn positions(row: &[u8], byte: u8) -> impl Iterator<Item = usize> + '_ {
    let pattern = ONES * u64::from(byte);
    words(row).enumerate().flat_map(move |(index, word)| {
        let differs = word ^ pattern;
        // The high bit of each byte that is zero, and of no other.
        let hits = !(((differs & LOW) + LOW) | differs) & HIGH;
        Bits(hits).map(move |bit| index * STEP + bit / STEP)
    })
}

/// The bits that are set, from the lowest on.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let lowest = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (lowest < u64::BITS).then_some(lowest as usize)
    }
}

/// The sum of the low seven bits of the first `count` bytes, and how many have the eighth.
#[inline]
pub(super) fn sums(row: &[u8], count: usize) -> (usize, usize) {
    let (whole, part) = (count / STEP, count % STEP);
    let (mut low, mut high) = (0, 0);
    let mut add = |word: u64| {
        let lows = word & LOW;
        let pairs = (lows & EVEN) + (lows >> 8 & EVEN);
        low += (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize;
        high += (word & HIGH).count_ones() as usize;
    };
    let mut words = words(row);
    words.by_ref().take(whole).for_each(&mut add);
    if part > 0
        && let Some(word) = words.next()
    {
        add(word & !(u64::MAX << (part * 8)));
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
        (0usize..12).prop_flat_map(move |words| {
            proptest::collection::vec(byte.clone(), words * STEP..=words * STEP)
        })
    }

    proptest! {
        #[test]
        fn bytes_are_found_where_they_are(row in row(), byte: u8, sample in any::<prop::sample::Index>()) {
            for byte in [byte, row.get(sample.index(row.len().max(1))).copied().unwrap_or(0)] {
                let expected: Vec<usize> = (0..row.len()).filter(|&at| row[at] == byte).collect();
                prop_assert_eq!(positions(&row, byte).collect::<Vec<_>>(), expected);
            }
        }

        #[test]
        fn sums_are_those_of_a_plain_loop(row in row()) {
            for count in 0..=row.len() {
                let low = row[..count].iter().map(|byte| usize::from(byte & 0x7f)).sum::<usize>();
                let high = row[..count].iter().filter(|byte| **byte >= 0x80).count();
                prop_assert_eq!(sums(&row, count), (low, high));
            }
        }
    }
}
