//! Real clients: Debian's redis-cli and redis-benchmark, and redis-py from its registry.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use holdfast_tests::binaries::debian_program;
use holdfast_tests::commands::run;
use holdfast_tests::paths;
use holdfast_tests::python::{self, REDIS_PY};
use holdfast_tests::server::Server;

fn redis_cli(server: &Server) -> Command {
    let mut cli = Command::new(debian_program("redis-cli"));
    cli.args(["-p", &server.port().to_string()]).stdin(Stdio::null());
    cli
}

#[track_caller]
fn output(command: &mut Command) -> String {
    run(command).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn redis_cli_sets_gets_and_shows_types() {
    let server = Server::start(&[]);
    let ask = |args: &[&str]| output(redis_cli(&server).args(args)).trim().to_owned();
    assert_eq!(ask(&["SET", "a", "b"]), "OK");
    assert_eq!(ask(&["GET", "a"]), "b");
    assert_eq!(ask(&["-3", "--no-raw", "INCR", "n"]), "(integer) 1");
    assert_eq!(ask(&["--no-raw", "GET", "missing"]), "(nil)");
    assert_eq!(
        ask(&["--no-raw", "GET"]),
        "(error) ERR wrong number of arguments for 'get' command"
    );
    assert_eq!(ask(&["-n", "3", "DBSIZE"]), "0");
    assert_eq!(ask(&["-r", "3", "INCR", "n"]), "2\n3\n4");
    assert!(ask(&["INFO", "server"]).contains("redis_version:"));
}

#[test]
fn redis_cli_walks_pipes_and_measures() {
    let server = Server::start(&[]);
    let cli = redis_cli(&server);
    let mut pipe = Command::new("sh");
    pipe.arg(paths::tests().join("clients/pipe.sh")).arg(cli.get_program()).args(cli.get_args());
    let report = output(&mut pipe);
    assert!(report.contains("errors: 0, replies: 1000"), "{report}");
    let keys = output(redis_cli(&server).args(["--scan", "--pattern", "key:*"]));
    assert_eq!(keys.lines().count(), 1000);
    let types = output(redis_cli(&server).arg("--bigkeys"));
    assert!(types.contains("1000 strings"), "{types}");
}

#[test]
fn redis_cli_authenticates_and_uses_a_unix_socket() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let socket = directory.path().join("redis.sock").display().to_string();
    let server = Server::start(&["--requirepass", "secret", "--unixsocket", &socket]);
    let refused = output(redis_cli(&server).arg("PING"));
    assert!(refused.contains("NOAUTH"), "{refused}");
    let served = output(redis_cli(&server).args(["-a", "secret", "--no-auth-warning", "PING"]));
    assert_eq!(served.trim(), "PONG");
    let mut by_socket = Command::new(debian_program("redis-cli"));
    by_socket.args(["-s", &socket, "-a", "secret", "--no-auth-warning", "PING"]);
    assert_eq!(output(&mut by_socket).trim(), "PONG");
}

#[test]
fn redis_benchmark_runs_its_string_tests() {
    let server = Server::start(&[]);
    let mut bench = Command::new(debian_program("redis-benchmark"));
    bench.args(["-p", &server.port().to_string(), "-q", "-n", "5000", "-P", "8", "-r", "1000"]);
    bench.args(["-t", "ping_inline,ping_mbulk,set,get,incr,mset"]).stdin(Stdio::null());
    let report = output(&mut bench).replace('\r', "\n");
    for name in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"] {
        let line = report.lines().rfind(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing:\n{report}"));
        assert!(line.contains("requests per second"), "{line}");
    }
    assert!(!report.contains("ERR"), "{report}");
}

#[test]
fn redis_py_uses_every_delivered_command() {
    let server = Server::start(&[]);
    let mut python = Command::new(python_with_redis());
    python.arg(paths::tests().join("clients/redis_py.py")).arg(server.port().to_string());
    let report = output(python.stdin(Stdio::null()));
    assert!(report.ends_with("all checks pass\n"), "{report}");
}

/// A Python with redis-py, in a virtual environment of the target directory.
fn python_with_redis() -> PathBuf {
    let home = paths::target().join("python").join(REDIS_PY);
    python::environment(&home, &[REDIS_PY]).unwrap_or_else(|why| panic!("{why}"))
}
