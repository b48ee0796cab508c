//! LZF, the compression of strings in RDB and of lists' inner nodes: literal runs and references up to
//! 8 KiB back.
//!
//! ```text
//!   000lllll  bytes                     l + 1 literal bytes
//!   lllooooo oooooooo                   l + 2 bytes from o + 1 back, l from 1 to 6
//!   111ooooo llllllll oooooooo          l + 9 bytes from o + 1 back
//! ```
//!
//! The format is that of liblzf, which Redis includes. Compression is our own: one pass, one place
//! remembered for each hash of three bytes.

const MAX_LITERALS: usize = 32;
const MIN_MATCH: usize = 3;
/// A match whose length fits the first byte.
const MAX_SHORT_MATCH: usize = 8;
const MAX_MATCH: usize = MAX_SHORT_MATCH + 1 + u8::MAX as usize;
const MAX_BACK: usize = 1 << 13;

/// No three bytes stand for more than this.
pub(crate) const MAX_RATIO: u64 = MAX_MATCH as u64;

/// Fewer bytes saved are not worth it.
const LEAST_GAIN: usize = 4;

/// Room that is used again for each string.
#[derive(Debug, Default)]
pub(crate) struct Compressor {
    /// Where three bytes with a hash were seen last, plus one.
    seen: Vec<u32>,
    out: Vec<u8>,
}

impl Compressor {
    /// The compressed form of `input`; `None` if it is not shorter by much.
    pub(crate) fn compress(&mut self, input: &[u8]) -> Option<&[u8]> {
        let limit = input.len().checked_sub(LEAST_GAIN)?;
        let hash_bits = self.clear(input.len());
        let (mut at, mut literals) = (0, 0);
        while at + MIN_MATCH <= input.len() {
            let found = self.remember(input, at, hash_bits);
            let Some(from) = found.filter(|from| at - from <= MAX_BACK) else {
                at += 1;
                continue;
            };
            let len = match_len(&input[from..], &input[at..]);
            if len < MIN_MATCH {
                at += 1;
                continue;
            }
            put_literals(&mut self.out, &input[literals..at]);
            put_match(&mut self.out, at - from, len);
            if self.out.len() > limit {
                return None;
            }
            // The end of a match is where the next one often begins.
            let end = at + len;
            for inside in (end - 2..end).filter(|inside| inside + MIN_MATCH <= input.len()) {
                self.remember(input, inside, hash_bits);
            }
            (at, literals) = (end, end);
        }
        put_literals(&mut self.out, &input[literals..]);
        (self.out.len() <= limit).then_some(&*self.out)
    }

    /// Forgets what was seen; how many bits a hash has for an input of this length.
    fn clear(&mut self, input_len: usize) -> u32 {
        const MAX_BITS: u32 = 14;
        let bits = (input_len.max(1).ilog2() + 1).min(MAX_BITS);
        self.out.clear();
        self.seen.clear();
        self.seen.resize(1 << bits, 0);
        bits
    }

    /// Where the three bytes at `at` were seen before, perhaps.
    fn remember(&mut self, input: &[u8], at: usize, hash_bits: u32) -> Option<usize> {
        let [a, b, c] = *input[at..].first_chunk()?;
        let hash = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9e37_79b1) >> (32 - hash_bits);
        // Places beyond 32 bits are not remembered: no string is that long.
        let place = u32::try_from(at + 1).unwrap_or(0);
        let before = std::mem::replace(&mut self.seen[hash as usize], place);
        (before as usize).checked_sub(1)
    }
}

fn match_len(earlier: &[u8], here: &[u8]) -> usize {
    let pairs = earlier.iter().zip(here).take(MAX_MATCH);
    pairs.take_while(|(a, b)| a == b).count()
}

fn put_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(MAX_LITERALS) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn put_match(out: &mut Vec<u8>, back: usize, len: usize) {
    let back = back - 1;
    let (high, low) = ((back >> 8) as u8, back as u8);
    match len {
        ..=MAX_SHORT_MATCH => out.extend([((len - 2) as u8) << 5 | high, low]),
        _ => out.extend([7 << 5 | high, (len - MAX_SHORT_MATCH - 1) as u8, low]),
    }
}

/// Decompresses `input`, which is known to stand for `len` bytes, into `out`. Whether it does.
#[must_use]
pub(crate) fn decompress(mut input: &[u8], len: usize, out: &mut Vec<u8>) -> bool {
    out.clear();
    while let Some(step) = take_step(&mut input) {
        let fits = match step {
            Step::Literals(literals) if literals.len() <= len - out.len() => {
                out.extend_from_slice(literals);
                true
            }
            Step::Match { back, len: more } if more <= len - out.len() && back <= out.len() => {
                copy_from_back(out, back, more);
                true
            }
            _ => false,
        };
        if !fits {
            return false;
        }
    }
    input.is_empty() && out.len() == len
}

enum Step<'a> {
    Literals(&'a [u8]),
    Match { back: usize, len: usize },
}

/// `None` at the end, or if what is left is no step.
fn take_step<'a>(input: &mut &'a [u8]) -> Option<Step<'a>> {
    let back = |high: u8, low: u8| (usize::from(high & 0x1f) << 8 | usize::from(low)) + 1;
    let (step, rest) = match **input {
        [count @ 0..0x20, ref rest @ ..] => {
            let (literals, rest) = rest.split_at_checked(usize::from(count) + 1)?;
            (Step::Literals(literals), rest)
        }
        [head @ 0xe0..=0xff, len, low, ref rest @ ..] => {
            let len = usize::from(len) + MAX_SHORT_MATCH + 1;
            (Step::Match { back: back(head, low), len }, rest)
        }
        [head @ 0x20..0xe0, low, ref rest @ ..] => {
            (Step::Match { back: back(head, low), len: usize::from(head >> 5) + 2 }, rest)
        }
        _ => return None,
    };
    *input = rest;
    Some(step)
}

/// What is copied may be what is being written.
fn copy_from_back(out: &mut Vec<u8>, back: usize, len: usize) {
    let (start, end) = (out.len() - back, out.len() + len);
    while out.len() < end {
        let there = out.len() - start;
        out.extend_from_within(start..start + there.min(end - out.len()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decompressed(input: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decompress(input, len, &mut out).then_some(out)
    }

    /// Text with much repetition.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(0u8..4, 0..40),
            prop::collection::vec(any::<u8>(), 0..70),
            (any::<u8>(), 0usize..600).prop_map(|(byte, len)| vec![byte; len]),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(text in text(), other in text()) {
            let mut compressor = Compressor::default();
            for text in [&text, &other] {
                if let Some(compressed) = compressor.compress(text) {
                    prop_assert!(compressed.len() + LEAST_GAIN <= text.len());
                    let back = decompressed(compressed, text.len());
                    prop_assert_eq!(back.as_ref(), Some(text));
                    prop_assert_eq!(decompressed(compressed, text.len() - 1), None);
                    prop_assert_eq!(decompressed(compressed, text.len() + 1), None);
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), len in 0usize..900) {
            if let Some(text) = decompressed(&bytes, len) {
                prop_assert_eq!(text.len(), len);
                prop_assert!(len as u64 <= bytes.len() as u64 * MAX_RATIO);
            }
        }
    }

    #[test]
    fn steps_are_those_of_liblzf() {
        assert_eq!(decompressed(b"\x02abc", 3).as_deref(), Some(&b"abc"[..]));
        assert_eq!(decompressed(b"\x00a\x20\x00", 4).as_deref(), Some(&b"aaaa"[..]));
        let long = decompressed(b"\x01ab\xe0\x02\x01", 13);
        assert_eq!(long.as_deref(), Some(&b"ababababababa"[..]));
        // Further back than the start, cut off in each step, empty.
        for bytes in
            [&b"\x00a\x20\x01"[..], b"\x02ab", b"\x00a\x20", b"\x00a\xe0\x02", b"\x00a\xe0"]
        {
            assert_eq!(decompressed(bytes, 4), None, "{bytes:?}");
        }
        assert_eq!(decompressed(b"", 0).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn noise_is_not_compressed_and_repetition_is() {
        let mut compressor = Compressor::default();
        let noise: Vec<u8> =
            (0..1000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let zeros = compressor.compress(&[0; 100_000]).map(<[u8]>::len);
        assert!(zeros.is_some_and(|len| len < 1200), "{zeros:?}");
        assert!(compressor.compress(&noise[..200]).is_none());
    }
}
