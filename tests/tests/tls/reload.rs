//! New certificates while a thousand clients are connected and more come all the time.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use holdfast_tests::authority::{Authority, HERE, Issued, Time};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::wait;
use rustix::process::Signal;

use crate::tls::rig::{Rig, connect};

const CLIENTS: usize = 1_000;
const RELOADS: usize = 50;
/// Threads that connect, ask and leave.
const COMERS: usize = 4;

/// Puts the files of `new` where those of `old` are, each at once.
fn put(new: &Issued, old: &Issued) {
    for (from, to) in [(&new.cert, &old.cert), (&new.key, &old.key)] {
        let aside = to.with_extension("new");
        fs::copy(from, &aside).expect("the directory is ours");
        fs::rename(&aside, to).expect("the directory is ours");
    }
}

#[test]
fn no_handshake_fails_while_certificates_change_under_a_thousand_clients() {
    let authority = Authority::new();
    let names = ["first", "second"];
    let [first, second] = names.map(|name| authority.issue(name, HERE, Time::Now));
    let used = Issued { cert: authority.path("used.crt"), key: authority.path("used.key") };
    put(&first, &used);
    let rig = Rig::start(authority, &used, &["--tls-auth-clients", "no"]);
    let (port, config) = (rig.port(), rig.authority.client_config(None));
    let come_in = || connect(port, &config).expect("a handshake");
    let mut staying: Vec<Client> = (0..CLIENTS).map(|_| come_in()).collect();

    let (done, came) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures: Vec<String> = thread::scope(|scope| {
        let come = || {
            let mut failures = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let asked = connect(port, &config).and_then(|mut client| client.command(&["PING"]));
                came.fetch_add(1, Ordering::Relaxed);
                failures.extend(asked.err().map(|error| error.to_string()));
            }
            failures
        };
        let comers: Vec<_> = (0..COMERS).map(|_| scope.spawn(come)).collect();
        let mut serial = String::new();
        for round in 0..RELOADS {
            put(if round % 2 == 0 { &second } else { &first }, &used);
            rig.set(&["tls-cert-file", &used.cert.display().to_string()]);
            let now = rig.info("tls_server_cert_serial");
            assert_ne!(now, serial, "round {round}");
            serial = now;
            // Some come in each round.
            let seen = came.load(Ordering::Relaxed);
            wait::expect("newcomers", || came.load(Ordering::Relaxed) >= seen + COMERS);
        }
        done.store(true, Ordering::Relaxed);
        comers.into_iter().flat_map(|comer| comer.join().expect("it does not panic")).collect()
    });
    assert_eq!(failures, Vec::<String>::new());
    for client in &mut staying {
        assert_eq!(client.run("PING"), Value::status("PONG"));
    }
    assert_eq!(rig.info("connected_clients"), (CLIENTS + 1).to_string());
    println!("{} handshakes during {RELOADS} reloads, none failed", came.into_inner());
}

/// A server whose files may be replaced, and two bundles to do that with.
struct Replaceable {
    rig: Rig,
    bundles: [Issued; 2],
    used: Issued,
}

impl Replaceable {
    /// Begins with the first of the two.
    #[track_caller]
    fn start() -> Self {
        let authority = Authority::new();
        let bundles = ["first", "second"].map(|name| authority.issue(name, HERE, Time::Now));
        let used = Issued { cert: authority.path("used.crt"), key: authority.path("used.key") };
        put(&bundles[0], &used);
        let args = ["--tls-auth-clients", "no", "--loglevel", "debug"];
        Self { rig: Rig::start(authority, &used, &args), bundles, used }
    }

    /// The certificate that a new client sees.
    fn shown(&self) -> Option<Vec<u8>> {
        let client = self.rig.connect(&self.rig.authority.client_config(None));
        client.expect("a handshake").server_certificate()
    }

    #[track_caller]
    fn expect_said(&self, text: &str) {
        wait::expect(text, || self.rig.server.log().contains(text));
    }
}

#[test]
fn changed_files_are_found_by_themselves() {
    let server = Replaceable::start();
    let before = server.shown();
    server.rig.set(&["tls-auto-reload-interval", "1"]);
    server.expect_said("TLS reload skipped: materials unchanged");
    // While only one of the two is there, nothing is taken.
    fs::copy(&server.bundles[1].key, &server.used.key).expect("the directory is ours");
    server.expect_said("Background TLS reload failed");
    assert_eq!(server.shown(), before);
    put(&server.bundles[1], &server.used);
    server.expect_said("TLS materials reloaded successfully");
    assert_ne!(server.shown(), before);
}

#[test]
fn a_signal_has_the_files_read_again() {
    let server = Replaceable::start();
    let before = server.shown();
    fs::write(&server.used.cert, "broken").expect("the directory is ours");
    server.rig.server.signal(Signal::HUP);
    server.expect_said("Background TLS reload failed");
    assert_eq!(server.shown(), before);
    put(&server.bundles[1], &server.used);
    server.rig.server.signal(Signal::HUP);
    server.expect_said("TLS materials reloaded successfully");
    assert_ne!(server.shown(), before);
}
