//! What only PID 1 is: it reaps, it is small, and it ends well when it fails.

use std::fs;
use std::process::Command;

use holdfast_image::binaries::static_binaries;
use holdfast_tests::ports::PortLease;
use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{ENTER, Rig, children, is_zombie, program, send};

#[test]
fn orphans_of_other_processes_are_reaped() {
    const ORPHANS: usize = 200;
    let rig = Rig::start("", &[]);
    let services = children(rig.init).len();
    // Each subshell ends at once, so its sleep belongs to PID 1.
    let script = format!("for i in $(seq {ORPHANS}); do (sleep 1000 &); done");
    let init = rig.init.to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &init, "--user", "--pid", "sh", "-c", &script]);
    assert!(command.status().expect("nsenter(1) of util-linux").success());
    wait::expect("the orphans to be PID 1's", || children(rig.init).len() == services + ORPHANS);
    for pid in children(rig.init).into_iter().filter(|pid| program(*pid) == "sleep") {
        send(pid, Signal::KILL);
    }
    wait::expect("all of them to be reaped", || children(rig.init).len() == services);
    assert!(!children(rig.init).into_iter().any(is_zombie));
    rig.stop();
}

#[test]
fn a_pid_1_that_panics_says_so_and_ends_the_container() {
    let (code, log) = fail("PANIC");
    assert_eq!(code, Some(70), "{log}");
    assert!(log.contains("panicked at ") && log.contains("a test asked for it"), "{log}");
}

/// The canary of every other test here: the trap does catch.
#[test]
fn an_allocation_after_start_up_ends_pid_1() {
    let (code, log) = fail("ALLOCATE");
    assert_eq!(code, Some(70), "{log}");
    assert!(log.contains("allocation after start-up"), "{log}");
}

/// What becomes of a container whose PID 1 fails.
fn fail(how: &str) -> (Option<i32>, String) {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    let mut rig = Rig::start("", &[]);
    let mut stream = UnixStream::connect(&rig.status_socket).expect("the agent accepts");
    writeln!(stream, "signal init {how}").expect("a request is short");
    let code = rig.wait_for_exit().code();
    (code, rig.log())
}

/// As `docker run --read-only` has it: one tmpfs, at /dev/shm.
#[test]
fn a_read_only_root_is_no_obstacle() {
    let port = PortLease::acquire().expect("a free port");
    let number = port.port().to_string();
    let read_only = format!(
        "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && {}",
        ENTER.replacen("&&", "&& mount -t tmpfs none \"$0/dev/shm\" &&", 1)
    );
    let mut rig = Rig::launch_by(&read_only, "", &["--port", &number], port);
    rig.status_socket = format!("/proc/{}/root/dev/shm/holdfast-agent.sock", rig.init).into();
    wait::expect("the server to be ready", || rig.status()["ready"] == true);
    let log = rig.log();
    assert!(log.contains("no status socket at /run/holdfast/agent.sock"), "{log}");
    rig.stop();
}

#[test]
fn init_is_small() {
    const LIMIT_BYTES: u64 = 1_500_000;
    if std::env::var_os("HOLDFAST_BIN_DIR").is_some() {
        return;
    }
    let init = static_binaries().unwrap_or_else(|why| panic!("{why:#}")).init;
    let len = fs::metadata(init).expect("built").len();
    assert!(len <= LIMIT_BYTES, "holdfast-init has {len} bytes");
}
