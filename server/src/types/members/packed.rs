//! Rows of bytes looked at eight at a time, as words. Each row's length is a multiple of eight.

/// Rows grow by this.
pub(super) const STEP: usize = 8;

const ONES: u64 = u64::from_le_bytes([1; STEP]);
const LOW: u64 = u64::from_le_bytes([0x7f; STEP]);
const HIGH: u64 = !LOW;
const EVEN: u64 = 0x00ff_00ff_00ff_00ff;

/// Words whose eighth bits can be counted in one byte. Their low bits then fit two.
const ADDABLE: usize = 31;

fn words(row: &[u8]) -> &[[u8; STEP]] {
    let (words, rest) = row.as_chunks::<STEP>();
    debug_assert!(rest.is_empty());
    words
}

/// The first place in `row` where `byte` is, if it is the one that is `wanted`.
#[inline]
pub(super) fn find<T>(
    row: &[u8],
    byte: u8,
    mut wanted: impl FnMut(usize) -> Option<T>,
) -> Option<T> {
    let pattern = ONES * u64::from(byte);
    for (index, word) in words(row).iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ pattern;
        // The high bit of each byte that is zero, and of no other.
        let mut hits = !(((differs & LOW) + LOW) | differs) & HIGH;
        while hits != 0 {
            let found = wanted(index * STEP + hits.trailing_zeros() as usize / STEP);
            if found.is_some() {
                return found;
            }
            hits &= hits - 1;
        }
    }
    None
}

/// The sum of the low seven bits of the first `count` bytes, and how many have the eighth.
#[inline]
pub(super) fn sums(row: &[u8], count: usize) -> (usize, usize) {
    let (whole, part) = (count / STEP, count % STEP);
    let words = words(row);
    let (mut low, mut high) = (0, 0);
    let mut add = |words: &[[u8; STEP]], mask: u64| {
        // No instruction of the oldest processors counts bits: lanes do.
        let (mut pairs, mut highs) = (0, 0);
        for word in words {
            let word = u64::from_le_bytes(*word) & mask;
            let lows = word & LOW;
            pairs += (lows & EVEN) + (lows >> 8 & EVEN);
            highs += word >> 7 & ONES;
        }
        low += (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize;
        high += (highs.wrapping_mul(ONES) >> 56) as usize;
    };
    words[..whole].chunks(ADDABLE).for_each(|words| add(words, u64::MAX));
    if part > 0 {
        add(&words[whole..=whole], !(u64::MAX << (part * 8)));
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
        prop_oneof![0usize..12, 28usize..70].prop_flat_map(move |words| {
            proptest::collection::vec(byte.clone(), words * STEP..=words * STEP)
        })
    }

    proptest! {
        #[test]
        fn bytes_are_found_where_they_are(row in row(), byte: u8, sample in any::<prop::sample::Index>()) {
            for byte in [byte, row.get(sample.index(row.len().max(1))).copied().unwrap_or(0)] {
                let expected: Vec<usize> = (0..row.len()).filter(|&at| row[at] == byte).collect();
                let mut found = vec![];
                let none: Option<()> = find(&row, byte, |at| {
                    found.push(at);
                    None
                });
                prop_assert_eq!((none, &found), (None, &expected));
                let nth = sample.index(expected.len() + 1);
                let mut seen = 0;
                let counted = find(&row, byte, |at| {
                    seen += 1;
                    (seen > nth).then_some(at)
                });
                prop_assert_eq!(counted, expected.get(nth).copied());
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
