//! How services end, told exactly: every exit status, every signal, and what never began.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use holdfast_tests::wait;

use crate::supervisor::rig::{Rig, cpu_ticks, run_prepared};

/// Scenario 1.
#[test]
fn a_service_that_crashes_at_once_every_time_costs_nothing_and_disturbs_nobody() {
    let rig = Rig::puppet("", &["raise:9"]);
    let failures = |count: u64| {
        wait::expect("failures", || {
            rig.service("server")["failures"].as_u64().is_some_and(|failures| failures >= count)
        });
    };
    failures(2);
    let before = cpu_ticks(rig.init);
    failures(4);
    // Two back-offs, of half a second and a second: in ticks of 10 ms some 150 have passed.
    let used = cpu_ticks(rig.init) - before;
    assert!(used <= 30, "PID 1 used {used} ticks");
    let status = rig.status();
    assert_eq!(status["services"]["agent"]["restarts"], 0);
    assert_eq!(status["services"]["server"]["state"], "backoff");
    rig.stop();
}

/// Scenario 2.
#[test]
fn a_program_that_cannot_be_executed_is_told_apart_from_one_that_ended() {
    type Damage = dyn Fn(&Path);
    let damage: [(&Damage, i32, &str); 3] = [
        (&|program| fs::remove_file(program).expect("removed"), 127, "exec: errno 2"),
        (&|program| fs::set_permissions(program, mode(0o644)).expect("set"), 126, "exec: errno 13"),
        (&|program| fs::write(program, "no program\n").expect("written"), 126, "exec: errno 8"),
    ];
    for (damage, code, said) in damage {
        let (status, log) = run_prepared(&["redis-server"], |root| {
            damage(&root.join("usr/bin/holdfast-server"));
        });
        assert_eq!(status.code(), Some(code), "{log}");
        assert!(log.contains(said), "{said} is not in:\n{log}");
    }
}

fn mode(bits: u32) -> Permissions {
    Permissions::from_mode(bits)
}

/// Scenario 2, for the service that everything else does without.
#[test]
fn an_agent_that_cannot_be_executed_is_tried_again_and_the_server_runs_meanwhile() {
    let rig = Rig::puppet_prepared("", &["notify:READY=1", "say:here I am", "wait"], |root| {
        fs::write(root.join("usr/bin/holdfast-agent"), "no program\n").expect("written");
    });
    wait::expect("the server to run", || rig.log().contains("here I am"));
    wait::expect("the agent to be tried again", || {
        rig.log().matches("agent could not be started (exec: errno 8)").count() >= 3
    });
    rig.end();
}

/// Scenario 4: as a shell tells it, which is how runtimes do.
#[test]
fn every_exit_status_of_the_command_is_the_containers() {
    thread::scope(|scope| {
        for first in 0..ENDINGS_AT_ONCE {
            scope.spawn(move || (first..=255).step_by(ENDINGS_AT_ONCE).for_each(ends_with));
        }
    });
}

/// Each takes a namespace of its own, and most of the time it waits.
const ENDINGS_AT_ONCE: usize = 4;

fn ends_with(code: usize) {
    let word = format!("exit:{code}");
    let (status, log) = run_prepared(&["/usr/bin/puppet", &word], |_| {});
    assert_eq!(status.code(), i32::try_from(code).ok(), "{log}");
    assert!(log.contains(&format!("server exited with status {code} after ")), "{log}");
}

#[test]
fn every_signal_that_ends_the_command_is_told() {
    // Without PIPE, which Rust programs ignore; those that stop; and those that end nothing.
    let deadly = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31];
    for signal in deadly {
        let word = format!("raise:{signal}");
        let (status, log) = run_prepared(&["/usr/bin/puppet", &word], |_| {});
        assert_eq!(status.code(), Some(128 + signal), "{log}");
        assert!(log.contains(&format!("was killed by signal {signal} after")), "{log}");
    }
}
