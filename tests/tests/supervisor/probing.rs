//! Hung or starved: what the prober makes of a server that does not answer.

use std::time::{Duration, Instant};

use holdfast_tests::resp::Value as Reply;
use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::famine::Famine;
use crate::supervisor::rig::{Rig, descriptors};

/// Four times as strict as what ships, so that every famine is felt.
const STRICT: &str = "[server.probe]\nperiod_ms = 250\ntimeout_ms = 250\n";
/// Twice what it takes to call a server hung, as shipped.
const FAMINE: Duration = Duration::from_secs(6);
/// How often a server is starved; HOLDFAST_STARVED_RUNS asks for more.
const RUNS: usize = 3;

/// Fault 9. Whether the agent starves as well makes no difference.
#[test]
fn a_starved_server_is_never_killed() {
    let wanted = std::env::var("HOLDFAST_STARVED_RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs: usize = wanted.unwrap_or(RUNS);
    let rig = Rig::start(STRICT, &[]);
    let server = rig.pid("holdfast-server");
    let mut unready = 0;
    for run in 0..runs {
        let mut starving = vec![server];
        if run % 2 == 1 {
            starving.push(rig.pid("holdfast-agent"));
        }
        let famine = Famine::begin(&starving);
        let begun = Instant::now();
        // Whoever asks init's own log needs no answer of those who starve.
        while begun.elapsed() < FAMINE {
            let log = rig.log();
            assert!(!log.contains("server hangs"), "run {run}:\n{log}");
            std::thread::sleep(Duration::from_millis(200));
        }
        drop(famine);
        wait::expect("it to be ready again", || rig.status()["ready"] == true);
        unready = rig.log().matches("but it starves").count();
    }
    let service = rig.service("server");
    assert_eq!((&service["hangs"], &service["restarts"]), (&0.into(), &0.into()), "{}", rig.log());
    assert_eq!(rig.pid("holdfast-server"), server);
    eprintln!("{runs} famines, {unready} of them noticed by a probe");
    assert!(unready > 0, "the famine was none:\n{}", rig.log());
    rig.stop();
}

/// Fault 7: it accepts, its engine never answers. Nothing is left of the probes.
#[test]
fn a_server_that_accepts_and_never_answers_is_found_hung() {
    let rig = Rig::start("", &["--enable-debug-command", "yes"]);
    let before = rig.pid("holdfast-server");
    let agent = rig.pid("holdfast-agent");
    let before_it = descriptors(agent);
    rig.client().send(&["DEBUG", "SLEEP", "3600"]).expect("sent");
    wait::expect("the server to be back", || {
        let status = rig.status();
        status["ready"] == true && status["services"]["server"]["hangs"] == 1
    });
    assert_ne!(rig.pid("holdfast-server"), before);
    assert_eq!(rig.pid("holdfast-agent"), agent);
    wait::expect("the probes to be gone", || descriptors(agent) <= before_it);
    rig.stop();
}

/// Must be back within 5 s; how long it took is told, so that it can be measured.
#[test]
fn a_stopped_server_is_back_in_seconds() {
    let rig = Rig::start("", &[]);
    let mut slowest = Duration::ZERO;
    for round in 1..=3 {
        let stopped = Instant::now();
        rig.signal("holdfast-server", Signal::STOP);
        wait::expect("the server to be back", || {
            let status = rig.status();
            status["ready"] == true && status["services"]["server"]["hangs"] == round
        });
        slowest = slowest.max(stopped.elapsed());
    }
    eprintln!("ready again after at most {} ms", slowest.as_millis());
    rig.stop();
}

/// The admin socket is open when nothing else is.
#[test]
fn a_server_with_all_its_places_taken_or_paused_is_well() {
    let rig = Rig::start("", &["--maxclients", "1", "--requirepass", "secret"]);
    let mut client = rig.client();
    assert_eq!(client.run("AUTH secret"), Reply::status("OK"));
    assert_eq!(client.run("CLIENT PAUSE 3600000 ALL"), Reply::status("OK"));
    wait::expect("a probe by the socket of its own", || {
        rig.status()["probe"]["endpoint"] == "unix:/run/holdfast/server.sock"
    });
    let begun = Instant::now();
    while begun.elapsed() < FAMINE {
        assert_eq!(rig.status()["ready"], true, "{}", rig.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(rig.service("server")["restarts"], 0);
    rig.stop();
}

/// A long command is not worth a restart, whoever looks after it.
#[test]
fn a_server_at_work_has_longer() {
    let toml = "[server]\nwatchdog_ms = 1000\n[server.liveness]\nfailure_threshold = 1\n";
    let rig = Rig::start(toml, &[]);
    let mut client = rig.client();
    client
        .pipeline(0..200_000, |n| vec!["SADD".to_owned(), "big".to_owned(), format!("member:{n}")])
        .expect("written");
    // Minutes of work in one command.
    let words = std::iter::repeat_n("big", 2_000);
    let command: Vec<&str> = ["SUNIONSTORE", "target"].into_iter().chain(words).collect();
    client.send(&command).expect("sent");
    wait::expect("it to be shown as not ready", || rig.status()["ready"] == false);
    let begun = Instant::now();
    while begun.elapsed() < FAMINE {
        let server = rig.service("server");
        assert_eq!(server["hangs"], 0, "{}", rig.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    // At work, or on a busy machine without a processor.
    let told = rig.log().contains("server is silent, but it ");
    assert!(told, "it did not fall silent:\n{}", rig.log());
}
