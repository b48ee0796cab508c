//! Children that end one after the other, in hundreds: they are let gather.
//!
//! A turn for each of them would be most of what PID 1 can do: to find the one that ended the kernel
//! looks at every child there is, and PID 1 takes the processor from those that are still to end.

use std::time::Duration;

use holdfast_supervisor::clock::Ms;

/// So many in one go are a storm.
const MANY: usize = 32;
/// A pause between two of them so long ends it.
const CALM_MS: Ms = 20;
/// For so long the next are let gather. Everything else waits for it, too.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// How many ended without a calm between them.
#[derive(Debug, Default)]
pub(super) struct Storm {
    ended: usize,
    last: Ms,
}

impl Storm {
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
}
