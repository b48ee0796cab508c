//! What a service forks: it ends with the service, and before the next run begins.
//!
//! In a cgroup of the rig's own, which is the one thing that nobody escapes from.

use std::fs;

use holdfast_tests::{programs, wait};
use rustix::process::Signal;

use crate::supervisor::rig::{Rig, children, enter_cgroup, install, program};

/// Processes of the puppet's, wherever they are: PID 1 inherits those that left.
fn puppets(rig: &Rig) -> Vec<i32> {
    let mut found = Vec::new();
    let mut look_at = children(rig.init);
    while let Some(pid) = look_at.pop() {
        look_at.extend(children(pid));
        found.extend((program(pid) == "holdfast-server").then_some(pid));
    }
    found
}

/// Scenario 15.
#[test]
fn a_child_that_left_the_session_and_hears_no_sigterm_ends_with_its_service() {
    let words = ["notify:READY=1", "1/spawn:leave,deaf,say:far away,wait", "wait"];
    let rig = Rig::puppet_by(&enter_cgroup(), "", &words);
    wait::expect("the child to have left", || rig.log().contains("far away"));
    let first = puppets(&rig);
    assert!(!has_degraded(&rig, "no-cgroups"), "the rig has a cgroup of its own");
    rig.signal("holdfast-server", Signal::KILL);
    wait::expect("the next run", || rig.service("server")["run"] == 2);
    // Whoever sees the next run sees nothing of the one before.
    let left: Vec<_> = puppets(&rig).into_iter().filter(|pid| first.contains(pid)).collect();
    assert_eq!(left, [0; 0], "{}", rig.log());
    wait::expect("one process", || puppets(&rig).len() == 1);
    rig.stop();
}

#[test]
fn a_stop_ends_the_tree_too() {
    // Deaf before its tree is there: whoever sees all three need not wait for that.
    let words = ["deaf", "spawn:leave,deaf,spawn:wait,wait", "notify:READY=1", "wait"];
    let rig = Rig::puppet_by(&enter_cgroup(), "[server]\nstop_grace_ms = 300\n", &words);
    wait::expect("all to run", || puppets(&rig).len() == 3);
    wait::expect("the grace to hold", || rig.status()["config"]["plan"] == "file");
    let log = rig.stop_and_log();
    assert!(log.contains("server ignores SIGTERM; killing it"), "{log}");
}

/// Every run's counters begin at zero in a group of its own, and none is left behind.
#[test]
fn ended_runs_leave_no_cgroup() {
    let rig = Rig::puppet_by(&enter_cgroup(), "", &["notify:READY=1", "wait"]);
    for run in 1..=3 {
        wait::expect("the run", || rig.groups().contains(&format!("server.{run}")));
        wait::expect("only that one", || {
            rig.groups().iter().filter(|name| name.starts_with("server.")).count() == 1
        });
        rig.signal("holdfast-server", Signal::KILL);
    }
    rig.stop();
}

/// Scenario 27: unknown, as to a kernel before 5.3, and forbidden, as by some container runtimes.
#[test]
fn without_clone3_a_service_is_moved_into_its_cgroup_and_that_is_said() {
    const CLONE3: u32 = 435;
    const ENOSYS: u32 = 38;
    const EPERM: u32 = 1;
    for errno in [ENOSYS, EPERM] {
        let init = "/usr/bin/holdfast-init";
        let script =
            enter_cgroup().replace(init, &format!("/usr/bin/refuse {CLONE3} {errno} {init}"));
        let rig = Rig::puppet_with(&script, "", &["notify:READY=1", "wait"], |root| {
            install(&[&programs::built("refuse")], &root.join("usr/bin/refuse"));
        });
        for run in 1..=2 {
            wait::expect("the run", || rig.service("server")["state"] == "ready");
            let group = format!("server.{run}");
            let pid = rig.pid("holdfast-server");
            let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            assert!(own.trim_end().ends_with(&group), "errno {errno}: not in {group}: {own}");
            assert!(has_degraded(&rig, "no-clone3"), "errno {errno}: {:#}", rig.status());
            rig.signal("holdfast-server", Signal::KILL);
            wait::expect("the next run", || rig.service("server")["run"] == run + 1);
        }
        rig.stop();
    }
}

/// Everywhere else here it is not refused.
#[test]
fn with_clone3_nothing_is_said() {
    let rig = Rig::puppet_by(&enter_cgroup(), "", &["notify:READY=1", "wait"]);
    wait::expect("the run", || rig.service("server")["state"] == "ready");
    assert!(!has_degraded(&rig, "no-clone3"), "{:#}", rig.status());
    rig.stop();
}

fn has_degraded(rig: &Rig, code: &str) -> bool {
    let status = rig.status();
    let all = status["degraded"].as_array().cloned().unwrap_or_default();
    all.iter().any(|each| each["code"] == code)
}
