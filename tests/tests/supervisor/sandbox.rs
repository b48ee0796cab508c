//! What a service may not do, tried by one that wants to.

use holdfast_tests::wait;

use rustix::process::Signal;

use crate::supervisor::rig::{Rig, send};

const EPERM: &str = "-errno 1";
const EACCES: &str = "-errno 13";
const ENOSYS: &str = "-errno 38";
const ALLOWED: &str = "+allowed";

/// The errno tells which wall it was: a call off the list is unknown, an argument is refused, a file is
/// out of bounds.
const DEEDS: [(&str, &str); 20] = [
    ("ptrace", ENOSYS),
    ("mount", ENOSYS),
    ("unshare", ENOSYS),
    ("bpf", ENOSYS),
    ("io_uring", ENOSYS),
    ("clone3", ENOSYS),
    ("become-root", ENOSYS),
    ("packet-socket", EPERM),
    ("executable-memory", EPERM),
    ("signal-init", EPERM),
    ("exec", EACCES),
    ("write-etc", EACCES),
    ("write-config", EACCES),
    ("move-folder", EACCES),
    ("exec-itself", ALLOWED),
    ("tcp-socket", ALLOWED),
    ("thread", ALLOWED),
    ("write-data", ALLOWED),
    ("move-in-data", ALLOWED),
    ("write-data", ALLOWED),
];

#[test]
fn a_service_can_do_its_work_and_nothing_else() {
    let rig = Rig::hurt("");
    for (deed, expected) in DEEDS {
        assert_eq!(rig.tell(&format!("TRY {deed}")), expected, "{deed}");
    }
    let status = rig.tell("READ /proc/self/status");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line} is not in:\n{status}");
    }
    rig.stop();
}

/// The canary: what is refused above is refused by the sandbox.
#[test]
fn without_the_sandbox_the_same_deeds_are_done() {
    let rig = Rig::hurt("");
    rig.write_config("[server]\nsandbox = false\n");
    send(rig.init, Signal::HUP);
    wait::expect("the change to wait", || rig.service("server")["pending_restart"] == true);
    rig.signal("holdfast-server", Signal::KILL);
    wait::expect("the change to hold", || {
        rig.status()["ready"] == true && rig.service("server")["pending_restart"] == false
    });
    for deed in ["ptrace", "executable-memory", "signal-init", "exec", "write-etc", "move-folder"] {
        assert_eq!(rig.tell(&format!("TRY {deed}")), ALLOWED, "{deed}");
    }
    rig.stop();
}

#[test]
fn the_agent_is_confined_too() {
    let rig = Rig::start("", &[]);
    let agent = rig.pid("holdfast-agent");
    let status = std::fs::read_to_string(format!("/proc/{agent}/status")).expect("it runs");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line} is not in:\n{status}");
    }
    let degraded = rig.status()["degraded"].to_string();
    for code in ["no-seccomp", "no-landlock"] {
        assert!(!degraded.contains(code), "{degraded}");
    }
    rig.stop();
}
