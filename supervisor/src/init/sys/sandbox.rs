//! The calls of seccomp and Landlock, which no library that init has wraps.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_long, sock_filter, sock_fprog};
use rustix::io::Errno;

/// `struct landlock_ruleset_attr` of linux/landlock.h; older kernels know a shorter one.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`, packed as there.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

const CREATE_RULESET_VERSION: c_long = 1;
const RULE_PATH_BENEATH: c_long = 1;
/// A process may not signal processes outside. Abstract sockets are not scoped: init's is one.
const SCOPE_SIGNAL: u64 = 1 << 1;
const SCOPES_SINCE_ABI: u32 = 6;
/// The first field alone, as ABI 1 had it; all of them are known with the scopes.
const SHORT_ATTR: usize = 8;

fn result(value: c_long) -> Result<c_long, Errno> {
    if value < 0 { Err(super::child::last_errno()) } else { Ok(value) }
}

/// Whether the kernel has filters of system calls that answer with an errno.
pub(crate) fn can_filter() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    let what = libc::SECCOMP_GET_ACTION_AVAIL;
    // SAFETY: reads one u32 through a pointer to a live one.
    result(unsafe { libc::syscall(libc::SYS_seccomp, what, 0, ptr::from_ref(&action)) }).is_ok()
}

/// For this thread, which is the process's only one, and all that it becomes. What is refused is
/// told in the kernel's log.
pub(crate) fn filter(program: &[sock_filter]) -> Result<(), Errno> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?;
    let program = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let (what, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_LOG);
    // SAFETY: the kernel reads `len` instructions through the pointer, which are there, and writes
    // none.
    result(unsafe { libc::syscall(libc::SYS_seccomp, what, flags, ptr::from_ref(&program)) })
        .map(drop)
}

/// `None` where the kernel has no Landlock, or it is switched off.
pub(crate) fn landlock_abi() -> Option<u32> {
    let none = ptr::null::<RulesetAttr>();
    // SAFETY: with this flag the kernel reads nothing.
    let abi = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, CREATE_RULESET_VERSION)
    };
    u32::try_from(abi).ok()
}

pub(crate) fn landlock_ruleset(abi: u32, handled_access_fs: u64) -> Result<OwnedFd, Errno> {
    let scoped = if abi >= SCOPES_SINCE_ABI { SCOPE_SIGNAL } else { 0 };
    let attr = RulesetAttr { handled_access_fs, handled_access_net: 0, scoped };
    let size = if abi >= SCOPES_SINCE_ABI { size_of::<RulesetAttr>() } else { SHORT_ATTR };
    // SAFETY: the kernel reads `size` bytes of a live structure of at least that size.
    let fd = result(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::from_ref(&attr), size, 0)
    })?;
    // SAFETY: the call gave us a new descriptor, close-on-exec; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

pub(crate) fn landlock_allow(
    ruleset: &OwnedFd,
    place: &OwnedFd,
    allowed_access: u64,
) -> Result<(), Errno> {
    let rule = PathBeneath { allowed_access, parent_fd: place.as_raw_fd() };
    let fd = ruleset.as_raw_fd();
    // SAFETY: the kernel reads one live structure of the layout that this kind of rule has.
    result(unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, ptr::from_ref(&rule), 0)
    })
    .map(drop)
}

/// From here on only what the ruleset allows.
pub(crate) fn confine(ruleset: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: takes a descriptor and a number.
    result(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })
        .map(drop)
}
