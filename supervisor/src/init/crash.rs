//! When PID 1 itself fails: say it where it survives, then reboot the machine or end the container.
//!
//! The default would be silent or worse: SIGABRT has no effect on PID 1, and what a kernel makes of
//! a dead init is a panic.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_supervisor::record::State;
use holdfast_supervisor::snapshot::Mode;
use rustix::system::RebootCommand;

use crate::console::last_words;
use crate::{finish, sys};

/// Exit status of a container whose PID 1 failed (EX_SOFTWARE).
pub(crate) const EXIT_CRASHED: i32 = 70;

static METAL: AtomicBool = AtomicBool::new(false);

pub(crate) fn set_mode(mode: Mode) {
    METAL.store(mode == Mode::Metal, Ordering::Relaxed);
}

pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(crashed));
}

fn crashed(info: &PanicHookInfo) {
    let place = info.location().map_or(("?", 0), |place| (place.file(), place.line()));
    let message = info.payload_as_str().unwrap_or("no message");
    last_words(format_args!("panicked at {}:{}: {message}", place.0, place.1));
    if METAL.load(Ordering::Relaxed) {
        finish::sync_bounded(State::Panicked, false);
        let _ = rustix::system::reboot(RebootCommand::Restart);
    }
    sys::process::exit_now(EXIT_CRASHED)
}
