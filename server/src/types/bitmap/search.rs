//! Bits counted, and the first one found, between two places in a row of bits.

use std::ops::Range;

/// How many of these bits are 1.
pub fn count(bytes: &[u8], bits: Range<u64>) -> u64 {
    let Some((head, body, tail)) = split(bytes, bits) else { return 0 };
    let edges = [head, tail].into_iter().flatten();
    let at_edges: u32 = edges.map(|edge| (edge.byte & edge.mask).count_ones()).sum();
    u64::from(at_edges) + ones(body)
}

/// How many bits of whole bytes are 1, by the widest instructions that this processor has.
fn ones(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { ones_by_avx2(bytes) };
    }
    ones_by_words(bytes)
}

/// [`ones_by_words`], which the compiler turns into four words at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn ones_by_avx2(bytes: &[u8]) -> u64 {
    ones_by_words(bytes)
}

#[inline(always)]
fn ones_by_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: u64 =
        words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    let in_rest: u32 = rest.iter().map(|byte| byte.count_ones()).sum();
    in_words + u64::from(in_rest)
}

/// The first of these bits that is `bit`.
pub fn position(bytes: &[u8], bits: Range<u64>, bit: bool) -> Option<u64> {
    let start_byte = bits.start / 8;
    let (head, body, tail) = split(bytes, bits)?;
    // What is looked for is a 1 from here on.
    let flip = if bit { 0 } else { 0xff };
    let first_in = |at: u64, byte: u8| {
        (byte != 0).then(|| (start_byte + at) * 8 + u64::from(byte.leading_zeros()))
    };
    if let Some(edge) = head
        && let Some(found) = first_in(0, (edge.byte ^ flip) & edge.mask)
    {
        return Some(found);
    }
    let body_at = u64::from(head.is_some());
    let boring = [flip; 8];
    let (words, _) = body.as_chunks::<8>();
    let skipped = words.iter().take_while(|word| **word == boring).count() * 8;
    let in_body = body[skipped..].iter().position(|byte| *byte != flip).map(|at| skipped + at);
    if let Some(at) = in_body {
        return first_in(body_at + at as u64, body[at] ^ flip);
    }
    let edge = tail?;
    first_in(body_at + body.len() as u64, (edge.byte ^ flip) & edge.mask)
}

/// A byte of which only some bits are meant.
#[derive(Clone, Copy)]
struct Edge {
    byte: u8,
    mask: u8,
}

/// The bits as whole bytes between two that count in part. `None` if there are none.
fn split(bytes: &[u8], bits: Range<u64>) -> Option<(Option<Edge>, &[u8], Option<Edge>)> {
    if bits.is_empty() {
        return None;
    }
    let (mut first, mut last) =
        (usize::try_from(bits.start / 8).ok()?, usize::try_from((bits.end - 1) / 8).ok()?);
    let from_start = 0xffu8 >> (bits.start % 8);
    let to_end = 0xffu8 << (7 - (bits.end - 1) % 8);
    let edge = |at: usize, mask| bytes.get(at).map(|&byte| Edge { byte, mask });
    if first == last && from_start & to_end != 0xff {
        return Some((edge(first, from_start & to_end), &[], None));
    }
    let head = if from_start == 0xff { None } else { edge(first, from_start) };
    first += usize::from(head.is_some());
    let tail = if to_end == 0xff { None } else { edge(last, to_end) };
    last -= usize::from(tail.is_some());
    Some((head, bytes.get(first..=last).unwrap_or_default(), tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_instructions_count_as_narrow_ones() {
        let bytes: Vec<u8> =
            (0..1000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for start in 0..64 {
            for end in (start..bytes.len()).step_by(7) {
                let part = &bytes[start..end];
                let expected: u32 = part.iter().map(|byte| byte.count_ones()).sum();
                assert_eq!((ones(part), ones_by_words(part)), (expected.into(), expected.into()));
            }
        }
    }

    #[test]
    fn every_range_is_searched_as_bit_by_bit() {
        let patterns: [&[u8]; 5] = [
            b"",
            &[0; 19],
            &[0xff; 19],
            b"\x00\x01\x80\xff\x7f\xfe\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x03",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfd\xff\xff\xff\x00\xff",
        ];
        for bytes in patterns {
            let len = bytes.len() as u64 * 8;
            let is_set = |at: &u64| bytes[(at / 8) as usize] & (0x80 >> (at % 8)) != 0;
            for start in 0..=len {
                for end in start..=len {
                    let ones = (start..end).filter(is_set).count() as u64;
                    assert_eq!(count(bytes, start..end), ones, "{bytes:?} {start}..{end}");
                    let one = (start..end).find(is_set);
                    assert_eq!(position(bytes, start..end, true), one, "{bytes:?} {start}..{end}");
                    let zero = (start..end).find(|at| !is_set(at));
                    assert_eq!(
                        position(bytes, start..end, false),
                        zero,
                        "{bytes:?} {start}..{end}"
                    );
                }
            }
        }
    }
}
