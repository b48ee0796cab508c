//! A server that presses against its memory.high: it is asked to give memory back, and when that did
//! not help for long, started again in order, before a limit is hit that can only kill.
//!
//! The kernel counts in `memory.events` how often the group was throttled. A count that grows from one
//! look to the next is pressure; one look without is relief. Without a memory.high there is none.

use std::time::Duration;

use holdfast_supervisor::channel::{Control, ToInit};
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::snapshot::Snapshot;

use crate::dialogue::Dialogue;
use crate::run::Shared;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The server is asked again at the earliest after this.
const ASK_EVERY_MS: Ms = 30_000;
/// And not started again twice within this: what it cannot shed it will need again.
const RESTART_EVERY_MS: Ms = 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Ask,
    Restart,
}

/// What is known of one run.
#[derive(Debug, Default)]
struct Pressure {
    run: u32,
    high: u64,
    since: Option<Ms>,
    asked_at: Option<Ms>,
}

impl Pressure {
    fn step(&mut self, run: u32, high: u64, now: Ms, patience_ms: Ms) -> Option<Remedy> {
        if self.run != run {
            *self = Self { run, high, ..Self::default() };
            return None;
        }
        let grows = high > self.high;
        self.high = high;
        if !grows {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if patience_ms > 0 && now - since >= patience_ms {
            self.since = None;
            return Some(Remedy::Restart);
        }
        if self.asked_at.is_none_or(|at| now - at >= ASK_EVERY_MS) {
            self.asked_at = Some(now);
            return Some(Remedy::Ask);
        }
        None
    }
}

/// For as long as the agent runs.
pub(crate) async fn relieve(shared: &Shared) {
    let mut pressure = Pressure::default();
    let mut restarted_at = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some((slot, run, pid)) = server(shared.snapshot.borrow().as_ref()) else { continue };
        let Some(high) = throttled(run) else { continue };
        let now = now_ms();
        let patience_ms = Ms::from(shared.config().probe.pressure_restart_ms);
        match pressure.step(run, high, now, patience_ms) {
            Some(Remedy::Ask) => ask(pid).await,
            Some(Remedy::Restart) if is_due(restarted_at, now) => {
                restarted_at = Some(now);
                restart(shared, slot, patience_ms);
            }
            _ => {}
        }
    }
}

fn is_due(last: Option<Ms>, now: Ms) -> bool {
    last.is_none_or(|last| now - last >= RESTART_EVERY_MS)
}

fn server(snapshot: Option<&Snapshot>) -> Option<(u8, u32, u32)> {
    let (slot, service) = snapshot?.service("server")?;
    Some((u8::try_from(slot).ok()?, service.run, service.pid?))
}

/// How often the run's cgroup was held up for having more than its memory.high.
fn throttled(run: u32) -> Option<u64> {
    let events = std::fs::read_to_string(format!("/sys/fs/cgroup/server.{run}/memory.events"));
    events.ok()?.lines().find_map(|line| line.strip_prefix("high ")?.trim().parse().ok())
}

async fn ask(pid: u32) {
    eprintln!("holdfast-agent: the server has more than its memory_high; asking it to purge");
    let asked = async { Dialogue::open(Some(pid)).await?.ask(&["MEMORY", "PURGE"]).await };
    if let Err(error) = asked.await {
        eprintln!("holdfast-agent: the server does not purge: {error}");
    }
}

fn restart(shared: &Shared, slot: u8, after_ms: Ms) {
    eprintln!(
        "holdfast-agent: the server has had more than its memory_high for {after_ms} ms; \
         starting it again"
    );
    if let Err(error) = shared.link.send(&ToInit::Control { slot, what: Control::Restart }) {
        eprintln!("holdfast-agent: cannot tell init: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Ms = 10_000;

    #[test]
    fn growing_pressure_is_asked_about_and_then_ends_the_run() {
        let mut pressure = Pressure::default();
        let mut remedies = Vec::new();
        for second in 0..=15 {
            let remedy = pressure.step(1, 5 + second, second * 1_000, PATIENCE);
            remedies.extend(remedy.map(|remedy| (second, remedy)));
        }
        assert_eq!(remedies, [(1, Remedy::Ask), (11, Remedy::Restart)]);
    }

    #[test]
    fn relief_and_a_new_run_begin_anew() {
        let mut pressure = Pressure::default();
        let mut high = 0;
        for second in 1..100 {
            // Once in nine seconds nothing is held up.
            high += u64::from(second % 9 != 0);
            let remedy = pressure.step(1, high, second * 1_000, PATIENCE);
            assert_ne!(remedy, Some(Remedy::Restart), "second {second}");
        }
        assert_eq!(pressure.step(2, 1_000, 100_000, PATIENCE), None, "another run, another count");
        assert_eq!(pressure.step(2, 1_001, 101_000, 0), Some(Remedy::Ask));
        assert_eq!(pressure.step(2, 1_002, 500_000, 0), Some(Remedy::Ask), "0 never restarts");
    }
}
