//! Time. The only place of the server that reads a clock.
//!
//! Deadlines live on the *server timeline*: milliseconds that advance with `CLOCK_BOOTTIME` and
//! equal Unix time at start. A step of the wall clock changes the anchor between the two, never a
//! deadline, so no key expires early or late because somebody set the date.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// A wall clock may drift from the anchor by this much before it counts as stepped. Reading two
/// clocks takes time; without this slack, absolute times would jitter by a millisecond.
const STEP_MS: i64 = 100;
/// How often a reading is taken for the time before the clock is read again: by as many brief commands,
/// which together take some tens of microseconds.
const RECENT_USES: u32 = 8;

thread_local! {
    /// What this thread last read while it was awake, and how often that may still be taken for the time.
    static RECENT: Cell<(Now, u32)> = const { Cell::new((Now { us: 0, wall_offset_ms: 0 }, 0)) };
}

/// One reading of the clock, handed down to the engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Microseconds on the server timeline.
    pub us: i64,
    /// Wall time minus server timeline, in milliseconds.
    pub wall_offset_ms: i64,
}

impl Now {
    /// Milliseconds on the server timeline, the unit of every deadline.
    pub fn ms(&self) -> i64 {
        self.us / 1000
    }

    /// Unix milliseconds.
    pub fn unix_ms(&self) -> i64 {
        self.ms() + self.wall_offset_ms
    }

    /// Unix time in milliseconds to a deadline on the server timeline.
    pub fn deadline_of_unix_ms(&self, unix_ms: i64) -> i64 {
        unix_ms.saturating_sub(self.wall_offset_ms)
    }

    /// A deadline on the server timeline to Unix milliseconds.
    pub fn unix_ms_of_deadline(&self, deadline_ms: i64) -> i64 {
        deadline_ms.saturating_add(self.wall_offset_ms)
    }
}

/// The anchor between boot time and the server timeline, and the last seen wall offset.
#[derive(Debug)]
pub struct Clock {
    /// Server timeline minus boot time, in microseconds.
    timeline_offset_us: i64,
    /// A hint that one task refreshes and others read: no ordering is needed.
    wall_offset_ms: AtomicI64,
    /// Time stands still for a test.
    #[cfg(test)]
    frozen: Option<Now>,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            timeline_offset_us: wall_us() - boot_us(),
            wall_offset_ms: AtomicI64::new(0),
            #[cfg(test)]
            frozen: None,
        }
    }

    /// One that always tells `now`.
    #[cfg(test)]
    pub(crate) fn frozen(now: Now) -> Self {
        Self { frozen: Some(now), ..Self::start() }
    }

    pub fn now(&self) -> Now {
        #[cfg(test)]
        if let Some(now) = self.frozen {
            return now;
        }
        let now = Now {
            us: boot_us() + self.timeline_offset_us,
            wall_offset_ms: self.wall_offset_ms.load(Ordering::Relaxed),
        };
        RECENT.set((now, RECENT_USES));
        now
    }

    /// What time it was a moment ago, for what need not know better: reading the clock costs a
    /// twentieth of a GET. See [`slept`].
    #[inline]
    pub fn recent(&self) -> Now {
        #[cfg(test)]
        if let Some(now) = self.frozen {
            return now;
        }
        let (now, uses) = RECENT.get();
        let Some(left) = uses.checked_sub(1) else { return self.now() };
        RECENT.set((now, left));
        now
    }

    /// Looks whether the wall clock was stepped; returns the step in milliseconds if so.
    pub fn follow_wall(&self) -> Option<i64> {
        let offset = (wall_us() - boot_us() - self.timeline_offset_us) / 1000;
        let step = offset - self.wall_offset_ms.load(Ordering::Relaxed);
        if step.abs() < STEP_MS {
            return None;
        }
        self.wall_offset_ms.store(offset, Ordering::Relaxed);
        Some(step)
    }
}

/// This thread had nothing to do, nobody knows for how long: no reading of before is recent.
pub fn slept() {
    RECENT.take();
}

/// Microseconds of Unix time, as `TIME` reports it.
pub fn wall_us() -> i64 {
    micros(ClockId::Realtime)
}

/// Microseconds since the machine was booted, its sleep included.
pub fn boot_us() -> i64 {
    micros(ClockId::Boottime)
}

#[inline]
fn micros(id: ClockId) -> i64 {
    let time = clock_gettime(id);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_moves_wall_time_and_no_deadline() {
        let clock = Clock::start();
        let before = clock.now();
        let deadline = before.deadline_of_unix_ms(before.unix_ms() + 5_000);
        // As if the wall clock had been set an hour ahead since the start.
        clock.wall_offset_ms.store(3_600_000, Ordering::Relaxed);
        let after = clock.now();
        assert!(after.ms() - before.ms() < 5_000);
        assert_eq!(after.unix_ms_of_deadline(deadline) - deadline, 3_600_000);
        // The real wall clock says otherwise, and is followed.
        let step = clock.follow_wall().expect("an hour is a step");
        assert!((step + 3_600_000).abs() < 1_000);
    }
}
