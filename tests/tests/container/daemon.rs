//! A docker daemon for one test.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use holdfast_image::ensure_packages;
use holdfast_tests::wait;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::container::archive::archive;
use crate::container::{both, stdout};

/// A busy machine's patience for containers.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A docker daemon of our own, apart from any that the machine may have.
pub(crate) struct Docker {
    daemon: Child,
    pub(crate) dir: TempDir,
}

impl Docker {
    /// Without a network of its own: containers share the host's.
    pub(crate) fn start() -> Self {
        let mut dockerd = Command::new("dockerd");
        dockerd.args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]);
        Self::run(dockerd)
    }

    /// In a network namespace of its own, with bridges, names and published ports as docker makes them;
    /// every port is free there.
    pub(crate) fn with_networks() -> Self {
        ensure_packages(&["iproute2", "util-linux"]).unwrap();
        let mut dockerd = Command::new("unshare");
        dockerd.args(["--net", "sh", "-c", "ip link set lo up && exec dockerd \"$@\"", "sh"]);
        Self::run(dockerd)
    }

    fn run(mut dockerd: Command) -> Self {
        ensure_packages(&["docker.io"]).unwrap();
        assert!(rustix::process::geteuid().is_root(), "starting a docker daemon takes root");
        // A socket's path has to be short.
        let dir = tempfile::Builder::new().prefix("hf-docker").tempdir_in("/tmp").unwrap();
        let at = |name: &str| dir.path().join(name);
        let log = File::create(at("log")).unwrap();
        dockerd.arg("--host").arg(format!("unix://{}", at("sock").display()));
        dockerd.arg("--data-root").arg(at("data")).arg("--exec-root").arg(at("exec"));
        dockerd.arg("--pidfile").arg(at("pid")).args(["--storage-driver", "vfs"]);
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

    /// The image, as `cargo image oci` writes it.
    pub(crate) fn load(&self) {
        self.ok(&["load", "--input", archive(self.dir.path()).to_str().unwrap()]);
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("sock").display())
    }

    pub(crate) fn client(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", self.host());
        docker.args(arguments).output().unwrap()
    }

    /// Runs a client that must succeed; its standard output, trimmed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let out = self.client(arguments);
        assert!(out.status.success(), "docker {arguments:?}:\n{}", both(&out));
        stdout(&out).trim().to_owned()
    }

    pub(crate) fn inspect(&self, container: &str, what: &str) -> String {
        self.ok(&["inspect", "--format", what, container])
    }

    /// What a program of the daemon's own host sees, whose network may be another than ours.
    pub(crate) fn beside(&self, words: &[&str]) -> Output {
        let mut enter = Command::new("nsenter");
        enter.arg(format!("--net=/proc/{}/ns/net", self.daemon.id())).args(words);
        enter.output().expect("nsenter(1)")
    }

    #[track_caller]
    pub(crate) fn is_soon_healthy(&self, container: &str) {
        let healthy = wait::until(PATIENCE, || {
            (self.inspect(container, "{{.State.Health.Status}}") == "healthy").then_some(())
        });
        let logs = both(&self.client(&["logs", container]));
        let seen = self.inspect(container, "{{json .State.Health}}");
        assert!(healthy.is_some(), "never healthy: {seen}\n{logs}");
    }

    /// After one second docker kills, and the status would be 137.
    #[track_caller]
    pub(crate) fn stops_in_a_second(&self, container: &str) {
        self.ok(&["stop", "--time", "1", container]);
        let logs = both(&self.client(&["logs", container]));
        assert_eq!(self.inspect(container, "{{.State.ExitCode}}"), "0", "{logs}");
    }

    pub(crate) fn build(&self, name: &str, dockerfile: &str) {
        let folder = self.dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
        self.ok(&["build", "--tag", name, folder.to_str().unwrap()]);
    }

    /// What is seen at a terminal where a key is asked for. `script` of util-linux makes the terminal.
    pub(crate) fn typed(&self, arguments: &[&str]) -> String {
        let mut script = Command::new("script");
        script.env("DOCKER_HOST", self.host()).args(["-qec"]);
        script.arg(format!("docker {}", arguments.join(" "))).arg("/dev/null");
        let mut child =
            script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script(1)");
        child.stdin.take().unwrap().write_all(b"get k\nquit\n").unwrap();
        stdout(&child.wait_with_output().unwrap())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let _ = self.daemon.wait();
        // It leaves its host's network namespace mounted, and the folder could not go.
        let kept = self.dir.path().join("exec/netns/default");
        let _ = Command::new("umount").arg(kept).stderr(Stdio::null()).status();
    }
}
