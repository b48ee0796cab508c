//! The life of one service as a pure function: [`step`] (record, event, now, policy) → record, action.
//!
//! No clock, no system call, no allocation. init feeds it events and carries out its actions; the
//! tests below walk it through every state × every event.
//!
//! ```text
//!            Start                    Ready                      Exited
//!  Down ───────────────▶ Starting ───────────▶ Ready ─────────────────────────┐
//!   ▲                      │  ▲   ╲  NotReady ╱  ▲ Ready                       │
//!   │ Exited               │  │    ▼          ▼  │                             ▼
//!   │                 Hung │  │    Hung    Unready ──Exited──▶ wanted? ── no ─▶ Down
//!  Stopping ◀──Stop────────┘  │                                │ yes
//!   (why: Stop|Restart|Hung)  │    until passed                ▼
//!                             └───────────────────────────── Backoff, or Failed at the start limit
//! ```

use crate::clock::Ms;

/// After SIGKILL a process is gone within this time, or it hangs in the kernel; then kill again.
pub const KILL_AGAIN_MS: Ms = 1_000;

/// When a service that ended by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// However it ended: an appliance has nobody to start it by hand.
    Always,
    /// After a crash (signal, hang, out of memory) but not after an exit with a status, whatever
    /// the status: a container's exit code belongs to the runtime.
    OnCrash,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub restart: Restart,
    /// Wait before the second start of a row that never ran well; doubled each time.
    pub backoff_initial_ms: u32,
    pub backoff_max_ms: u32,
    /// A run this long forgives the failures before it.
    pub good_run_ms: u32,
    /// Failures in a row before the service is given up; 0 never gives up.
    pub start_limit: u16,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace_ms: u32,
    /// Time to become ready; 0: the probes decide.
    pub startup_ms: u32,
    /// Longest silence of a service that says it lives (sd_notify's WATCHDOG); 0: it need not.
    pub watchdog_ms: u32,
    /// Exit codes after which it is not started again; 0 is none.
    pub permanent_exits: [u8; 8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    Signal(u8),
    /// Killed by the kernel because its cgroup, or the machine, had no memory left.
    Oom,
    /// Killed by init because it did not answer its probes.
    Hung,
    /// Never ran: a step between clone and exec failed with this errno.
    Spawn {
        step: SpawnStep,
        errno: u16,
    },
}

/// What a child does before it becomes the service; the numbers go over a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SpawnStep {
    Clone = 0,
    Stdio = 1,
    Directory = 2,
    Privileges = 3,
    Exec = 4,
    Prepare = 5,
}

impl SpawnStep {
    pub const ALL: [Self; 6] =
        [Self::Clone, Self::Stdio, Self::Directory, Self::Privileges, Self::Exec, Self::Prepare];

    pub fn from_u8(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == byte)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Stdio => "standard streams",
            Self::Directory => "working directory",
            Self::Privileges => "privilege drop",
            Self::Exec => "exec",
            Self::Prepare => "preparation",
        }
    }
}

/// Why a service is being stopped, which says what follows its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Stop,
    Restart,
    Hung,
}

/// Where a service is. `since` is when its process was spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No process and none wanted.
    Down,
    /// A process that has not answered its startup probe yet.
    Starting {
        since: Ms,
    },
    Ready {
        since: Ms,
    },
    /// It was ready and does not answer now; not yet long enough to call it hung.
    Unready {
        since: Ms,
    },
    /// Asked to end; at `deadline` it is killed, and killed again while it lasts.
    Stopping {
        since: Ms,
        deadline: Ms,
        killed: bool,
        why: Why,
    },
    /// Ended; to be started at `until`.
    Backoff {
        until: Ms,
    },
    /// Given up at the start limit.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Wanted: at boot, or by hand after a failure.
    Start,
    /// The probe: it answers.
    Ready,
    /// The probe: it does not answer.
    NotReady,
    /// The probe: it has not answered for too long.
    Hung,
    /// The process is gone and reaped.
    Exited(Exit),
    /// Not wanted any more.
    Stop,
    /// End it and start it again.
    Restart,
    /// Time has passed.
    Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Spawn,
    /// SIGTERM to the main process.
    Terminate,
    /// SIGKILL to the whole tree.
    Kill,
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
    pub last_exit: Option<LastExit>,
}

impl Record {
    pub const NEW: Self = Self {
        state: State::Down,
        failures: 0,
        restarts: 0,
        hangs: 0,
        oom_kills: 0,
        last_exit: None,
    };

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<Ms> {
        match self.state {
            State::Stopping { deadline, .. } => Some(deadline),
            State::Backoff { until } => Some(until),
            _ => None,
        }
    }
}

impl State {
    /// When the process that exists now was spawned.
    pub fn running_since(&self) -> Option<Ms> {
        match *self {
            Self::Starting { since }
            | Self::Ready { since }
            | Self::Unready { since }
            | Self::Stopping { since, .. } => Some(since),
            Self::Down | Self::Backoff { .. } | Self::Failed => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
            Self::Unready { .. } => "unready",
            Self::Stopping { .. } => "stopping",
            Self::Backoff { .. } => "backoff",
            Self::Failed => "failed",
        }
    }
}

/// One event in the life of a service.
pub fn step(record: &Record, event: Event, now: Ms, policy: &Policy) -> (Record, Option<Action>) {
    use State::{Backoff, Down, Failed, Ready, Starting, Stopping, Unready};
    match (record.state, event) {
        (Down | Backoff { .. } | Failed, Event::Start | Event::Restart) => start(record, now),
        (Backoff { until }, Event::Tick) if until <= now => start(record, now),
        (Down | Backoff { .. } | Failed, Event::Stop) => stay(record, Down),

        (Starting { since } | Unready { since }, Event::Ready) => stay(record, Ready { since }),
        (Ready { since }, Event::NotReady) => stay(record, Unready { since }),
        (Starting { since } | Ready { since } | Unready { since }, Event::Hung) => {
            let hung = Record { hangs: record.hangs.saturating_add(1), ..*record };
            kill(&hung, since, Why::Hung, now)
        }
        (Starting { since } | Ready { since } | Unready { since }, Event::Stop) => {
            terminate(record, since, Why::Stop, now, policy)
        }
        (Starting { since } | Ready { since } | Unready { since }, Event::Restart) => {
            terminate(record, since, Why::Restart, now, policy)
        }
        (Starting { since } | Ready { since } | Unready { since }, Event::Exited(exit)) => {
            ended(record, since, exit, now, policy)
        }

        (Stopping { since, deadline, killed, .. }, Event::Stop) => {
            stay(record, Stopping { since, deadline, killed, why: Why::Stop })
        }
        (Stopping { since, deadline, why, .. }, Event::Tick) if deadline <= now => {
            kill(record, since, why, now)
        }
        (Stopping { since, why: Why::Hung, .. }, Event::Exited(Exit::Signal(_))) => {
            ended(record, since, Exit::Hung, now, policy)
        }
        (Stopping { since, why: Why::Hung, .. }, Event::Exited(exit)) => {
            ended(record, since, exit, now, policy)
        }
        (Stopping { since, why: Why::Restart, .. }, Event::Exited(exit)) => {
            start(&note_exit(record, since, exit, now), now)
        }
        (Stopping { since, why: Why::Stop, .. }, Event::Exited(exit)) => {
            stay(&note_exit(record, since, exit, now), Down)
        }

        // What is already so, what is not due, and what can only be a late message.
        (Down | Backoff { .. } | Failed, Event::Tick | Event::Exited(_))
        | (Down | Backoff { .. } | Failed, Event::Ready | Event::NotReady | Event::Hung)
        | (Starting { .. } | Ready { .. } | Unready { .. }, Event::Start | Event::Tick)
        | (Starting { .. } | Unready { .. }, Event::NotReady)
        | (Ready { .. }, Event::Ready)
        | (Stopping { .. }, Event::Start | Event::Restart | Event::Tick)
        | (Stopping { .. }, Event::Ready | Event::NotReady | Event::Hung) => (*record, None),
    }
}

fn stay(record: &Record, state: State) -> (Record, Option<Action>) {
    (Record { state, ..*record }, None)
}

fn start(record: &Record, now: Ms) -> (Record, Option<Action>) {
    let again = u32::from(record.last_exit.is_some());
    let restarts = record.restarts.saturating_add(again);
    (Record { state: State::Starting { since: now }, restarts, ..*record }, Some(Action::Spawn))
}

fn terminate(
    record: &Record,
    since: Ms,
    why: Why,
    now: Ms,
    policy: &Policy,
) -> (Record, Option<Action>) {
    let deadline = now + Ms::from(policy.stop_grace_ms);
    let state = State::Stopping { since, deadline, killed: false, why };
    (Record { state, ..*record }, Some(Action::Terminate))
}

fn kill(record: &Record, since: Ms, why: Why, now: Ms) -> (Record, Option<Action>) {
    let state = State::Stopping { since, deadline: now + KILL_AGAIN_MS, killed: true, why };
    (Record { state, ..*record }, Some(Action::Kill))
}

fn note_exit(record: &Record, since: Ms, exit: Exit, now: Ms) -> Record {
    let last_exit = Some(LastExit { exit, ran_ms: now.saturating_sub(since), at: now });
    let oom_kills = record.oom_kills.saturating_add(u32::from(exit == Exit::Oom));
    Record { last_exit, oom_kills, ..*record }
}

/// The service ended by itself, or was killed because it hung: again, later, or never?
fn ended(
    record: &Record,
    since: Ms,
    exit: Exit,
    now: Ms,
    policy: &Policy,
) -> (Record, Option<Action>) {
    let mut next = note_exit(record, since, exit, now);
    let wanted = match policy.restart {
        Restart::Always => true,
        Restart::OnCrash => !matches!(exit, Exit::Code(_) | Exit::Spawn { .. }),
        Restart::Never => false,
    };
    if !wanted {
        return stay(&next, State::Down);
    }
    let never_ran = matches!(exit, Exit::Spawn { .. });
    let ran_well = !never_ran && now.saturating_sub(since) >= Ms::from(policy.good_run_ms);
    next.failures = if ran_well { 1 } else { record.failures.saturating_add(1) };
    if policy.start_limit != 0 && next.failures >= u32::from(policy.start_limit) {
        return stay(&next, State::Failed);
    }
    if ran_well {
        return start(&next, now);
    }
    stay(&next, State::Backoff { until: now + backoff_ms(next.failures, policy) })
}

/// `initial`, twice that, four times that … up to `max`.
fn backoff_ms(failures: u32, policy: &Policy) -> Ms {
    let doublings = failures.saturating_sub(1).min(32);
    let delay = Ms::from(policy.backoff_initial_ms) << doublings;
    delay.min(Ms::from(policy.backoff_max_ms))
}

#[cfg(test)]
mod tests;
