//! Monotonic time in milliseconds: the only clock the supervisor acts on.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of CLOCK_MONOTONIC. Steps of the wall clock do not touch it.
pub type Ms = u64;

/// Now. Both processes read the same clock, so one may print the other's instants.
pub fn now_ms() -> Ms {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}
