//! The status command and its socket.

use std::io::Read;
use std::process::Command;

use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::{Rig, binaries};

#[test]
fn the_commands_for_scripts_say_it_with_their_exit_status() {
    let rig = Rig::start("", &[]);
    assert_eq!(rig.agent(&["status", "--ready"]).status.code(), Some(0));
    let text = String::from_utf8(rig.agent(&["status"]).stdout).expect("text");
    assert!(text.starts_with("holdfast ") && text.contains("server: ready, pid "), "{text}");
    let port = rig.port.port().to_string();
    let healthcheck = |port: &str| {
        let mut command = Command::new(&binaries().agent);
        command.args(["healthcheck", "--port", port]).output().expect("the agent's command runs")
    };
    assert_eq!(healthcheck(&port).status.code(), Some(0));
    rig.signal("holdfast-server", Signal::STOP);
    let sick = healthcheck(&port);
    assert_eq!(sick.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&sick.stderr).contains("no answer within"), "{sick:?}");
    wait::expect("status --ready to say no", || {
        rig.agent(&["status", "--ready"]).status.code() == Some(1)
    });
    let nobody = Command::new(&binaries().agent)
        .args(["status", "--socket", "/nowhere.sock"])
        .output()
        .expect("the agent's command runs");
    assert_eq!(nobody.status.code(), Some(2));
}

#[test]
fn rubbish_on_the_status_socket_is_answered_or_dropped_and_never_felt() {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    let rig = Rig::start("", &[]);
    let socket = &rig.status_socket;
    let ask = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(socket).expect("the agent accepts");
        // The agent may have closed after as much as it reads.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).expect("text")
    };
    for rubbish in [&b"\xff\xfe\n"[..], b"\n", b"status xml\n", &[b'x'; 100_000], b"status"] {
        let answer = ask(rubbish);
        assert!(answer.is_empty() || answer.starts_with('-'), "{answer}");
    }
    // More connections than are served at once, all of them silent.
    let silent: Vec<_> =
        (0..20).map(|_| UnixStream::connect(socket).expect("the kernel queues it")).collect();
    wait::expect("a question to be answered after them", || ask(b"status json\n").starts_with('{'));
    drop(silent);
    assert_eq!(rig.service("agent")["restarts"], 0);
    rig.stop();
}
