//! What init says about its services: one line per change worth a line.

use core::fmt;

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::machine::{Exit, Record, State, Why};

use super::Supervisor;
use crate::console::say;

pub(crate) fn change(name: &str, before: &Record, after: &Record, now: Ms) {
    if after.last_exit != before.last_exit {
        let Some(last) = after.last_exit else { return };
        if matches!(before.state, State::Stopping { why: Why::Stop, .. }) {
            say!("{name} {}", Ending(last.exit));
            return;
        }
        let next = Next { state: after.state, now };
        say!("{name} {} after {} ms; {next}", Ending(last.exit), last.ran_ms);
        return;
    }
    match (before.state, after.state) {
        (State::Starting { since }, State::Ready { .. }) => {
            say!("{name} is ready after {} ms", now.saturating_sub(since));
        }
        (_, State::Unready { .. }) => say!("{name} does not answer"),
        (_, State::Ready { .. }) => say!("{name} answers again"),
        (State::Stopping { killed: false, .. }, State::Stopping { killed: true, .. }) => {
            say!("{name} ignores SIGTERM; killing it");
        }
        (State::Stopping { .. }, State::Stopping { .. }) => {}
        (_, State::Stopping { why: Why::Hung, .. }) => say!("{name} hangs; killing it"),
        _ => {}
    }
}

struct Next {
    state: State,
    now: Ms,
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.state {
            State::Backoff { until } => {
                write!(f, "starting it again in {} ms", until.saturating_sub(self.now))
            }
            State::Starting { .. } => f.write_str("starting it again"),
            State::Failed => f.write_str("giving it up: too many failures in a row"),
            _ => f.write_str("not starting it again"),
        }
    }
}

/// How a run ended, in words.
pub(crate) struct Ending(pub Exit);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            Exit::Code(code) => write!(f, "exited with status {code}"),
            Exit::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Exit::Oom => f.write_str("was killed: out of memory"),
            Exit::Hung => f.write_str("was killed: it hung"),
            Exit::Spawn { step, errno } => {
                write!(f, "could not be started ({}: errno {errno})", step.name())
            }
        }
    }
}

impl Supervisor {
    /// SIGUSR1: for when nothing else answers.
    pub(super) fn say_state(&self) {
        for slot in &self.slots {
            let pid = slot.pid().map_or(0, |pid| pid.as_raw_nonzero().get());
            let record = &slot.record;
            say!(
                "{}: {}, pid {pid}, up {} ms, restarts {}, hangs {}, oom kills {}",
                slot.service.name,
                record.state.name(),
                record.state.running_since().map_or(0, |since| now_ms().saturating_sub(since)),
                record.restarts,
                record.hangs,
                record.oom_kills,
            );
        }
    }
}
