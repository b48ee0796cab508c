//! Bytes and settings that are wrong, too big, too many or cut off: a clear error each time, bounded
//! memory, and a server that serves the next client. The texts are Redis', which is asked too.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use holdfast_tests::binaries::Flavour::{self, Holdfast, Redis};
use holdfast_tests::client::Client;
use holdfast_tests::process::resident_bytes;
use holdfast_tests::server::{Server, run_to_end};
use holdfast_tests::wait;

const MIB: u64 = 1024 * 1024;

/// Runs `check` on the server under test, and on Debian's Redis to show that it asks the right thing.
#[track_caller]
fn on_both(args: &[&str], check: impl Fn(&Server)) {
    for flavour in [Holdfast, Redis] {
        let server = Server::start_flavour(flavour, args);
        check(&server);
        assert_serves(&server);
    }
}

#[track_caller]
fn assert_serves(server: &Server) {
    let answer = server.client().run("PING").lines().concat();
    // Asking for the password is serving, too.
    let served = answer == "PONG" || answer.starts_with("(error) NOAUTH");
    assert!(served, "{:?} answers {answer}", server.flavour());
}

/// Sends raw bytes on a new connection; what comes back before the server closes it.
#[track_caller]
fn answer_until_closed(server: &Server, bytes: &[u8]) -> String {
    let mut client = server.client();
    // The server may close before it has taken everything.
    let _ = client.write_raw(bytes);
    let answer = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    assert!(client.is_closed(), "{:?} keeps the connection after {answer:?}", server.flavour());
    answer
}

#[track_caller]
fn assert_grows_less(server: &Server, before: u64, limit: u64) {
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < limit, "{:?} has grown by {} MiB", server.flavour(), grown / MIB);
}

/// How many clients the server knows, the asking one included.
fn connected_clients(client: &mut Client) -> usize {
    let info = client.run("INFO clients");
    let text = String::from_utf8_lossy(info.bytes().expect("INFO is text")).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("connected_clients:"));
    line.and_then(|n| n.trim().parse().ok()).expect("a count of clients")
}

#[test]
fn a_request_cut_off_anywhere_leaves_nothing_behind() {
    on_both(&[], |server| {
        let request =
            b"*3\r\n$3\r\nSET\r\n$5\r\nsplit\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$5\r\nsplit\r\n";
        for end in 0..request.len() {
            let mut client = server.client();
            client.write_raw(&request[..end]).expect("a few bytes can be sent");
        }
        let mut client = server.client();
        wait::expect("only one client is left", || connected_clients(&mut client) == 1);
    });
}

#[test]
fn lines_without_an_end_are_refused_at_64_kib() {
    on_both(&[], |server| {
        let endless = |start: &str| [start.as_bytes(), &vec![b'1'; 70_000]].concat();
        for (start, error) in [
            ("", "-ERR Protocol error: too big inline request\r\n"),
            ("GET ", "-ERR Protocol error: too big inline request\r\n"),
            ("*", "-ERR Protocol error: too big mbulk count string\r\n"),
            ("*1\r\n$", "-ERR Protocol error: too big bulk count string\r\n"),
        ] {
            let mut client = server.client();
            let _ = client.write_raw(&endless(start));
            // A reset may overtake the error text; then there is nothing to read and that is all.
            let answer = String::from_utf8_lossy(&client.read_to_end()).into_owned();
            assert!(answer.is_empty() || answer == error, "{start:?}: {answer:?}");
            assert!(client.is_closed());
        }
    });
}

#[test]
fn announced_lengths_cost_nothing_until_the_bytes_come() {
    on_both(&[], |server| {
        let before = resident_bytes(server.pid());
        let mut clients: Vec<Client> = (0..100).map(|_| server.client()).collect();
        for client in &mut clients {
            client.write_raw(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nnot yet").unwrap();
        }
        assert_serves(server);
        assert_grows_less(server, before, 64 * MIB);
        for client in &mut clients[..50] {
            *client = server.client();
            client.write_raw(b"*1000000\r\n$3\r\nDEL\r\n$1\r\na\r\n").unwrap();
        }
        assert_serves(server);
        assert_grows_less(server, before, 64 * MIB);
    });
}

#[test]
fn lengths_out_of_range_are_named() {
    on_both(&["--proto-max-bulk-len", "1mb"], |server| {
        for (bytes, error) in [
            ("*2\r\n$3\r\nGET\r\n$1048577\r\n", "invalid bulk length"),
            ("*2\r\n$3\r\nGET\r\n$-1\r\n", "invalid bulk length"),
            ("*2\r\n$3\r\nGET\r\n$ 3\r\n", "invalid bulk length"),
            ("*2147483648\r\n", "invalid multibulk length"),
            ("*9223372036854775808\r\n", "invalid multibulk length"),
            ("*-9223372036854775809\r\n", "invalid multibulk length"),
            ("*1 \r\n", "invalid multibulk length"),
            ("*1\r\n+PING\r\n", "expected '$', got '+'"),
        ] {
            let answer = answer_until_closed(server, bytes.as_bytes());
            assert_eq!(answer, format!("-ERR Protocol error: {error}\r\n"), "{bytes:?}");
        }
    });
}

#[test]
fn a_string_never_grows_past_the_limit() {
    on_both(&["--proto-max-bulk-len", "1mb"], |server| {
        let mut client = server.client();
        let half = "x".repeat(600_000);
        assert_eq!(client.command(&["SET", "a", &half]).unwrap().lines(), ["OK"]);
        let refused = client.command(&["APPEND", "a", &half]).unwrap();
        let text = "(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)";
        assert_eq!(refused.lines(), [text]);
        assert_eq!(client.run("SETRANGE a 1048576 x").lines(), [text]);
        assert_eq!(client.run("STRLEN a").lines(), ["(integer) 600000"]);
    });
}

#[test]
fn who_has_no_password_may_not_send_much() {
    on_both(&["--requirepass", "secret"], |server| {
        let answer = answer_until_closed(server, b"*11\r\n");
        assert_eq!(answer, "-ERR Protocol error: unauthenticated multibulk length\r\n");
        let answer = answer_until_closed(server, b"*2\r\n$16385\r\n");
        assert_eq!(answer, "-ERR Protocol error: unauthenticated bulk length\r\n");
        // Within one batch, what follows AUTH is no longer limited.
        let mut client = server.client();
        let many = ["MGET", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let auth = holdfast_tests::resp::encode_command(&["AUTH", "secret"]);
        let mget = holdfast_tests::resp::encode_command(&many);
        client.write_raw(&[auth, mget].concat()).unwrap();
        assert_eq!(client.read().unwrap().lines(), ["OK"]);
        assert_eq!(client.read().unwrap().lines().len(), many.len() - 1);
    });
}

#[test]
fn one_client_too_many_is_told_so() {
    on_both(&["--maxclients", "10"], |server| {
        let mut clients = Vec::new();
        // The harness' own PING may still be counted for a moment.
        wait::expect("ten clients are served", || {
            clients.truncate(9);
            let mut client = server.client();
            let served = client.command(&["PING"]).is_ok_and(|v| v.lines() == ["PONG"]);
            if served {
                clients.push(client);
            }
            clients.len() == 10
        });
        let mut refused = server.client();
        let answer = String::from_utf8_lossy(&refused.read_to_end()).into_owned();
        assert_eq!(answer, "-ERR max number of clients reached\r\n");
        for client in &mut clients {
            assert_eq!(client.run("PING").lines(), ["PONG"]);
        }
        clients.truncate(5);
        wait::expect("a place is free again", || {
            server.client().command(&["PING"]).is_ok_and(|v| v.lines() == ["PONG"])
        });
    });
}

#[test]
fn a_full_accept_queue_drains() {
    on_both(&["--tcp-backlog", "2"], |server| {
        server.signal(rustix::process::Signal::STOP);
        let address = server.address();
        // The kernel answers only for as many as the queue holds; the others time out.
        let waiting: Vec<TcpStream> = (0..50)
            .filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(20)).ok())
            .collect();
        server.signal(rustix::process::Signal::CONT);
        assert!(!waiting.is_empty(), "somebody got into the queue");
        assert!(waiting.len() < 50, "the queue was full");
    });
}

#[test]
fn half_a_request_from_a_thousand_clients_delays_nobody() {
    on_both(&[], |server| {
        let before = resident_bytes(server.pid());
        let mut slow: Vec<Client> = (0..1000).map(|_| server.client()).collect();
        for client in &mut slow {
            client.write_raw(b"*2\r\n$3\r\nGET\r\n$100\r\nhalf").unwrap();
        }
        assert_serves(server);
        assert_grows_less(server, before, 80 * MIB);
    });
}

/// Two seconds of work in one write; on one thread, where nobody else could answer.
#[test]
fn a_client_that_sends_much_at_once_holds_nobody_up() {
    const VALUE: usize = 1024 * 1024;
    let server = Server::start(&["--io-threads", "1", "--save", ""]);
    let (mut greedy, mut modest) = (server.client(), server.client());
    greedy.run(&format!("SETRANGE bits {VALUE} x"));
    let one = (0..10).map(|_| {
        let began = Instant::now();
        greedy.run("BITCOUNT bits");
        began.elapsed().as_nanos()
    });
    let times = (Duration::from_secs(2).as_nanos() / one.min().unwrap_or(1)) as usize;
    let mut two_commands = || {
        let much = "BITCOUNT bits\r\n".repeat(times);
        greedy.write_raw(much.as_bytes()).expect("room in the sockets");
        // By now the server is busy with it.
        thread::sleep(Duration::from_millis(20));
        let began = Instant::now();
        assert_eq!(modest.run("SET seen 1").lines().concat(), "OK");
        assert_eq!(modest.run("GET seen").bytes(), Some(&b"1"[..]));
        let took = began.elapsed();
        for _ in 0..times {
            greedy.read().expect("each has its answer");
        }
        took
    };
    // A server that holds others up does so each time, a machine with other work now and then.
    let tries: Vec<Duration> = (0..3).map(|_| two_commands()).collect();
    let quickest = tries.iter().min().expect("three");
    assert!(*quickest < Duration::from_millis(500), "two commands took {tries:?}");
}

#[test]
fn noise_is_answered_with_errors_and_forgotten() {
    on_both(&[], |server| {
        let mut noise = Noise(0x5eed);
        let mut watcher = server.client();
        watcher.run("PING");
        let before = resident_bytes(server.pid());
        for _ in 0..500 {
            let mut client = server.client();
            let _ = client.write_raw(&noise.bytes());
        }
        wait::expect("the noisy clients are gone", || connected_clients(&mut watcher) == 1);
        assert_grows_less(server, before, 64 * MIB);
    });
}

/// Without a limit a client may let replies pile up, as in Redis; with one it is closed.
#[test]
fn a_client_that_does_not_read_is_closed_at_the_output_limit() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "64mb", "0", "0"]);
    let mut client = server.client();
    let big = "x".repeat(MIB as usize);
    assert_eq!(client.command(&["SET", "big", &big]).unwrap().lines(), ["OK"]);
    let mut watcher = server.client();
    let before = resident_bytes(server.pid());
    let request = holdfast_tests::resp::encode_command(&["GET", "big"]).repeat(1000);
    client.write_raw(&request).expect("thirty kilobytes fit into the socket's buffers");
    wait::expect("the client is closed", || connected_clients(&mut watcher) == 1);
    assert!(client.read_to_end().len() < 1000 * big.len(), "not everything was answered");
    assert_grows_less(&server, before, 160 * MIB);
    assert_serves(&server);
}

/// xorshift64: bytes that look like RESP often enough to get deep into the decoder.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 12] = [
            b"*",
            b"$",
            b"\r\n",
            b"1",
            b"3",
            b"-1",
            b"GET",
            b"SET",
            b"\0",
            b"\"",
            b" ",
            b"\xff\xfe",
        ];
        let count = self.next() % 60;
        (0..count).flat_map(|_| PIECES[(self.next() % 12) as usize].to_vec()).collect()
    }
}

#[track_caller]
fn check_refused_start(args: &[&str], words: &[&str]) {
    let (status, log) = run_to_end(args);
    assert_eq!(status.code(), Some(1), "{args:?}: {log}");
    for word in words {
        assert!(log.contains(word), "{args:?} says nothing of {word:?}:\n{log}");
    }
    assert!(!log.contains("panicked"), "{args:?}:\n{log}");
}

const FATAL: &str = "*** FATAL CONFIG FILE ERROR";

#[test]
fn settings_that_make_no_sense_end_the_start_with_a_reason() {
    check_refused_start(&["--port", "99999"], &[FATAL, "port", "between 0 and 65535"]);
    check_refused_start(&["--port", "-1"], &[FATAL, "port", "between 0 and 65535"]);
    check_refused_start(&["--port", "http"], &[FATAL, "port", "integer"]);
    check_refused_start(&["--nosuch", "1"], &[FATAL, "nosuch", "Bad directive"]);
    check_refused_start(&["--databases", "0"], &[FATAL, "databases"]);
    check_refused_start(&["--maxmemory", "lots"], &[FATAL, "maxmemory", "memory value"]);
    check_refused_start(&["--appendonly", "maybe"], &[FATAL, "appendonly", "'yes' or 'no'"]);
    check_refused_start(&["--loglevel", "loud"], &[FATAL, "loglevel"]);
    check_refused_start(&["--port"], &[FATAL]);
    check_refused_start(&["/nonexistent/redis.conf"], &["/nonexistent/redis.conf"]);
    check_refused_start(&["--dir", "/nonexistent"], &["/nonexistent"]);
}

#[test]
fn a_wrong_line_in_a_file_is_named_by_its_number() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let file = directory.path().join("redis.conf");
    let path = file.display().to_string();
    for (text, words) in [
        ("port 7000\n# fine\nnosuch 1\n", vec!["3", "nosuch 1"]),
        ("port 7000\nmaxmemory 'open\n", vec!["2", "Unbalanced quotes"]),
        ("include /nonexistent.conf\n", vec!["/nonexistent.conf"]),
        ("\u{1}\u{2} \u{ff}\n", vec!["1"]),
    ] {
        std::fs::write(&file, text).expect("the scratch directory is writable");
        check_refused_start(&[&path], &words);
    }
}

#[test]
fn a_port_in_use_ends_the_start() {
    for flavour in [Flavour::Holdfast, Flavour::Redis] {
        let first = Server::start_flavour(flavour, &[]);
        let port = first.port().to_string();
        if flavour == Flavour::Holdfast {
            let words = ["Failed listening on port", port.as_str()];
            check_refused_start(&["--port", &port, "--bind", "127.0.0.1"], &words);
        }
        assert_serves(&first);
    }
}
