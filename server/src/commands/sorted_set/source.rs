//! What ZUNION and its like combine: sorted sets, and sets, whose members all score 1.

use crate::engine::Call;
use crate::error::{self, Result};
use crate::keyspace::{CollectionRef, Kind};
use crate::types::collection::Collection;
use crate::types::set::Set;
use crate::types::sorted_set::{Item, SortedSet};

#[derive(Clone, Copy)]
pub(super) enum Source<'e> {
    Nothing,
    SortedSet(&'e SortedSet),
    Set(&'e Set),
}

impl<'e> Source<'e> {
    fn of(found: &'e Option<CollectionRef<'_>>) -> Self {
        match found.as_deref() {
            Some(Collection::SortedSet(set)) => Self::SortedSet(set),
            Some(Collection::Set(set)) => Self::Set(set),
            _ => Self::Nothing,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::SortedSet(set) => set.len(),
            Self::Set(set) => set.len(),
        }
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::SortedSet(set) => set.score(member),
            Self::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Visits members until `visit` has enough.
    pub(super) fn visit(&self, mut visit: impl FnMut(Item<'e>, f64) -> bool) {
        let mut visit = |member, score| visit(member, score).then_some(());
        let _ = match self {
            Self::Nothing => None,
            Self::SortedSet(set) => set.iter().try_for_each(|(member, score)| visit(member, score)),
            Self::Set(set) => set.iter().try_for_each(|member| visit(member, 1.0)),
        };
    }
}

/// Whether all keys that are there can be combined.
pub(super) fn check_kinds(call: &mut Call<'_>, keys: &[&[u8]]) -> Result {
    let suits = |kind: Option<Kind>| matches!(kind, None | Some(Kind::SortedSet | Kind::Set));
    let all = keys.iter().all(|key| suits(call.kind(key)));
    if all { Ok(()) } else { Err(error::WRONG_TYPE) }
}

/// Looks all keys up, notes the accesses, and hands the sources to `combine`.
pub(super) fn with_sources<R>(
    call: &mut Call<'_>,
    keys: &[&[u8]],
    combine: impl FnOnce(Vec<Source<'_>>) -> R,
) -> Result<R> {
    let mut is_there = Vec::with_capacity(keys.len());
    for key in keys {
        let kind = call.read(key).map(|entry| entry.kind());
        if kind.is_some_and(|kind| !matches!(kind, Kind::SortedSet | Kind::Set)) {
            return Err(error::WRONG_TYPE);
        }
        is_there.push(kind.is_some());
    }
    let db = call.db();
    let found = |(key, is_there): (&&[u8], bool)| {
        let entry = db.find(*key).filter(|_| is_there);
        entry.and_then(|entry| entry.collection())
    };
    let found: Vec<_> = keys.iter().zip(is_there).map(found).collect();
    Ok(combine(found.iter().map(Source::of).collect()))
}
