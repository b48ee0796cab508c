//! MIGRATE from and to Valkey: values of every type, every option, and the other server in every mood.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use holdfast_tests::binaries::Flavour::{self, Holdfast, Valkey};
use holdfast_tests::client::Client;
use holdfast_tests::ports::PortLease;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::wait;

use super::dump::{GET, SAMPLES, dump, look, start};

/// MIGRATE to a port of this machine with these words behind it; `''` is an empty one.
fn request(port: u16, words: &str) -> Vec<String> {
    let words = words.split(' ').map(|word| if word == "''" { "" } else { word }.to_owned());
    let to = ["MIGRATE".to_owned(), "127.0.0.1".to_owned(), port.to_string()];
    to.into_iter().chain(words).collect()
}

fn migrate(client: &mut Client, port: u16, words: &str) -> String {
    match client.command(&request(port, words)).expect("an answer") {
        Value::Status(text) => format!("+{}", String::from_utf8_lossy(&text)),
        Value::Error(text) => format!("-{}", String::from_utf8_lossy(&text)),
        other => panic!("{words}: {other:?}"),
    }
}

/// Each sample goes from one to the other, which answers about it as the first did.
fn check(from: Flavour, to: Flavour) {
    let (source, target) = (start(from), start(to));
    let (mut one, mut other) = (source.client(), target.client());
    for sample in SAMPLES {
        other.run("FLUSHALL");
        dump(&mut one, sample);
        let busy =
            "-ERR Target instance replied with error: BUSYKEY Target key name already exists.";
        for (words, reply) in [
            ("k 0 5000 COPY", "+OK"),
            ("k 0 5000 COPY", busy),
            ("k 0 5000", busy),
            ("k 0 5000 COPY REPLACE", "+OK"),
        ] {
            assert_eq!(migrate(&mut one, target.port(), words), reply, "{} {words}", sample.name);
            assert_eq!(one.run("EXISTS k"), Value::Integer(1), "{} {words}", sample.name);
        }
        // A string that was edited is not as a fresh one is.
        if sample.look != GET {
            let encoding = "OBJECT ENCODING k";
            assert_eq!(other.run(encoding), one.run(encoding), "{}", sample.name);
        }
        assert_eq!(look(&mut other, sample), look(&mut one, sample), "{}", sample.name);
        one.run("PEXPIRE k 3600000");
        assert_eq!(migrate(&mut one, target.port(), "k 3 5000"), "+OK", "{}", sample.name);
        assert_eq!(one.run("EXISTS k"), Value::Integer(0), "{}", sample.name);
        other.run("SELECT 3");
        let ttl_ms = other.run("PTTL k");
        assert!(matches!(ttl_ms, Value::Integer(3_500_000..=3_600_000)), "{ttl_ms:?}");
        other.run("SELECT 0");
    }
}

#[test]
fn our_values_go_to_valkey() {
    check(Holdfast, Valkey);
}

#[test]
fn values_of_valkey_come_here() {
    check(Valkey, Holdfast);
}

#[test]
fn our_values_go_to_another_of_us() {
    check(Holdfast, Holdfast);
}

/// What `from` answers when the target has a password and some of the keys already, and what is left.
fn conversation(from: Flavour) -> Vec<(String, Vec<Value>)> {
    let (source, target) =
        (start(from), Server::start_flavour(Valkey, &["--requirepass", "secret"]));
    let mut conversation = Vec::new();
    for words in [
        "a 0 5000",
        "a 0 5000 AUTH wrong",
        "a 0 5000 AUTH2 nobody secret",
        "a 99 5000 AUTH secret",
        "none 0 5000 AUTH secret",
        "a 0 -1 AUTH secret",
        "'' 0 5000 AUTH secret KEYS a b none c",
        "'' 0 5000 REPLACE AUTH2 default secret KEYS b b c",
        "'' 2 5000 COPY AUTH secret KEYS a b c",
        "'' 0 5000 COPY AUTH secret KEYS none",
        "'' 0 5000 KEYS",
    ] {
        let (mut one, mut other) = (source.client(), target.client());
        other.run("AUTH secret");
        other.run("FLUSHALL");
        other.run("MSET b busy");
        one.run("MSET a 1 b 2 c 3");
        let reply = migrate(&mut one, target.port(), words);
        let left = vec![
            one.run("MGET a b c"),
            other.run("MGET a b c"),
            other.run("SELECT 2"),
            other.run("MGET a b c"),
        ];
        conversation.push((format!("{words}: {reply}"), left));
    }
    conversation
}

#[test]
fn options_and_refusals_are_as_in_valkey() {
    let ours = conversation(Holdfast);
    for (one, other) in ours.iter().zip(conversation(Valkey)) {
        assert_eq!(*one, other);
    }
    let replies: String = ours.iter().map(|(reply, _)| format!("{reply}\n")).collect();
    assert!(replies.contains("error: NOAUTH Authentication required."), "{replies}");
    assert!(replies.contains("error: WRONGPASS "), "{replies}");
    assert!(replies.contains("KEYS none: +NOKEY"), "{replies}");
}

/// A target that answers each connection's first words with some bytes, and hangs up; silent if there
/// are none, until the other side does. Ends after `connections`.
fn puppet(answer: &'static [u8], connections: usize) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its own address").port();
    let play = move || {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut heard = [0; 4096];
            while !String::from_utf8_lossy(&heard).contains("RESTORE") {
                assert_ne!(stream.read(&mut heard).expect("a request"), 0);
            }
            stream.write_all(answer).expect("the other side listens");
            if answer.is_empty() {
                // Until whoever waits for us has given up.
                while stream.read(&mut heard).is_ok_and(|len| len > 0) {}
            }
        }
    };
    (port, thread::spawn(play))
}

/// What both answer to such a target, and whether they keep the keys.
fn beside_valkey(answer: &'static [u8], connections: usize) -> Vec<String> {
    let replies = [Holdfast, Valkey].map(|from| {
        let server = start(from);
        let mut client = server.client();
        client.run("MSET a 1 b 2");
        let (port, puppet) = puppet(answer, connections);
        // Only silence is waited out.
        let patience_ms = if answer.is_empty() { 300 } else { 60_000 };
        let reply = migrate(&mut client, port, &format!("'' 0 {patience_ms} KEYS a b"));
        puppet.join().expect("the puppet has played");
        format!("{reply} {:?}", client.run("MGET a b"))
    });
    assert_eq!(replies[0], replies[1], "{}", answer.escape_ascii());
    replies.into()
}

#[test]
fn what_a_failing_target_leaves_is_as_in_valkey() {
    let both = r#"Array([Bulk([49]), Bulk([50])])"#;
    let reading = "-IOERR error or timeout reading to target instance";
    // SELECT is answered, and the rest in silence.
    assert_eq!(beside_valkey(b"", 1)[0], format!("{reading} {both}"));
    assert_eq!(beside_valkey(b"+OK\r\n+O", 2)[0], format!("{reading} {both}"));
    assert_eq!(
        beside_valkey(b"+OK\r\n+OK\r\n", 1)[0],
        format!("{reading} Array([Nil, Bulk([50])])")
    );
    let refused = "-ERR Target instance replied with error: LOADING later";
    let loading = b"-LOADING later\r\n-LOADING x\r\n-LOADING y\r\n";
    assert_eq!(beside_valkey(loading, 1)[0], format!("{refused} {both}"));
    let half = b"+OK\r\n+OK\r\n-ERR no\r\n";
    let refused = "-ERR Target instance replied with error: ERR no";
    assert_eq!(beside_valkey(half, 1)[0], format!("{refused} Array([Nil, Bulk([50])])"));
}

#[test]
fn nobody_there_is_told_as_in_valkey() {
    let nobody = PortLease::acquire().expect("a free port");
    for from in [Holdfast, Valkey] {
        let server = start(from);
        let mut client = server.client();
        client.run("SET k v");
        let refused = "-IOERR error or timeout writing to target instance";
        assert_eq!(migrate(&mut client, nobody.port(), "k 0 300"), refused);
        let request = ["MIGRATE", "127.0.0.1", "none", "k", "0", "300"];
        let reply = client.command(&request).expect("an answer").error_text();
        assert_eq!(reply.as_deref(), Some(&refused[1..]), "{from:?}");
        let request = ["MIGRATE", "not a name", "1", "k", "0", "300"];
        let reply = client.command(&request).expect("an answer").error_text();
        let unreachable = "IOERR error or timeout connecting to the client";
        assert_eq!(reply.as_deref(), Some(unreachable), "{from:?}");
    }
}

#[test]
fn what_is_no_reply_takes_no_key_away() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.run("SET k v");
    let long = &[b'+'; 5000];
    for answer in
        [&b"HTTP/1.1 200 OK\r\n\r\nhello\r\n"[..], b"+OK\r\n:1\r\n", b"\r\n\r\n\r\n", long]
    {
        let (port, puppet) = puppet(answer, 1);
        let reply = migrate(&mut client, port, "k 0 2000");
        assert_eq!(reply, "-IOERR error or timeout reading to target instance");
        puppet.join().expect("the puppet has played");
        assert_eq!(client.run("GET k"), Value::bulk("v"));
    }
}

/// As CLIENT LIST shows it.
fn has_unread_input(watcher: &mut Client, id: &Value) -> bool {
    let Value::Integer(id) = id else { panic!("{id:?}") };
    let list = watcher.run(&format!("CLIENT LIST ID {id}"));
    let list = String::from_utf8_lossy(list.bytes().expect("a list")).into_owned();
    !list.contains(" qbuf=0 ")
}

#[test]
fn a_silent_target_holds_up_only_who_wants_its_keys() {
    let server = Server::start(&[]);
    let (mut mover, mut writer, mut other) = (server.client(), server.client(), server.client());
    other.run("MSET a 1 b 2");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its own address").port();
    mover.send(&request(port, "a 0 60000")).expect("sent");
    let (silent, _) = listener.accept().expect("a connection");
    let id = writer.run("CLIENT ID");
    writer.send(&["INCR", "a"]).expect("sent");
    wait::expect("the write to wait", || has_unread_input(&mut other, &id));
    assert_eq!(other.run("GET a"), Value::bulk("1"));
    assert_eq!(other.run("INCR b"), Value::Integer(3));
    answer_move(&silent);
    assert_eq!(mover.read().expect("an answer"), Value::status("OK"));
    assert_eq!(writer.read().expect("an answer"), Value::Integer(1), "the key was gone");
}

/// What a target says that takes a key.
fn answer_move(mut stream: &TcpStream) {
    stream.write_all(b"+OK\r\n+OK\r\n").expect("the other side listens");
}

#[test]
fn connections_are_used_again_and_closed_after_a_while() {
    let (source, target) = (Server::start(&["--appendonly", "yes"]), start(Valkey));
    let (mut one, mut other) = (source.client(), target.client());
    let cached = |client: &mut Client| {
        let info = client.run("INFO stats");
        let info = String::from_utf8_lossy(info.bytes().expect("a text")).into_owned();
        let line = info.lines().find_map(|line| line.strip_prefix("migrate_cached_sockets:"));
        line.expect("such a field").to_owned()
    };
    one.run("MSET a 1 b 2 c 3 d 4");
    assert_eq!(cached(&mut one), "0");
    for words in ["a 0 5000", "b 0 5000", "c 1 5000"] {
        assert_eq!(migrate(&mut one, target.port(), words), "+OK");
        assert_eq!(cached(&mut one), "1");
    }
    assert_eq!(other.run("CLIENT KILL TYPE normal SKIPME yes"), Value::Integer(1));
    assert_eq!(migrate(&mut one, target.port(), "d 0 5000"), "+OK", "the old connection was gone");
    assert_eq!(other.run("DBSIZE"), Value::Integer(3));
    wait::expect("the connection to be closed", || cached(&mut one) == "0");
}

#[test]
fn keys_that_went_are_gone_after_a_restart() {
    let mut source = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let target = start(Valkey);
    let mut client = source.client();
    client.run("MSET a 1 b 2 c 3");
    assert_eq!(migrate(&mut client, target.port(), "'' 0 5000 KEYS a c"), "+OK");
    source.kill();
    source.start_again().expect("a log that loads");
    let left = source.client().run("MGET a b c");
    assert_eq!(left, Value::Array(vec![Value::Nil, Value::bulk("2"), Value::Nil]));
}

#[test]
fn a_server_is_found_by_name() {
    let (source, target) = (Server::start(&[]), start(Valkey));
    let address: SocketAddr = target.address();
    let mut client = source.client();
    client.run("SET k v");
    let port = address.port().to_string();
    let reply = client.command(&["MIGRATE", "localhost", &port, "k", "0", "5000"]);
    assert_eq!(reply.expect("an answer"), Value::status("OK"));
    assert_eq!(target.client().run("GET k"), Value::bulk("v"));
}
