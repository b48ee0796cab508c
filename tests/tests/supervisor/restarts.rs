//! Services that die or hang, and how they come back.

use holdfast_tests::resp::Value as Reply;
use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{Rig, send};

#[test]
fn a_killed_server_is_back_and_the_cause_is_told() {
    let rig = Rig::start("", &[]);
    rig.signal("holdfast-server", Signal::KILL);
    wait::expect("the server to be back", || {
        let status = rig.status();
        status["ready"] == true && status["services"]["server"]["restarts"] == 1
    });
    let server = rig.service("server");
    assert_eq!(server["last_exit"]["cause"], "signal");
    assert_eq!(server["last_exit"]["signal"], 9);
    assert_eq!(server["hangs"], 0);
    assert_eq!(rig.client().run("PING"), Reply::Status(b"PONG".to_vec()));
    rig.stop();
}

#[test]
fn a_server_that_keeps_dying_is_started_with_growing_back_off() {
    let config = "[server.restart]\nbackoff_initial_ms = 300\nbackoff_max_ms = 1200\n";
    let rig = Rig::start(config, &[]);
    let mut longest = 0;
    for failures in 1..=4 {
        rig.signal("holdfast-server", Signal::KILL);
        wait::expect("the failure to be counted", || rig.service("server")["failures"] == failures);
        wait::expect("the server to run again", || {
            let next = rig.service("server")["next_start_in_ms"].as_u64();
            longest = longest.max(next.unwrap_or(0));
            next.is_none() && rig.service("server")["pid"].is_u64()
        });
    }
    // Up to a tenth less than the rule says.
    let waits = waits_ms(&rig.log());
    let expected = [270..=300, 540..=600, 1080..=1200, 1080..=1200];
    let all_within = waits.iter().zip(&expected).all(|(wait, range)| range.contains(wait));
    assert!(waits.len() == expected.len() && all_within, "{waits:?}");
    assert!((541..=1200).contains(&longest), "status showed at most {longest} ms");
    wait::expect("the server to be ready", || rig.status()["ready"] == true);
    rig.stop();
}

/// Every back-off that init announced.
fn waits_ms(log: &str) -> Vec<u64> {
    let said = log.split("server was killed by signal 9").skip(1);
    let wait = |line: &str| line.split_once("again in ")?.1.split_once(" ms")?.0.parse().ok();
    said.filter_map(|rest| wait(rest.lines().next()?)).collect()
}

#[test]
fn a_stopped_server_is_found_hung_killed_and_back() {
    let rig = Rig::start("", &[]);
    let before = rig.pid("holdfast-server");
    send(before, Signal::STOP);
    wait::expect("it to be shown as not ready", || rig.status()["ready"] == false);
    wait::expect("the server to be back", || {
        let status = rig.status();
        status["ready"] == true && status["services"]["server"]["hangs"] == 1
    });
    assert_eq!(rig.service("server")["last_exit"]["cause"], "hung");
    assert_ne!(rig.pid("holdfast-server"), before);
    rig.stop();
}

#[test]
fn a_killed_agent_is_back_and_no_client_notices() {
    let rig = Rig::start("", &[]);
    let mut client = rig.client();
    client.run("SET key value");
    let server = rig.pid("holdfast-server");
    for round in 1..=5 {
        rig.signal("holdfast-agent", Signal::KILL);
        wait::expect("the agent to be back", || {
            assert_eq!(client.run("GET key"), Reply::Bulk(b"value".to_vec()));
            let agent = rig.service("agent");
            agent["restarts"] == round && agent["state"] == "ready"
        });
    }
    assert_eq!(rig.pid("holdfast-server"), server);
    assert_eq!(rig.service("server")["restarts"], 0);
    rig.stop();
}
