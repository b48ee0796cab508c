//! Ordered shutdown: services, then the agent, then whatever else runs, each within a bound.

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::machine::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{AGENT, MAIN, Supervisor};
use crate::console::say;
use crate::finish::End;
use crate::service::Slot;

/// For processes nobody supervises, between SIGTERM and SIGKILL and once more after it.
const STRAY_GRACE_MS: Ms = 300;

/// For the last lines to go where they are read.
const LAST_LINES_MS: Ms = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Services { end: End },
    Agent { end: End },
    Strays { end: End, until: Ms, killed: bool },
}

impl Phase {
    pub(crate) fn deadline(&self) -> Option<Ms> {
        match self {
            Self::Strays { until, .. } => Some(*until),
            _ => None,
        }
    }
}

impl Supervisor {
    pub(super) fn is_stopping(&self) -> bool {
        self.phase != Phase::Running
    }

    /// The first reason to stop decides how it ends.
    pub(super) fn stop(&mut self, end: End) {
        if self.is_stopping() {
            return;
        }
        say!("stopping to {}", end.name());
        self.phase = Phase::Services { end };
        self.plan_due = None;
        self.changed = true;
        for at in MAIN..self.slots.len() {
            self.feed(at, Event::Stop);
        }
    }

    /// Called every turn; each phase ends when its processes have.
    pub(super) fn go_on_stopping(&mut self) {
        if let Phase::Services { end } = self.phase
            && self.slots.iter().skip(MAIN).all(Slot::is_down)
        {
            self.phase = Phase::Agent { end };
            self.feed(AGENT, Event::Stop);
        }
        if let Phase::Agent { end } = self.phase
            && self.slots.iter().all(Slot::is_down)
        {
            self.phase = Phase::Strays { end, until: now_ms() + STRAY_GRACE_MS, killed: false };
            signal_strays(Signal::SIGTERM);
        }
        if let Phase::Strays { end, until, killed } = self.phase {
            self.wait_for_strays(end, until, killed);
        }
    }

    fn wait_for_strays(&mut self, end: End, until: Ms, killed: bool) {
        let over = now_ms() >= until;
        if no_children_left() || (over && killed) {
            self.logs.finish(LAST_LINES_MS);
            self.machine.finish(end);
        }
        if over {
            self.phase = Phase::Strays { end, until: now_ms() + STRAY_GRACE_MS, killed: true };
            signal_strays(Signal::SIGKILL);
        }
    }
}

/// Everybody but us. Not when we are not PID 1: then everybody is not ours.
fn signal_strays(signal: Signal) {
    if rustix::process::getpid().is_init() && !no_children_left() {
        let _ = kill(Pid::from_raw(-1), signal);
    }
}

fn no_children_left() -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD))
}
