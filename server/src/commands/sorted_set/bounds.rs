//! Ranges as clients write them: ranks, scores (`5`, `(5`, `-inf`), members (`[a`, `(a`, `-`, `+`).

use std::ops::{Bound, Range};

use crate::engine::Args;
use crate::error::{self, Result};
use crate::number;
use crate::types::sorted_set::{LexBound, LexRange, ScoreRange};

pub(super) fn parse_ranks(args: &mut Args<'_>) -> Result<(i64, i64)> {
    Ok((args.int()?, args.int()?))
}

/// The ranks from `start` to `stop`, both included; negative ones count from the end of `len`.
pub(super) fn rank_range(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_front = |rank: i64| if rank < 0 { rank.saturating_add(len) } else { rank };
    let start = from_front(start).max(0);
    let end = from_front(stop).min(len - 1) + 1;
    if start < end { start as usize..end as usize } else { 0..0 }
}

pub(super) fn parse_scores(min: &[u8], max: &[u8]) -> Result<ScoreRange> {
    let bound = |text: &[u8]| {
        let bound = match text {
            [b'(', rest @ ..] => number::parse_bound(rest).map(Bound::Excluded),
            text => number::parse_bound(text).map(Bound::Included),
        };
        bound.ok_or(error::MIN_MAX_NOT_FLOAT)
    };
    Ok(ScoreRange { min: bound(min)?, max: bound(max)? })
}

pub(super) struct Lex;

impl Lex {
    pub(super) fn parse<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>> {
        Ok(LexRange { min: Self::bound(min)?, max: Self::bound(max)? })
    }

    fn bound(text: &[u8]) -> Result<LexBound<'_>> {
        match text {
            b"-" => Ok(LexBound::Least),
            b"+" => Ok(LexBound::Greatest),
            [b'[', rest @ ..] => Ok(LexBound::Included(rest)),
            [b'(', rest @ ..] => Ok(LexBound::Excluded(rest)),
            _ => Err(error::MIN_MAX_NOT_STRING_RANGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_cut_to_what_there_is() {
        for (start, stop, expected) in [
            (0, -1, 0..5),
            (1, 3, 1..4),
            (-2, -1, 3..5),
            (-100, 100, 0..5),
            (3, 2, 0..0),
            (5, 9, 0..0),
            (0, -6, 0..0),
            (i64::MIN, i64::MAX, 0..5),
            (i64::MAX, i64::MIN, 0..0),
        ] {
            assert_eq!(rank_range(start, stop, 5), expected, "{start} {stop}");
        }
        assert_eq!(rank_range(0, -1, 0), 0..0);
    }

    #[test]
    fn bounds_are_read_as_clients_write_them() {
        let range = |min: &str, max: &str| parse_scores(min.as_bytes(), max.as_bytes());
        let expected = ScoreRange { min: Bound::Excluded(1.5), max: Bound::Included(2.0) };
        assert_eq!(range("(1.5", "2"), Ok(expected));
        let all = ScoreRange {
            min: Bound::Included(f64::NEG_INFINITY),
            max: Bound::Excluded(f64::INFINITY),
        };
        assert_eq!(range("-inf", "(+inf"), Ok(all));
        for bad in ["a", "((1", "nan", "1 "] {
            assert_eq!(range(bad, "1"), Err(error::MIN_MAX_NOT_FLOAT));
        }
        let expected = LexRange { min: LexBound::Least, max: LexBound::Excluded(b"+") };
        assert_eq!(Lex::parse(b"-", b"(+"), Ok(expected));
        for bad in [&b""[..], b"a", b"--", b"+a"] {
            assert_eq!(Lex::parse(bad, b"+"), Err(error::MIN_MAX_NOT_STRING_RANGE));
        }
    }
}
