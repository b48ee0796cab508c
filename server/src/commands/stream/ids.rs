//! Ids as clients write them: whole, without a sequence number, `-` and `+`, with `(` before them.

use crate::error::{self, Result};
use crate::types::stream::{StreamId, parse_part};

/// An id of an entry; one without a sequence number means the first of its millisecond.
pub(super) fn strict(text: &[u8]) -> Result<StreamId> {
    StreamId::parse(text, 0).ok_or(error::INVALID_STREAM_ID)
}

/// An id, or `-` for the least, `+` for the greatest.
pub(super) fn loose(text: &[u8], missing_seq: u64) -> Result<StreamId> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        text => StreamId::parse(text, missing_seq).ok_or(error::INVALID_STREAM_ID),
    }
}

/// Where an interval starts; behind the id itself if `(` is before it.
pub(super) fn start(text: &[u8]) -> Result<StreamId> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => {
            strict(rest)?.next().ok_or(error::INVALID_START_ID)
        }
        text => loose(text, 0),
    }
}

/// Where an interval ends; before the id itself if `(` is before it.
pub(super) fn end(text: &[u8]) -> Result<StreamId> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let id = StreamId::parse(rest, u64::MAX).ok_or(error::INVALID_STREAM_ID)?;
            id.previous().ok_or(error::INVALID_END_ID)
        }
        text => loose(text, u64::MAX),
    }
}

/// The id that XADD is asked to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`
    Now,
    /// `ms-*`
    In(u64),
    Exactly(StreamId),
}

impl NewId {
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        match text.strip_suffix(b"-*") {
            Some(ms) => parse_part(ms).map(Self::In).ok_or(error::INVALID_STREAM_ID),
            None => strict(text).map(Self::Exactly),
        }
    }

    /// The id for an entry behind `last`. An id that is given may turn out not to be behind it.
    pub(super) fn resolve(self, last: StreamId, unix_ms: u64) -> Result<StreamId> {
        let behind_last = || last.next().ok_or(error::STREAM_ID_TOO_SMALL);
        match self {
            Self::Now if unix_ms > last.ms => Ok(StreamId::new(unix_ms, 0)),
            Self::Now => behind_last(),
            Self::In(ms) if ms != last.ms => Ok(StreamId::new(ms, 0)),
            Self::In(_) if last.seq == u64::MAX => Err(error::STREAM_ID_TOO_SMALL),
            Self::In(_) => behind_last(),
            Self::Exactly(id) => Ok(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64, seq: u64) -> StreamId {
        StreamId::new(ms, seq)
    }

    #[test]
    fn ends_of_an_interval_mean_different_sequence_numbers() {
        for (text, at_start, at_end) in [
            ("5", Ok(id(5, 0)), Ok(id(5, u64::MAX))),
            ("5-3", Ok(id(5, 3)), Ok(id(5, 3))),
            ("(5-3", Ok(id(5, 4)), Ok(id(5, 2))),
            ("(5", Ok(id(5, 1)), Ok(id(5, u64::MAX - 1))),
            ("-", Ok(StreamId::MIN), Ok(StreamId::MIN)),
            ("+", Ok(StreamId::MAX), Ok(StreamId::MAX)),
            ("(0-0", Ok(id(0, 1)), Err(error::INVALID_END_ID)),
            ("(-", Err(error::INVALID_STREAM_ID), Err(error::INVALID_STREAM_ID)),
            ("(", Err(error::INVALID_STREAM_ID), Err(error::INVALID_STREAM_ID)),
        ] {
            assert_eq!(start(text.as_bytes()), at_start, "{text}");
            assert_eq!(end(text.as_bytes()), at_end, "{text}");
        }
        let past_the_last = format!("({}", StreamId::MAX);
        assert_eq!(start(past_the_last.as_bytes()), Err(error::INVALID_START_ID));
    }

    #[test]
    fn a_new_id_never_goes_back() {
        let last = id(100, 7);
        for (text, unix_ms, expected) in [
            ("*", 101, Ok(id(101, 0))),
            ("*", 100, Ok(id(100, 8))),
            ("*", 50, Ok(id(100, 8))),
            ("100-*", 0, Ok(id(100, 8))),
            ("101-*", 0, Ok(id(101, 0))),
            ("99-*", 0, Ok(id(99, 0))),
            ("100", 0, Ok(id(100, 0))),
        ] {
            let new = match text {
                "*" => NewId::Now,
                text => NewId::parse(text.as_bytes()).expect("a good id"),
            };
            assert_eq!(new.resolve(last, unix_ms), expected, "{text}");
        }
        let full = id(100, u64::MAX);
        assert_eq!(NewId::In(100).resolve(full, 0), Err(error::STREAM_ID_TOO_SMALL));
        assert_eq!(NewId::Now.resolve(full, 0), Ok(id(101, 0)));
    }
}
