//! Names of at most sixteen bytes, as two words that are compared at once.

/// In lower case, behind it zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    text: [u64; 2],
    len: usize,
}

impl Short {
    /// `None`: it is longer.
    #[inline]
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let len = name.len();
        let text = match len {
            0 => [0, 0],
            // Of few letters the middle one may be the first or the last as well.
            1..4 => {
                let [head, middle, tail] = [0, len / 2, len - 1];
                let letter = |at: usize| u64::from(name[at]) << (at * 8);
                [letter(head) | letter(middle) | letter(tail), 0]
            }
            4..=8 => {
                let four = |four: &[u8; 4]| u64::from(u32::from_le_bytes(*four));
                [four(name.first_chunk()?) | four(name.last_chunk()?) << ((len - 4) * 8), 0]
            }
            9..=16 => {
                let eight = |eight: &[u8; 8]| u64::from_le_bytes(*eight);
                [eight(name.first_chunk()?), eight(name.last_chunk()?) >> ((16 - len) * 8)]
            }
            _ => return None,
        };
        Some(Self { text: text.map(lower_case), len })
    }

    /// Ten bits that say where it is looked for first.
    #[inline]
    pub(super) fn hash(self) -> usize {
        let [head, tail] = self.text;
        let mixed = (head ^ tail.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 54) as usize
    }
}

/// Of eight bytes of ASCII text at once; other bytes stay what they are.
#[inline]
fn lower_case(text: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low = text & !HIGH;
    let from_a = low + (0x80 - u64::from(b'A')) * ONES;
    let beyond_z = low + (0x7f - u64::from(b'Z')) * ONES;
    let is_upper = from_a & !beyond_z & !text & HIGH;
    text | is_upper >> 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn two_are_equal_when_they_differ_in_case_only(
            text in prop::collection::vec(any::<u8>(), 0..20),
            other in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            prop_assert_eq!(Short::of(&text).is_some(), text.len() <= 16);
            prop_assert_eq!(Short::of(&text), Short::of(&text.to_ascii_uppercase()));
            if text.len() <= 16 {
                let is_same = text.eq_ignore_ascii_case(&other);
                prop_assert_eq!(Short::of(&text) == Short::of(&other), is_same);
                let mut changed = text.clone();
                for at in 0..text.len() {
                    changed[at] = changed[at].wrapping_add(1);
                    prop_assert_eq!(
                        Short::of(&text) == Short::of(&changed),
                        text.eq_ignore_ascii_case(&changed)
                    );
                }
            }
        }
    }
}
