//! What takes `unsafe`: `getrusage` and `fork`, which rustix does not have, the environment,
//! descriptors that came with the process, its own pages, and its title.

mod text;
mod title;

pub use text::release_text;
pub(super) use title::{Area, take_area};

use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};
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

/// Takes variables out of the environment. The caller must be the only thread.
pub(super) fn take_variables<const N: usize>(names: &[&str; N]) -> [Option<OsString>; N] {
    names.map(|name| {
        let value = std::env::var_os(name)?;
        // SAFETY: no other thread reads or writes the environment: there is none.
        unsafe { std::env::remove_var(name) };
        Some(value)
    })
}

/// Takes pages of a file that are mapped at `addresses` out of the process; it goes on with the file's
/// when they are needed. What the kernel refuses stays as it is.
///
/// # Safety
/// All of it is a mapping of a file, and nobody has ever written to it: that would be lost.
unsafe fn forget_pages(addresses: Range<usize>) {
    let start = std::ptr::with_exposed_provenance_mut(addresses.start);
    // SAFETY: the caller's; such pages read the same afterwards.
    unsafe { libc::madvise(start, addresses.len(), libc::MADV_DONTNEED) };
}

/// Owns a descriptor that the process was started with; `None` if there is none of this number.
/// The caller must be the first to ask, before the process has opened anything.
pub(super) fn take_descriptor(number: i32) -> Option<OwnedFd> {
    // SAFETY: the number is only looked up, in a call that fails when it is no descriptor.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open, and nobody in this process has it: it came with the process.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
