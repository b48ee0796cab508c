//! The wall clock of a machine that may have none: never earlier than what is known to be past.

use holdfast_supervisor::clock::BUILT_AT;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::console::say;

pub(crate) fn unix_ms() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Puts the clock up to the last moment that the boot record knows, or to the day of the release.
/// True when it needed that, so that it is known to be wrong.
pub(crate) fn raise_to(recorded_ms: u64) -> bool {
    let floor = recorded_ms.max(BUILT_AT.unsigned_abs() * 1000);
    if unix_ms() >= floor {
        return false;
    }
    let time = Timespec {
        tv_sec: i64::try_from(floor / 1000).unwrap_or(i64::MAX),
        tv_nsec: (floor % 1000 * 1_000_000) as i64,
    };
    match clock_settime(ClockId::Realtime, time) {
        Ok(()) => say!("clock: it was behind what is known to be past; put up to {}", floor / 1000),
        Err(errno) => say!("clock: it is behind what is known to be past and stays there: {errno}"),
    }
    true
}
