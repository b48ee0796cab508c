//! `getrusage` and `fork`, which rustix does not have.

use std::io;
use std::time::Duration;

use super::CpuTime;

/// CPU time of this process, and of its children that have ended.
pub(super) fn cpu_times() -> [CpuTime; 2] {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(|who| {
        // SAFETY: `rusage` is a plain C struct for which all zeroes is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live value of this frame; the call cannot fail for these
        // two constants, and would leave the zeroes.
        unsafe { libc::getrusage(who, &raw mut usage) };
        CpuTime { user: duration(usage.ru_utime), system: duration(usage.ru_stime) }
    })
}

fn duration(time: libc::timeval) -> Duration {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec)) + Duration::from_micros(part(time.tv_usec))
}

/// True in the parent. The caller must be the only thread but for jemalloc's own, which is ready
/// for a fork (`pthread_atfork`).
pub(super) fn fork() -> io::Result<bool> {
    // SAFETY: no other thread of ours holds a lock that the child would wait for, so it may go on
    // as if nothing had happened.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(false),
        _ => Ok(true),
    }
}
