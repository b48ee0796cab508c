//! What the wall clock may be trusted with: never with less than the time of the build or the last
//! time seen, and not with years that nobody confirms.
//!
//! "Seen" follows the wall clock while that runs as the monotonic clock does. After a jump it stays
//! where it is until the new time has held for [`SETTLED_MS`], or NTP confirms it, so that a
//! moment's wrong year does not become the floor.

use holdfast_supervisor::clock::{BUILT_AT, Ms};

use super::schedule::{DAY_S, Standing, Unix};

/// The clocks may drift apart this far between two looks, and NTP may set the wall clock back by as
/// much, without it being a jump.
const SLACK_S: i64 = 600;
const SETTLED_MS: Ms = 3_600_000;
/// Longer than a machine lies on a shelf; beyond it a broken clock is more likely.
const LONGEST_SLEEP_S: i64 = 3 * 365 * DAY_S;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// The last time seen.
    seen: Unix,
    /// Wall and monotonic clock at the last look.
    last: Option<(Unix, Ms)>,
    /// The wall clock has not jumped since.
    steady_since: Ms,
}

impl Clock {
    pub(crate) fn new(seen: Option<Unix>) -> Self {
        Self { seen: seen.unwrap_or(0).max(BUILT_AT), last: None, steady_since: 0 }
    }

    pub(crate) fn seen(&self) -> Unix {
        self.seen
    }

    /// `confirmed`: the clock was set by NTP since the machine started.
    pub(crate) fn look(&mut self, wall: Unix, mono: Ms, confirmed: bool) -> Standing {
        let expected = self.last.map(|(last, at)| last + (mono.saturating_sub(at) / 1000) as i64);
        let runs_on = expected.is_some_and(|expected| (wall - expected).abs() <= SLACK_S);
        if !runs_on {
            self.steady_since = mono;
        }
        let near = wall - self.seen <= SLACK_S;
        let settled = runs_on && (near || mono - self.steady_since >= SETTLED_MS);
        self.last = Some((wall, mono));
        if confirmed {
            self.seen = wall.max(BUILT_AT);
        } else if settled {
            self.seen = self.seen.max(wall);
        }
        self.standing(wall)
    }

    fn standing(&self, wall: Unix) -> Standing {
        match wall - self.seen {
            ..0 if wall < BUILT_AT || wall < self.seen - SLACK_S => Standing::BelowFloor,
            LONGEST_SLEEP_S.. => Standing::Leapt,
            _ => Standing::Plausible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_S: i64 = 3600;
    const START: Unix = BUILT_AT + 100 * DAY_S;

    /// Looks every minute of `hours` while the wall clock runs, starting with `wall` at `mono`.
    fn run(clock: &mut Clock, wall: Unix, mono: Ms, hours: i64) -> Standing {
        let minutes = 0..=hours * 60;
        let looks = minutes.map(|minute| {
            clock.look(wall + minute * 60, mono + minute.unsigned_abs() * 60_000, false)
        });
        looks.last().expect("at least one look")
    }

    #[test]
    fn a_clock_before_the_build_or_the_last_time_seen_is_below_the_floor() {
        assert_eq!(Clock::new(None).look(0, 5, false), Standing::BelowFloor);
        assert_eq!(Clock::new(None).look(BUILT_AT - 1, 5, false), Standing::BelowFloor);
        assert_eq!(Clock::new(None).look(BUILT_AT, 5, false), Standing::Plausible);
        let mut clock = Clock::new(Some(START));
        assert_eq!(clock.look(START - HOUR_S, 5, false), Standing::BelowFloor);
        assert_eq!(clock.look(START - SLACK_S, 6, false), Standing::Plausible);
    }

    #[test]
    fn the_floor_follows_a_clock_that_runs() {
        let mut clock = Clock::new(Some(START));
        assert_eq!(run(&mut clock, START, 0, 48), Standing::Plausible);
        assert_eq!(clock.seen(), START + 48 * HOUR_S);
    }

    #[test]
    fn sixty_days_off_are_plausible_and_become_the_floor_after_an_hour() {
        let back = START + 60 * DAY_S;
        let mut clock = Clock::new(Some(START));
        assert_eq!(clock.look(back, 0, false), Standing::Plausible);
        assert_eq!(clock.seen(), START);
        run(&mut clock, back, 1, 2);
        assert!(clock.seen() >= back + HOUR_S);
    }

    #[test]
    fn ten_years_ahead_is_a_leap_that_leaves_no_trace_when_it_is_undone() {
        let mut clock = Clock::new(Some(START));
        run(&mut clock, START, 0, 1);
        let (then, mono) = (START + HOUR_S, 3_600_001);
        assert_eq!(clock.look(then + 3650 * DAY_S, mono, false), Standing::Leapt);
        assert_eq!(clock.look(then, mono + 60_000, false), Standing::Plausible);
        assert!(clock.seen() <= then);
    }

    #[test]
    fn ntp_overrules_the_floor_but_not_the_build() {
        let mut clock = Clock::new(Some(START + 3650 * DAY_S));
        assert_eq!(clock.look(START, 0, false), Standing::BelowFloor);
        assert_eq!(clock.look(START, 1, true), Standing::Plausible);
        assert_eq!(clock.seen(), START);
        assert_eq!(clock.look(0, 2, true), Standing::BelowFloor);
        assert_eq!(clock.look(START + 3650 * DAY_S, 3, true), Standing::Plausible);
    }
}
