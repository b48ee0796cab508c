//! `cargo image run` as a user starts it, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use holdfast_image::machine::free_port;
use holdfast_tests::wait;
use rustix::process::{Pid, Signal, kill_process};

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
