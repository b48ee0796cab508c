//! Where a service is, and everything remembered about it.

use super::{Exit, SILENCE_SLACK_MS};
use crate::clock::Ms;

/// Why a service is being stopped, which says what follows its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    Stop = 0,
    Restart = 1,
    /// It does not answer, or has fallen silent.
    Hung = 2,
    /// It did not become ready in time.
    Late = 3,
    /// It said so itself (sd_notify's STOPPING).
    Own = 4,
}

impl Why {
    pub const ALL: [Self; 5] = [Self::Stop, Self::Restart, Self::Hung, Self::Late, Self::Own];
}

/// What follows when the last process of an ended run is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Start,
    Backoff { until: Ms },
    Down,
    Failed,
}

/// `since` is when the process was spawned. `until` is when a service that says nothing more is
/// taken for late or hung; `None` leaves that to the probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No process and none wanted.
    Down,
    /// A process that is not ready yet.
    Starting {
        since: Ms,
        until: Option<Ms>,
    },
    Ready {
        since: Ms,
        until: Option<Ms>,
    },
    /// It was ready and does not answer now; not yet long enough to call it hung.
    Unready {
        since: Ms,
        until: Option<Ms>,
    },
    /// Asked to end; at `deadline` it is killed, and killed again while it lasts. The service may
    /// ask for more time, up to `latest`.
    Stopping {
        since: Ms,
        deadline: Ms,
        latest: Ms,
        killed: bool,
        why: Why,
    },
    /// The process is gone, others of its run are not; at `until` they are waited for no longer.
    Clearing {
        until: Ms,
        next: Next,
    },
    /// Ended; to be started at `until`.
    Backoff {
        until: Ms,
    },
    /// Given up: at the start limit, or because its exit status said so.
    Failed,
}

impl State {
    /// When the process that exists now was spawned.
    pub fn running_since(&self) -> Option<Ms> {
        match *self {
            Self::Starting { since, .. }
            | Self::Ready { since, .. }
            | Self::Unready { since, .. }
            | Self::Stopping { since, .. } => Some(since),
            Self::Down | Self::Clearing { .. } | Self::Backoff { .. } | Self::Failed => None,
        }
    }

    /// There is a process, or there will be without anybody's doing.
    pub fn comes_back(&self) -> bool {
        !matches!(
            self,
            Self::Down
                | Self::Failed
                | Self::Stopping { why: Why::Stop, .. }
                | Self::Clearing { next: Next::Down | Next::Failed, .. }
        )
    }

    /// The state without what moves at every sign of life, which nobody needs to be told.
    pub fn shown(self) -> Self {
        match self {
            Self::Starting { since, .. } => Self::Starting { since, until: None },
            Self::Ready { since, .. } => Self::Ready { since, until: None },
            Self::Unready { since, .. } => Self::Unready { since, until: None },
            Self::Stopping { since, deadline, killed, why, .. } => {
                Self::Stopping { since, deadline, latest: deadline, killed, why }
            }
            other => other,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
            Self::Unready { .. } => "unready",
            Self::Stopping { .. } => "stopping",
            Self::Clearing { .. } => "clearing",
            Self::Backoff { .. } => "backoff",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastExit {
    pub exit: Exit,
    pub ran_ms: Ms,
    pub at: Ms,
}

/// Everything remembered about a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub state: State,
    /// Runs that ended by themselves since the last good one.
    pub failures: u32,
    /// Starts after the first.
    pub restarts: u32,
    pub hangs: u32,
    pub oom_kills: u32,
    /// From SIGKILL to all that the last run left behind until nothing of it was left.
    pub cleared_ms: u32,
    pub last_exit: Option<LastExit>,
}

impl Record {
    pub const NEW: Self = Self {
        state: State::Down,
        failures: 0,
        restarts: 0,
        hangs: 0,
        oom_kills: 0,
        cleared_ms: 0,
        last_exit: None,
    };

    /// When [`super::Event::Tick`] is due.
    pub fn deadline(&self) -> Option<Ms> {
        match self.state {
            State::Starting { until, .. }
            | State::Ready { until, .. }
            | State::Unready { until, .. } => until,
            State::Stopping { deadline, .. } => Some(deadline),
            State::Clearing { until, .. } | State::Backoff { until } => Some(until),
            State::Down | State::Failed => None,
        }
    }

    /// PID 1 itself did not run until `now`: a paused container, a stopped or starved machine. What
    /// a service did not say meanwhile it could not, so it is given [`SILENCE_SLACK_MS`] to say it.
    pub fn forgive_silence(&mut self, now: Ms) {
        if let State::Starting { until: Some(until), .. }
        | State::Ready { until: Some(until), .. }
        | State::Unready { until: Some(until), .. } = &mut self.state
        {
            *until = (*until).max(now + SILENCE_SLACK_MS);
        }
    }

    /// The same as far as anybody is told.
    pub fn looks_like(&self, other: &Self) -> bool {
        Self { state: self.state.shown(), ..*self } == Self { state: other.state.shown(), ..*other }
    }
}
