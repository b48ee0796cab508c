//! The appliance, booted in QEMU from kernel and initramfs: it serves, it heals, it goes away.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use holdfast_image::accel::Accel;
use holdfast_image::kernel::Choice;
use holdfast_image::machine::{Boot, Guest, Machine, WORDS, free_port, ping};
use holdfast_image::{appliance, binaries, ensure_packages, status};
use holdfast_tests::resp::encode_command;
use holdfast_tests::wait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Without KVM on a busy machine a boot takes its time, and so does a benchmark.
const BOOT: Duration = Duration::from_secs(180);

/// The least memory that is promised.
const MEMORY_MIB: u32 = 96;

/// The appliance of the tests, and the files it booted from.
struct Appliance {
    guest: Guest,
    _files: TempDir,
}

impl Appliance {
    fn boot() -> Self {
        ensure_packages(&["redis-tools"]).unwrap();
        let kernel = Choice::Quickest.get().unwrap();
        let programs = binaries::binaries_with_test_hooks().unwrap();
        let files = tempfile::tempdir().unwrap();
        let initramfs = files.path().join("initramfs");
        fs::write(&initramfs, appliance::initramfs(&kernel, &programs).unwrap()).unwrap();
        let cmdline = appliance::cmdline(&[&WORDS[..], &["holdfast.test_hooks=1"]].concat());
        let accel = Accel::probe(&kernel).unwrap();
        let boot = Boot::Direct { kernel: kernel.image, initramfs: Some(initramfs), cmdline };
        let machine = Machine { memory_mib: MEMORY_MIB, ..Machine::new(boot, accel) };
        let mut guest = machine.start().unwrap();
        guest.wait_ready(BOOT, || false).unwrap_or_else(|why| panic!("{why:#}"));
        Self { guest, _files: files }
    }

    /// The agent's report; nothing while it is busy.
    fn status(&self) -> Option<Value> {
        let reply = status::ask(self.guest.status_port(), "status json").ok()?;
        Some(serde_json::from_str(&reply).unwrap_or_else(|why| panic!("{why}: {reply}")))
    }

    /// Waits until the report of the service `server` is as `holds` wants it.
    #[track_caller]
    fn wait_for_server(&self, what: &str, mut holds: impl FnMut(&Value) -> bool) {
        let mut last = Value::Null;
        let reached = wait::until(BOOT, || {
            last = self.status()?;
            holds(&last["services"]["server"]).then_some(())
        });
        let console = self.guest.console().tail();
        assert!(reached.is_some(), "{what}: never\n{last:#}\n{console}");
    }

    fn signal(&self, name: &str) {
        let request = format!("signal server {name}");
        let reply = status::ask(self.guest.status_port(), &request).unwrap();
        assert!(!reply.starts_with("error"), "{request}: {reply}");
    }

    fn redis(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("timeout");
        command.args([&BOOT.as_secs().to_string(), program]);
        command.args(["-p", &self.guest.port().to_string()]).args(arguments);
        let out = command.output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{program} {arguments:?}: {text}");
        text
    }
}

fn count(service: &Value, field: &str) -> u64 {
    service[field].as_u64().unwrap_or_else(|| panic!("no {field} in {service}"))
}

fn is_ready(service: &Value) -> bool {
    service["state"] == "ready"
}

#[test]
fn it_serves_redis_tools_with_96_mib() {
    let appliance = Appliance::boot();
    assert_eq!(appliance.redis("redis-cli", &["set", "a", "b"]), "OK\n");
    assert_eq!(appliance.redis("redis-cli", &["get", "a"]), "b\n");
    appliance.wait_for_server("ready", is_ready);
    let status = appliance.status().unwrap();
    assert_eq!(status["init_allocations"], 0, "PID 1 allocated after its start: {status:#}");
}

/// QEMU's own forward loses most of so many clients at once. The requests are enough that the few
/// who come through cannot do the work of all.
#[test]
fn fifty_clients_at_once_are_all_served() {
    let appliance = Appliance::boot();
    let load = ["-c", "50", "-n", "50000", "-t", "set,get", "-q"];
    let report = appliance.redis("redis-benchmark", &load);
    for line in ["SET: ", "GET: "] {
        assert!(report.contains(line) && report.contains("requests per second"), "{report}");
    }
}

#[test]
fn a_server_killed_again_and_again_is_waited_for_longer_and_comes_back() {
    /// holdfast.toml's `backoff_initial_ms`: only a later back-off is longer.
    const FIRST_WAIT_MS: u64 = 250;
    /// A run that lasted long forgives the failures before it, so a busy machine needs some more.
    const KILLS: u64 = 8;
    let appliance = Appliance::boot();
    let mut waits_ms = Vec::new();
    for kills in 1..=KILLS {
        appliance.wait_for_server("ready", is_ready);
        appliance.signal("KILL");
        appliance.wait_for_server("restarted", |server| {
            waits_ms.extend(server["next_start_in_ms"].as_u64());
            is_ready(server) && count(server, "restarts") >= kills
        });
        if waits_ms.iter().any(|ms| *ms > FIRST_WAIT_MS) {
            break;
        }
    }
    let longer = waits_ms.iter().any(|ms| *ms > FIRST_WAIT_MS);
    assert!(longer, "time to the next start as seen in `status`: {waits_ms:?}");
    wait::expect("the server answers again", || ping(appliance.guest.port()));
}

#[test]
fn a_server_that_hangs_is_found_killed_and_back() {
    let appliance = Appliance::boot();
    appliance.wait_for_server("ready", is_ready);
    appliance.signal("STOP");
    appliance.wait_for_server("found hung", |server| count(server, "hangs") >= 1);
    appliance.wait_for_server("ready again", is_ready);
    assert!(ping(appliance.guest.port()));
}

#[test]
fn a_server_that_eats_all_memory_is_killed_alone_and_back() {
    let appliance = Appliance::boot();
    appliance.wait_for_server("ready", is_ready);
    // Left to itself it refuses what its cgroup has no room for; told that there is, it believes.
    let answer = fill(appliance.guest.port());
    assert!(answer.is_some_and(|line| line.starts_with("-OOM ")), "writes are refused in time");
    assert_eq!(count(&appliance.status().unwrap()["services"]["server"], "oom_kills"), 0);
    command(appliance.guest.port(), &["CONFIG", "SET", "maxmemory", "100gb"]);
    fill(appliance.guest.port());
    appliance.wait_for_server("killed for its memory", |server| count(server, "oom_kills") >= 1);
    appliance.wait_for_server("ready again", is_ready);
    let status = appliance.status().unwrap();
    assert_eq!(status["services"]["agent"]["restarts"], 0, "the agent lived on: {status:#}");
}

/// SETs values until that is refused, for twice the machine's memory at most; the last answer, which
/// is nothing when the server is gone.
fn fill(port: u16) -> Option<String> {
    let megabyte = "x".repeat(1 << 20);
    let mut answer = None;
    for key in 0..2 * MEMORY_MIB {
        answer = command(port, &["SET", &key.to_string(), &megabyte]);
        if answer.as_deref() != Some("+OK\r\n") {
            break;
        }
    }
    answer
}

/// The first line of a reply; nothing when the server is gone.
fn command(port: u16, words: &[&str]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(wait::PATIENCE)).ok()?;
    stream.write_all(&encode_command(words)).ok()?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).ok()?;
    (!reply.is_empty()).then_some(reply)
}

/// `cargo image run` as a user starts it.
struct Tool {
    process: Child,
    pid: Pid,
}

impl Tool {
    fn ready() -> Self {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--quiet", "--package", "holdfast-image", "--", "run", "--port"]);
        command.arg(free_port().unwrap().to_string()).current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&process);
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).find(|line| line.starts_with("ready after"));
        let line = ready.expect("`cargo image run` ended before it was ready");
        assert!(line.contains("redis-cli -p "), "{line}");
        Self { process, pid }
    }

    /// The QEMU it started.
    fn qemu(&self) -> PathBuf {
        let parent = format!("PPid:\t{}", self.pid.as_raw_nonzero());
        let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let mut children = processes.filter(|process| {
            let status = fs::read_to_string(process.join("status")).unwrap_or_default();
            status.contains("Name:\tqemu") && status.lines().any(|line| line == parent)
        });
        children.next().expect("QEMU runs below `cargo image run`")
    }
}

#[test]
fn interrupted_it_leaves_no_process_behind() {
    let mut tool = Tool::ready();
    let qemu = tool.qemu();
    kill_process(tool.pid, Signal::INT).unwrap();
    let status = tool.process.wait().unwrap();
    assert!(status.success(), "Ctrl-C is how one stops it: {status}");
    assert!(!qemu.exists(), "QEMU is still there");
}

#[test]
fn killed_outright_it_takes_qemu_along() {
    let mut tool = Tool::ready();
    let qemu = tool.qemu();
    kill_process(tool.pid, Signal::KILL).unwrap();
    assert_eq!(tool.process.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    wait::expect("QEMU is gone", || !qemu.exists());
}
