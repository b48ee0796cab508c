//! What a service of a machine is, and what it cannot take from the rest: tried by one that wants to.

use holdfast_tests::hurt::{self, tell};
use holdfast_tests::wait;
use serde_json::Value;

use crate::rig::{Appliance, count, is_ready};

const SMALL_MIB: u32 = 160;

fn told(appliance: &Appliance, line: &str) -> String {
    tell(appliance.guest.port(), line).unwrap_or_else(|| panic!("no answer to {line}"))
}

/// The others did not notice.
fn assert_others_are_well(appliance: &Appliance) {
    let status = appliance.status().expect("the agent answers");
    assert_eq!(status["services"]["agent"]["restarts"], 0, "the agent lived on: {status:#}");
    assert_eq!(status["init_allocations"], 0);
}

fn server(appliance: &Appliance) -> Value {
    appliance.status().expect("the agent answers")["services"]["server"].clone()
}

#[test]
fn services_are_users_of_their_own_and_what_they_do_to_their_limits_stays_theirs() {
    let toml = "[server.limits]\nmemory_max = \"40mb\"\nmemory_min = \"8mb\"\n\
                pids_max = 77\ncpu_weight = 300\ncpu_max_percent = 150\n";
    let appliance = hurt::appliance(SMALL_MIB, toml);
    assert_limits_are_the_files(&appliance);
    assert_is_nobody_special(&appliance);
    assert_each_death_for_want_of_memory_is_counted(&appliance);
    assert_others_are_well(&appliance);
}

fn assert_limits_are_the_files(appliance: &Appliance) {
    wait::expect("the file's limits", || {
        tell(appliance.guest.port(), "READ /sys/fs/cgroup/server.1/pids.max").as_deref()
            == Some("77\n")
    });
    for (file, value) in [
        ("server.1/memory.max", "41943040\n"),
        ("server.1/memory.min", "8388608\n"),
        ("server.1/memory.oom.group", "1\n"),
        ("server.1/cpu.weight", "300\n"),
        ("server.1/cpu.max", "150000 100000\n"),
        ("init/memory.min", "8388608\n"),
        ("init/cpu.weight", "10000\n"),
        ("agent.1/memory.max", "33554432\n"),
        ("agent.1/memory.min", "4194304\n"),
    ] {
        assert_eq!(told(appliance, &format!("READ /sys/fs/cgroup/{file}")), value, "{file}");
    }
}

fn assert_is_nobody_special(appliance: &Appliance) {
    let none = "0000000000000000";
    let own = told(appliance, "READ /proc/self/status");
    let agent = appliance.status().expect("the agent answers")["services"]["agent"]["pid"].clone();
    let agents = told(appliance, &format!("READ /proc/{agent}/status"));
    for (status, field, value) in [
        (&own, "Uid", "999\t999\t999\t999"),
        (&own, "Gid", "999\t999\t999\t999"),
        (&own, "Groups", " "),
        (&own, "CapInh", none),
        (&own, "CapPrm", none),
        (&own, "CapEff", none),
        (&own, "CapBnd", none),
        (&own, "CapAmb", none),
        (&own, "NoNewPrivs", "1"),
        (&own, "Seccomp", "2"),
        (&agents, "Uid", "998\t998\t998\t998"),
        (&agents, "Groups", "999 "),
        // CAP_NET_BIND_SERVICE and CAP_NET_RAW of linux/capability.h, bits 10 and 13.
        (&agents, "CapEff", "0000000000002400"),
        (&agents, "CapBnd", "0000000000002400"),
        (&agents, "NoNewPrivs", "1"),
        (&agents, "Seccomp", "2"),
    ] {
        let line = format!("{field}:\t{value}\n");
        assert!(status.contains(&line), "{line:?} is not in:\n{status}");
    }
    assert_eq!(told(appliance, &format!("READ /proc/{agent}/oom_score_adj")), "-900\n");
    for deed in ["mount", "ptrace", "exec", "signal-init", "write-etc", "packet-socket"] {
        let answer = told(appliance, &format!("TRY {deed}"));
        assert!(answer.starts_with("-errno "), "{deed}: {answer}");
    }
    assert_eq!(told(appliance, "TRY write-data"), "+allowed");
}

fn assert_each_death_for_want_of_memory_is_counted(appliance: &Appliance) {
    for kills in 1..=2 {
        appliance.wait_for_server("ready", is_ready);
        assert_eq!(tell(appliance.guest.port(), "HOG 60"), None, "it took what it must not have");
        appliance.wait_for_server("counted", |server| count(server, "oom_kills") == kills);
    }
    appliance.wait_for_server("ready again", is_ready);
    assert_eq!(server(appliance)["last_exit"]["cause"], "oom");
    // A child of its own takes the whole run along.
    let _ = tell(appliance.guest.port(), "CHILD 60");
    appliance.wait_for_server("counted", |server| count(server, "oom_kills") == 3);
}

/// Without a limit of its own the service takes the machine's memory: then it is the one that goes.
#[test]
fn when_the_machine_has_no_memory_left_a_service_is_what_goes() {
    let appliance = hurt::appliance(SMALL_MIB, "[server.limits]\nmemory_max = \"none\"\n");
    appliance.wait_for_server("ready", is_ready);
    wait::expect("the file's limits", || {
        told(&appliance, "READ /sys/fs/cgroup/server.1/memory.max") == "max\n"
    });
    assert_eq!(tell(appliance.guest.port(), "HOG 400"), None, "there was not so much");
    appliance.wait_for_server("back", |server| is_ready(server) && count(server, "restarts") == 1);
    assert_eq!(server(&appliance)["last_exit"]["cause"], "oom");
    assert_others_are_well(&appliance);
}

#[test]
fn a_server_that_presses_against_memory_high_is_asked_and_then_started_again_in_order() {
    let toml = "[server.limits]\nmemory_max = \"none\"\nmemory_high = \"24mb\"\n\
                [server.pressure]\nrestart_after_ms = 3000\n\
                [server.liveness]\nfailure_threshold = 100\n";
    let appliance = hurt::appliance(SMALL_MIB, toml);
    appliance.wait_for_server("ready", is_ready);
    wait::expect("the file's limits", || {
        told(&appliance, "READ /sys/fs/cgroup/server.1/memory.high") == "25165824\n"
    });
    assert_eq!(tell(appliance.guest.port(), "HOG 100"), None, "it was not held up");
    appliance.wait_for_server("back", |server| is_ready(server) && count(server, "restarts") == 1);
    let server = server(&appliance);
    assert_eq!(server["oom_kills"], 0);
    assert_eq!(server["last_exit"]["signal"], 15, "it was asked to end: {server:#}");
    let console = appliance.guest.console().tail();
    assert!(console.contains("asked to purge"), "{console}");
    assert_others_are_well(&appliance);
}
