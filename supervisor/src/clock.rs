//! Monotonic time in milliseconds: the only clock the supervisor acts on. And the least that a wall
//! clock may show.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds of CLOCK_MONOTONIC. Steps of the wall clock do not touch it.
pub type Ms = u64;

/// Now. Both processes read the same clock, so one may print the other's instants.
pub fn now_ms() -> Ms {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Unix seconds of the day this source was last released (2026-11-22 00:00 UTC): no true clock shows
/// less. A constant, not the time of the build, so that the same source gives the same bytes.
pub const BUILT_AT: i64 = 1_795_305_600;
