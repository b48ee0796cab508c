//! Ranges by score and by member, as ZRANGEBYSCORE and ZRANGEBYLEX take them.

use std::ops::Bound;

/// Scores from one bound to another; neither is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    pub min: Bound<f64>,
    pub max: Bound<f64>,
}

impl ScoreRange {
    pub(super) fn is_below(&self, score: f64) -> bool {
        match self.min {
            Bound::Included(min) => score < min,
            Bound::Excluded(min) => score <= min,
            Bound::Unbounded => false,
        }
    }

    /// Whether a score is not above the range.
    pub(super) fn reaches(&self, score: f64) -> bool {
        match self.max {
            Bound::Included(max) => score <= max,
            Bound::Excluded(max) => score < max,
            Bound::Unbounded => true,
        }
    }
}

/// Where a range by member ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// `-`: before every member.
    Least,
    Included(&'a [u8]),
    Excluded(&'a [u8]),
    /// `+`: behind every member.
    Greatest,
}

/// Members in order of their bytes; meant for sets in which all scores are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexRange<'a> {
    pub min: LexBound<'a>,
    pub max: LexBound<'a>,
}

impl LexRange<'_> {
    pub(super) fn is_below(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Least => false,
            LexBound::Included(min) => member < min,
            LexBound::Excluded(min) => member <= min,
            LexBound::Greatest => true,
        }
    }

    pub(super) fn reaches(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Least => false,
            LexBound::Included(max) => member <= max,
            LexBound::Excluded(max) => member < max,
            LexBound::Greatest => true,
        }
    }
}
