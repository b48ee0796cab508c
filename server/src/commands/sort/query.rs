//! What SORT is asked for.

use std::ops::Range;

use super::Pattern;
use crate::engine::Args;
use crate::error::{self, Result};

/// What is told of each element.
pub(super) enum Get<'a> {
    /// `#`
    Element,
    Pattern(Pattern<'a>),
    /// A pattern without a place for the element: one key for all makes no sense.
    Nothing,
}

pub(super) struct Query<'a> {
    pub(super) by: Option<Pattern<'a>>,
    /// Whether there is an order to be made: BY with a fixed key says no.
    pub(super) sorts: bool,
    pub(super) descending: bool,
    pub(super) by_text: bool,
    limit: (i64, i64),
    pub(super) gets: Vec<Get<'a>>,
    pub(super) destination: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(mut args: Args<'a>, may_store: bool) -> Result<Self> {
        let mut query = Self {
            by: None,
            sorts: true,
            descending: false,
            by_text: false,
            limit: (0, -1),
            gets: Vec::new(),
            destination: None,
        };
        while !args.is_empty() {
            let has_value = args.left() >= 2;
            if args.keyword("asc") {
                query.descending = false;
            } else if args.keyword("desc") {
                query.descending = true;
            } else if args.keyword("alpha") {
                query.by_text = true;
            } else if args.left() >= 3 && args.keyword("limit") {
                query.limit = (args.int()?, args.int()?);
            } else if may_store && has_value && args.keyword("store") {
                query.destination = Some(args.required()?);
            } else if has_value && args.keyword("by") {
                query.by = Pattern::new(args.required()?);
                query.sorts &= query.by.is_some();
            } else if has_value && args.keyword("get") {
                query.gets.push(Get::new(args.required()?));
            } else {
                return Err(error::SYNTAX);
            }
        }
        Ok(query)
    }

    /// Which of `len` elements in order are wanted.
    pub(super) fn range(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.limit.0).unwrap_or(0).min(len);
        let count = usize::try_from(self.limit.1).unwrap_or(usize::MAX).min(len - start);
        start..start + count
    }
}

impl<'a> Get<'a> {
    fn new(pattern: &'a [u8]) -> Self {
        match pattern {
            b"#" => Self::Element,
            pattern => Pattern::new(pattern).map_or(Self::Nothing, Self::Pattern),
        }
    }
}
