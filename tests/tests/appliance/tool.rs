//! `cargo image run` as a user starts it, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use holdfast_image::machine::free_port;
use holdfast_tests::wait;
use rustix::process::{Pid, Signal, kill_process};

/// `cargo image run` as a user starts it.
struct Tool {
    process: Child,
    pid: Pid,
    shown: Lines<BufReader<ChildStdout>>,
}

impl Tool {
    fn ready() -> Self {
        let mut command = Command::new(env!("CARGO"));
        command.args(["run", "--quiet", "--package", "holdfast-image", "--", "run", "--port"]);
        command.arg(free_port().unwrap().to_string()).current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&process);
        let shown = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut tool = Self { process, pid, shown };
        let line = tool.wait_for_line("redis-cli -p ");
        assert!(line.starts_with("ready after "), "{line}");
        tool
    }

    /// One that has `text` in it.
    fn wait_for_line(&mut self, text: &str) -> String {
        let mut lines = self.shown.by_ref().map_while(Result::ok);
        let found = lines.find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("`cargo image run` ended before {text:?}"))
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

/// A test that failed leaves nothing behind either.
impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_is_typed_reaches_the_machine_s_console() {
    let mut tool = Tool::ready();
    tool.process.stdin.as_mut().unwrap().write_all(b"holdfast help\n").unwrap();
    tool.wait_for_line("holdfast factory-reset --yes");
    kill_process(tool.pid, Signal::INT).unwrap();
    assert!(tool.process.wait().unwrap().success());
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
