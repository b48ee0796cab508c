//! Asks the server whether it is well, in the kubelet's words.
//!
//! Startup: until the first answer nothing else counts; `startup_failures` in a row and it is
//! killed. Then one question serves both: `readiness_failures` without an answer and it is shown as
//! not ready, `liveness_failures` and it is called hung ([`health`]). Before a silence counts, the
//! kernel is asked why ([`vitals`]): a server that gets no processor is not ready, but never hung; one
//! that is at work has longer. After a verdict of hung the prober holds until there is a new process.

mod health;
mod vitals;

use std::io;
use std::time::Duration;

use holdfast_supervisor::channel::{ToInit, Verdict};
use holdfast_supervisor::snapshot::Snapshot;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Probe, Target};
use crate::discover;
use crate::ping::{Answer, Endpoint, ping};
use crate::run::Shared;
use health::{Health, Outcome};
use vitals::{Cause, Vitals};

/// A server takes milliseconds to start: asked often at first, then at the usual pace.
const STARTUP_PERIOD: Duration = Duration::from_millis(20);
const STARTUP_PERIOD_MAX: Duration = Duration::from_millis(200);
/// Who is stopped cannot answer: he is asked again in this part of the time.
const HURRY: u32 = 4;

/// The process that is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    slot: u8,
    run: u32,
    pid: u32,
}

/// For as long as the agent runs.
pub(crate) async fn watch_server(shared: &Shared) {
    let mut snapshots = shared.snapshot.subscribe();
    loop {
        let Some(run) = current_run(snapshots.borrow_and_update().as_ref()) else {
            if snapshots.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            () = probe_run(shared, run) => {}
            () = until_other(&mut snapshots, run) => {}
        }
    }
}

async fn until_other(snapshots: &mut watch::Receiver<Option<Snapshot>>, run: Run) {
    let other = |snapshot: &Option<Snapshot>| current_run(snapshot.as_ref()) != Some(run);
    let _ = snapshots.wait_for(other).await;
}

/// The server's process, unless it is being ended anyway.
fn current_run(snapshot: Option<&Snapshot>) -> Option<Run> {
    use holdfast_supervisor::machine::State::{Ready, Starting, Unready};
    let snapshot = snapshot.filter(|snapshot| !snapshot.shutting_down)?;
    let (slot, service) = snapshot.service("server")?;
    let running = matches!(service.record.state, Starting { .. } | Ready { .. } | Unready { .. });
    let pid = service.pid.filter(|_| running)?;
    Some(Run { slot: slot as u8, run: service.run, pid })
}

fn has_started(snapshot: Option<&Snapshot>) -> bool {
    use holdfast_supervisor::machine::State::{Ready, Unready};
    let server = snapshot.and_then(|snapshot| snapshot.service("server"));
    server.is_some_and(|(_, it)| matches!(it.record.state, Ready { .. } | Unready { .. }))
}

/// Asks one run until it is called hung; dropped when there is another.
async fn probe_run(shared: &Shared, run: Run) {
    let mut health = Health::default();
    let mut questions = Questions { pid: run.pid, known: None, before: None };
    let mut hunger = Hunger::default();
    let mut period = STARTUP_PERIOD;
    let mut patience = timeout(&shared.config().probe);
    loop {
        let probe = shared.config().probe.clone();
        let asked_at = Instant::now();
        let answer = questions.ask(&probe, patience).await;
        shared.note_probe(questions.known.as_ref(), &answer);
        let outcome = match answer {
            Ok(answer) => Outcome::Answer(answer),
            Err(error) => Outcome::Silence(questions.cause(&error, asked_at + patience)),
        };
        patience = match outcome {
            Outcome::Silence(Cause::Stopped) => timeout(&probe) / HURRY,
            _ => timeout(&probe),
        };
        hunger.note(outcome);
        // It may have said so itself before it was asked for the first time.
        health.started |= has_started(shared.snapshot.borrow().as_ref());
        if let Some(verdict) = health.judge(outcome, &probe) {
            let message = ToInit::Probe { slot: run.slot, run: run.run, verdict };
            if let Err(error) = shared.link.send(&message) {
                eprintln!("holdfast-agent: cannot tell init: {error}");
            } else {
                health.told(verdict);
            }
            if verdict == Verdict::Hung {
                return std::future::pending().await;
            }
        }
        let usual = Duration::from_millis(u64::from(probe.period_ms)).min(match outcome {
            Outcome::Silence(Cause::Stopped) => patience,
            _ => Duration::MAX,
        });
        let pause = if health.started { usual } else { period.min(usual) };
        tokio::time::sleep_until(asked_at + pause).await;
        period = (period * 2).min(STARTUP_PERIOD_MAX);
    }
}

/// Where a run is asked, and what is known of it besides its answers.
struct Questions {
    pid: u32,
    /// Where it answered last.
    known: Option<Endpoint>,
    /// A reading from before the silence, or from its beginning.
    before: Option<Vitals>,
}

impl Questions {
    /// Silence where somebody listens is an answer of its own. Where nobody does, the next place is
    /// tried.
    async fn ask(&mut self, probe: &Probe, patience: Duration) -> io::Result<Answer> {
        let places = match self.known.take() {
            Some(endpoint) => vec![endpoint],
            None => candidates(probe, self.pid),
        };
        let mut last = Err(io::Error::other("the server does not listen anywhere yet"));
        for endpoint in places {
            last = self.ask_at(&endpoint, patience).await;
            let is_settled = last.as_ref().map_or_else(is_timeout, |_| true);
            if is_settled {
                self.known = Some(endpoint);
                break;
            }
        }
        if last.is_ok() {
            self.before = None;
        }
        last
    }

    /// An answer takes less than a millisecond; the kernel is looked at only when it does not come.
    async fn ask_at(&mut self, endpoint: &Endpoint, patience: Duration) -> io::Result<Answer> {
        let asked = ping(endpoint, patience);
        tokio::pin!(asked);
        if let Ok(answer) = tokio::time::timeout(patience / 4, &mut asked).await {
            return answer;
        }
        self.before.get_or_insert_with(|| Vitals::read(self.pid));
        asked.await
    }

    /// Why there was no answer; the reading it takes is the one before the next.
    fn cause(&mut self, error: &io::Error, deadline: Instant) -> Cause {
        let late = match is_timeout(error) {
            true => deadline.elapsed(),
            false => Duration::ZERO,
        };
        let now = Vitals::read(self.pid);
        let cause = self.before.as_ref().map(|before| now.since(before, late));
        self.before = Some(now);
        cause.unwrap_or(Cause::Idle)
    }
}

fn timeout(probe: &Probe) -> Duration {
    Duration::from_millis(u64::from(probe.timeout_ms))
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

fn candidates(probe: &Probe, pid: u32) -> Vec<Endpoint> {
    match &probe.target {
        Target::Auto => discover::admin_sockets().chain(discover::endpoints(pid)).collect(),
        Target::Tcp(address) => vec![Endpoint::Tcp(*address)],
        Target::Unix(path) => vec![Endpoint::Unix(path.clone())],
    }
}

/// Says once that the server starves, and once that it does not any more.
#[derive(Default)]
struct Hunger {
    questions: u32,
}

impl Hunger {
    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Silence(Cause::Starved { waited }) => {
                if self.questions == 0 {
                    eprintln!(
                        "holdfast-agent: the server does not answer, but it starves: {} ms without a processor; it is not called hung",
                        waited.as_millis()
                    );
                }
                self.questions = self.questions.saturating_add(1);
            }
            Outcome::Answer(_) if self.questions > 0 => {
                let questions = std::mem::take(&mut self.questions);
                eprintln!(
                    "holdfast-agent: the server answers again; it starved for {questions} probes"
                );
            }
            _ => {}
        }
    }
}
