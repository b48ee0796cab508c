//! The ordered end of a container.

use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{Rig, program, send};

#[test]
fn a_termination_ends_the_server_first_and_exits_with_0() {
    let mut rig = Rig::start("", &[]);
    let (server, agent) = (rig.pid("holdfast-server"), rig.pid("holdfast-agent"));
    send(rig.init, Signal::TERM);
    assert_eq!(rig.wait_for_exit().code(), Some(0));
    let log = rig.log();
    let server_ended = log.find("server exited with status 0").expect("the server ended well");
    let agent_ended = log.find("agent exited with status 0").expect("the agent ended well");
    assert!(server_ended < agent_ended, "{log}");
    for pid in [server, agent] {
        assert_eq!(program(pid), "", "process {pid} is left");
    }
}

#[test]
fn a_server_that_ignores_termination_is_killed_in_bounded_time() {
    let mut rig = Rig::start("[server]\nstop_grace_ms = 200\n", &[]);
    wait::expect("the grace of the file to hold", || rig.status()["config"]["plan"] == "file");
    rig.signal("holdfast-server", Signal::STOP);
    send(rig.init, Signal::TERM);
    assert_eq!(rig.wait_for_exit().code(), Some(0));
    assert!(rig.log().contains("server ignores SIGTERM; killing it"), "{}", rig.log());
}

/// As `/sbin/poweroff` and the others are linked in the image.
#[test]
fn init_called_by_another_name_asks_pid_1_to_end() {
    for name in ["reboot", "poweroff", "halt"] {
        let mut rig = Rig::start("", &[]);
        let link = rig.root.path().join("usr/bin").join(name);
        std::os::unix::fs::symlink("/usr/bin/holdfast-init", link).expect("linked");
        let output = rig.inside(&[name]);
        assert!(output.status.success(), "{name}: {output:?}");
        assert_eq!(rig.wait_for_exit().code(), Some(0), "{name}: {}", rig.log());
    }
}
