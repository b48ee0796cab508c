//! TLS: the same options and certificates, on the same server, by Debian's redis-cli and by ours.
//!
//! Deliberate differences, which no case here compares: what a server says after its handshake is shown
//! (the real one says what errno says, mostly `Success`); `-t` limits the handshake, too; every
//! certificate in `--cacertdir` counts, whatever its file is called; what only old ciphers are asked
//! for is an error.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::thread;

use holdfast_tests::authority::{Authority, HERE, Issued, Time};
use holdfast_tests::binaries::debian_program;
use holdfast_tests::packages;
use holdfast_tests::ports::PortLease;
use holdfast_tests::server::Server;
use holdfast_tests::{tls, wait};

use crate::cli::{Ours, command, shown, subscribers};

/// Both clients in the directory of an authority, whose files they name.
struct Clients {
    authority: Authority,
    ours: Ours,
}

impl Clients {
    fn new() -> Self {
        Self { authority: Authority::new(), ours: Ours::called("redis-cli") }
    }

    /// A client that is called with the words of `line`.
    fn client(&self, line: &str, port: u16, is_ours: bool) -> Command {
        let theirs = debian_program("redis-cli");
        let program = if is_ours { &self.ours.program } else { &theirs };
        let port = port.to_string();
        let mut args = vec!["-p", &port];
        args.extend(line.split_ascii_whitespace());
        let mut client = command(program, &args);
        client.current_dir(self.authority.path("."));
        client.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        client
    }

    /// Both say and do the same, and this is part of it.
    #[track_caller]
    fn check(&self, port: u16, line: &str, expected: &str) {
        self.check_with(port, line, "", &[], expected);
    }

    #[track_caller]
    fn check_with(
        &self,
        port: u16,
        line: &str,
        input: &str,
        environment: &[(&str, &str)],
        expected: &str,
    ) {
        let [ours, theirs] = [true, false].map(|is_ours| {
            let mut client = self.client(line, port, is_ours);
            shown(&fed(client.envs(environment.iter().copied()), input.as_bytes()))
        });
        assert_eq!(ours, theirs, "{line} {environment:?}");
        assert!(ours.contains(expected), "{line} {environment:?}: {ours}");
    }
}

/// Runs a client with that standard input, whatever it says meanwhile.
fn fed(client: &mut Command, input: &[u8]) -> Output {
    let mut child = client.spawn().expect("the client can be executed");
    let mut stdin = child.stdin.take().expect("piped");
    thread::scope(|scope| {
        // Some end before they have read anything.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("its end")
    })
}

/// A server with an identity of the clients' authority.
struct Rig {
    clients: Clients,
    server: Server,
    lease: PortLease,
}

impl Rig {
    #[track_caller]
    fn start(clients: Clients, identity: &Issued, args: &[&str]) -> Self {
        let (server, lease) = tls::server(&clients.authority, identity, args);
        Self { clients, server, lease }
    }

    /// One that asks for no certificate and shows a good one.
    #[track_caller]
    fn open() -> Self {
        let clients = Clients::new();
        let identity = clients.authority.issue("server", HERE, Time::Now);
        Self::start(clients, &identity, &["--tls-auth-clients", "no"])
    }

    fn port(&self) -> u16 {
        self.lease.port()
    }

    #[track_caller]
    fn check(&self, line: &str, expected: &str) {
        self.clients.check(self.port(), line, expected);
    }

    #[track_caller]
    fn check_with(&self, line: &str, input: &str, environment: &[(&str, &str)], expected: &str) {
        self.clients.check_with(self.port(), line, input, environment, expected);
    }

    /// Our client with these words, and TLS.
    fn ours(&self, line: &str) -> Command {
        self.clients.client(&format!("--tls --cacert ca.crt {line}"), self.port(), true)
    }

    fn listener(&self, line: &str, is_ours: bool) -> Child {
        let line = format!("--tls --cacert ca.crt {line}");
        let mut client = self.clients.client(&line, self.port(), is_ours);
        client.spawn().expect("the client can be executed")
    }
}

const UNVERIFIED: &str = "SSL_connect failed: certificate verify failed";
const NO_AUTHORITY: &str =
    "Could not negotiate a TLS connection: Invalid CA Certificate File/Directory";
const NO_CERTIFICATE: &str = "Could not negotiate a TLS connection: Invalid client certificate";
const NO_KEY: &str = "Could not negotiate a TLS connection: Invalid private key";

#[test]
fn authorities_are_where_the_real_one_looks_for_them() {
    let rig = Rig::open();
    let authority = &rig.clients.authority;
    let other = Authority::new();
    fs::copy(other.ca(), authority.path("other.crt")).unwrap();
    fs::write(authority.path("garbage"), "-----BEGIN CERTIFICATE-----\nno\n").unwrap();
    fs::write(authority.path("nothing"), "").unwrap();
    for name in ["hashed", "empty"] {
        fs::create_dir(authority.path(name)).unwrap();
    }
    fs::copy(authority.ca(), authority.path("hashed/ours.pem")).unwrap();
    fs::write(authority.path("hashed/README"), "no certificate").unwrap();
    authority.openssl("rehash hashed");

    for (line, expected) in [
        ("--cacert ca.crt PING", "PONG"),
        ("PING", UNVERIFIED),
        ("--cacert other.crt PING", UNVERIFIED),
        ("--insecure PING", "PONG"),
        ("--insecure --cacert other.crt PING", "PONG"),
        ("--insecure --cacert garbage PING", NO_AUTHORITY),
        ("--cacert missing PING", NO_AUTHORITY),
        ("--cacert garbage PING", NO_AUTHORITY),
        ("--cacert nothing PING", NO_AUTHORITY),
        ("--cacertdir hashed PING", "PONG"),
        ("--cacertdir empty PING", UNVERIFIED),
        ("--cacertdir missing PING", UNVERIFIED),
        ("--cacertdir hashed --cacert ca.crt PING", "PONG"),
        ("--cacertdir hashed --cacert missing PING", NO_AUTHORITY),
    ] {
        rig.check(&format!("--tls {line}"), expected);
    }
    for (name, value, expected) in [
        ("SSL_CERT_FILE", "ca.crt", "PONG"),
        ("SSL_CERT_FILE", "other.crt", UNVERIFIED),
        ("SSL_CERT_FILE", "missing", UNVERIFIED),
        ("SSL_CERT_DIR", "empty:hashed", "PONG"),
        ("SSL_CERT_DIR", "missing", UNVERIFIED),
    ] {
        rig.check_with("--tls PING", "", &[(name, value)], expected);
        rig.check_with("--tls --cacert ca.crt PING", "", &[(name, value)], "PONG");
    }
}

#[test]
fn options_of_tls_mean_the_same() {
    let rig = Rig::open();
    let port = rig.port();
    for (line, expected) in [
        ("--sni localhost PING", "PONG"),
        ("--sni elsewhere.example PING", "PONG"),
        ("--tls-ciphers ECDHE-ECDSA-AES128-GCM-SHA256 PING", "PONG"),
        ("--tls-ciphers NONSENSE PING", "TLS connection: Error while configuring ciphers"),
        ("--tls-ciphersuites TLS_AES_128_GCM_SHA256 PING", "PONG"),
        ("-r 2 -n 3 DBSIZE", "0\n0\n"),
        ("-a secret PING", "AUTH failed"),
        ("--sni", "Unrecognized option or bad number of args for: "),
        ("--tls-ciphers", "bad number of args"),
    ] {
        rig.check(&format!("--tls --cacert ca.crt {line}"), expected);
    }
    rig.check(&format!("--cacert ca.crt -u rediss://127.0.0.1:{port}/2 SELECT x"), "ERR");
    rig.check(&format!("-u rediss://127.0.0.1:{port} PING"), UNVERIFIED);
    // Nobody asked for TLS.
    rig.check("--cacert missing --key missing PING", "Error: Connection reset by peer");
}

#[test]
fn every_mode_says_the_same_of_a_bad_start() {
    let rig = Rig::open();
    for (options, expected) in [
        ("--tls", UNVERIFIED),
        ("--tls --cacert missing", NO_AUTHORITY),
        ("--tls --cacert ca.crt --cert missing", NO_CERTIFICATE),
    ] {
        for mode in ["PING", "--scan", "--pipe", "-r 3 PING", "SUBSCRIBE a", "-n 2 -a x PING"] {
            rig.check(&format!("{options} {mode}"), expected);
        }
    }
    // The real one connects once more before its prompt, for the names of commands.
    rig.check_with("--tls", "PING\nPING\n", &[], UNVERIFIED);
    let lease = PortLease::acquire().expect("a free port");
    for mode in ["PING", ""] {
        let line = format!("--tls --cacert missing {mode}");
        rig.clients.check(lease.port(), &line, "Connection refused");
    }
}

#[test]
fn the_chain_counts_and_the_name_does_not() {
    for (name, extensions, time, expected) in [
        ("elsewhere", "subjectAltName=DNS:elsewhere.example", Time::Now, "PONG"),
        ("nameless", "", Time::Now, "PONG"),
        ("past", HERE, Time::Past, UNVERIFIED),
        ("future", HERE, Time::Future, UNVERIFIED),
        ("client-only", "extendedKeyUsage=clientAuth", Time::Now, UNVERIFIED),
    ] {
        let clients = Clients::new();
        let identity = clients.authority.issue(name, extensions, time);
        let rig = Rig::start(clients, &identity, &["--tls-auth-clients", "no"]);
        rig.check("--tls --cacert ca.crt PING", expected);
        rig.check("--tls --cacert ca.crt --insecure PING", "PONG");
    }
}

#[test]
fn a_certificate_that_signs_itself_is_its_own_authority() {
    let clients = Clients::new();
    clients
        .authority
        .openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out self.key");
    clients.authority.openssl("req -x509 -new -key self.key -days 3650 -out self.crt -subj /CN=x");
    let [cert, key] = ["self.crt", "self.key"].map(|name| clients.authority.path(name));
    let rig = Rig::start(clients, &Issued { cert, key }, &["--tls-auth-clients", "no"]);
    rig.check("--tls --cacert self.crt PING", "PONG");
    rig.check("--tls --cacert ca.crt PING", UNVERIFIED);
}

/// What scripts make that say no more than `openssl x509 -req`.
#[test]
fn certificates_without_version_will_do_on_both_sides() {
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let clients = Clients::new();
        let server = clients.authority.issue_v1("redis", 365);
        clients.authority.issue_v1("client", 365);
        let other = Authority::new();
        fs::copy(other.ca(), clients.authority.path("other.crt")).unwrap();
        let args = ["--tls-auth-clients", "yes", "--tls-protocols", protocol];
        let rig = Rig::start(clients, &server, &args);
        rig.check("--tls --cacert ca.crt --cert client.crt --key client.key PING", "PONG");
        rig.check("--tls --insecure --cert client.crt --key client.key PING", "PONG");
        rig.check("--tls --cacert other.crt --cert client.crt --key client.key PING", UNVERIFIED);
    }
}

#[test]
fn a_certificate_is_shown_to_who_asks() {
    let clients = Clients::new();
    let server = clients.authority.issue("server", HERE, Time::Now);
    clients.authority.issue("client", "", Time::Now);
    clients.authority.issue("another", "", Time::Now);
    fs::write(clients.authority.path("garbage"), "garbage").unwrap();
    let args = ["--tls-auth-clients", "yes", "--tls-protocols", "TLSv1.2"];
    let rig = Rig::start(clients, &server, &args);
    for (line, expected) in [
        ("--cert client.crt --key client.key", "PONG"),
        ("", "SSL_connect failed: "),
        ("--cert client.crt", "SSL_connect failed: "),
        ("--key client.key", "SSL_connect failed: "),
        ("--cert missing --key client.key", NO_CERTIFICATE),
        ("--cert garbage --key client.key", NO_CERTIFICATE),
        ("--cert client.crt --key missing", NO_KEY),
        ("--cert client.crt --key garbage", NO_KEY),
        ("--cert client.crt --key another.key", NO_KEY),
        ("--key garbage", NO_KEY),
        ("--cert garbage", NO_CERTIFICATE),
    ] {
        rig.check(&format!("--tls --cacert ca.crt {line} PING"), expected);
    }
}

/// In TLS 1.3 a client has shaken hands before its server has seen the certificate.
#[test]
fn why_a_server_refuses_is_shown_also_afterwards() {
    let clients = Clients::new();
    let server = clients.authority.issue("server", HERE, Time::Now);
    let rig = Rig::start(clients, &server, &["--tls-auth-clients", "yes"]);
    let out = rig.ours("PING").output().expect("the client");
    let expected = "Some(1)\n-- standard output\n\n-- standard error\n\
                    Error: tlsv13 alert certificate required\n";
    assert_eq!(shown(&out), expected);
    let theirs = rig.clients.client("--tls --cacert ca.crt PING", rig.port(), false).output();
    let theirs = theirs.expect("the client");
    assert_eq!(theirs.status.code(), Some(1), "{}", shown(&theirs));
}

/// What is seen at a terminal where each pass phrase that is asked for gets its answer.
fn answered(line: &str, answers: &[&str]) -> String {
    packages::ensure(&["bsdutils"]).unwrap_or_else(|why| panic!("{why}"));
    let mut script = command(Path::new("script"), &["-qec", line, "/dev/null"]);
    let mut child = script.spawn().expect("script(1)");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let mut seen = Vec::new();
    for answer in answers {
        let asked = seen.len();
        while !String::from_utf8_lossy(&seen[asked..]).contains("Enter PEM pass phrase:") {
            let mut byte = [0];
            stdout.read_exact(&mut byte).expect("it asks");
            seen.extend(byte);
        }
        stdin.write_all(answer.as_bytes()).expect("it reads");
    }
    stdout.read_to_end(&mut seen).expect("its end");
    child.wait().expect("its end");
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn a_key_may_have_a_password() {
    let clients = Clients::new();
    let server = clients.authority.issue("server", HERE, Time::Now);
    clients.authority.issue("client", "", Time::Now);
    clients.authority.openssl("pkcs8 -topk8 -in client.key -out sealed.key -passout pass:sesame");
    let rig = Rig::start(clients, &server, &["--tls-auth-clients", "yes"]);
    let client = rig.ours("--cert client.crt --key sealed.key PING");
    let words = client.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>();
    let folder = rig.clients.authority.path(".").display().to_string();
    let program = rig.clients.ours.program.display().to_string();
    let line = format!("cd {folder} && {program} {}", words.join(" "));
    let seen = answered(&line, &["sesame\n"]);
    assert!(seen.contains("PONG"), "{seen}");
    // Asked once more, as it is connected once more.
    let seen = answered(&line, &["wrong\n", "wrong\n"]);
    assert!(seen.contains(NO_KEY) && !seen.contains("PONG"), "{seen}");
    // Nobody is there to be asked.
    let out = fed(&mut rig.ours("--cert client.crt --key sealed.key PING"), b"");
    assert!(shown(&out).contains(NO_KEY), "{}", shown(&out));
}

/// Says this to whoever connects, and hangs up once he has hung up.
fn plain_server(says: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.write_all(says).expect("it is connected");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    port
}

#[test]
fn who_speaks_something_else_is_found_out() {
    let clients = Clients::new();
    for (says, expected) in [
        (&b"-ERR unknown command\r\n"[..], "SSL_connect failed: wrong version number"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "SSL_connect failed: wrong version number"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "SSL_connect failed: sslv3 alert handshake failure"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "SSL_connect failed: tlsv1 alert protocol version"),
    ] {
        let port = plain_server(says);
        clients.check(port, "--tls PING", expected);
        clients.check(port, "--tls --insecure --scan", expected);
    }
    let port = plain_server(b"");
    let out = clients.client("--tls -t 0.2 PING", port, true).output().expect("the client");
    let expected = format!(
        "Some(1)\n-- standard output\n\n-- standard error\nCould not connect to Redis at \
         127.0.0.1:{port}: SSL_connect failed: Connection timed out\n"
    );
    assert_eq!(shown(&out), expected);
}

#[test]
fn who_hangs_up_in_the_handshake_is_told_of() {
    let clients = Clients::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // All of it, so that this is an end and not a reset.
            let mut record = [0; 5];
            stream.read_exact(&mut record).expect("a hello");
            let mut hello = vec![0; usize::from(u16::from_be_bytes([record[3], record[4]]))];
            stream.read_exact(&mut hello).expect("a hello");
        }
    });
    clients.check(
        port,
        "--tls --insecure PING",
        "SSL_connect failed: unexpected eof while reading",
    );
}

/// As the real one does it.
#[test]
fn a_unix_socket_may_have_tls_too() {
    let clients = Clients::new();
    let listener = UnixListener::bind(clients.authority.path("socket")).expect("a new socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.write_all(b"-ERR no TLS here\r\n").expect("it is connected");
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let expected = "Could not connect to Redis at socket: SSL_connect failed: wrong version number";
    clients.check(1, "--tls -s socket PING", expected);
}

#[test]
fn mass_insertion_goes_through_tls() {
    let rig = Rig::open();
    let sets: String =
        (0..100_000).map(|n| format!("*3\r\n$3\r\nSET\r\n$7\r\nk{n:06}\r\n$1\r\nv\r\n")).collect();
    rig.check_with("--tls --cacert ca.crt --pipe", &sets, &[], "errors: 0, replies: 100000\n");
    rig.check_with(
        "--tls --cacert ca.crt --pipe",
        "INCR k000001\r\n",
        &[],
        "errors: 1, replies: 1",
    );
    let keys = rig.ours("--scan --pattern k0000*").output().expect("the client");
    assert_eq!(keys.stdout.lines().count(), 100, "{}", shown(&keys));
    // More than what is between us holds, both ways at once.
    let value = "v".repeat(64 << 10);
    let echo = format!("*2\r\n$4\r\nECHO\r\n${}\r\n{value}\r\n", value.len());
    let out = fed(&mut rig.ours("--pipe"), echo.repeat(600).as_bytes());
    assert!(shown(&out).contains("errors: 0, replies: 600\n"), "{}", shown(&out));
}

#[test]
fn a_large_value_goes_both_ways() {
    let rig = Rig::open();
    let value: Vec<u8> = (0..64_u32 << 20).map(|n| (n % 251) as u8).collect();
    let set = fed(&mut rig.ours("-x SET large"), &value);
    assert_eq!(shown(&set), "Some(0)\n-- standard output\nOK\n\n-- standard error\n");
    let mut got = rig.ours("GET large").output().expect("the client");
    assert_eq!(got.stdout.pop(), Some(b'\n'));
    assert!(got.stdout == value, "{} bytes", got.stdout.len());
}

#[test]
fn messages_come_through_tls() {
    let rig = Rig::open();
    let mut client = rig.server.client();
    for line in ["SUBSCRIBE a b", "-d , SUBSCRIBE b"] {
        let outputs = [false, true].map(|is_ours| {
            let child = rig.listener(line, is_ours);
            wait::expect("the client to subscribe", || subscribers(&mut client, "b"));
            client.run("PUBLISH b hello");
            client.run("CLIENT KILL TYPE pubsub");
            let output = shown(&child.wait_with_output().expect("its end"));
            wait::expect("the client to be gone", || !subscribers(&mut client, "b"));
            output
        });
        assert_eq!(outputs[1], outputs[0], "{line}");
        assert!(outputs[0].contains("hello"), "{line}: {}", outputs[0]);
    }
}

/// What a record has beyond what was asked for waits in the session, and the descriptor says nothing.
#[test]
fn a_prompt_sees_messages_and_commands_as_they_come() {
    let rig = Rig::open();
    let mut client = rig.server.client();
    let mut child = rig.listener("", true);
    let mut stdin = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut until = |wanted: &str| {
        let found = lines.by_ref().map_while(Result::ok).find(|line| line == wanted);
        assert!(found.is_some(), "{wanted:.20} has not come");
    };
    stdin.write_all(b"subscribe b\n").expect("it reads");
    wait::expect("the client to subscribe", || subscribers(&mut client, "b"));
    let long = "x".repeat(300_000);
    for round in 0..20 {
        let burst = [&["MULTI"][..], &["PUBLISH", "b", &long], &["PUBLISH", "b", "short"]];
        for words in burst.into_iter().chain([&["PUBLISH", "b", "last"][..], &["EXEC"]]) {
            client.command(words).expect("a reply");
        }
        until(&long);
        until("short");
        until("last");
        stdin.write_all(format!("ping {round}\n").as_bytes()).expect("it reads");
        until(&round.to_string());
    }
    stdin.write_all(b"unsubscribe b\nget none\nset k v\n").expect("it reads");
    until("OK");
    drop(stdin);
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

#[test]
fn monitor_shows_what_others_do_through_tls() {
    let rig = Rig::open();
    let mut client = rig.server.client();
    let child = rig.listener("MONITOR", true);
    wait::expect("the client to watch", || {
        let reply = client.run("CLIENT LIST");
        reply.bytes().is_some_and(|text| text.windows(9).any(|at| at == b" flags=O "))
    });
    client.run("SET watched 1");
    client.run("CLIENT KILL SKIPME yes");
    let out = shown(&child.wait_with_output().expect("its end"));
    assert!(out.contains("OK\n") && out.contains("\\\"SET\\\" \\\"watched\\\" \\\"1\\\""), "{out}");
    assert!(out.starts_with("Some(1)") && out.ends_with("Server closed the connection\n"), "{out}");
}
