//! Real clients over TLS: Debian's redis-cli and redis-benchmark, and redis-py.

use std::process::{Command, Stdio};

use holdfast_tests::authority::{Authority, HERE, Time};
use holdfast_tests::python::{self, REDIS_PY};
use holdfast_tests::resp::Value;
use holdfast_tests::{paths, wait};

use crate::tls::rig::{Rig, output};

fn start(args: &[&str]) -> Rig {
    let authority = Authority::new();
    let server = authority.issue("server", HERE, Time::Now);
    Rig::start(authority, &server, args)
}

#[test]
fn redis_cli_walks_and_pipes() {
    let rig = start(&["--tls-auth-clients", "no"]);
    let cli = rig.redis_cli(None);
    let mut pipe = Command::new("sh");
    pipe.arg(paths::tests().join("clients/pipe.sh")).arg(cli.get_program()).args(cli.get_args());
    let report = output(&mut pipe);
    assert!(report.contains("errors: 0, replies: 1000"), "{report}");
    let keys = output(rig.redis_cli(None).args(["--scan", "--pattern", "key:*"]));
    assert_eq!(keys.lines().count(), 1000);
}

#[test]
fn redis_benchmark_ends_without_an_error() {
    let rig = start(&["--tls-auth-clients", "no"]);
    let mut bench = rig.program("redis-benchmark", None);
    bench.args([
        "-q",
        "-n",
        "5000",
        "-P",
        "8",
        "-r",
        "1000",
        "-c",
        "50",
        "-t",
        "set,get,lrange_300",
    ]);
    let report = output(&mut bench).replace('\r', "\n");
    for name in ["SET", "GET", "LRANGE_300"] {
        let line = report.lines().rfind(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing:\n{report}"));
        assert!(line.contains("requests per second"), "{line}");
    }
}

#[test]
fn redis_py_uses_every_delivered_command() {
    let rig = start(&["--tls-auth-clients", "yes"]);
    let client = rig.authority.issue("client", "", Time::Now);
    let home = paths::target().join("python").join(REDIS_PY);
    let python = python::environment(&home, &[REDIS_PY]).unwrap_or_else(|why| panic!("{why}"));
    let mut script = Command::new(python);
    script.arg(paths::tests().join("clients/redis_py.py")).arg(rig.port().to_string());
    script.args([rig.authority.ca(), client.cert, client.key]).stdin(Stdio::null());
    assert!(output(&mut script).ends_with("all checks pass"));
}

/// Longer than every buffer on the way, in both directions, and more than the peer reads at once.
#[test]
fn long_values_and_pipelines_come_through_whole() {
    let rig = start(&["--tls-auth-clients", "no"]);
    let mut client = rig.connect(&rig.authority.client_config(None)).unwrap();
    let value: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let set = holdfast_tests::resp::encode_command(&[&b"SET"[..], b"long", &value]);
    client.write_raw(&set).unwrap();
    assert_eq!(client.read().unwrap(), Value::status("OK"));
    client.write_raw(&b"GET long\r\n".repeat(20)).unwrap();
    for _ in 0..20 {
        assert_eq!(client.read().unwrap().bytes(), Some(&value[..]));
    }
    client.write_raw(&b"INCR n\r\n".repeat(100_000)).unwrap();
    for n in 1..=100_000 {
        assert_eq!(client.read().unwrap(), Value::Integer(n));
    }
}

/// An answer that nobody asked for, on a connection where all is quiet.
#[test]
fn messages_are_pushed_at_once() {
    let rig = start(&["--tls-auth-clients", "no"]);
    let config = rig.authority.client_config(None);
    let mut subscriber = rig.connect(&config).unwrap();
    subscriber.run("SUBSCRIBE news");
    for _ in 0..100 {
        assert_eq!(rig.client().run("PUBLISH news hello"), Value::Integer(1));
        let Value::Array(message) = subscriber.read().unwrap() else { panic!("no message") };
        assert_eq!(message[2], Value::bulk("hello"));
    }
}

#[test]
fn the_end_of_a_connection_is_told() {
    let rig = start(&["--tls-auth-clients", "no"]);
    // Without a close_notify this OpenSSL says "unexpected eof while reading".
    let said = rig.s_client("-quiet", "PING\\r\\nQUIT\\r\\n");
    assert!(said.contains("+OK") && !said.contains("unexpected eof"), "{said}");
    wait::expect("the client is gone", || rig.info("connected_clients") == "1");
}

#[test]
fn a_session_is_taken_up_again_while_it_may_be() {
    let rig = start(&["--tls-auth-clients", "no"]);
    let session = rig.authority.path("session").display().to_string();
    let resumed = |protocol: &str| {
        let input = "PING\\r\\nQUIT\\r\\n";
        rig.s_client(&format!("{protocol} -sess_out {session} -ign_eof"), input);
        let said = rig.s_client(&format!("{protocol} -sess_in {session} -ign_eof"), input);
        assert!(said.contains("+PONG"), "{said}");
        said.contains("Reused, TLSv1")
    };
    assert!(resumed("-tls1_3") && resumed("-tls1_2"));
    rig.set(&["tls-session-caching", "no"]);
    assert!(!resumed("-tls1_3") && !resumed("-tls1_2"));
    rig.set(&["tls-session-caching", "yes", "tls-session-cache-timeout", "60"]);
    assert!(resumed("-tls1_3") && resumed("-tls1_2"));
}
