//! The words after init: the server's, or any other command's.

use crate::supervisor::rig::run_to_end;

#[test]
fn a_wrong_directive_ends_the_container_with_the_servers_status() {
    let (status, log) = run_to_end(&["redis-server", "--port", "no-number"]);
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("no-number"), "the server said why:\n{log}");
    assert!(log.contains("server exited with status 1"), "{log}");
}

#[test]
fn any_other_command_runs_and_its_status_is_the_containers() {
    let (status, log) = run_to_end(&["holdfast-agent", "--version"]);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("holdfast-agent "), "{log}");
    let (status, log) = run_to_end(&["holdfast-agent", "check", "/nothing.toml"]);
    assert_eq!(status.code(), Some(78), "{log}");
    let (status, log) = run_to_end(&["/no/such/program"]);
    assert_eq!(status.code(), Some(127), "{log}");
}
