//! Listening sockets that outlive the server.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, TryRecvError};

use holdfast_tests::binaries::{self, Flavour};
use holdfast_tests::client::Client;
use holdfast_tests::ports::PortLease;
use holdfast_tests::resp::Value;
use holdfast_tests::wait::{self, PATIENCE};

use crate::service::manager::Manager;

#[track_caller]
fn assert_pong(client: &mut Client) {
    assert_eq!(client.run("PING"), Value::status("PONG"));
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[test]
fn who_connects_between_two_runs_is_served_by_the_next() {
    let mut manager = Manager::new(&[]);
    manager.start();
    manager.hear_of("READY=1");
    assert_eq!(manager.store.len(), 1, "{:?}", manager.told);
    for round in 0..3 {
        // Once it is killed, then it is asked to end.
        if round < 2 {
            manager.kill()
        } else {
            manager.stop()
        }
        let mut early = Client::connect(at(manager.port.port())).expect("nobody is refused");
        early.send(&["PING"]).expect("the kernel takes it");
        manager.start();
        assert_eq!(early.read().expect("an answer"), Value::status("PONG"));
        manager.hear_of("READY=1");
        let given: Vec<_> = manager.told.iter().filter(|text| text.contains("FDSTORE")).collect();
        assert!(given.is_empty(), "what is kept need not be given again: {given:?}");
    }
}

#[test]
fn every_kind_of_socket_is_kept_and_taken_back() {
    let mut manager = Manager::new(&["--bind", "::1"]);
    let path = manager.path("s");
    manager.add(&["--unixsocket", &path.display().to_string(), "--unixsocketperm", "700"]);
    manager.start();
    manager.hear_of("READY=1");
    assert_eq!(manager.store.len(), 2, "{:?}", manager.told);
    manager.kill();
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, manager.port.port()));
    let mut early = Client::connect(v6).expect("nobody is refused");
    let mut early_unix = Client::connect_unix(&path).expect("nobody is refused");
    early.send(&["PING"]).expect("the kernel takes it");
    early_unix.send(&["PING"]).expect("the kernel takes it");
    manager.start();
    assert_eq!(early.read().expect("an answer"), Value::status("PONG"));
    assert_eq!(early_unix.read().expect("an answer"), Value::status("PONG"));
    manager.hear_of("READY=1");
    assert!(!manager.told.iter().any(|text| text.contains("FDSTORE")), "{:?}", manager.told);
}

#[test]
fn several_addresses_are_kept_each() {
    let mut manager = Manager::new(&["--bind", "127.0.0.1", "127.0.0.2"]);
    manager.start();
    manager.hear_of("READY=1");
    assert_eq!(manager.store.len(), 2, "{:?}", manager.told);
    manager.kill();
    let second = SocketAddr::from(([127, 0, 0, 2], manager.port.port()));
    let mut early = Client::connect(second).expect("nobody is refused");
    early.send(&["PING"]).expect("the kernel takes it");
    manager.start();
    assert_eq!(early.read().expect("an answer"), Value::status("PONG"));
    assert_pong(&mut manager.client());
}

#[test]
fn config_set_keeps_the_store_right() {
    let mut manager = Manager::new(&[]);
    manager.start();
    manager.hear_of("READY=1");
    let mut client = manager.client();

    // An address more: the one there was stays open.
    let two = client.command(&["CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"]);
    assert_eq!(two.expect("an answer"), Value::status("OK"));
    manager.hear_of("FDSTORE=1");
    assert_eq!(manager.store.len(), 2, "{:?}", manager.told);
    assert_pong(&mut manager.client());
    assert_eq!(client.run("CONFIG SET bind 127.0.0.1"), Value::status("OK"));
    manager.hear_of("FDSTOREREMOVE=1");
    manager.hear_of("FDSTORE=1");

    let other = PortLease::acquire().expect("a free port");
    let set = format!("CONFIG SET port {}", other.port());
    assert_eq!(client.run(&set), Value::status("OK"));
    manager.hear_of("FDSTOREREMOVE=1");
    manager.hear_of("FDSTORE=1");
    assert_eq!(manager.store.len(), 1);
    let old = at(manager.port.port());
    wait::expect("the old port to be closed", || is_refused(old));

    // The file still says the old port: the socket kept for the other is given back and closed.
    manager.kill();
    assert!(!is_refused(at(other.port())), "kept");
    manager.start();
    manager.hear_of("FDSTOREREMOVE=1");
    manager.hear_of("FDSTORE=1");
    manager.hear_of("READY=1");
    assert_eq!(manager.store.len(), 1);
    assert_pong(&mut manager.client());
    wait::expect("the other port to be closed", || is_refused(at(other.port())));
    assert!(manager.log().contains("the configuration has no such address"), "{}", manager.log());
}

/// Somebody connects all the time.
#[test]
fn no_connection_is_refused_while_the_server_is_killed_again_and_again() {
    const KILLS: usize = 20;
    let mut manager = Manager::new(&[]);
    manager.start();
    manager.hear_of("READY=1");
    let address = at(manager.port.port());
    let (stop, stopped) = mpsc::channel::<()>();
    let knocking = std::thread::spawn(move || {
        let mut refused = 0;
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            refused += usize::from(is_refused(address));
        }
        refused
    });
    for _ in 0..KILLS {
        manager.kill();
        manager.start();
        manager.hear_of("READY=1");
    }
    drop(stop);
    assert_eq!(knocking.join().expect("it only counts"), 0);
}

#[test]
fn hostile_descriptors_do_not_stop_the_start() {
    let mut manager = Manager::new(&[]);
    let file = fs::File::open("/dev/null").expect("there is one");
    let client = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let client = TcpStream::connect(client.local_addr().expect("bound")).expect("accepted");
    manager.store = vec![file.into(), client.into()];
    manager.start();
    manager.hear_of("READY=1");
    assert_pong(&mut manager.client());
    let log = manager.log();
    assert_eq!(log.matches("in LISTEN_FDS is no listening socket").count(), 2, "{log}");
}

/// One socket for both families, as systemd's `ListenStream=PORT` opens it.
#[test]
fn a_socket_for_both_families_is_enough_for_both() {
    let mut manager = Manager::new(&["--bind", "0.0.0.0", "::", "--protected-mode", "no"]);
    let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, manager.port.port())).expect("free");
    manager.store = vec![both.into()];
    manager.start();
    manager.hear_of("READY=1");
    assert_pong(&mut manager.client());
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, manager.port.port()));
    assert_pong(&mut Client::connect(v6).expect("the same socket"));
}

#[test]
fn another_processs_descriptors_are_left_alone() {
    let mut manager = Manager::new(&[]);
    manager.set("LISTEN_PID", "1");
    manager.set("LISTEN_FDS", "60");
    manager.start();
    manager.hear_of("READY=1");
    assert_pong(&mut manager.client());
}

#[test]
fn systemd_socket_activate_starts_it_at_the_first_connection() {
    let port = PortLease::acquire().expect("a free port");
    let number = port.port().to_string();
    let address = format!("127.0.0.1:{number}");
    let mut activate = Command::new("systemd-socket-activate");
    activate.args(["--listen", &address]).arg(binaries::server(Flavour::Holdfast));
    activate.args(["--port", &number, "--bind", "127.0.0.1", "--save", ""]);
    let mut child = activate.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("systemd");
    let client = wait::until(PATIENCE, || Client::connect(at(port.port())).ok());
    let mut client = client.expect("systemd-socket-activate listens");
    assert_pong(&mut client);
    let listening = listeners(child.id());
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(listening, 1, "the server took the socket there was");
}

/// How many listening TCP sockets a process has.
fn listeners(pid: u32) -> usize {
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("a table");
    let inode = |line: &str| line.split_whitespace().nth(9).map(str::to_owned);
    let listening = table.lines().filter(|line| line.split_whitespace().nth(3) == Some("0A"));
    let listening: BTreeSet<String> = listening.filter_map(inode).collect();
    let own = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").flatten();
    let own = own.filter_map(|fd| fs::read_link(fd.path()).ok()?.to_str().map(str::to_owned));
    let own =
        own.filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned));
    own.collect::<BTreeSet<_>>().intersection(&listening).count()
}

#[test]
fn a_unix_socket_whose_file_is_gone_is_bound_anew() {
    let mut manager = Manager::new(&["--port", "0"]);
    let path = manager.path("s");
    manager.add(&["--unixsocket", &path.display().to_string()]);
    manager.start();
    manager.hear_of("READY=1");
    manager.kill();
    // Its file is gone, so nobody would come to the socket that is kept.
    fs::remove_file(&path).expect("it is there");
    manager.start();
    manager.hear_of("FDSTOREREMOVE=1");
    manager.hear_of("READY=1");
    assert!(UnixStream::connect(&path).is_ok());
}
