//! Entry ids: Unix milliseconds and a sequence number within the millisecond.

use std::fmt;

/// Ordered as a 128-bit number, which is how RDB and the protocol see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// `0-0`, which no entry has: it stands for "none yet".
    pub fn is_zero(self) -> bool {
        self == Self::MIN
    }

    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Reads `ms-seq`, or `ms` alone with the sequence number that is meant then.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        match text.iter().position(|&byte| byte == b'-') {
            Some(dash) => {
                Some(Self { ms: parse_part(&text[..dash])?, seq: parse_part(&text[dash + 1..])? })
            }
            None => Some(Self { ms: parse_part(text)?, seq: missing_seq }),
        }
    }

    /// The text `ms-seq`, written into `room`.
    pub fn write_to(self, room: &mut [u8; TEXT_MAX]) -> &[u8] {
        let mut digits = itoa::Buffer::new();
        let ms = digits.format(self.ms).as_bytes();
        let dash = ms.len();
        room[..dash].copy_from_slice(ms);
        room[dash] = b'-';
        let seq = digits.format(self.seq).as_bytes();
        let end = dash + 1 + seq.len();
        room[dash + 1..end].copy_from_slice(seq);
        &room[..end]
    }
}

/// Bytes of the longest id: twice the 20 digits of `u64::MAX`, and the dash.
pub const TEXT_MAX: usize = 41;

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Half of an id. Redis reads it with C's `strtoull`, so leading zeros and a plus are fine.
pub fn parse_part(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii_start();
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_redis_reads_it() {
        let max = u64::MAX;
        for (text, expected) in [
            ("1-2", Some(StreamId::new(1, 2))),
            ("5", Some(StreamId::new(5, 9))),
            ("007-010", Some(StreamId::new(7, 10))),
            ("+7-+1", Some(StreamId::new(7, 1))),
            ("18446744073709551615-18446744073709551615", Some(StreamId::new(max, max))),
            ("18446744073709551616-0", None),
            ("99999999999999999999999", None),
            ("-", None),
            ("1-", None),
            ("-1", None),
            ("1--1", None),
            ("1-*", None),
            ("1-2-3", None),
            ("1-2 ", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(StreamId::parse(text.as_bytes(), 9), expected, "{text:?}");
        }
    }

    #[test]
    fn text_comes_back_the_same() {
        for id in [StreamId::MIN, StreamId::new(1_700_000_000_000, 7), StreamId::MAX] {
            let mut room = [0; TEXT_MAX];
            let text = id.write_to(&mut room).to_vec();
            assert_eq!(text, id.to_string().as_bytes());
            assert_eq!(StreamId::parse(&text, 0), Some(id));
        }
    }

    #[test]
    fn neighbours_carry_into_the_milliseconds() {
        let last_of_5 = StreamId::new(5, u64::MAX);
        assert_eq!(last_of_5.next(), Some(StreamId::new(6, 0)));
        assert_eq!(StreamId::new(6, 0).previous(), Some(last_of_5));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.previous(), None);
        assert!(last_of_5 < StreamId::new(6, 0));
    }
}
