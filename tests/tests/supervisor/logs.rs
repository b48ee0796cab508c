//! What services write, when nobody takes it and when there is too much of it.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{ENTER, Rig};

/// 100 bytes each: more than the pipe, the ring and the console hold together.
const LINES: usize = 20_000;

#[test]
fn what_a_service_writes_reaches_standard_output_whole_and_in_order() {
    let rig = Rig::hurt("");
    assert_eq!(rig.tell("FLOOD 300"), "+OK");
    wait::expect("the last line", || rig.log().contains(&format!("flood {:093}\n", 299)));
    let log = rig.log();
    let flood: Vec<&str> = log.lines().filter(|line| line.starts_with("flood ")).collect();
    let expected: Vec<String> = (0..300).map(|line| format!("flood {line:093}")).collect();
    assert_eq!(flood, expected);
    rig.stop();
}

/// A console that takes nothing: the service goes on, PID 1 goes on, and every line is accounted for.
#[test]
fn a_flood_against_a_blocked_console_stops_nobody_and_is_counted_to_the_line() {
    let blocked = "mkfifo \"$0/console\" && exec 1<>\"$0/console\"\nexec unshare";
    let rig = Rig::hurt_by(&ENTER.replace("exec unshare", blocked), "");
    assert_eq!(rig.tell(&format!("FLOOD {LINES}")), "+OK", "the writer was held up for ever");
    rig.signal("holdfast-agent", Signal::KILL);
    wait::expect("PID 1 to go on", || rig.service("agent")["restarts"] == 1);
    assert_eq!(rig.tell("PING"), "+PONG");

    let console = rig.root.path().join("console");
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut console = OpenOptions::new().read(true).custom_flags(nonblock).open(console);
    let console = console.as_mut().expect("a pipe");
    let (mut text, mut dropped) = (Vec::new(), 0);
    let told = wait::until(wait::PATIENCE, || {
        // Nothing there is an error, and what was read before it is kept.
        let _ = console.read_to_end(&mut text);
        dropped = rig.service("server")["log_dropped"].as_u64()? as usize;
        (flood_lines(&text) + dropped == LINES).then_some(())
    });
    let seen = flood_lines(&text);
    assert!(told.is_some(), "{seen} lines were seen and {dropped} dropped, of {LINES}");
    assert!(dropped > 0 && seen > 0, "{seen} seen, {dropped} dropped");
    let notices = String::from_utf8_lossy(&text);
    assert!(notices.contains(" lines were dropped here"), "it was not said where");
    assert!(rig.status()["degraded"].to_string().contains("logs-dropped"));
    rig.stop();
}

fn flood_lines(text: &[u8]) -> usize {
    text.split(|&byte| byte == b'\n')
        .filter(|line| line.len() == 99 && line.starts_with(b"flood "))
        .count()
}
