//! What init says about its services: one line per change worth a line.

use core::fmt;

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::machine::{Exit, Next, Record, State, Why};

use super::Supervisor;
use crate::console::say;

pub(crate) fn change(name: &str, before: &Record, after: &Record, now: Ms) {
    if after.last_exit != before.last_exit {
        let Some(last) = after.last_exit else { return };
        if matches!(before.state, State::Stopping { why: Why::Stop, .. }) {
            say!("{name} {}", Ending(last.exit));
            return;
        }
        let next = match after.state {
            State::Clearing { next, .. } => next,
            _ => Next::Down,
        };
        let plan = Plan { next, now };
        say!("{name} {} after {} ms; {plan}", Ending(last.exit), last.ran_ms);
        return;
    }
    if matches!(before.state, State::Clearing { .. }) && after.cleared_ms > 0 {
        say!("{name}: its last process was gone after {} ms", after.cleared_ms);
    }
    match (before.state, after.state) {
        (State::Starting { since, .. }, State::Ready { .. }) => {
            say!("{name} is ready after {} ms", now.saturating_sub(since));
        }
        (State::Ready { .. }, State::Unready { .. }) => say!("{name} does not answer"),
        (State::Unready { .. }, State::Ready { .. }) => say!("{name} answers again"),
        (State::Stopping { killed: false, why, .. }, State::Stopping { killed: true, .. }) => {
            killed(name, why);
        }
        (State::Stopping { .. }, State::Stopping { .. }) => {}
        (_, State::Stopping { why, .. }) => stopping(name, why),
        _ => {}
    }
}

fn stopping(name: &str, why: Why) {
    match why {
        Why::Hung => say!("{name} hangs; aborting it"),
        Why::Late => say!("{name} did not become ready in time; killing it"),
        Why::Own => say!("{name} says that it is ending"),
        Why::Stop | Why::Restart => {}
    }
}

fn killed(name: &str, why: Why) {
    match why {
        Why::Hung => say!("{name} ignores SIGABRT; killing it"),
        Why::Own => say!("{name} does not end as it said; killing it"),
        _ => say!("{name} ignores SIGTERM; killing it"),
    }
}

struct Plan {
    next: Next,
    now: Ms,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.next {
            Next::Backoff { until } => {
                write!(f, "starting it again in {} ms", until.saturating_sub(self.now))
            }
            Next::Start => f.write_str("starting it again"),
            Next::Failed => f.write_str("giving it up"),
            Next::Down => f.write_str("not starting it again"),
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
            Exit::Late => f.write_str("was killed: it did not become ready in time"),
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
