//! The wall clock, as the agent's time servers want it: stepped once, steered from then on.

use holdfast_supervisor::clock::BUILT_AT;
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::console::say;
use crate::sys;

/// A step to before this software was built cannot be right, whoever asks.
pub(crate) fn step(unix_ms: u64) -> bool {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    if seconds < BUILT_AT {
        say!("clock: asked for a time before this software was built; ignored");
        return false;
    }
    let before = clock_gettime(ClockId::Realtime).tv_sec;
    let to = Timespec { tv_sec: seconds, tv_nsec: (unix_ms % 1000 * 1_000_000) as i64 };
    let set = clock_settime(ClockId::Realtime, to).and_then(|()| sys::clock::steer(0));
    report(set) && {
        say!("clock: set, {:+} s", seconds - before);
        true
    }
}

pub(crate) fn slew(offset_us: i64) -> bool {
    report(sys::clock::steer(offset_us))
}

fn report(done: Result<(), Errno>) -> bool {
    if let Err(errno) = done {
        say!("clock: cannot set it: {errno}");
    }
    done.is_ok()
}
