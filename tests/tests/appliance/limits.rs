//! What a service of a machine is, and what it cannot take from the rest: tried by one that wants to.

use holdfast_image::accel::Accel;
use holdfast_image::machine::Machine;
use holdfast_tests::appliance::BOOT;
use holdfast_tests::hurt::{self, tell};
use holdfast_tests::wait;
use serde_json::Value;

use crate::appliance::rig::{Appliance, count, is_degraded, is_ready};

const SMALL_MIB: u32 = 160;
/// The kernel lets a user have some 3.5 processes for each MiB.
const LARGE_MIB: u32 = 768;

fn told(appliance: &Appliance, line: &str) -> String {
    tell(appliance.guest.port(), line).unwrap_or_else(|| panic!("no answer to {line}"))
}

/// The others did not notice.
fn assert_others_are_well(appliance: &Appliance) {
    let status = appliance.status_now();
    assert_eq!(status["services"]["agent"]["restarts"], 0, "the agent lived on: {status:#}");
    assert_eq!(status["init_allocations"], 0);
}

fn server(appliance: &Appliance) -> Value {
    appliance.status_now()["services"]["server"].clone()
}

#[test]
fn services_are_users_of_their_own_and_what_they_do_to_their_limits_stays_theirs() {
    let toml = "[server.limits]\nmemory_max = \"40mb\"\nmemory_min = \"8mb\"\n\
                pids_max = 77\ncpu_weight = 300\ncpu_max_percent = 150\n";
    let appliance = hurt::appliance(SMALL_MIB, toml);
    assert_limits_are_the_files(&appliance);
    assert_is_nobody_special(&appliance);
    assert_each_death_for_want_of_memory_is_counted(&appliance);
    assert_a_storm_ends_where_its_limit_is(&appliance);
    assert_a_serial_line_that_takes_nothing_holds_nobody_up(&appliance);
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
    let agent = appliance.status_now()["services"]["agent"]["pid"].clone();
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

/// Scenario 14. There is no room for a thread that answers, either.
fn assert_a_storm_ends_where_its_limit_is(appliance: &Appliance) {
    appliance.wait_for_server("ready", is_ready);
    let restarts = count(&server(appliance), "restarts");
    assert_eq!(told(appliance, "STORM 500"), "+OK");
    assert_eq!(storm(appliance, 1) / 10, 7, "of 77 with its own threads");
    appliance.signal("KILL");
    appliance
        .wait_for_server("back", |server| is_ready(server) && count(server, "restarts") > restarts);
}

/// Scenario 37: every line is seen or counted, and meanwhile all goes on, PID 1 too.
fn assert_a_serial_line_that_takes_nothing_holds_nobody_up(appliance: &Appliance) {
    /// Of 100 bytes: more than lies between the service and QEMU.
    const LINES: u64 = 20_000;
    let console = appliance.guest.console();
    let dropped = |server: &Value| count(server, "log_dropped");
    appliance.wait_for_server("ready", is_ready);
    assert_eq!(dropped(&server(appliance)), 0);
    console.hold(true);
    assert_eq!(told(appliance, &format!("FLOOD {LINES}")), "+OK", "it was held up");
    appliance.wait_for_server("dropped", |server| dropped(server) > 0);
    assert_eq!(told(appliance, "PING"), "+PONG");
    let status = appliance.wait_for_status("said", |status| is_degraded(status, "logs-dropped"));
    assert_eq!(status["watchdog"]["starved"], "no");
    let restarts = count(&server(appliance), "restarts");
    appliance.signal("KILL");
    appliance.wait_for_server("started again by a PID 1 that nobody hears", |server| {
        is_ready(server) && count(server, "restarts") == restarts + 1
    });
    console.hold(false);
    // One that was cut short is counted as dropped.
    let is_whole = |line: &&str| line.starts_with("flood ") && line.trim_end().len() == 99;
    let seen = || console.text().lines().filter(is_whole).count() as u64;
    appliance.wait_for_server("every line accounted for", |server| {
        seen() > 0 && seen() + dropped(server) == LINES
    });
}

/// How many processes the last of so many storms came to.
fn storm(appliance: &Appliance, storms: usize) -> usize {
    wait_for_lines(appliance, "processes stand", storms);
    let text = appliance.guest.console().text();
    let (_, told) = text.rsplit_once("storm: ").expect("the line's beginning");
    told.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// On the console. To ask the agent would be work for the machine, too.
fn wait_for_lines(appliance: &Appliance, text: &str, lines: usize) {
    let console = appliance.guest.console();
    let written = || (console.text().matches(text).count() == lines).then_some(());
    assert!(wait::until(BOOT, written).is_some(), "{lines} of {text:?}:\n{}", console.tail());
}

/// Emulated, a machine is as fast as what else the host does lets it be. This one's clock counts its
/// instructions, one in a nanosecond, which is a small board's pace and the same everywhere.
fn by_instructions(machine: &mut Machine) {
    if machine.accel == Accel::Tcg {
        machine.extra.extend(["-icount", "shift=0"].map(Into::into));
    }
}

/// What init counted from its writing cgroup.kill until the last process had ended and was reaped.
#[test]
fn two_thousand_processes_that_escaped_are_gone_within_the_instructions_they_may_take() {
    const PROCESSES: usize = 2_000;
    /// Copies of a small program; then of a service, each with the stacks and heaps of its threads.
    const STORMS: [(&str, u64); 2] = [("BOMB", 250), ("STORM", 850)];
    let toml = "[server]\nsandbox = false\n\
                [server.limits]\nmemory_max = \"none\"\npids_max = 4096\n\
                [server.liveness]\nfailure_threshold = 1000\n";
    let appliance = hurt::appliance_with(LARGE_MIB, toml, by_instructions);
    for (storms, (line, limit_ms)) in (1..).zip(STORMS) {
        appliance.wait_for_server("ready", is_ready);
        assert_eq!(told(&appliance, &format!("{line} {PROCESSES}")), "+OK");
        assert_eq!(storm(&appliance, storms), PROCESSES);
        appliance.signal("KILL");
        wait_for_lines(&appliance, "its last process was gone", storms);
        appliance.wait_for_server("back", |server| {
            is_ready(server) && count(server, "restarts") == storms as u64
        });
        let cleared_ms = count(&server(&appliance), "cleared_ms");
        eprintln!("{PROCESSES} processes of a {line} were gone after {cleared_ms} ms");
        assert!((1..=limit_ms).contains(&cleared_ms), "{line}: {cleared_ms} ms");
    }
    assert_others_are_well(&appliance);
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
    let console = appliance.guest.console().text();
    assert!(console.contains("asked to purge"), "{console}");
    assert_others_are_well(&appliance);
}
