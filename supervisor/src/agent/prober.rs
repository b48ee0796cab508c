//! Asks the server whether it is well, in the kubelet's words.
//!
//! Startup: until the first answer nothing else counts; `startup_failures` in a row and it is
//! killed. Then one question serves both: `readiness_failures` without an answer and it is shown as
//! not ready, `liveness_failures` and it is called hung. "Busy" (loading, a long script) is alive
//! but not ready. After a verdict of hung the prober holds until there is a new process.

use std::time::Duration;

use holdfast_supervisor::channel::{ToInit, Verdict};
use holdfast_supervisor::snapshot::Snapshot;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{Probe, Target};
use crate::discover;
use crate::ping::{Answer, Endpoint, ping};
use crate::run::Shared;

/// A server takes milliseconds to start: asked often at first, then at the usual pace.
const STARTUP_PERIOD: Duration = Duration::from_millis(20);
const STARTUP_PERIOD_MAX: Duration = Duration::from_millis(200);

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

/// Asks one run until it is called hung; dropped when there is another.
async fn probe_run(shared: &Shared, run: Run) {
    let mut health = Health::default();
    let mut endpoint = None;
    let mut period = STARTUP_PERIOD;
    loop {
        let probe = shared.config().probe.clone();
        let asked_at = Instant::now();
        let outcome = ask(&probe, run.pid, &mut endpoint).await;
        shared.note_probe(endpoint.as_ref(), &outcome);
        if let Some(verdict) = health.judge(outcome.as_ref().ok().copied(), &probe) {
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
        let usual = Duration::from_millis(u64::from(probe.period_ms));
        let pause = if health.started { usual } else { period.min(usual) };
        tokio::time::sleep_until(asked_at + pause).await;
        period = (period * 2).min(STARTUP_PERIOD_MAX);
    }
}

/// Where it listens is looked up once and again after a failure.
async fn ask(probe: &Probe, pid: u32, known: &mut Option<Endpoint>) -> std::io::Result<Answer> {
    let timeout = Duration::from_millis(u64::from(probe.timeout_ms));
    if let Some(endpoint) = known.as_ref() {
        return ping(endpoint, timeout).await;
    }
    let mut last = Err(std::io::Error::other("the server does not listen anywhere yet"));
    for endpoint in candidates(probe, pid) {
        last = ping(&endpoint, timeout).await;
        if last.is_ok() {
            *known = Some(endpoint);
            break;
        }
    }
    last
}

fn candidates(probe: &Probe, pid: u32) -> Vec<Endpoint> {
    match &probe.target {
        Target::Auto => discover::endpoints(pid),
        Target::Tcp(address) => vec![Endpoint::Tcp(*address)],
        Target::Unix(path) => vec![Endpoint::Unix(path.clone())],
    }
}

/// The thresholds: a pure count of failures in a row.
#[derive(Debug, Default)]
struct Health {
    started: bool,
    failures: u32,
    /// What init was told last.
    last: Option<Verdict>,
}

impl Health {
    /// A verdict that init does not know yet.
    fn judge(&mut self, answer: Option<Answer>, probe: &Probe) -> Option<Verdict> {
        self.failures = if answer.is_some() { 0 } else { self.failures.saturating_add(1) };
        self.started |= answer == Some(Answer::Ready);
        let limit = if self.started { probe.liveness_failures } else { probe.startup_failures };
        let verdict = match answer {
            Some(Answer::Ready) => Verdict::Ready,
            Some(Answer::Busy) => Verdict::NotReady,
            None if self.failures >= limit => Verdict::Hung,
            None if self.failures >= probe.readiness_failures => Verdict::NotReady,
            None => return None,
        };
        let news = self.last != Some(verdict) && (self.started || verdict == Verdict::Hung);
        news.then_some(verdict)
    }

    fn told(&mut self, verdict: Verdict) {
        self.last = Some(verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn verdicts(answers: &[Option<Answer>]) -> Vec<Option<Verdict>> {
        let probe = Probe {
            startup_failures: 4,
            readiness_failures: 1,
            liveness_failures: 3,
            ..Config::default().probe
        };
        let mut health = Health::default();
        let mut judge = |answer: &Option<Answer>| {
            let verdict = health.judge(*answer, &probe);
            verdict.inspect(|verdict| health.told(*verdict))
        };
        answers.iter().map(&mut judge).collect()
    }

    const READY: Option<Answer> = Some(Answer::Ready);
    const BUSY: Option<Answer> = Some(Answer::Busy);

    #[test]
    fn before_the_first_answer_only_the_startup_threshold_counts() {
        let none = None::<Verdict>;
        assert_eq!(verdicts(&[None, None, None, READY]), [none, none, none, Some(Verdict::Ready)]);
        assert_eq!(verdicts(&[None; 4]), [none, none, none, Some(Verdict::Hung)]);
    }

    #[test]
    fn loading_is_neither_ready_nor_a_failure() {
        let busy_for_long = [BUSY; 20];
        assert_eq!(verdicts(&busy_for_long), [None; 20]);
    }

    #[test]
    fn a_ready_server_is_unready_at_once_and_hung_after_three() {
        let expected = [Some(Verdict::Ready), Some(Verdict::NotReady), None, Some(Verdict::Hung)];
        assert_eq!(verdicts(&[READY, None, None, None]), expected);
        let expected = [Some(Verdict::Ready), Some(Verdict::NotReady), Some(Verdict::Ready), None];
        assert_eq!(verdicts(&[READY, None, READY, READY]), expected);
    }

    #[test]
    fn a_busy_server_is_never_called_hung() {
        let answers: Vec<_> = std::iter::once(READY).chain([BUSY; 50]).collect();
        assert!(!verdicts(&answers).contains(&Some(Verdict::Hung)));
    }
}
