//! The server as a process: how it is started, what it listens on, how it ends.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use holdfast_tests::binaries::{self, Flavour};
use holdfast_tests::client::Client;
use holdfast_tests::ports::PortLease;
use holdfast_tests::process;
use holdfast_tests::server::Server;
use holdfast_tests::wait::{self, PATIENCE};
use rustix::process::Signal;

#[track_caller]
fn assert_ends_with(server: &mut Server, code: i32) {
    let status = server.exit_status(PATIENCE);
    let status = status.unwrap_or_else(|| panic!("still running:\n{}", server.log()));
    assert_eq!(status.code(), Some(code), "{status}:\n{}", server.log());
}

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let mut idle = server.client();
        idle.run("PING");
        server.signal(signal);
        assert_ends_with(&mut server, 0);
        assert!(idle.is_closed());
    }
}

#[test]
fn shutdown_ends_it_with_zero() {
    for how in ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN NOW", "SHUTDOWN NOSAVE FORCE"] {
        let mut server = Server::start(&[]);
        let words: Vec<&str> = how.split(' ').collect();
        server.client().send(&words).expect("the command can be sent");
        assert_ends_with(&mut server, 0);
    }
}

/// 10,000 replies are on their way when SIGTERM comes: what was executed has been answered.
#[test]
fn what_was_executed_is_answered_before_the_end() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    let batch = holdfast_tests::resp::encode_command(&["INCR", "n"]).repeat(10_000);
    client.write_raw(&batch).expect("the batch can be sent");
    assert_eq!(client.read().unwrap().lines(), ["(integer) 1"]);
    server.signal(Signal::TERM);
    let mut last = 1;
    while let Ok(reply) = client.read() {
        last += 1;
        assert_eq!(reply.lines(), [format!("(integer) {last}")]);
    }
    assert_ends_with(&mut server, 0);
}

#[test]
fn a_unix_socket_serves_with_the_mode_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a scratch directory");
    let socket = directory.path().join("s");
    let path = socket.display().to_string();
    let server = Server::start(&["--unixsocket", &path, "--unixsocketperm", "700"]);
    let mut client = Client::connect_unix(&socket).expect("the socket accepts");
    assert_eq!(client.run("SET a b").lines(), ["OK"]);
    assert_eq!(server.client().run("GET a").lines(), ["\"b\""]);
    let mode = fs::metadata(&socket).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let info = String::from_utf8_lossy(client.run("CLIENT INFO").bytes().unwrap()).into_owned();
    assert!(info.contains("flags=U"), "{info}");
}

#[test]
fn a_file_flags_and_standard_input_make_one_configuration() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let file = directory.path().join("redis.conf");
    let included = directory.path().join("more.conf");
    fs::write(&included, "maxclients 77\n").unwrap();
    let text = format!("save \"\"\ntimeout 11\nhz 50\ninclude {}\n", included.display());
    fs::write(&file, text).unwrap();
    let lease = PortLease::acquire().expect("a free port");
    let mut child = Command::new(binaries::server(Flavour::Holdfast))
        .arg(&file)
        .args(["--port", &lease.port().to_string(), "--hz", "60", "-"])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the server can be executed");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"tcp-keepalive 123\n").expect("the server reads");
    drop(stdin);
    let address = (std::net::Ipv4Addr::LOCALHOST, lease.port()).into();
    let client = wait::until(PATIENCE, || Client::connect(address).ok());
    let mut client = client.expect("the server comes up");
    let expected =
        [("timeout", "11"), ("hz", "60"), ("maxclients", "77"), ("tcp-keepalive", "123")];
    for (name, value) in expected {
        let lines = client.run(&format!("CONFIG GET {name}")).lines();
        assert_eq!(lines, [format!("1) \"{name}\""), format!("2) \"{value}\"")]);
    }
    client.send(&["SHUTDOWN", "NOSAVE"]).expect("the command can be sent");
    let status = process::exit_status(&mut child, PATIENCE);
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}

#[test]
fn called_by_another_name_it_is_the_same_server() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    for name in ["redis-server", "valkey-server"] {
        let link = directory.path().join(name);
        std::os::unix::fs::symlink(binaries::server(Flavour::Holdfast), &link).unwrap();
        let version = Command::new(&link).arg("--version").output().expect("it can be executed");
        assert!(version.status.success());
        let text = String::from_utf8_lossy(&version.stdout).into_owned();
        assert!(text.contains("v=") && text.contains("Holdfast"), "{name}: {text}");
    }
}

#[test]
fn idle_clients_are_closed_after_the_timeout() {
    let server = Server::start(&["--timeout", "1"]);
    let mut idle = server.client();
    idle.run("PING");
    let closed = wait::until(PATIENCE, || {
        // By a client of its own each time: a watcher on a busy machine may idle as long.
        let list = server.client().command(&["CLIENT", "LIST"]).ok()?;
        let text = String::from_utf8_lossy(list.bytes()?).into_owned();
        (text.lines().count() == 1).then_some(())
    });
    assert!(closed.is_some(), "the idle client is still there");
    assert!(idle.is_closed());
}

/// What `ps` shows of a process, without the zero at its end.
fn title(server: &Server) -> String {
    let line = fs::read(format!("/proc/{}/cmdline", server.pid())).expect("it runs");
    let line = String::from_utf8_lossy(&line).into_owned();
    line.strip_suffix('\0').map(str::to_owned).unwrap_or(line)
}

/// The titles that templates make, with what differs between programs taken out.
fn titles(flavour: Flavour) -> Vec<String> {
    let server = Server::start_flavour(flavour, &["--unixsocket", "unix.sock"]);
    let program = binaries::server(flavour).display().to_string();
    let mut client = server.client();
    let mut shown = vec![title(&server)];
    for template in [
        "{title} on {port}",
        "{port}",
        "tls {tls-port}, {unixsocket} {server-mode} {config-file} {{port}}",
        "{title} {listen-addr} {server-mode}",
    ] {
        let reply = client.command(&["CONFIG", "SET", "proc-title-template", template]);
        assert_eq!(reply.expect("an answer").lines(), ["OK"], "{template}");
        shown.push(title(&server));
    }
    let port = server.port().to_string();
    // Behind a title that is shorter than its arguments were the original leaves zeros and a dot.
    let shown = shown.iter().map(|title| title.split('\0').next().unwrap_or_default());
    shown.map(|title| title.replace(&program, "PROGRAM").replace(&port, "PORT")).collect()
}

#[test]
fn the_title_is_as_the_original_s() {
    let ours = titles(Flavour::Holdfast);
    assert_eq!(ours[0], "PROGRAM 127.0.0.1:PORT");
    assert_eq!(ours, titles(Flavour::Valkey));
}

#[test]
fn a_title_takes_the_room_of_arguments_and_environment_and_no_more() {
    let words = ["env", "-i", "HOLDFAST_DEFAULTS=maxclients 77", "LONG=a-value-of-some-length"];
    let server = Server::start_behind(&words, Flavour::Holdfast, &[]);
    let mut client = server.client();
    assert_eq!(client.run("CONFIG GET maxclients").lines(), ["1) \"maxclients\"", "2) \"77\""]);
    let long = "x".repeat(5_000);
    client.command(&["CONFIG", "SET", "proc-title-template", &long]).expect("an answer");
    let shown = title(&server);
    assert!((100..=1024).contains(&shown.len()) && long.starts_with(&shown), "{shown}");
    client.command(&["CONFIG", "SET", "proc-title-template", "short"]).expect("an answer");
    assert_eq!(title(&server), "short");
}

#[test]
fn without_a_title_the_command_line_stays() {
    let server = Server::start(&["--set-proc-title", "no"]);
    let program = binaries::server(Flavour::Holdfast).display().to_string();
    server.client().run("CONFIG SET proc-title-template x");
    let shown = title(&server);
    assert!(shown.starts_with(&format!("{program}\0--port\0")), "{shown:?}");
    assert!(shown.ends_with("\0--set-proc-title\0no"), "{shown:?}");
}
