//! Which signal means what, on a machine and in a container.
//!
//! | signal           | container            | machine                                 |
//! |------------------|----------------------|-----------------------------------------|
//! | TERM             | stop, exit 0         | reboot                                  |
//! | INT              | stop, exit 0         | reboot (ctrl-alt-del; 8 in 2 s: at once)|
//! | QUIT, RTMIN+3    | stop, exit 0         | power off                               |
//! | PWR              | stop, exit 0         | power off                               |
//! | USR2             | –                    | power off                               |
//! | USR1             | say the state        | say the state                           |
//! | HUP              | reload holdfast.toml | reload holdfast.toml                    |

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::snapshot::Mode;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::Errno;

use crate::finish::End;

/// systemd-nspawn's and podman's stop signal, SIGRTMIN+3 as the kernel numbers it.
const RTMIN_PLUS_3: u32 = 34 + 3;
const BURST: u32 = 8;
const BURST_MS: Ms = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    ChildEnded,
    Finish(End),
    /// The user has lost patience: no order, no waiting.
    FinishNow(End),
    Reload,
    SayState,
    /// For a foreign command, which is given what init does not use.
    PassOn(i32),
}

/// Counts ctrl-alt-del.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    first_at: Ms,
    count: u32,
}

impl Burst {
    fn is_full(&mut self, now: Ms) -> bool {
        if now.saturating_sub(self.first_at) > BURST_MS {
            *self = Self { first_at: now, count: 0 };
        }
        self.count += 1;
        self.count >= BURST
    }
}

pub(crate) fn meaning(number: u32, mode: Mode, burst: &mut Burst) -> Meaning {
    let end = |on_metal| match mode {
        Mode::Metal => Meaning::Finish(on_metal),
        Mode::Container => Meaning::Finish(End::Exit(0)),
    };
    match Signal::try_from(number as i32) {
        Ok(Signal::SIGCHLD) => Meaning::ChildEnded,
        Ok(Signal::SIGTERM) => end(End::Reboot),
        Ok(Signal::SIGINT) if mode == Mode::Metal && burst.is_full(now_ms()) => {
            Meaning::FinishNow(End::Reboot)
        }
        Ok(Signal::SIGINT) => end(End::Reboot),
        Ok(Signal::SIGQUIT | Signal::SIGPWR) => end(End::PowerOff),
        Ok(Signal::SIGUSR2) if mode == Mode::Metal => Meaning::Finish(End::PowerOff),
        Ok(Signal::SIGUSR1) => Meaning::SayState,
        Ok(Signal::SIGHUP) => Meaning::Reload,
        Err(_) if number == RTMIN_PLUS_3 => end(End::PowerOff),
        _ => Meaning::PassOn(number as i32),
    }
}

/// Blocks every signal and gives the descriptor they arrive on.
pub(crate) fn open() -> Result<SignalFd, Errno> {
    let every = SigSet::all();
    let fd = every.thread_block().and_then(|()| {
        SignalFd::with_flags(&every, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
    });
    fd.map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

/// The machine is ours when we are PID 1 and may tell the kernel what ctrl-alt-del does: in a PID
/// namespace that call is refused, whatever the privileges.
pub(crate) fn detect_mode() -> Mode {
    let pid1 = rustix::process::getpid().is_init();
    let ours = pid1 && rustix::system::reboot(rustix::system::RebootCommand::CadOff).is_ok();
    if ours { Mode::Metal } else { Mode::Container }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_only_ever_exits() {
        for number in 1..65 {
            match meaning(number, Mode::Container, &mut Burst::default()) {
                Meaning::Finish(end) => assert_eq!(end, End::Exit(0), "signal {number}"),
                Meaning::FinishNow(_) => panic!("signal {number}"),
                _ => {}
            }
        }
    }

    #[test]
    fn the_eighth_ctrl_alt_del_in_two_seconds_does_not_wait() {
        let mut burst = Burst::default();
        let int = Signal::SIGINT as u32;
        let all: Vec<_> = (0..8).map(|_| meaning(int, Mode::Metal, &mut burst)).collect();
        assert_eq!(all[..7], [Meaning::Finish(End::Reboot); 7]);
        assert_eq!(all[7], Meaning::FinishNow(End::Reboot));
    }

    #[test]
    fn a_machine_reboots_or_powers_off() {
        let on_metal = |signal| meaning(signal, Mode::Metal, &mut Burst::default());
        assert_eq!(on_metal(Signal::SIGTERM as u32), Meaning::Finish(End::Reboot));
        assert_eq!(on_metal(Signal::SIGUSR2 as u32), Meaning::Finish(End::PowerOff));
        assert_eq!(on_metal(Signal::SIGPWR as u32), Meaning::Finish(End::PowerOff));
        assert_eq!(on_metal(RTMIN_PLUS_3), Meaning::Finish(End::PowerOff));
    }
}
