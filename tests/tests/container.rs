//! The container image: every loader takes it, and it runs under docker's hardest switches.

use std::fs::{self, File};
use std::io::Write as _;
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

    fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("sock").display())
    }

    fn client(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.env("DOCKER_HOST", self.host());
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

/// What compose files and scripts do with the official image: a health check by redis-cli, `docker exec`
/// of it, and the image run for a tool alone.
#[test]
fn docker_finds_redis_cli_and_its_kin_in_the_image() {
    ensure_packages(&["bsdutils"]).unwrap();
    let docker = Docker::start();
    docker.ok(&["load", "--input", archive(docker.dir.path()).to_str().unwrap()]);
    let port = free_port().unwrap().to_string();
    let cli = ["redis-cli", "-p", &port, "-a", "changeme", "--no-auth-warning"];
    docker.build("checked", &format!("FROM {}\n{}", oci::NAME, health_check(&cli)));
    let server = ["redis-server", "--port", &port, "--requirepass", "changeme"];
    docker.ok(&[&HARD[..], &["--detach", "--name", "redis", "checked"], &server].concat());
    let healthy = wait::until(PATIENCE, || {
        (docker.inspect("redis", "{{.State.Health.Status}}") == "healthy").then_some(())
    });
    let logs = || both(&docker.client(&["logs", "redis"]));
    assert!(healthy.is_some(), "never healthy:\n{}", logs());
    let seen = docker.inspect("redis", "{{range .State.Health.Log}}{{.Output}}{{end}}");
    assert!(seen.ends_with("PONG"), "{seen}\n{}", logs());

    let exec = |words: &[&str]| docker.ok(&[&["exec", "redis"], &cli[..], words].concat());
    assert_eq!(exec(&["SET", "k", "v w"]), "OK");
    assert_eq!(exec(&["DBSIZE"]), "1");
    assert_eq!(exec(&["CONFIG", "GET", "requirepass"]), "requirepass\nchangeme");
    assert!(exec(&["INFO", "server"]).contains("redis_version:"));
    assert_eq!(exec(&["BGSAVE"]), "Background saving started");
    let saved = || exec(&["INFO", "persistence"]).contains("rdb_bgsave_in_progress:0");
    wait::expect("the background save to end", saved);
    assert!(exec(&["LASTSAVE"]).parse::<u64>().is_ok());
    assert!(docker.typed(&[&["exec", "-it", "redis"], &cli[..]].concat()).contains("\"v w\""));

    docker.has_tools(&cli);
    docker.ok(&["rm", "--force", "--volumes", "redis"]);
}

fn health_check(cli: &[&str]) -> String {
    let words: Vec<String> = cli.iter().map(|word| format!("{word:?}")).collect();
    format!("HEALTHCHECK --interval=1s --timeout=60s CMD [{}, \"ping\"]\n", words.join(", "))
}

impl Docker {
    fn build(&self, name: &str, dockerfile: &str) {
        let folder = self.dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
        self.ok(&["build", "--tag", name, folder.to_str().unwrap()]);
    }

    /// The image run for one tool: its words, its output and its exit status, and nothing of init's.
    fn tool(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let of_server = ["--rm", "--volumes-from", "redis", "--workdir", "/data", oci::NAME];
        let out = self.client(&[&HARD[..], &of_server, words].concat());
        (out.status.code(), stdout(&out), String::from_utf8_lossy(&out.stderr).into_owned())
    }

    fn has_tools(&self, cli: &[&str]) {
        let pong = (Some(0), "PONG\n".to_owned(), String::new());
        assert_eq!(self.tool(&[cli, &["ping"]].concat()), pong);
        assert_eq!(self.tool(&[&["valkey-cli"], &cli[1..], &["ping"]].concat()), pong);
        let nobody = "Could not connect to Redis at 127.0.0.1:1: Connection refused\n";
        let refused = (Some(1), String::new(), nobody.to_owned());
        assert_eq!(self.tool(&["redis-cli", "-p", "1", "ping"]), refused);
        let (status, text, _) = self.tool(&["redis-check-rdb", "dump.rdb"]);
        assert!(status == Some(0) && text.contains("RDB looks OK"), "{status:?} {text}");
        let (status, text, _) = self.tool(&["valkey-check-rdb", "/etc/passwd"]);
        assert!(status == Some(1), "{status:?} {text}");
    }

    /// What is seen at a terminal where a key is asked for. `script` of util-linux makes the terminal.
    fn typed(&self, arguments: &[&str]) -> String {
        let mut script = Command::new("script");
        script.env("DOCKER_HOST", self.host()).args(["-qec"]);
        script.arg(format!("docker {}", arguments.join(" "))).arg("/dev/null");
        let mut child =
            script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script(1)");
        child.stdin.take().unwrap().write_all(b"get k\nquit\n").unwrap();
        stdout(&child.wait_with_output().unwrap())
    }
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
