//! The nodes, and the keys that tell them apart.

use super::NONE;
use crate::types::sorted_set::large::run::Run;

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) run: Run,
    pub(super) previous: u32,
    pub(super) next: u32,
}

impl Default for Leaf {
    fn default() -> Self {
        Self { run: Run::default(), previous: NONE, next: NONE }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inner {
    /// One for each child; the first is never looked at.
    pub(super) separators: Run,
    pub(super) children: Vec<u32>,
    pub(super) counts: Vec<usize>,
}

impl Inner {
    /// The child in which the first pair lies that `before` says no to.
    #[inline]
    pub(super) fn child(&self, before: &impl Fn(f64, &[u8]) -> bool) -> usize {
        let passed = self.separators.partition_point(|at| {
            let (score, member) = self.separators.pair(at);
            at == 0 || before(score, member)
        });
        passed.saturating_sub(1)
    }

    /// The child in which a pair lies, or belongs: a separator equal to it is not behind it.
    #[inline]
    pub(super) fn child_of(&self, score: f64, member: &[u8]) -> usize {
        let next = self.separators.place(1, score, member);
        let is_at_separator =
            next < self.separators.len() && self.separators.pair(next) == (score, member);
        if is_at_separator { next } else { next - 1 }
    }

    pub(super) fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    pub(super) fn insert(&mut self, at: usize, separator: (f64, &[u8]), child: u32, count: usize) {
        self.separators.insert(at, separator.0, separator.1);
        self.children.insert(at, child);
        self.counts.insert(at, count);
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.separators.remove(at, at + 1);
        self.children.remove(at);
        self.counts.remove(at);
    }
}

/// The shortest key that is behind `left` and not behind `right`.
pub(super) fn separator<'a>(left: (f64, &[u8]), right: (f64, &'a [u8])) -> (f64, &'a [u8]) {
    if left.0 < right.0 {
        return (right.0, b"");
    }
    let common = left.1.iter().zip(right.1).take_while(|(a, b)| a == b).count();
    (right.0, &right.1[..right.1.len().min(common + 1)])
}
