//! Children that end one after the other, in hundreds: they are let gather.
//!
//! A turn for each of them would be most of what PID 1 can do: to find the one that ended the kernel
//! looks at every child there is, and PID 1 takes the processor from those that are still to end.
//!
//! Of a tree that was killed they gather until all of it is gone: the kernel then finds the next
//! without a search, as there is none alive before it. Meanwhile services are looked at by number.

use holdfast_supervisor::clock::Ms;
use rustix::time::Timespec;

/// So many in one go are a storm.
const MANY: usize = 32;
/// A pause between two of them so long ends it.
const CALM_MS: Ms = 20;
/// For so long the next are let gather. Everything else waits for it, too.
pub(super) const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
/// For so long at a time those of a killed tree gather: one that hangs in the kernel keeps the others
/// no longer.
const HOLD_MS: Ms = 700;

/// How many ended without a calm between them, and since when they gather.
#[derive(Debug, Default)]
pub(super) struct Storm {
    ended: usize,
    last: Ms,
    held_since: Option<Ms>,
}

impl Storm {
    /// Whether orphans are left for later in this turn: killed trees are `dying`.
    pub(super) fn holds(&mut self, dying: bool, now: Ms) -> bool {
        let since = self.held_since.unwrap_or(now);
        let holds = dying && now.saturating_sub(since) < HOLD_MS;
        self.held_since = holds.then_some(since);
        holds
    }

    /// They wait no longer than until then.
    pub(super) fn deadline(&self) -> Option<Ms> {
        Some(self.held_since? + HOLD_MS)
    }

    /// So many were reaped in this turn; whether the next are to gather first.
    pub(super) fn goes_on(&mut self, reaped: usize, now: Ms) -> bool {
        if now.saturating_sub(self.last) > CALM_MS {
            self.ended = 0;
        }
        if reaped == 0 {
            return false;
        }
        self.last = now;
        self.ended = self.ended.saturating_add(reaped);
        self.ended >= MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_ends_are_seen_to_at_once() {
        let mut storm = Storm::default();
        assert!((0..1000).all(|nth| !storm.goes_on(1, nth * (CALM_MS + 1))));
        assert!((0..MANY - 1).all(|_| !storm.goes_on(1, 50_000)));
    }

    #[test]
    fn a_storm_is_slowed_until_it_is_calm() {
        let mut storm = Storm::default();
        let slowed = (0..100).filter(|&nth| storm.goes_on(1, nth)).count();
        assert_eq!(slowed, 100 - (MANY - 1));
        assert!(!storm.goes_on(0, 100), "nobody ended: what else there is does not wait");
        assert!(storm.goes_on(1, 110));
        assert!(!storm.goes_on(1, 110 + CALM_MS + 1));
    }

    #[test]
    fn of_a_killed_tree_all_are_left_for_later_but_not_for_long() {
        let mut storm = Storm::default();
        assert!(!storm.holds(false, 1_000));
        assert_eq!(storm.deadline(), None);
        assert!((1_000..1_000 + HOLD_MS).all(|now| storm.holds(true, now)));
        assert_eq!(storm.deadline(), Some(1_000 + HOLD_MS));
        assert!(!storm.holds(true, 1_000 + HOLD_MS), "one hangs: the others are seen to");
        assert!(storm.holds(true, 1_001 + HOLD_MS), "and the next gather");
        assert!(!storm.holds(false, 1_002 + HOLD_MS), "all are gone");
        assert_eq!(storm.deadline(), None);
    }
}
