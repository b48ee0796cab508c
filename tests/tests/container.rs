//! The container image: every loader takes it, and it runs under docker's hardest switches.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use holdfast_image::binaries::Binaries;
use holdfast_image::machine::free_port;
use holdfast_image::{ensure_packages, oci, static_binaries};
use holdfast_tests::wait;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What the archive may weigh.
const LIMIT: u64 = 5_000_000;

/// What each program may weigh, static and stripped. On the appliance all of them lie in memory.
const SERVER_LIMIT: u64 = 6_000_000;
const AGENT_LIMIT: u64 = 3_600_000;
const INIT_LIMIT: u64 = 1_200_000;

/// A busy machine's patience for containers.
const PATIENCE: Duration = Duration::from_secs(120);

fn archive(dir: &Path) -> PathBuf {
    let path = dir.join("holdfast.tar");
    oci::write(&path, &static_binaries().unwrap()).unwrap();
    path
}

#[test]
fn the_archive_is_small_and_the_same_twice() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (archive(one.path()), archive(two.path()));
    let size = fs::metadata(&first).unwrap().len();
    assert!(size <= LIMIT, "{size} bytes");
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "the archives differ");
}

#[test]
fn every_program_is_small() {
    let Binaries { init, agent, server } = static_binaries().unwrap();
    for (program, limit) in [(init, INIT_LIMIT), (agent, AGENT_LIMIT), (server, SERVER_LIMIT)] {
        let size = fs::metadata(&program).unwrap().len();
        assert!(size <= limit, "{}: {size} bytes", program.display());
    }
}

#[test]
fn skopeo_and_podman_take_the_archive() {
    ensure_packages(&["skopeo", "podman"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let archive = archive(dir.path());
    for transport in ["oci-archive", "docker-archive"] {
        let from = format!("{transport}:{}", archive.display());
        let text = stdout(&run(Command::new("skopeo").args(["inspect", "--config", &from])));
        assert!(text.contains("holdfast-init"), "{text}");
        let to = format!("dir:{}", dir.path().join(transport).display());
        run(Command::new("skopeo").args(["copy", "--insecure-policy", &from, &to]));
    }
    let podman = |arguments: &[&str]| {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(dir.path().join("podman"));
        podman.arg("--runroot").arg(dir.path().join("podman-run"));
        run(podman.args(["--storage-driver", "vfs"]).args(arguments))
    };
    podman(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    let images = stdout(&podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"]));
    assert!(images.contains(oci::NAME), "{images}");
}

/// A docker daemon of our own, apart from any that the machine may have.
struct Docker {
    daemon: Child,
    dir: TempDir,
}

impl Docker {
    fn start() -> Self {
        ensure_packages(&["docker.io"]).unwrap();
        assert!(rustix::process::geteuid().is_root(), "starting a docker daemon takes root");
        // A socket's path has to be short.
        let dir = tempfile::Builder::new().prefix("hf-docker").tempdir_in("/tmp").unwrap();
        let at = |name: &str| dir.path().join(name);
        let log = File::create(at("log")).unwrap();
        let mut dockerd = Command::new("dockerd");
        dockerd.arg("--host").arg(format!("unix://{}", at("sock").display()));
        dockerd.arg("--data-root").arg(at("data")).arg("--exec-root").arg(at("exec"));
        dockerd.arg("--pidfile").arg(at("pid"));
        dockerd.args(["--storage-driver", "vfs", "--bridge", "none"]);
        dockerd.args(["--iptables=false", "--ip6tables=false"]);
        dockerd.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut docker = Self { daemon: dockerd.spawn().unwrap(), dir };
        let up = wait::until(PATIENCE, || {
            let gone = docker.daemon.try_wait().unwrap().is_some();
            (gone || docker.client(&["version"]).status.success()).then_some(!gone)
        });
        let log = fs::read_to_string(docker.dir.path().join("log")).unwrap();
        assert_eq!(up, Some(true), "dockerd does not start on this machine:\n{log}");
        docker
    }

    fn client(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", format!("unix://{}", self.dir.path().join("sock").display()));
        docker.args(arguments).output().unwrap()
    }

    /// Runs a client that must succeed; its standard output, trimmed.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let out = self.client(arguments);
        assert!(out.status.success(), "docker {arguments:?}:\n{}", both(&out));
        stdout(&out).trim().to_owned()
    }

    fn inspect(&self, container: &str, what: &str) -> String {
        self.ok(&["inspect", "--format", what, container])
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let _ = self.daemon.wait();
    }
}

/// The hardest of docker's common switches, and the host's network, for there is no bridge.
const HARD: [&str; 12] = [
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
    docker.ok(&["load", "--input", archive(docker.dir.path()).to_str().unwrap()]);
    let port = free_port().unwrap().to_string();
    let start = [&HARD[..], &["--detach", "--name", "holdfast", oci::NAME, "--port", &port]];
    docker.ok(&start.concat());

    let healthy = wait::until(PATIENCE, || {
        (docker.inspect("holdfast", "{{.State.Health.Status}}") == "healthy").then_some(())
    });
    let logs = both(&docker.client(&["logs", "holdfast"]));
    assert!(healthy.is_some(), "never healthy:\n{logs}");
    let cli =
        |words: &[&str]| stdout(&run(Command::new("redis-cli").args(["-p", &port]).args(words)));
    assert_eq!(cli(&["set", "a", "b"]), "OK\n");
    assert_eq!(cli(&["get", "a"]), "b\n");

    let pid = docker.inspect("holdfast", "{{.State.Pid}}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["Uid:\t999\t999\t999\t999", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{line} is not in\n{status}");
    }

    // After one second docker kills, and the exit code would be 137.
    docker.ok(&["stop", "--time", "1", "holdfast"]);
    let logs = both(&docker.client(&["logs", "holdfast"]));
    assert_eq!(docker.inspect("holdfast", "{{.State.ExitCode}}"), "0", "{logs}");

    let wrong =
        docker.client(&[&HARD[..], &["--rm", oci::NAME, "--no-such-directive", "1"]].concat());
    assert_eq!(wrong.status.code(), Some(1), "a bad directive ends it:\n{}", both(&wrong));
    assert!(both(&wrong).contains("no-such-directive"), "and is named:\n{}", both(&wrong));
    docker.ok(&["rm", "--volumes", "holdfast"]);
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(out.status.success(), "{command:?}:\n{}", both(&out));
    out
}

fn stdout(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn both(out: &Output) -> String {
    stdout(out) + &String::from_utf8_lossy(&out.stderr)
}
