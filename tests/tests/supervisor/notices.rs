//! sd_notify: what a service says of itself, and whose word counts.

use std::net::TcpStream;

use holdfast_tests::wait;

use crate::supervisor::rig::{Rig, descriptors, program};

/// Time to become ready, and longest silence.
fn bounds(startup_ms: u32, watchdog_ms: u32) -> String {
    format!("[server]\nstartup_ms = {startup_ms}\nwatchdog_ms = {watchdog_ms}\n")
}

fn wait_for_state(rig: &Rig, state: &str) {
    wait::expect(state, || rig.service("server")["state"] == state);
}

#[test]
fn a_service_says_that_it_is_ready_and_what_it_does() {
    let rig = Rig::puppet("", &["notify:STATUS=half;READY=1", "wait"]);
    wait_for_state(&rig, "ready");
    assert_eq!(rig.service("server")["status"], "half");
    rig.stop();
}

/// Scenario 5.
#[test]
fn a_service_that_never_becomes_ready_is_killed_when_its_time_is_up() {
    let rig = Rig::puppet(&bounds(300, 0), &["spawn:wait", "wait"]);
    wait::expect("a failure", || rig.service("server")["last_exit"].is_object());
    let server = rig.service("server");
    assert_eq!(server["last_exit"]["cause"], "startup");
    assert!(server["last_exit"]["ran_ms"].as_u64().is_some_and(|ran| ran >= 300), "{server}");
    assert!(server["failures"].as_u64() >= Some(1) && server["hangs"] == 0, "{server}");
    rig.stop();
}

#[test]
fn a_slow_start_takes_as_long_as_it_asks_for() {
    let words = ["sleep:200", "notify:EXTEND_TIMEOUT_USEC=20000000", "sleep:600", "notify:READY=1"];
    let rig = Rig::puppet(&bounds(500, 0), &[&words[..], &["wait"]].concat());
    wait_for_state(&rig, "ready");
    assert_eq!(rig.service("server")["run"], 1);
    rig.stop();
}

#[test]
fn a_service_that_falls_silent_is_aborted_and_started_again() {
    let words = ["print:WATCHDOG_USEC", "notify:READY=1", "alive:10:300", "1/wait"];
    let rig = Rig::puppet(&bounds(0, 2_000), &[&words[..], &["alive:10000:300"]].concat());
    wait::expect("the silence to be noticed", || rig.service("server")["hangs"] == 1);
    wait_for_state(&rig, "ready");
    let server = rig.service("server");
    assert_eq!(server["last_exit"]["cause"], "hung");
    let ran_ms = server["last_exit"]["ran_ms"].as_u64();
    assert!(ran_ms.is_some_and(|ran| ran >= 4_500), "it spoke for three seconds: {server}");
    assert_eq!(server["run"], 2);
    assert!(rig.log().contains("WATCHDOG_USEC=2000000\n"), "{}", rig.log());
    rig.stop();
}

#[test]
fn a_service_may_find_itself_hung() {
    let rig = Rig::puppet("", &["notify:READY=1", "1/notify:WATCHDOG=trigger", "wait"]);
    wait::expect("its word to be taken", || rig.service("server")["hangs"] == 1);
    wait_for_state(&rig, "ready");
    assert!(!rig.log().contains("ignores SIGABRT"), "{}", rig.log());
    rig.stop();
}

#[test]
fn a_service_that_says_it_is_ending_is_waited_for_and_no_longer_than_its_grace() {
    let config = "[server]\nstop_grace_ms = 300\n";
    let rig = Rig::puppet(config, &["notify:READY=1", "1/notify:STOPPING=1", "wait"]);
    wait::expect("it to be back", || rig.service("server")["run"] == 2);
    assert!(rig.log().contains("server does not end as it said; killing it"), "{}", rig.log());
    rig.stop();
}

#[test]
fn reloading_is_shown_while_it_lasts() {
    let words = ["notify:READY=1", "notify:RELOADING=1", "sleep:800", "notify:READY=1", "wait"];
    let rig = Rig::puppet("", &words);
    wait::expect("it to be shown", || rig.service("server")["status"] == "reloading");
    wait::expect("it to be over", || rig.service("server")["status"] == "");
    rig.stop();
}

/// Scenario 36.
#[test]
fn only_the_main_process_is_heard_and_nothing_else_is_felt() {
    let noise = ["by-child:STATUS=liar", "oversize", "descriptors:253", "flood:20000"];
    let rig = Rig::puppet("", &[&noise[..], &["notify:rubbish;=;STATUS=true", "wait"]].concat());
    wait::expect("the last word to be heard", || rig.service("server")["status"] == "true");
    let log = rig.log();
    assert!(log.contains("speaks for no service; ignored"), "{log}");
    let before = descriptors(rig.init);
    rig.signal("holdfast-server", rustix::process::Signal::KILL);
    wait::expect("it to be back", || {
        let server = rig.service("server");
        server["run"] == 2 && server["status"] == "true"
    });
    assert_eq!(descriptors(rig.init), before, "PID 1 keeps no descriptor that it was sent");
    rig.stop();
}

#[test]
fn another_process_of_the_run_may_become_the_main_one() {
    let words = ["hand-over:sleep:200,notify:READY=1,wait", "sleep:300", "exit:0"];
    let rig = Rig::puppet("", &words);
    let first = rig.pid("holdfast-server");
    wait_for_state(&rig, "ready");
    wait::expect("the first to be gone", || rig.pid("holdfast-server") != first);
    let log = rig.log();
    assert!(!log.contains("server exited"), "the end of the first process is not the run's: {log}");
    rig.signal("holdfast-server", rustix::process::Signal::KILL);
    wait::expect("the end of the second to be seen", || rig.service("server")["failures"] == 1);
    assert_eq!(rig.service("server")["last_exit"]["signal"], 9);
    rig.stop();
}

#[test]
fn a_process_of_somebody_else_does_not_become_the_main_one() {
    let rig = Rig::puppet("", &["notify:MAINPID=2", "notify:STATUS=said", "wait"]);
    wait::expect("it to have been said", || rig.service("server")["status"] == "said");
    assert!(rig.log().contains("process 2 is not of this run; ignored"), "{}", rig.log());
    let pid = rig.pid("holdfast-server");
    assert_eq!(program(pid), "holdfast-server");
    rig.stop();
}

#[test]
fn a_socket_that_was_given_away_is_there_again_and_queues_meanwhile() {
    let port = holdfast_tests::ports::PortLease::acquire().expect("a free port");
    let give = format!("give:front door:{}", port.port());
    let words = ["inherited", "1/notify:READY=1", "sleep:100", &give, "2+/notify:READY=1", "pong"];
    let rig = Rig::puppet("", &words);
    let address = ("127.0.0.1", port.port());
    wait::expect("it to listen", || TcpStream::connect(address).is_ok());
    for run in 2..=4 {
        rig.signal("holdfast-server", rustix::process::Signal::KILL);
        wait::expect("it to be gone", || rig.service("server")["pid"].is_null());
        // Nobody has the socket but PID 1: the kernel queues it.
        let mut client = TcpStream::connect(address).expect("a queue");
        wait::expect("it to be back", || rig.service("server")["run"] == run);
        let mut answer = String::new();
        std::io::Write::write_all(&mut client, b"PING\r\n").expect("sent");
        std::io::Read::read_to_string(&mut client, &mut answer).expect("answered");
        assert_eq!(answer, "+PONG\r\n");
    }
    let log = rig.log();
    assert_eq!(log.matches("inherited 1 as front door: true").count(), 3, "{log}");
    rig.stop();
}

#[test]
fn what_is_given_away_is_dropped_by_name() {
    let give = |name: &str| {
        let port = holdfast_tests::ports::PortLease::acquire().expect("a free port");
        format!("1/give:{name}:{}", port.port())
    };
    let (one, two) = (give("one"), give("two"));
    let remove = "1/notify:FDSTOREREMOVE=1;FDNAME=one";
    let rig = Rig::puppet("", &["inherited", &one, &two, remove, "1/raise:9", "wait"]);
    wait::expect("the other one to come back", || rig.log().contains("inherited 1 as two: true\n"));
    rig.stop();
}
