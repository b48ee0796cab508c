//! The one start that decides: the server is ready, stays it, and stores something; or the machine
//! goes back. Also what is made of a trial that could not say how it ended.

use std::rc::Rc;
use std::time::Duration;

use holdfast_supervisor::channel::{End, ToInit};
use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::degraded::Degraded;
use holdfast_supervisor::machine::State;
use holdfast_supervisor::slots::Slot;
use holdfast_supervisor::snapshot::{ServiceView, Snapshot};
use tokio::time::{sleep, timeout};

use super::install::{refused, tell_init};
use super::{Outcome, Record, Settings};
use crate::backup::server_pid;
use crate::dialogue::{Dialogue, Reply};
use crate::report::exit_text;
use crate::run::Shared;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A server that ends so often in a row will not do better.
const MAX_FAILURES: u32 = 5;
/// For init to have the firmware keep the slot.
const KEEP_WAIT: Duration = Duration::from_secs(20);
/// A key that nobody else has: it is there for a moment, in a trial.
const KEY: &str = "holdfast:update:trial";

/// For as long as the agent lives.
pub(crate) async fn keep(shared: &Rc<Shared>) {
    let mut snapshots = shared.snapshot.subscribe();
    let first = snapshots.wait_for(Option::is_some).await.map(|first| first.clone());
    if let Ok(Some(first)) = first
        && first.slots.running.is_some()
    {
        let record = Record::load().map(|record| settle(record, &first));
        *shared.update.borrow_mut() = record;
        if first.slots.is_trial {
            decide(shared).await;
        }
    }
    std::future::pending().await
}

/// A record of a trial that is over says how it ended.
fn settle(mut record: Record, now: &Snapshot) -> Record {
    let slots = &now.slots;
    if record.outcome != Outcome::Trying || slots.is_trial || slots.is_armed {
        return record;
    }
    let runs = slots.running.map(Slot::name) == Some(&record.slot);
    if runs && slots.good == slots.running {
        record.outcome = Outcome::Kept;
    } else {
        let reason = record.guess(now.boot);
        record.rolled_back(reason);
    }
    note(&record);
    record
}

fn note(record: &Record) {
    eprintln!("holdfast-agent: update: {record}");
    if let Err(error) = record.save() {
        eprintln!("holdfast-agent: update: what became of it cannot be kept: {error}");
    }
}

async fn decide(shared: &Rc<Shared>) {
    let judged = judge(shared).await;
    let judged = match judged {
        Ok(()) => confirm(shared).await,
        bad => bad,
    };
    let mut record = shared.update.borrow().clone();
    if let Some(record) = &mut record {
        match &judged {
            Ok(()) => record.outcome = Outcome::Kept,
            Err(reason) => record.rolled_back(reason.clone()),
        }
        note(record);
    }
    *shared.update.borrow_mut() = record;
    if let Err(reason) = judged {
        eprintln!("holdfast-agent: this version is given up: {reason}");
        let _ = tell_init(shared, &ToInit::End(End::Reboot));
    }
}

/// Waits until it is known; an error is why it is to go back.
async fn judge(shared: &Rc<Shared>) -> Result<(), String> {
    let mut snapshots = shared.snapshot.subscribe();
    let mut streak = Streak::default();
    loop {
        let settings = shared.config().update;
        match look(shared, &mut streak, &settings) {
            Look::Bad(why) => return Err(why),
            Look::NotYet => {}
            Look::Well => match prove_storage(shared).await {
                Ok(()) => return Ok(()),
                Err(why) if is_late(shared, &settings) => return Err(why),
                // It may be busy.
                Err(_) => sleep(LOOK_EVERY).await,
            },
        }
        // Whoever is unready between two looks breaks his streak too.
        let _ = timeout(LOOK_EVERY, snapshots.changed()).await;
    }
}

/// Since when one run of the server has been ready without a break. Its state says only since when it
/// runs, and the server's word that it is ready is no answer to a question.
#[derive(Debug, Default)]
struct Streak(Option<(u32, Ms)>);

impl Streak {
    /// A probe has to be answered once; from then on init's verdict counts.
    fn see(&mut self, server: &ServiceView, answers: bool, now: Ms) -> Option<Ms> {
        let run = server.run;
        self.0 = match (server.record.state, self.0) {
            (State::Ready { .. }, Some((of, since))) if of == run => Some((run, since)),
            (State::Ready { .. }, _) if answers => Some((run, now)),
            _ => None,
        };
        self.0.map(|(_, since)| since)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Look {
    NotYet,
    Well,
    Bad(String),
}

fn look(shared: &Shared, streak: &mut Streak, settings: &Settings) -> Look {
    let snapshot = shared.snapshot.borrow();
    let Some(snapshot) = snapshot.as_ref() else { return Look::NotYet };
    let now = now_ms();
    let answers = shared.probed.borrow().is_answered();
    let server = snapshot.service("server");
    let ready_since = server.and_then(|(_, server)| streak.see(server, answers, now));
    judge_snapshot(snapshot, ready_since, settings, now)
}

fn is_late(shared: &Shared, settings: &Settings) -> bool {
    let snapshot = shared.snapshot.borrow();
    snapshot.as_ref().is_some_and(|it| now_ms() >= it.started_at + Ms::from(settings.deadline_ms))
}

fn judge_snapshot(
    snapshot: &Snapshot,
    ready_since: Option<Ms>,
    settings: &Settings,
    now: Ms,
) -> Look {
    for lost in [Degraded::VolatileData, Degraded::DataReadOnly] {
        if snapshot.degraded.contains(lost) {
            return Look::Bad(lost.text().to_owned());
        }
    }
    let Some((_, server)) = snapshot.service("server") else { return Look::NotYet };
    let record = &server.record;
    if ready_since.is_some_and(|since| now >= since + Ms::from(settings.stable_ms)) {
        return Look::Well;
    }
    let last = record.last_exit.map(|last| format!("; its last run {}", exit_text(last.exit)));
    let last = last.unwrap_or_default();
    if record.state == State::Failed || record.failures >= MAX_FAILURES {
        return Look::Bad(format!("the server ended {} times in a row{last}", record.failures));
    }
    if now < snapshot.started_at + Ms::from(settings.deadline_ms) {
        return Look::NotYet;
    }
    let (stable, deadline) = (settings.stable_ms / 1000, settings.deadline_ms / 1000);
    let state = record.state.name();
    Look::Bad(format!(
        "the server was not ready for {stable} s within {deadline} s: it is {state}{last}"
    ))
}

/// On the data partition by our own hand, and by the server's where it keeps a log.
async fn prove_storage(shared: &Rc<Shared>) -> Result<(), String> {
    if let Some(record) = shared.update.borrow().as_ref() {
        record.save().map_err(|error| format!("nothing can be kept on /data: {error}"))?;
        if Record::load().as_ref() != Some(record) {
            return Err("/data gives back other bytes".to_owned());
        }
    }
    let stored = has_server_store(shared).await;
    stored.map_err(|error| format!("the server cannot store anything: {error}"))
}

async fn has_server_store(shared: &Shared) -> std::io::Result<()> {
    let mut server = Dialogue::open(server_pid(shared)).await?;
    if server.config("appendonly").await?.as_deref() != Some("yes") {
        return Ok(());
    }
    match server.ask(&["SET", KEY, "1", "PX", "60000"]).await {
        // Its memory is full, which is the data's doing and not the version's.
        Err(error) if error.to_string().starts_with("OOM") => return Ok(()),
        set => drop(set?),
    }
    let synced = server.ask(&["WAITAOF", "1", "0", "5000"]).await;
    server.ask(&["DEL", KEY]).await?;
    match synced? {
        Reply::Many(counts) if counts.first() == Some(&Reply::Number(1)) => Ok(()),
        _ => Err(std::io::Error::other("its log was not synced within 5 s")),
    }
}

/// Has the firmware start this slot from now on.
async fn confirm(shared: &Shared) -> Result<(), String> {
    let mut snapshots = shared.snapshot.subscribe();
    tell_init(shared, &ToInit::KeepSlot)?;
    let kept = async {
        while snapshots.changed().await.is_ok() {
            let slots = snapshots.borrow_and_update().as_ref().map(|now| now.slots.clone());
            let slots = slots.unwrap_or_default();
            match slots.errno {
                _ if !slots.is_trial => return Ok(()),
                0 => {}
                errno => return Err(refused(errno)),
            }
        }
        Err("init is gone".to_owned())
    };
    let late = |_| Err("the firmware does not answer".to_owned());
    timeout(KEEP_WAIT, kept).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use holdfast_supervisor::machine::{Exit, LastExit, Record as Run};
    use holdfast_supervisor::slots::View;
    use holdfast_supervisor::snapshot::{Mode, PlanSource};

    use super::*;

    fn snapshot(state: State, failures: u32) -> Snapshot {
        let name = holdfast_supervisor::plan::text("server");
        let last_exit = Some(LastExit { exit: Exit::Code(1), ran_ms: 5, at: 6 });
        let server = ServiceView {
            name,
            record: Run { state, failures, last_exit, ..Run::NEW },
            pid: Some(7),
            run: 1,
            pending_restart: false,
            status: Default::default(),
            log_dropped: 0,
        };
        Snapshot {
            mode: Mode::Metal,
            shutting_down: false,
            plan: PlanSource::Agent,
            degraded: Default::default(),
            started_at: 1_000,
            allocations: 0,
            boot: Default::default(),
            watchdog_s: 0,
            starved: Default::default(),
            slots: View { running: Some(Slot::B), is_trial: true, ..View::default() },
            services: [server].into_iter().collect(),
        }
    }

    #[track_caller]
    fn check(snapshot: &Snapshot, ready_since: Option<Ms>, now: Ms, expected: &str) {
        let said = match judge_snapshot(snapshot, ready_since, &Settings::STANDARD, now) {
            Look::NotYet => "not yet".to_owned(),
            Look::Well => "well".to_owned(),
            Look::Bad(why) => why,
        };
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn it_is_well_when_it_was_ready_long_enough_and_given_up_when_it_never_is() {
        let ready = snapshot(State::Ready { since: 1_500, until: None }, 0);
        check(&ready, Some(5_000), 34_999, "not yet");
        check(&ready, Some(5_000), 35_000, "well");
        let starting = snapshot(State::Starting { since: 5_000, until: None }, 0);
        check(&starting, None, 300_999, "not yet");
        check(
            &starting,
            None,
            301_000,
            "the server was not ready for 30 s within 300 s: it is starting; its last run exited",
        );
        let ends = snapshot(State::Backoff { until: 9_000 }, 5);
        let often = "the server ended 5 times in a row; its last run exited with status 1";
        check(&ends, None, 9_000, often);
        let mut forgetful = ready.clone();
        forgetful.degraded.insert(Degraded::VolatileData);
        check(&forgetful, Some(5_000), 40_000, "/data is in memory");
    }

    #[test]
    fn it_is_ready_from_its_first_answer_until_it_is_not_or_another_run() {
        let view = |state| snapshot(state, 0).services[0].clone();
        let starting = view(State::Starting { since: 1_500, until: None });
        let ready = view(State::Ready { since: 1_500, until: None });
        let unready = view(State::Unready { since: 1_500, until: None });
        let next = ServiceView { run: 2, ..ready.clone() };
        let mut streak = Streak::default();
        let mut see = |server, answers, now| streak.see(server, answers, now);
        assert_eq!(see(&starting, true, 2_000), None);
        assert_eq!(see(&ready, false, 3_000), None, "it says so itself");
        assert_eq!(see(&ready, true, 4_000), Some(4_000));
        assert_eq!(see(&ready, false, 5_000), Some(4_000), "init allows some silence");
        assert_eq!(see(&unready, true, 6_000), None);
        assert_eq!(see(&ready, true, 7_000), Some(7_000));
        assert_eq!(see(&next, true, 8_000), Some(8_000));
    }

    #[test]
    fn what_became_of_a_trial_is_settled_by_what_runs() {
        let record = Record {
            outcome: Outcome::Trying,
            version: "9".to_owned(),
            id: String::new(),
            slot: "b".to_owned(),
            from: "8".to_owned(),
            reason: None,
            boots: 1,
            unix_ms: 0,
        };
        let mut now = snapshot(State::Down, 0);
        let kept = Record { outcome: Outcome::Kept, ..record.clone() };
        assert_eq!(settle(record.clone(), &now), record, "it is on trial");
        assert_eq!(settle(kept.clone(), &now), kept);
        now.slots = View { running: Some(Slot::A), good: Some(Slot::A), ..View::default() };
        let armed = View { is_armed: true, ..now.slots.clone() };
        let not_yet = Snapshot { slots: armed, ..now.clone() };
        assert_eq!(settle(record.clone(), &not_yet), record);
    }
}
