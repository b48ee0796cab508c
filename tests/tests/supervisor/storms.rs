//! More of everything than there should be: orphans, signals, processes, descriptors, and pauses.

use std::process::Command;
use std::thread;
use std::time::Duration;

use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{Rig, by_nobody, children, descriptors, enter_cgroup, program, send};

/// Scenario 17: they end all at once, and PID 1 has nobody to share them with.
#[test]
fn ten_thousand_orphans_that_end_at_once_are_reaped() {
    const ORPHANS: usize = 10_000;
    let rig = Rig::puppet("", &["notify:READY=1", "wait"]);
    wait::expect("it to be ready", || rig.service("server")["state"] == "ready");
    let services = children(rig.init).len();
    // The shell ends, and those that wait belong to PID 1.
    let fifo = rig.root.path().join("fifo").display().to_string();
    let script =
        format!("mkfifo {fifo} && for i in $(seq {ORPHANS}); do read line < {fifo} & done");
    let init = rig.init.to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &init, "--user", "--pid", "sh", "-c", &script]);
    assert!(command.status().expect("nsenter(1) of util-linux").success());
    wait::expect("the orphans to be PID 1's", || children(rig.init).len() == services + ORPHANS);
    for pid in children(rig.init).into_iter().filter(|pid| program(*pid).ends_with("sh")) {
        send(pid, Signal::KILL);
    }
    wait::expect("all of them to be reaped", || children(rig.init).len() == services);
    assert_eq!(rig.service("server")["restarts"], 0);
    rig.stop();
}

/// Orphans in sessions of their own: only their cgroup says whose they are. How long init counted from
/// SIGKILL to the last one's end is told, as a busy machine cannot be held to the goal of 250 ms.
#[test]
fn two_thousand_processes_that_escaped_are_gone_before_the_next_run() {
    const PROCESSES: usize = 2_000;
    let toml =
        "[server]\nsandbox = false\n[server.limits]\npids_max = 4096\nmemory_max = \"none\"\n";
    let rig = Rig::hurt_by(&enter_cgroup(), toml);
    wait::expect("the file's plan", || rig.status()["config"]["plan"] == "file");
    for (storms, line) in [(1, "BOMB"), (2, "STORM")] {
        assert_eq!(rig.tell(&format!("{line} {PROCESSES}")), "+OK");
        let stand = format!("storm: {PROCESSES} of {PROCESSES} processes stand");
        wait::expect("the storm", || rig.log().matches(&stand).count() == storms);
        assert!(children(rig.init).len() > PROCESSES);
        assert!(rig.agent(&["restart", "server"]).status.success());
        wait::expect("the next run", || {
            let server = rig.service("server");
            server["run"] == storms + 1 && server["state"] == "ready"
        });
        let server = rig.service("server");
        eprintln!("{PROCESSES} processes of a {line} were gone after {} ms", server["cleared_ms"]);
        assert!(server["cleared_ms"].as_u64().is_some_and(|ms| ms > 0), "{server}");
        assert!(children(rig.init).len() < 10, "they were reaped before");
        wait::expect("all of them to be reaped", || children(rig.init).len() == 2);
    }
    assert!(!rig.status()["degraded"].to_string().contains("left-behind"));
    rig.stop();
}

/// None of these may end PID 1, and no other signal either.
#[test]
fn a_storm_of_signals_is_survived() {
    let rig = Rig::puppet("", &["notify:READY=1", "wait"]);
    let server = rig.pid("holdfast-server");
    // KILL and STOP are forced on it; INT, QUIT, TERM and PWR mean the end.
    let harmless = (1..32).filter(|number| ![2, 3, 9, 15, 19, 30].contains(number));
    let harmless: Vec<Signal> = harmless.filter_map(Signal::from_named_raw).collect();
    for _ in 0..500 {
        harmless.iter().for_each(|signal| send(rig.init, *signal));
    }
    wait::expect("it to answer", || rig.status()["ready"].is_boolean());
    assert_eq!(rig.pid("holdfast-server"), server);
    rig.stop();
}

#[test]
fn the_end_is_orderly_however_often_it_is_asked_for() {
    let mut rig = Rig::puppet("", &["deaf", "notify:READY=1", "sleep:500"]);
    wait::expect("it to run", || rig.service("server")["state"] == "ready");
    for _ in 0..500 {
        for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP, Signal::POWER] {
            send(rig.init, signal);
        }
    }
    assert_eq!(rig.wait_for_exit().code(), Some(0), "{}", rig.log());
    assert_eq!(rig.log().matches("stopping to exit").count(), 1);
}

/// A paused container, or PID 1 stopped from outside: what nobody said meanwhile nobody could.
#[test]
fn a_pause_of_everything_is_no_hang() {
    let config = "[server]\nwatchdog_ms = 1000\n";
    let rig = Rig::puppet(config, &["notify:READY=1", "alive:100000:200"]);
    wait::expect("it to be ready", || rig.service("server")["state"] == "ready");
    let all = [rig.init, rig.pid("holdfast-agent"), rig.pid("holdfast-server")];
    all.iter().for_each(|pid| send(*pid, Signal::STOP));
    // Longer than the server may be silent.
    thread::sleep(Duration::from_secs(3));
    send(all[0], Signal::CONT);
    // PID 1 looks before anybody else can speak.
    thread::sleep(Duration::from_millis(200));
    all.iter().for_each(|pid| send(*pid, Signal::CONT));
    wait::expect("it to be ready", || rig.service("server")["state"] == "ready");
    for name in ["server", "agent"] {
        let service = rig.service(name);
        assert_eq!((&service["hangs"], &service["restarts"]), (&0.into(), &0.into()), "{name}");
    }
    rig.stop();
}

/// Scenario 25: of PID 1's own descriptors.
#[test]
fn a_process_without_free_descriptors_starts_its_services_again() {
    let rig = Rig::puppet("", &["notify:READY=1", "wait"]);
    wait::expect("it to be ready", || rig.service("server")["state"] == "ready");
    let open = descriptors(rig.init);
    limit(&rig, "nofile", open);
    for run in 2..=4 {
        rig.signal("holdfast-server", Signal::KILL);
        wait::expect("the next run", || {
            let server = rig.service("server");
            server["run"] == run && server["state"] == "ready"
        });
    }
    rig.signal("holdfast-agent", Signal::KILL);
    wait::expect("the agent, too", || rig.service("agent")["restarts"] == 1);
    rig.stop();
}

/// Scenario 26.
#[test]
fn a_full_process_table_puts_a_start_off_and_nothing_more() {
    let rig = Rig::puppet_of_nobody(&["notify:READY=1", "wait"]);
    wait::expect("it to be ready", || rig.service("server")["state"] == "ready");
    // Whose process it is may change its limits.
    let limit = |most| limit_by(by_nobody("prlimit"), &rig, "nproc", most);
    limit(1);
    rig.signal("holdfast-server", Signal::KILL);
    let refused = "server could not be started (clone: errno 11)";
    wait::expect("starts to be refused", || rig.log().matches(refused).count() >= 3);
    limit(4096);
    wait::expect("it to be back", || rig.service("server")["state"] == "ready");
    rig.stop();
}

fn limit(rig: &Rig, what: &str, most: usize) {
    limit_by(Command::new("prlimit"), rig, what, most);
}

fn limit_by(mut command: Command, rig: &Rig, what: &str, most: usize) {
    command.args(["--pid", &rig.init.to_string(), &format!("--{what}={most}:")]);
    assert!(command.status().expect("prlimit(1) of util-linux").success());
}
