//! The local socket: what it does when asked, whom it refuses, and what no flood of it breaks.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use holdfast_tests::resp::Value as Reply;
use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{Rig, descriptors};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    said(output)
}

#[test]
fn stop_start_and_restart_wait_until_it_is_so() {
    let rig = Rig::start("", &[]);
    let first = rig.pid("holdfast-server");
    let text = done(&rig.agent(&["stop", "server"]));
    assert!(text.contains("server is down: it exited with status 0"), "{text}");
    let server = rig.service("server");
    assert_eq!((&server["state"], &server["pid"]), (&"down".into(), &serde_json::Value::Null));
    assert!(done(&rig.agent(&["stop", "server"])).contains("is down already"));

    let text = done(&rig.agent(&["start", "server"]));
    assert!(text.contains("server is ready, pid"), "{text}");
    assert_eq!(rig.client().run("PING"), Reply::Status(b"PONG".to_vec()));
    let second = rig.pid("holdfast-server");
    assert_ne!(second, first);
    assert!(done(&rig.agent(&["start", "server"])).contains("runs already"));

    done(&rig.agent(&["restart", "server"]));
    assert_ne!(rig.pid("holdfast-server"), second);
    assert_eq!(rig.client().run("PING"), Reply::Status(b"PONG".to_vec()));
    assert_eq!(rig.service("server")["failures"], 0, "none of it was a failure");
    rig.stop();
}

#[test]
fn what_cannot_be_done_is_said_with_status_1() {
    let rig = Rig::start("", &[]);
    let cases: [(&[&str], &str); 5] = [
        (&["start", "nobody"], "no service is named nobody; there are: agent, server"),
        (&["stop", "agent"], "it cannot stop itself"),
        (&["logs", "nobody"], "no service is named nobody"),
        (&["restore", "/etc/hostname-of-nobody"], "No such file"),
        (&["factory-reset", "--yes"], "its volume is deleted, from outside"),
    ];
    for (words, expected) in cases {
        let output = rig.agent(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{words:?}: {}", said(&output));
    }
    let stopped = rig.pid("holdfast-server");
    rig.signal("holdfast-server", Signal::STOP);
    let output = rig.agent(&["restart", "server", "--timeout", "0"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("server is still "), "{}", said(&output));
    wait::expect("the server to be back", || {
        rig.status()["ready"] == true && rig.pid("holdfast-server") != stopped
    });
    rig.stop();
}

#[test]
fn usage_mistakes_are_64_and_nobody_is_2() {
    let rig = Rig::start("", &[]);
    for words in [&["start"][..], &["explode"], &["factory-reset"], &["logs", "-n", "x"]] {
        assert_eq!(rig.agent(words).status.code(), Some(64), "{words:?}");
    }
    let nobody = Command::new(&crate::supervisor::rig::binaries().agent)
        .args(["stop", "server", "--socket", "/nonexistent/socket"])
        .output()
        .expect("runs");
    assert_eq!(nobody.status.code(), Some(2), "{}", said(&nobody));
    rig.stop();
}

#[test]
fn every_command_has_a_page_and_stands_in_the_overview() {
    let run = |words: &[&str]| {
        let output = Command::new(&crate::supervisor::rig::binaries().agent).args(words).output();
        done(&output.expect("runs"))
    };
    let overview = run(&["--help"]);
    let verbs: Vec<&str> = overview
        .lines()
        .filter_map(|line| line.strip_prefix("  holdfast-agent ")?.split_whitespace().next())
        .filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect();
    assert!(verbs.len() >= 15, "{overview}");
    for verb in verbs {
        let page = run(&[verb, "--help"]);
        assert!(page.starts_with(&format!("holdfast-agent {verb} ")), "{page}");
    }
}

#[test]
fn reload_tells_every_mistake_and_keeps_what_runs() {
    let rig = Rig::start("", &[]);
    rig.write_config("[server.limits]\npids_max = -1\nnonsense = 1\n");
    let output = rig.agent(&["reload"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("holdfast.toml:2:12: server.limits.pids_max"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("holdfast.toml:3:1: unknown key"), "{}", said(&output));
    assert_eq!(rig.status()["ready"], true);
    rig.write_config("[server.limits]\npids_max = 99\n");
    assert!(done(&rig.agent(&["reload"])).contains("holdfast.toml is read"));
    assert_eq!(rig.status()["config"]["errors"], serde_json::json!([]));
    rig.stop();
}

#[test]
fn logs_are_shown_and_followed() {
    let rig = Rig::start("", &[]);
    let shown = || done(&rig.agent(&["logs", "server", "-n", "200"]));
    wait::expect("the server's own lines", || shown().contains("Ready to accept connections"));
    assert_eq!(done(&rig.agent(&["logs", "server", "-n", "1"])).lines().count(), 1);
    let all = done(&rig.agent(&["logs"]));
    assert!(all.lines().any(|line| line.starts_with("server: ")), "{all}");

    let mut follower = Command::new(&crate::supervisor::rig::binaries().agent)
        .args(["logs", "server", "-n", "0", "-f", "--socket"])
        .arg(&rig.status_socket)
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let lines = BufReader::new(follower.stdout.take().expect("asked for"));
    let (sender, news) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        lines.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    // Nobody knows when the follower begins to listen.
    wait::expect("a line that comes", || {
        rig.client().run("BGSAVE");
        news.try_iter().any(|line| line.contains("Background saving started"))
    });
    follower.kill().expect("ours");
    follower.wait().expect("ours");
    drop(news);
    let _ = reader.join();
    rig.stop();
}

#[test]
fn doctor_sees_what_is_amiss() {
    let rig = Rig::start("", &[]);
    let doctor = || rig.inside(&["holdfast", "doctor"]);
    let text = said(&doctor());
    for subject in
        ["server", "service", "config", "backup", "persistence", "disk", "memory", "clock"]
    {
        assert!(
            text.lines().any(|line| line.get(6..).is_some_and(|rest| rest.starts_with(subject))),
            "{subject}:\n{text}"
        );
    }
    assert!(text.contains("ok    server       it answers PING"), "{text}");
    rig.write_config("nonsense = 1\n");
    let reloaded = rig.agent(&["reload"]);
    assert_eq!(reloaded.status.code(), Some(1));
    let output = doctor();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("fail  config"), "{}", said(&output));
    let json: serde_json::Value =
        serde_json::from_slice(&rig.inside(&["holdfast", "doctor", "--json"]).stdout)
            .expect("JSON");
    assert!(json.as_array().is_some_and(|all| all.iter().any(|one| one["level"] == "fail")));
    rig.stop();
}

/// Sends bytes, says that no more come, and reads to the end.
fn exchange(rig: &Rig, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(&rig.status_socket).expect("the socket is there");
    // A door that is shut early is an answer as well.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Fault 35.
#[test]
fn garbage_is_answered_counted_and_forgotten() {
    let rig = Rig::start("", &[]);
    let long = vec![b'x'; 1 << 20];
    let odd: [&[u8]; 7] = [
        b"",
        b"\n",
        b"\0\0\0\0",
        b"\xff\xfe\n",
        b"status json and more\n",
        b"restore relative\n",
        &long,
    ];
    for bytes in odd {
        let answer = exchange(&rig, bytes);
        assert!(answer.is_empty() || answer.starts_with('-'), "{answer}");
    }
    let counted = rig.status()["control"]["malformed"].as_u64();
    assert!(counted.is_some_and(|counted| counted >= odd.len() as u64 - 1), "{counted:?}");
    rig.stop();
}

/// Fault 35: a byte at a time, and never to the end.
#[test]
fn slow_clients_lose_their_place_and_nobody_else_does() {
    let rig = Rig::start("", &[]);
    let mut slow: Vec<UnixStream> =
        (0..16).map(|_| UnixStream::connect(&rig.status_socket).expect("accepted")).collect();
    for stream in &mut slow {
        stream.write_all(b"s").expect("one byte");
    }
    wait::expect("an answer once a place is free", || rig.status()["ready"] == true);
    for stream in &mut slow {
        stream.set_read_timeout(Some(wait::PATIENCE)).expect("set");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("closed by the agent");
        assert!(answer.starts_with("-this is no request"), "{answer}");
    }
    rig.stop();
}

/// Requests of a flood.
const FLOOD: usize = 10_000;
/// What the agent hears: so many at once, and so many a second (its control/rate.rs).
const BURST: f64 = 400.0;
const PER_SECOND: f64 = 200.0;

/// Fault 35: ten thousand connects, and descriptors sent along.
#[test]
fn a_flood_is_limited_and_leaves_nothing_behind() {
    let rig = Rig::start("", &[]);
    let agent = rig.pid("holdfast-agent");
    let held = descriptors(agent);
    let began = Instant::now();
    flood(&rig.status_socket, FLOOD);
    let seconds = began.elapsed().as_secs_f64();
    let limited = || rig.status()["control"]["limited"].as_u64();
    let limited = wait::until(wait::PATIENCE, limited);
    // A busy machine may be too slow for a flood: what comes at the agent's rate is all heard.
    let heard = BURST + seconds * PER_SECOND;
    let has_to_be_limited = FLOOD as f64 > heard;
    eprintln!("{FLOOD} requests in {seconds:.1} s, {limited:?} of them refused");
    assert!(!has_to_be_limited || limited > Some(0), "{FLOOD} in {seconds} s: {limited:?} refused");
    wait::expect("an answer after the flood", || rig.status()["ready"] == true);
    wait::expect("every descriptor to be closed", || descriptors(agent) <= held + 2);
    assert_eq!(rig.pid("holdfast-agent"), agent, "the same agent");
    // The flood may still be limited, and so may we.
    wait::expect("no restart", || rig.service("agent")["restarts"] == 0);
    rig.stop();
}

/// Requests of several clients at a time; every fourth brings a descriptor.
fn flood(socket: &Path, requests: usize) {
    const CLIENTS: usize = 4;
    let ask = || {
        for round in 0..requests / CLIENTS {
            let Ok(mut stream) = UnixStream::connect(socket) else { continue };
            if round % 4 == 0 {
                send_with_descriptor(&stream);
            } else {
                let _ = stream.write_all(b"status\n");
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(ask);
        }
    });
}

fn send_with_descriptor(stream: &UnixStream) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::os::fd::AsFd;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let file = fs::File::open("/dev/null").expect("there");
    let descriptors = [file.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let bytes = std::io::IoSlice::new(b"status\n");
    let _ = sendmsg(stream, &[bytes], &mut control, SendFlags::NOSIGNAL);
}

/// Fault 35: the mode of the file would let them in; the kernel's word does not.
#[test]
fn another_user_is_refused_whatever_the_sockets_mode() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::start("", &[]);
    for path in
        [rig.root.path(), &rig.root.path().join("run"), &rig.root.path().join("run/holdfast")]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
    }
    fs::set_permissions(&rig.status_socket, fs::Permissions::from_mode(0o666)).expect("ours");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(rig.root.path().join("usr/bin/holdfast"))
        .args(["status", "--socket"])
        .arg(&rig.status_socket)
        .output()
        .expect("setpriv(1) of util-linux");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("only root"), "{}", said(&output));
    assert_eq!(rig.status()["control"]["refused"], 1);
    rig.stop();
}

/// Whoever asked may leave; what they asked for is done.
#[test]
fn a_client_that_leaves_stops_nothing() {
    let rig = Rig::start("", &[]);
    let first = rig.pid("holdfast-server");
    let mut stream = UnixStream::connect(&rig.status_socket).expect("the socket is there");
    stream.write_all(b"restart server\n").expect("asked");
    drop(stream);
    wait::expect("a new server", || {
        rig.status()["ready"] == true && rig.pid("holdfast-server") != first
    });
    rig.stop();
}

#[test]
fn poweroff_ends_a_container_in_order() {
    let mut rig = Rig::start("", &[]);
    let started = Instant::now();
    assert!(done(&rig.agent(&["poweroff"])).contains("stops everything"));
    assert_eq!(rig.wait_for_exit().code(), Some(0), "{}", rig.log());
    assert!(started.elapsed() < Duration::from_secs(20));
}
