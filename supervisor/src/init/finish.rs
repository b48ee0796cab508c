//! How it ends: a container's exit code, or the machine's reboot and power-off.

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::paths;
use holdfast_supervisor::record::State;
use holdfast_supervisor::snapshot::Mode;
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, WaitOptions};
use rustix::system::RebootCommand;
use rustix::thread::{NanosleepRelativeResult, nanosleep};
use rustix::time::Timespec;

use crate::console::kernel_line;
use crate::metal::{reset, seed};
use crate::{keeper, sys};

/// A disk that does not answer must not keep a machine from rebooting.
const SYNC_BOUND_MS: Ms = 10_000;
/// For PID 1 to have let go of its own file, and the kernel of those of who has just ended.
const UNMOUNT_BOUND_MS: Ms = 1_000;
const LOOK_EVERY_NS: i64 = 5_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Exit(i32),
    Reboot,
    PowerOff,
    /// Reboot, and begin anew with an empty /data.
    FactoryReset,
}

impl End {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exit(_) => "exit",
            Self::Reboot => "reboot",
            Self::PowerOff => "power off",
            Self::FactoryReset => "reset to factory state",
        }
    }
}

/// Everything else has ended; does not return.
pub(crate) fn finish(end: End, mode: Mode) -> ! {
    let command = match end {
        End::Exit(code) => sys::process::exit_now(code),
        End::Reboot | End::FactoryReset => RebootCommand::Restart,
        End::PowerOff => RebootCommand::PowerOff,
    };
    if mode == Mode::Container {
        sys::process::exit_now(0);
    }
    sync_bounded(State::Clean, end == End::FactoryReset);
    kernel_line(format_args!("{}", end.name()));
    let refused = rustix::system::reboot(command);
    kernel_line(format_args!("{} was refused: {refused:?}; rebooting", end.name()));
    let _ = rustix::system::reboot(RebootCommand::Restart);
    loop {
        pause();
    }
}

/// Writes everything back and lets go of the data, in a child so that a dead disk costs a bounded
/// time only.
pub(crate) fn sync_bounded(state: State, reset: bool) {
    let Ok(pid) = sys::child::run_aside(|| sync_and_unmount(state, reset)) else {
        return;
    };
    // What PID 1 has open there cannot be unmounted.
    keeper::close();
    if !ended_within(pid, SYNC_BOUND_MS) {
        kernel_line(format_args!("the data disk did not sync within 10 s; going on without it"));
    }
}

fn sync_and_unmount(state: State, reset: bool) {
    seed::save();
    keeper::write_end(state);
    rustix::fs::sync();
    unmount_data();
    if reset {
        reset::mark();
    }
    rustix::fs::sync();
}

/// Nothing is left for the next start to replay, unless a process cannot be killed and has a file open.
fn unmount_data() {
    let until = now_ms() + UNMOUNT_BOUND_MS;
    while rustix::mount::unmount(paths::DATA, UnmountFlags::empty()) == Err(Errno::BUSY) {
        if now_ms() >= until {
            kernel_line(format_args!("{} is in use still: its journal is left open", paths::DATA));
            let _ = rustix::mount::unmount(paths::DATA, UnmountFlags::DETACH);
            return;
        }
        pause();
    }
}

fn ended_within(pid: Pid, bound_ms: Ms) -> bool {
    let until = now_ms() + bound_ms;
    while now_ms() < until {
        match rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(None) => pause(),
            Ok(Some(_)) | Err(_) => return true,
        }
    }
    false
}

/// Between two looks at something that cannot be waited for.
pub(crate) fn pause() {
    let short = Timespec { tv_sec: 0, tv_nsec: LOOK_EVERY_NS };
    if let NanosleepRelativeResult::Err(_) = nanosleep(&short) {
        std::hint::spin_loop();
    }
}
