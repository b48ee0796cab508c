//! The image under docker's hardest switches.

use std::fs;
use std::process::Command;

use holdfast_image::machine::free_port;
use holdfast_image::{ensure_packages, oci};

use crate::container::daemon::Docker;
use crate::container::{both, run, stdout};

/// The hardest of docker's common switches, and the host's network, for there is no bridge.
pub(crate) const HARD: [&str; 12] = [
    "run",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--user",
    "999",
    "--memory",
    "64m",
    "--security-opt",
    "no-new-privileges",
    "--network",
    "host",
];

#[test]
fn docker_runs_it_hardened_sees_it_healthy_and_stops_it_in_a_second() {
    ensure_packages(&["redis-tools"]).unwrap();
    let docker = Docker::start();
    docker.load();
    let port = free_port().unwrap().to_string();
    let start = [&HARD[..], &["--detach", "--name", "holdfast", oci::NAME, "--port", &port]];
    docker.ok(&start.concat());

    docker.is_soon_healthy("holdfast");
    let cli =
        |words: &[&str]| stdout(&run(Command::new("redis-cli").args(["-p", &port]).args(words)));
    assert_eq!(cli(&["set", "a", "b"]), "OK\n");
    assert_eq!(cli(&["get", "a"]), "b\n");

    let pid = docker.inspect("holdfast", "{{.State.Pid}}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["Uid:\t999\t999\t999\t999", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{line} is not in\n{status}");
    }

    docker.stops_in_a_second("holdfast");

    let wrong =
        docker.client(&[&HARD[..], &["--rm", oci::NAME, "--no-such-directive", "1"]].concat());
    assert_eq!(wrong.status.code(), Some(1), "a bad directive ends it:\n{}", both(&wrong));
    assert!(both(&wrong).contains("no-such-directive"), "and is named:\n{}", both(&wrong));
    docker.ok(&["rm", "--volumes", "holdfast"]);
}
