//! From clone to exec.
//!
//! The child shares nothing with its parent but a copy of its memory, and runs only calls that are
//! safe there: no allocation, no lock. Whatever fails in it is written to a pipe as three bytes,
//! so that "could not start" is never mistaken for "ended":
//!
//! ```text
//!   1  the step (machine::SpawnStep)     2  errno, little-endian
//! ```

use core::fmt::Write;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use heapless::{String, Vec};
use holdfast_supervisor::machine::SpawnStep;
use holdfast_supervisor::plan::Args;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, Gid, Uid};

use super::process::Environment;
use crate::held::MAX_HELD;
use crate::sandbox::Sandbox;

/// Arguments of one service.
pub(crate) const MAX_WORDS: usize = 512;
const CAPABILITIES: u32 = 64;
/// The first descriptor behind the standard streams.
const FIRST_TO_CLOSE: RawFd = 3;

pub(crate) struct Child<'a> {
    pub program: &'a CStr,
    pub argv: &'a [&'a CStr],
    pub environment: &'a Environment,
    pub directory: &'a CStr,
    /// `None` keeps the user init runs as.
    pub user: Option<User>,
    /// What the child may do at all; the last thing it gives away.
    pub sandbox: Option<&'a Sandbox>,
    /// How readily the kernel kills it for want of memory: -1000 to 1000.
    pub oom_score_adj: Option<i16>,
    /// At most so many open files.
    pub descriptors: Option<u64>,
    /// A session of its own, away from init's terminal.
    pub new_session: bool,
    /// The agent's end of the channel, to become its standard input.
    pub channel: Option<BorrowedFd<'a>>,
    /// To become its standard output and error; `None` leaves init's own.
    pub output: Option<BorrowedFd<'a>>,
    /// The machine's console, to become its standard output instead.
    pub console: Option<BorrowedFd<'a>>,
    /// What only this process is told, as `NAME=value`.
    pub variables: &'a Args,
    /// Open for the service from descriptor 3 on (sd_listen_fds(3)).
    pub held: &'a [BorrowedFd<'a>],
    /// The cgroup to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Who a service is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
    pub group: Option<u32>,
    /// It may regain nothing but these; needs CAP_SETPCAP, without which there is nothing to regain.
    pub bounded: bool,
    /// What it keeps.
    pub capabilities: CapabilitySet,
}

pub(crate) struct Spawned {
    pub pid: Pid,
    pub pidfd: Option<OwnedFd>,
    /// Readable when a step failed; at end of file when exec went through.
    pub failure: OwnedFd,
    /// clone3 was refused: the plain fork was taken.
    pub fell_back: bool,
}

type Pointers = Vec<*const libc::c_char, { MAX_WORDS + 1 }>;

pub(crate) fn spawn(child: &Child) -> Result<Spawned, Errno> {
    let argv = pointers(child.argv)?;
    let (failure, report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&failure, true)?;
    let mut pidfd: RawFd = -1;
    let (pid, fell_back) = match clone3(child.cgroup, &mut pidfd) {
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => (fork()?, true),
        other => (other?, false),
    };
    let Some(pid) = Pid::from_raw(pid) else {
        become_service(child, &argv, report.as_fd(), fell_back);
    };
    let pidfd = if pidfd >= 0 {
        // SAFETY: clone3 succeeded and stored a descriptor of ours there.
        Some(unsafe { OwnedFd::from_raw_fd(pidfd) })
    } else {
        rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
    };
    Ok(Spawned { pid, pidfd, failure, fell_back })
}

/// Runs `work` in a child and returns its pid: for calls that may block for ever.
pub(crate) fn run_aside(work: impl FnOnce()) -> Result<Pid, Errno> {
    match Pid::from_raw(fork()?) {
        Some(pid) => Ok(pid),
        None => {
            work();
            super::process::exit_now(0)
        }
    }
}

fn pointers(words: &[&CStr]) -> Result<Pointers, Errno> {
    let mut pointers = Pointers::new();
    for word in words {
        pointers.push(word.as_ptr()).map_err(|_| Errno::TOOBIG)?;
    }
    pointers.push(ptr::null()).map_err(|_| Errno::TOOBIG)?;
    Ok(pointers)
}

fn clone3(cgroup: Option<BorrowedFd>, pidfd: &mut RawFd) -> Result<i32, Errno> {
    // SAFETY: clone_args is plain numbers, for which zero means "not asked for".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (libc::CLONE_PIDFD as u64) | CLONE_CLEAR_SIGHAND;
    args.pidfd = ptr::from_mut(pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM this is a fork; `args` outlives the call and its one pointer is to
    // a live descriptor slot. There is one thread, so the copy of memory is consistent.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, ptr::from_mut(&mut args), size_of_val(&args)) };
    if result < 0 { Err(last_errno()) } else { Ok(result as i32) }
}

// u64 flags that libc's c_int constants cannot hold.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn fork() -> Result<i32, Errno> {
    // SAFETY: there is one thread; the child only makes calls that are safe after fork.
    let result = unsafe { libc::fork() };
    if result < 0 { Err(last_errno()) } else { Ok(result) }
}

pub(super) fn last_errno() -> Errno {
    // SAFETY: the pointer to this thread's errno is always valid.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// In the child: does not return.
fn become_service(child: &Child, argv: &Pointers, report: BorrowedFd, fell_back: bool) -> ! {
    // Out of the way of the descriptors that are handed over.
    let beyond = FIRST_TO_CLOSE + child.held.len() as i32;
    let moved = rustix::io::fcntl_dupfd_cloexec(report, beyond);
    let report = moved.as_ref().map_or(report, AsFd::as_fd);
    let (step, errno) = match prepare(child, fell_back) {
        Err(failed) => failed,
        Ok(()) => {
            let own = own_variables(child.held.len());
            child.environment.add(child.variables.c_words().chain(own.c_words()));
            let environment = child.environment.as_ptr();
            // SAFETY: both vectors end with a null pointer and their strings outlive the call.
            unsafe { libc::execve(child.program.as_ptr(), argv.as_ptr(), environment) };
            (SpawnStep::Exec, last_errno())
        }
    };
    let [low, high] = (errno.raw_os_error() as u16).to_le_bytes();
    let _ = rustix::io::write(report, &[step as u8, low, high]);
    super::process::exit_now(127)
}

/// What only the child knows: its own number.
fn own_variables(held: usize) -> Args {
    let mut variables = Args::new();
    let mut text = heapless::String::<32>::new();
    let pid = rustix::process::getpid().as_raw_nonzero();
    if held > 0 && write!(text, "LISTEN_PID={pid}").is_ok() {
        // One short word fits.
        let _ = variables.push(text.as_bytes());
    }
    variables
}

fn prepare(child: &Child, fell_back: bool) -> Result<(), (SpawnStep, Errno)> {
    let at = |step| move |errno| (step, errno);
    if let (Some(cgroup), true) = (child.cgroup, fell_back) {
        join_cgroup(cgroup).map_err(at(SpawnStep::Prepare))?;
    }
    default_signals();
    if child.new_session {
        rustix::process::setsid().map_err(at(SpawnStep::Prepare))?;
    }
    streams(child).map_err(at(SpawnStep::Stdio))?;
    resources(child).map_err(at(SpawnStep::Prepare))?;
    rustix::process::chdir(child.directory).map_err(at(SpawnStep::Directory))?;
    if let Some(user) = &child.user {
        drop_privileges(user).map_err(at(SpawnStep::Privileges))?;
    }
    rustix::thread::set_no_new_privs(true).map_err(at(SpawnStep::Privileges))?;
    child.sandbox.map_or(Ok(()), Sandbox::put_on).map_err(at(SpawnStep::Sandbox))
}

fn join_cgroup(cgroup: BorrowedFd) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let procs = rustix::fs::openat(cgroup, c"cgroup.procs", flags, Mode::empty())?;
    rustix::io::write(procs, b"0").map(drop)
}

/// init blocks every signal; a service starts with none blocked and all at their defaults.
fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL runs no code of ours; refusals (KILL, STOP, libc's own two) are fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let none = nix::sys::signal::SigSet::empty();
    let _ = none.thread_set_mask();
}

/// Standard input is /dev/null for services and the channel for the agent; output goes to the pipe
/// of the log, but for the agent's standard output on a machine. All else closes at exec.
fn streams(child: &Child) -> Result<(), Errno> {
    if let Some(channel) = child.channel {
        rustix::stdio::dup2_stdin(channel)?;
    } else if child.new_session {
        // A root without /dev/null is odd, not fatal: the stream stays as it is.
        if let Ok(null) = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty()) {
            rustix::stdio::dup2_stdin(&null)?;
        }
    }
    if let Some(output) = child.output {
        rustix::stdio::dup2_stdout(output)?;
        rustix::stdio::dup2_stderr(output)?;
    }
    if let Some(console) = child.console {
        rustix::stdio::dup2_stdout(console)?;
    }
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: marks descriptors close-on-exec; touches no memory. Kernels before 5.11 refuse, and
    // there every descriptor of init's is close-on-exec already.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST_TO_CLOSE, u32::MAX, flags) };
    hand_over(child.held)
}

/// Puts them at 3, 4 … and lets them stay open. Copies first: one may stand where another goes.
fn hand_over(held: &[BorrowedFd]) -> Result<(), Errno> {
    let beyond = FIRST_TO_CLOSE + held.len() as i32;
    let mut copies = Vec::<OwnedFd, MAX_HELD>::new();
    for descriptor in held {
        let copy = rustix::io::fcntl_dupfd_cloexec(descriptor, beyond)?;
        copies.push(copy).map_err(|_| Errno::MFILE)?;
    }
    for (at, copy) in copies.iter().enumerate() {
        // SAFETY: replaces a descriptor that this child does not use any more.
        if unsafe { libc::dup2(copy.as_raw_fd(), FIRST_TO_CLOSE + at as i32) } < 0 {
            return Err(last_errno());
        }
    }
    Ok(())
}

/// A container may have been denied the right to be spared; that is its runtime's choice.
fn resources(child: &Child) -> Result<(), Errno> {
    if let Some(adjustment) = child.oom_score_adj {
        let mut text = String::<8>::new();
        let _ = write!(text, "{adjustment}");
        let file = c"/proc/self/oom_score_adj";
        if let Ok(file) = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(file, text.as_bytes());
        }
    }
    match child.descriptors {
        Some(most) => {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            rustix::process::setrlimit(Resource::Nofile, limit)
        }
        None => Ok(()),
    }
}

/// In this order: the later steps need what the earlier ones still have.
fn drop_privileges(user: &User) -> Result<(), Errno> {
    use rustix::thread as own;

    let kept = user.capabilities;
    if user.bounded {
        bound_capabilities(kept)?;
        // The user 0 is nobody special from here on.
        let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
        own::set_capabilities_secure_bits(bits)?;
    }
    own::set_keep_capabilities(!kept.is_empty())?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    match user.group.map(Gid::from_raw) {
        Some(group) => own::set_thread_groups(&[group])?,
        None => own::set_thread_groups(&[])?,
    }
    own::set_thread_res_gid(gid, gid, gid)?;
    own::set_thread_res_uid(uid, uid, uid)?;
    own::set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: kept },
    )?;
    own::clear_ambient_capability_set()?;
    kept.iter().try_for_each(|one| own::configure_capability_in_ambient_set(one, true))
}

/// What can never come back, not even by a program that is set-user-id.
fn bound_capabilities(kept: CapabilitySet) -> Result<(), Errno> {
    for capability in 0..CAPABILITIES {
        if kept.bits() & 1 << capability != 0 {
            continue;
        }
        // SAFETY: takes plain numbers. EINVAL marks the end of the kernel's list.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            match last_errno() {
                Errno::INVAL => break,
                errno => return Err(errno),
            }
        }
    }
    Ok(())
}
