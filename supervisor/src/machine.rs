//! The life of one service as a pure function: [`step`] (record, event, now, policy) → record, action.
//!
//! No clock, no system call, no allocation. init feeds it events and carries out its actions; the
//! tests below walk it through every state × every event.
//!
//! ```text
//!            Start                    Ready                      Exited
//!  Down ───────────────▶ Starting ───────────▶ Ready ──────────────────────────┐
//!   ▲                      │  ▲   ╲  NotReady ╱  ▲ Ready                        ▼
//!   │             too late │  │    ▼          ▼  │                           Clearing
//!   │                 Hung │  │    Hung    Unready ──Exited──▶ Clearing ────▶ Cleared: wanted?
//!   │                 Stop │  │                                              │ no    │ yes
//!   │                      ▼  │ until passed                                 ▼       ▼
//!   └─────── Clearing ◀─ Stopping └──────────────────────────────────────── Down  Backoff, or
//!                        (why: Stop|Restart|Hung|Late|Own)                        Failed
//! ```
//!
//! A run is over when its last process is gone: only then is there another.

mod exit;
mod state;

pub use exit::{Exit, SpawnStep};
pub use state::{LastExit, Next, Record, State, Why};

use crate::clock::Ms;

/// After SIGKILL a process is gone within this time, or it hangs in the kernel; then kill again.
pub const KILL_AGAIN_MS: Ms = 1_000;
/// Between SIGABRT, which may leave a trace of what hung, and SIGKILL.
pub const ABORT_GRACE_MS: Ms = 200;
/// A killed tree is gone within this time, or it hangs in the kernel; the next run does not wait
/// for ever.
pub const CLEAR_WAIT_MS: Ms = 5_000;
/// What one request for more time may add.
pub const MAX_EXTENSION_MS: Ms = 60_000;
/// From the request to stop until SIGKILL, whatever the service asks for.
pub const MAX_STOP_MS: Ms = 600_000;
/// For a service to say what it could not while nobody ran.
pub const SILENCE_SLACK_MS: Ms = 2_000;
/// Waits are up to a tenth shorter, so that what failed together does not come back together.
const JITTER_PART: Ms = 10;

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
pub enum Event {
    /// Wanted: at boot, or by hand.
    Start,
    /// It answers its probe, or says that it is ready.
    Ready,
    /// The probe: it does not answer.
    NotReady,
    /// It says that it lives.
    Alive,
    /// It asks for this much more time, from now.
    Extend(Ms),
    /// It says that it is ending.
    Ending,
    /// The probe: it has not answered for too long. Or it says so itself.
    Hung,
    /// The process is gone and reaped.
    Exited(Exit),
    /// And so is every other process of its run.
    Cleared,
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
    /// SIGABRT to the main process.
    Abort,
    /// SIGKILL to the whole tree.
    Kill,
}

/// What is remembered from now on, and what is to be done.
type Step = (Record, Option<Action>);

/// One event in the life of a service.
pub fn step(record: &Record, event: Event, now: Ms, policy: &Policy) -> Step {
    use State::{Backoff, Clearing, Down, Failed, Ready, Starting, Stopping, Unready};
    match record.state {
        Down | Failed | Backoff { .. } => idle(record, event, now, policy),
        Clearing { until, next } => clearing(record, until, next, event, now, policy),
        Starting { since, until } | Ready { since, until } | Unready { since, until } => {
            running(record, since, until, event, now, policy)
        }
        Stopping { since, .. } => stopping(record, since, event, now, policy),
    }
}

/// No process.
fn idle(record: &Record, event: Event, now: Ms, policy: &Policy) -> Step {
    match (record.state, event) {
        (_, Event::Start | Event::Restart) => {
            start(&Record { failures: 0, ..*record }, now, policy)
        }
        (State::Backoff { until }, Event::Tick) if until <= now => start(record, now, policy),
        (_, Event::Stop) => stay(record, State::Down),
        _ => (*record, None),
    }
}

/// No main process, but perhaps others of its run.
fn clearing(
    record: &Record,
    until: Ms,
    next: Next,
    event: Event,
    now: Ms,
    policy: &Policy,
) -> Step {
    let then = |next| stay(record, State::Clearing { until, next });
    match event {
        Event::Tick if now < until => (*record, None),
        Event::Cleared | Event::Tick => {
            let record = &Record { cleared_ms: since_kill(until, now), ..*record };
            match next {
                Next::Start => start(record, now, policy),
                Next::Backoff { until } => stay(record, State::Backoff { until }),
                Next::Down => stay(record, State::Down),
                Next::Failed => stay(record, State::Failed),
            }
        }
        Event::Start | Event::Restart => then(Next::Start),
        Event::Stop => then(Next::Down),
        _ => (*record, None),
    }
}

/// A process that nobody wants to end.
fn running(
    record: &Record,
    since: Ms,
    until: Option<Ms>,
    event: Event,
    now: Ms,
    policy: &Policy,
) -> Step {
    use State::{Ready, Starting, Unready};
    match (record.state, event) {
        (Starting { .. }, Event::Ready) => {
            stay(record, Ready { since, until: silence(now, policy) })
        }
        (Unready { .. }, Event::Ready) => stay(record, Ready { since, until }),
        (Ready { .. }, Event::NotReady) => stay(record, Unready { since, until }),
        (Ready { .. }, Event::Alive) => stay(record, Ready { since, until: silence(now, policy) }),
        (Unready { .. }, Event::Alive) => {
            stay(record, Unready { since, until: silence(now, policy) })
        }
        (Starting { .. }, Event::Extend(ms)) => {
            let longer = until.map(|until| until.max(now + ms.min(MAX_EXTENSION_MS)));
            stay(record, Starting { since, until: longer })
        }
        (Starting { .. }, Event::Tick) if is_due(until, now) => kill(record, since, Why::Late, now),
        (_, Event::Tick) if is_due(until, now) => hung(record, since, now),
        (_, Event::Hung) => hung(record, since, now),
        (_, Event::Ending) => stay(record, asked(since, Why::Own, now, policy)),
        (_, Event::Stop) => terminate(record, since, Why::Stop, now, policy),
        (_, Event::Restart) => terminate(record, since, Why::Restart, now, policy),
        (_, Event::Exited(exit)) => {
            let mut after = note_exit(record, since, exit, now);
            let next = follow_up(&mut after, exit, now, policy);
            clear(&after, next, now)
        }
        _ => (*record, None),
    }
}

/// A process that has been told to end, or says that it ends.
fn stopping(record: &Record, since: Ms, event: Event, now: Ms, policy: &Policy) -> Step {
    let State::Stopping { deadline, latest, killed, why, .. } = record.state else {
        return (*record, None);
    };
    let now_for = |why| stay(record, State::Stopping { since, deadline, latest, killed, why });
    match (why, event) {
        (_, Event::Tick) if deadline <= now => kill(record, since, why, now),
        (Why::Stop | Why::Restart | Why::Own, Event::Extend(ms)) if !killed => {
            let deadline = deadline.max(now + ms.min(MAX_EXTENSION_MS)).min(latest);
            stay(record, State::Stopping { since, deadline, latest, killed, why })
        }
        // What ends by itself has not been told to: it might not mean it.
        (Why::Own, Event::Stop) => terminate(record, since, Why::Stop, now, policy),
        (Why::Own, Event::Restart) => terminate(record, since, Why::Restart, now, policy),
        (_, Event::Stop) => now_for(Why::Stop),
        (Why::Stop, Event::Start | Event::Restart) => now_for(Why::Restart),
        (_, Event::Exited(exit)) => {
            let exit = exit_for(why, exit);
            let mut after = note_exit(record, since, exit, now);
            let next = match why {
                Why::Stop => Next::Down,
                Why::Restart => Next::Start,
                Why::Hung | Why::Late | Why::Own => follow_up(&mut after, exit, now, policy),
            };
            clear(&after, next, now)
        }
        _ => (*record, None),
    }
}

/// What init killed for a reason ended for that reason, whatever its status says.
fn exit_for(why: Why, exit: Exit) -> Exit {
    match (why, exit) {
        (_, Exit::Oom | Exit::Spawn { .. }) => exit,
        (Why::Hung, _) => Exit::Hung,
        (Why::Late, _) => Exit::Late,
        (Why::Stop | Why::Restart | Why::Own, _) => exit,
    }
}

fn stay(record: &Record, state: State) -> Step {
    (Record { state, ..*record }, None)
}

fn start(record: &Record, now: Ms, policy: &Policy) -> Step {
    let again = u32::from(record.last_exit.is_some());
    let restarts = record.restarts.saturating_add(again);
    let until = after(now, policy.startup_ms);
    (
        Record { state: State::Starting { since: now, until }, restarts, ..*record },
        Some(Action::Spawn),
    )
}

fn silence(now: Ms, policy: &Policy) -> Option<Ms> {
    after(now, policy.watchdog_ms)
}

/// 0 is no bound.
fn after(now: Ms, ms: u32) -> Option<Ms> {
    (ms != 0).then(|| now + Ms::from(ms))
}

fn is_due(until: Option<Ms>, now: Ms) -> bool {
    until.is_some_and(|until| until <= now)
}

fn asked(since: Ms, why: Why, now: Ms, policy: &Policy) -> State {
    let grace = Ms::from(policy.stop_grace_ms);
    let latest = now + grace.max(MAX_STOP_MS);
    State::Stopping { since, deadline: now + grace, latest, killed: false, why }
}

fn terminate(record: &Record, since: Ms, why: Why, now: Ms, policy: &Policy) -> Step {
    let state = asked(since, why, now, policy);
    (Record { state, ..*record }, Some(Action::Terminate))
}

fn hung(record: &Record, since: Ms, now: Ms) -> Step {
    let deadline = now + ABORT_GRACE_MS;
    let state =
        State::Stopping { since, deadline, latest: deadline, killed: false, why: Why::Hung };
    let hangs = record.hangs.saturating_add(1);
    (Record { state, hangs, ..*record }, Some(Action::Abort))
}

fn kill(record: &Record, since: Ms, why: Why, now: Ms) -> Step {
    let deadline = now + KILL_AGAIN_MS;
    let state = State::Stopping { since, deadline, latest: deadline, killed: true, why };
    (Record { state, ..*record }, Some(Action::Kill))
}

/// What the run left behind is killed, and waited for.
fn clear(record: &Record, next: Next, now: Ms) -> Step {
    let state = State::Clearing { until: now + CLEAR_WAIT_MS, next };
    (Record { state, ..*record }, Some(Action::Kill))
}

/// How long a state of [`clear`] with that end has lasted.
fn since_kill(until: Ms, now: Ms) -> u32 {
    u32::try_from((now + CLEAR_WAIT_MS).saturating_sub(until)).unwrap_or(u32::MAX)
}

fn note_exit(record: &Record, since: Ms, exit: Exit, now: Ms) -> Record {
    let last_exit = Some(LastExit { exit, ran_ms: now.saturating_sub(since), at: now });
    let oom_kills = record.oom_kills.saturating_add(u32::from(exit == Exit::Oom));
    Record { last_exit, oom_kills, ..*record }
}

/// The service ended by itself, or was killed for its own good: again, later, or never?
fn follow_up(record: &mut Record, exit: Exit, now: Ms, policy: &Policy) -> Next {
    if !exit.asks_for_another(policy) {
        return Next::Down;
    }
    let ran_ms = record.last_exit.map_or(0, |last| last.ran_ms);
    let never_ran = matches!(exit, Exit::Spawn { .. } | Exit::Late);
    let ran_well = !never_ran && ran_ms >= Ms::from(policy.good_run_ms);
    record.failures = if ran_well { 1 } else { record.failures.saturating_add(1) };
    let is_limit = policy.start_limit != 0 && record.failures >= u32::from(policy.start_limit);
    if exit.is_permanent(policy) || (is_limit && !exit.is_shortage()) {
        return Next::Failed;
    }
    if ran_well {
        return Next::Start;
    }
    Next::Backoff { until: now + backoff_ms(record.failures, now, policy) }
}

/// `initial`, twice that, four times that … up to `max`, less the jitter.
fn backoff_ms(failures: u32, now: Ms, policy: &Policy) -> Ms {
    let doublings = failures.saturating_sub(1).min(32);
    let delay = Ms::from(policy.backoff_initial_ms) << doublings;
    let delay = delay.min(Ms::from(policy.backoff_max_ms));
    delay - chance(now) % (delay / JITTER_PART + 1)
}

/// The instant of a failure is chance enough; its bits are spread by SplitMix64's finalizer
/// (Steele, Lea and Flood, 2014).
fn chance(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
