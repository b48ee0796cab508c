//! The agent may die, hang and talk nonsense: the server serves on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use holdfast_tests::resp::Value as Reply;
use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::famine::Famine;
use crate::supervisor::rig::{Rig, SetWhenDropped, install, send};

/// Set it to 1000 for the figure, which is printed.
const KILLS_ENV: &str = "HOLDFAST_AGENT_KILLS";
const KILLS: u64 = 8;
/// In one life of PID 1. Each makes it wait twice as long as the one before.
const KILLS_IN_A_ROW: u64 = 4;
/// PID 1s at a time.
const AT_ONCE: usize = 4;

/// Scenario 24: while clients ask without a pause.
#[test]
fn no_request_fails_while_the_agent_is_killed_again_and_again() {
    let kills = std::env::var(KILLS_ENV).ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (begun, asked) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while begun.fetch_add(KILLS_IN_A_ROW, Ordering::Relaxed) < kills {
                    kill_agents(KILLS_IN_A_ROW, &asked);
                }
            });
        }
    });
    println!("{kills} kills, {} requests", asked.load(Ordering::Relaxed));
}

fn kill_agents(kills: u64, asked: &AtomicU64) {
    let rig = Rig::start("", &[]);
    let server = rig.pid("holdfast-server");
    let (over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let _over = SetWhenDropped(&over);
        scope.spawn(|| {
            let mut client = rig.client();
            while !over.load(Ordering::Relaxed) {
                assert_eq!(client.run("PING"), Reply::Status(b"PONG".to_vec()));
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        for kill in 1..=kills {
            // Killed, and as a corrupt heap ends it.
            let signal = if kill % 2 == 0 { Signal::ABORT } else { Signal::KILL };
            let before = rig.pid("holdfast-agent");
            send(before, signal);
            wait::expect("another agent", || rig.pid("holdfast-agent") != before);
            wait::expect("it to answer", || rig.service("agent")["state"] == "ready");
        }
    });
    assert!(answered.load(Ordering::Relaxed) > kills);
    asked.fetch_add(answered.into_inner(), Ordering::Relaxed);
    assert_eq!(rig.pid("holdfast-server"), server);
    assert_eq!(rig.service("server")["restarts"], 0);
    rig.stop();
}

#[test]
fn an_agent_that_hangs_is_killed_and_started_again() {
    let rig = Rig::start("", &[]);
    let server = rig.pid("holdfast-server");
    rig.signal("holdfast-agent", Signal::STOP);
    wait::expect("another agent", || rig.log().matches("agent is ready").count() == 2);
    wait::expect("it to answer", || rig.service("agent")["state"] == "ready");
    assert_eq!(rig.service("agent")["last_exit"]["cause"], "hung");
    assert_eq!(rig.pid("holdfast-server"), server);
    rig.stop();
}

/// A new one would starve as well.
#[test]
fn an_agent_that_starves_is_not_called_hung() {
    /// Several times what it may be silent for.
    const LONGEST: Duration = Duration::from_secs(60);
    /// Looks of init that follow the first one in which it starves.
    const MORE: Duration = Duration::from_secs(3);
    const TOLD: &str = "agent is silent, but it starves";
    let rig = Rig::puppet("", &["notify:READY=1", "wait"]);
    wait::expect("it to be ready", || rig.service("server")["state"] == "ready");
    let agent = rig.pid("holdfast-agent");
    let famine = Famine::begin_behind_all(&[agent]);
    let told = wait::until(LONGEST, || {
        let log = rig.log();
        assert!(!log.contains("agent hangs"), "{log}");
        log.contains(TOLD).then_some(())
    });
    assert!(told.is_some(), "the famine was none:\n{}", rig.log());
    thread::sleep(MORE);
    drop(famine);
    wait::expect("it to answer", || rig.service("agent")["state"] == "ready");
    assert_eq!(rig.pid("holdfast-agent"), agent);
    assert!(!rig.log().contains("agent hangs"), "{}", rig.log());
    rig.stop();
}

/// Scenario 35, on init's side: who has the agent's place says whatever it likes.
#[test]
fn nonsense_from_the_agent_is_said_and_never_felt() {
    let rig = Rig::puppet_prepared("", &["notify:READY=1", "wait"], |root| {
        let puppet = root.join("usr/bin/puppet");
        install(&[&puppet], &root.join("usr/bin/holdfast-agent"));
    });
    wait::expect("nonsense to be heard", || rig.log().contains("the agent sent nonsense"));
    wait::expect("an end of it", || rig.log().contains("agent exited"));
    rig.end();
}
