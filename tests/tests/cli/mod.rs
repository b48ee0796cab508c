//! The client that the server's program is under the name of redis-cli or valkey-cli, beside the real
//! ones: the same words, the same standard output, standard error and exit status.
//!
//! Deliberate differences, which no case here has: `help` and `--help` are our own and shorter; a NUL
//! in a key does not end the line of `--scan`; at a terminal lines are edited by the terminal, and
//! Ctrl-C ends the program also while it listens; attributes are left out and big numbers shown, where
//! valkey-cli gives up; a closed standard output is exit status 141, not a signal; what is not built
//! says so. Those of TLS are in its file.

mod tls;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use holdfast_tests::binaries::{self, Flavour, debian_program, valkey_directory};
use holdfast_tests::client::Client;
use holdfast_tests::packages;
use holdfast_tests::ports::PortLease;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::wait;
use tempfile::TempDir;

/// What a case is about besides its words.
#[derive(Clone, Copy, Default)]
struct Case<'a> {
    /// Commands before it, by another client.
    setup: &'a [&'a [&'a str]],
    args: &'a [&'a str],
    /// Standard input.
    input: &'a str,
    environment: &'a [(&'a str, &'a str)],
}

/// Our program under that name.
struct Ours {
    _folder: TempDir,
    program: PathBuf,
}

impl Ours {
    fn called(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let program = folder.path().join(name);
        symlink(binaries::server(Flavour::Holdfast), &program).expect("a link");
        Self { _folder: folder, program }
    }
}

fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_remove("REDISCLI_AUTH").env_remove("VALKEYCLI_AUTH");
    // No file of whoever runs the tests has a say.
    command.env("HOME", "/nonexistent").env_remove("FAKETTY");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(program: &Path, port: &str, case: &Case<'_>) -> Output {
    let args = [&["-p", port], case.args].concat();
    let mut command = command(program, &args);
    command.envs(case.environment.iter().copied());
    let mut child = command.spawn().expect("the client can be executed");
    // Some end before they have read anything.
    let _ = child.stdin.take().expect("piped").write_all(case.input.as_bytes());
    child.wait_with_output().expect("its end")
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\n", "\n");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    format!("{:?}\n-- standard output\n{out}\n-- standard error\n{err}", output.status.code())
}

/// Ours and the real one, beside each other on one server.
struct Pair {
    server: Server,
    client: Client,
    ours: Ours,
    theirs: PathBuf,
}

impl Pair {
    fn of(name: &str, theirs: PathBuf) -> Self {
        let server = Server::start(&["--enable-debug-command", "yes"]);
        let client = server.client();
        Self { server, client, ours: Ours::called(name), theirs }
    }

    fn valkey() -> Self {
        Self::of("valkey-cli", valkey_directory().join("valkey-cli"))
    }

    fn prepare(&mut self, setup: &[&[&str]]) {
        for words in [&[&["FLUSHALL"][..]], setup].concat() {
            let reply = self.client.command(words).expect("a reply");
            assert!(!matches!(reply, Value::Error(_)), "{words:?}: {reply:?}");
        }
    }

    #[track_caller]
    fn check(&mut self, case: Case<'_>) {
        let port = self.server.port().to_string();
        self.prepare(case.setup);
        let theirs = shown(&run(&self.theirs, &port, &case));
        self.prepare(case.setup);
        let ours = shown(&run(&self.ours.program, &port, &case));
        let Case { args, input, .. } = case;
        assert_eq!(ours, theirs, "{args:?} {input:?}");
    }

    #[track_caller]
    fn check_args(&mut self, setup: &[&[&str]], all: &[&[&str]]) {
        for &args in all {
            self.check(Case { setup, args, ..Case::default() });
        }
    }

    #[track_caller]
    fn check_input(&mut self, args: &[&str], input: &str) {
        self.check(Case { args, input, ..Case::default() });
    }
}

/// Something of every type.
const DATA: &[&[&str]] = &[
    &["SET", "s", "a \"b\"\n\u{1}\u{e9}"],
    &["SET", "n", "41"],
    &["RPUSH", "l", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"],
    &["SADD", "set", "one"],
    &["HSET", "h", "field", "value"],
    &["ZADD", "z", "1.5", "a", "2", "b"],
    &["XADD", "x", "1-1", "a", "1", "b", "2"],
];

const FORMS: &[&[&str]] = &[
    &["--raw"],
    &["--no-raw"],
    &["--csv"],
    &["--json"],
    &["--quoted-json"],
    &["--no-raw", "-3"],
    &["--raw", "-3"],
    &["--csv", "-3"],
    &["--json", "-2"],
    &["-d", ", ", "-D", "|"],
    &["-e"],
];

const QUESTIONS: &[&[&str]] = &[
    &["GET", "s"],
    &["GET", "none"],
    &["INCR", "n"],
    &["INCR", "s"],
    &["LRANGE", "l", "0", "-1"],
    &["LRANGE", "none", "0", "-1"],
    &["SMEMBERS", "set"],
    &["SMEMBERS", "none"],
    &["HGETALL", "h"],
    &["HGETALL", "none"],
    &["ZRANGE", "z", "0", "-1", "WITHSCORES"],
    &["ZSCORE", "z", "a"],
    &["XRANGE", "x", "-", "+"],
    &["XINFO", "STREAM", "x", "FULL"],
    &["PING"],
    &["DBSIZE"],
    &["NO-SUCH"],
    &["GET"],
    &["COMMAND", "DOCS", "xadd", "object"],
    &["COMMAND", "INFO", "get"],
    &["CONFIG", "GET", "maxmemory*"],
    &["CLIENT", "LIST", "ID", "0"],
    &["MEMORY", "DOCTOR"],
    &["LATENCY", "DOCTOR"],
    &["DEBUG", "PROTOCOL", "verbatim"],
    &["DEBUG", "PROTOCOL", "double"],
    &["DEBUG", "PROTOCOL", "map"],
    &["DEBUG", "PROTOCOL", "true"],
    &["DEBUG", "PROTOCOL", "null"],
];

#[test]
fn replies_look_as_valkeys_in_every_form() {
    let mut pair = Pair::valkey();
    for form in FORMS {
        for question in QUESTIONS {
            pair.check_args(DATA, &[&[*form, *question].concat()]);
        }
    }
}

#[test]
fn options_mean_what_they_mean_to_valkey() {
    let mut pair = Pair::valkey();
    pair.check_args(
        DATA,
        &[
            &["-r", "3", "INCR", "n"],
            &["-r", "2", "-i", "0.01", "PING"],
            &["-r", "0", "PING"],
            &["-n", "3", "DBSIZE"],
            &["-n", "99", "PING"],
            &["-u", "redis://127.0.0.1:1/0", "-p", "x", "PING"],
            &["-u", "http://127.0.0.1", "PING"],
            &["-p", "70000", "PING"],
            &["-t", "x", "PING"],
            &["-t", "5", "PING"],
            &["-2", "-3", "PING"],
            &["-x", "-X", "a", "PING"],
            &["--no-such", "PING"],
            &["-n"],
            &["--version"],
            &["-v"],
            &["-c", "GET", "n"],
            &["--show-pushes", "x", "PING"],
            &["--quoted-input", "GET", "\"\\x73\""],
            &["--quoted-input", "GET", "\"s"],
            &["--scan"],
            &["--scan", "--pattern", "l*"],
            &["--scan", "--quoted-pattern", "\"\\x6c*\"", "--no-raw"],
            &["--scan", "--count", "1"],
            &["--scan", "--count", "0"],
            &["-4", "PING"],
            &["SELECT", "1"],
            &["INFO", "nothing"],
            &["SUBSCRIBE"],
            &["HELLO", "4"],
        ],
    );
}

#[test]
fn arguments_come_from_standard_input() {
    let mut pair = Pair::valkey();
    pair.check_input(&["-x", "SET", "k"], "line\nline\n");
    pair.check_input(&["-X", "tag", "SET", "tag", "v"], "name");
    pair.check_input(&["-X", "tag", "SET", "k", "v"], "name");
    pair.check_input(&["-x", "ECHO"], "");
}

#[test]
fn piped_lines_are_commands() {
    let mut pair = Pair::valkey();
    let lines = [
        "set a b\nget a\n\n  get  'a'  \nGET none",
        "set \"a b\" 'c\\'d'\nget \"a\\x20b\"\nget \"a\nping\n",
        "3 ping\n0 ping\n-1 ping\nnot-a-number\n",
        "select 2\nset a 1\ndbsize\nselect 0\ndbsize\nselect x\n",
        "multi\nset a 1\nincr a\nexec\nmulti\nincr a\ndiscard\nget a\nexec\n",
        "ping\nquit\nping\n",
        "ping\nEXIT\n",
        ":set hints\n:set nothing\n:get pubsub\n:get nothing\n:nothing\n",
        "hello 9\nhgetall none\nreset\nping\n",
        "client no-touch on\ninfo nothing\nmemory doctor\n",
        "rpush l a b\nlrange l 0 -1\r\n\tping\n",
    ];
    for input in lines {
        for form in [&[][..], &["--no-raw"], &["--csv"], &["-3", "--no-raw"]] {
            pair.check_input(form, input);
        }
    }
    pair.check_input(&["-n", "4"], "set a 1\nselect 0\ndbsize\n");
    let tty = &[("FAKETTY", "1")];
    pair.check(Case {
        args: &["LRANGE", "l", "0", "1"],
        setup: DATA,
        environment: tty,
        ..Case::default()
    });
    pair.check(Case {
        input: "ping\nlrange l 0 -1\n",
        setup: DATA,
        environment: tty,
        ..Case::default()
    });
}

#[test]
fn mass_insertion_counts_errors_and_replies() {
    let mut pair = Pair::valkey();
    let many: String =
        (0..20_000).map(|n| format!("*3\r\n$3\r\nSET\r\n$6\r\nk{n:05}\r\n$1\r\nv\r\n")).collect();
    pair.check_input(&["--pipe"], &many);
    pair.check_input(&["--pipe"], "SET a b\r\nINCR a\r\nNO-SUCH\r\n");
    pair.check_input(&["--pipe"], "");
}

#[test]
fn passwords_open_the_door() {
    let ours = Ours::called("valkey-cli");
    let theirs = valkey_directory().join("valkey-cli");
    let server = Server::start(&["--requirepass", "se:cret"]);
    let port = server.port().to_string();
    let uri = format!("redis://default:se%3acret@127.0.0.1:{port}/2");
    let bad = format!("valkey://wrong@127.0.0.1:{port}");
    let cases: &[&[&str]] = &[
        &["PING"],
        &["-a", "se:cret", "PING"],
        &["-a", "se:cret", "--no-auth-warning", "PING"],
        &["--no-auth-warning", "-a", "se:cret", "ping"],
        &["--pass", "se:cret", "--user", "default", "--no-auth-warning", "PING"],
        &["-a", "wrong", "PING"],
        &["-a", "wrong", "--no-auth-warning", "-e", "PING"],
        &["--user", "nobody", "-a", "se:cret", "PING"],
        &["-u", &uri, "CLIENT", "INFO", "x"],
        &["-u", &bad, "PING"],
        &["-a", "wrong", "--scan"],
        &["-a", "wrong", "--pipe"],
        &["-a", "se:cret", "--json", "--no-auth-warning", "CONFIG", "GET", "appendonly"],
    ];
    for environment in [&[][..], &[("REDISCLI_AUTH", "se:cret")], &[("VALKEYCLI_AUTH", "wrong")]] {
        for &args in cases {
            let case = Case { args, environment, ..Case::default() };
            let theirs = run(&theirs, &port, &case);
            let ours = run(&ours.program, &port, &case);
            assert_eq!(shown(&ours), shown(&theirs), "{args:?} {environment:?}");
            assert!(!shown(&ours).contains("se:cret"), "{args:?}: {}", shown(&ours));
        }
    }
}

#[test]
fn nobody_there_is_said_as_the_real_ones_say_it() {
    let lease = PortLease::acquire().expect("a free port");
    let port = lease.port().to_string();
    let real = [
        ("valkey-cli", valkey_directory().join("valkey-cli")),
        ("redis-cli", debian_program("redis-cli")),
    ];
    for (name, theirs) in real {
        let ours = Ours::called(name);
        let cases: &[&[&str]] = &[
            &["PING"],
            &["-s", "/no/such/socket", "PING"],
            &["--scan"],
            &["--pipe"],
            &["-r", "3", "PING"],
            &[],
        ];
        for &args in cases {
            let case = Case { args, input: "ping\n", ..Case::default() };
            let theirs = shown(&run(&theirs, &port, &case));
            let ours = shown(&run(&ours.program, &port, &case));
            assert_eq!(ours, theirs, "{name} {args:?}");
        }
    }
}

#[test]
fn debians_redis_cli_has_the_same_words() {
    let mut pair = Pair::of("redis-cli", debian_program("redis-cli"));
    let questions = &QUESTIONS[..15];
    for form in [&[][..], &["--no-raw"], &["--csv"], &["--no-raw", "-3"]] {
        for question in questions {
            pair.check_args(DATA, &[&[form, *question].concat()]);
        }
    }
    pair.check_args(DATA, &[&["--no-such"], &["-a", "x", "PING"], &["--scan"]]);
    pair.check_input(&[], "set a b\nget a\n\"\n0 ping\n");
}

#[test]
fn a_unix_socket_will_do() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let socket = folder.path().join("s").display().to_string();
    let _server = Server::start(&["--unixsocket", &socket]);
    let ours = Ours::called("redis-cli");
    for args in [&["-s", &socket, "PING"][..], &["-u", &format!("unix://{socket}"), "PING"]] {
        let out = command(&ours.program, args).output().expect("the client");
        assert_eq!(shown(&out), "Some(0)\n-- standard output\nPONG\n\n-- standard error\n");
    }
}

/// A client that listens until its server hangs up.
fn listener(program: &Path, port: u16, args: &[&str], input: &str) -> Child {
    let port = port.to_string();
    let mut child = command(program, &[&["-p", &port], args].concat()).spawn().expect("the client");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    child
}

fn subscribers(client: &mut Client, channel: &str) -> bool {
    let reply = client.command(&["PUBSUB", "NUMSUB", channel]).expect("a reply");
    matches!(reply, Value::Array(items) if items.get(1) == Some(&Value::Integer(1)))
}

#[test]
fn messages_are_shown_until_the_server_hangs_up() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let ours = Ours::called("valkey-cli");
    let theirs = valkey_directory().join("valkey-cli");
    for args in [
        &["SUBSCRIBE", "a", "b"][..],
        &["--no-raw", "SUBSCRIBE", "a", "b"],
        &["--csv", "-3", "SUBSCRIBE", "b"],
        &["--no-raw", "-3", "SUBSCRIBE", "b"],
    ] {
        let mut outputs = Vec::new();
        for program in [&theirs, &ours.program] {
            let child = listener(program, server.port(), args, "");
            wait::expect("the client to subscribe", || subscribers(&mut client, "b"));
            client.command(&["PUBLISH", "b", "hello \"you\""]).expect("a reply");
            client.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).expect("a reply");
            outputs.push(shown(&child.wait_with_output().expect("its end")));
            wait::expect("the client to be gone", || !subscribers(&mut client, "b"));
        }
        assert_eq!(outputs[1], outputs[0], "{args:?}");
        assert!(outputs[0].contains("hello"), "{args:?}: {}", outputs[0]);
    }
}

#[test]
fn monitor_shows_what_others_do() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let ours = Ours::called("redis-cli");
    let child = listener(&ours.program, server.port(), &["MONITOR"], "");
    wait::expect("the client to watch", || {
        let reply = client.command(&["CLIENT", "LIST"]).expect("a reply");
        matches!(reply, Value::Bulk(text) if text.windows(9).any(|at| at == b" flags=O "))
    });
    client.command(&["SET", "watched", "1"]).expect("a reply");
    client.command(&["CLIENT", "KILL", "SKIPME", "yes"]).expect("a reply");
    let out = child.wait_with_output().expect("its end");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.starts_with("OK\n") && text.contains("\"SET\" \"watched\" \"1\"\n"), "{text}");
    assert_eq!(String::from_utf8_lossy(&out.stderr), "Error: Server closed the connection\n");
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn shutdown_is_no_error() {
    let ours = Ours::called("valkey-cli");
    let theirs = valkey_directory().join("valkey-cli");
    for args in [&["SHUTDOWN", "NOSAVE"][..], &[]] {
        let outputs = [&theirs, &ours.program].map(|program| {
            let server = Server::start(&[]);
            let case = Case { args, input: "shutdown nosave\n", ..Case::default() };
            shown(&run(program, &server.port().to_string(), &case))
        });
        assert_eq!(outputs[1], outputs[0], "{args:?}");
        assert!(outputs[0].starts_with("Some(0)"), "{}", outputs[0]);
    }
}

/// What is typed at a terminal, and what is seen there. `script` of util-linux makes the terminal.
fn typed(program: &Path, port: u16, input: &str) -> String {
    packages::ensure(&["bsdutils"]).unwrap_or_else(|why| panic!("{why}"));
    let line = format!("{} -p {port}", program.display());
    let mut script = command(Path::new("script"), &["-qec", &line, "/dev/null"]);
    let mut child = script.spawn().expect("script(1)");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let out = child.wait_with_output().expect("its end");
    assert!(out.status.success(), "{}", shown(&out));
    String::from_utf8_lossy(&out.stdout).replace('\r', "")
}

#[test]
fn a_terminal_has_prompts_and_formatted_replies() {
    let server = Server::start(&[]);
    let port = server.port();
    let ours = Ours::called("redis-cli");
    let input = "select 3\nset k \"v w\"\nget k\nmulti\nincr n\nexec\nhelp get\nkeys *\nquit\n";
    let seen = typed(&ours.program, port, input);
    for expected in [
        &format!("127.0.0.1:{port}> ") as &str,
        &format!("127.0.0.1:{port}[3]> "),
        &format!("127.0.0.1:{port}[3](TX)> "),
        "\"v w\"\n",
        "1) (integer) 1\n",
        "Returns the string value of a key.",
        "2) \"",
    ] {
        assert!(seen.contains(expected), "{expected:?} is not in\n{seen}");
    }
}

#[test]
fn a_prompt_without_a_server_waits_for_one() {
    let lease = PortLease::acquire().expect("a free port");
    let ours = Ours::called("redis-cli");
    let seen = typed(&ours.program, lease.port(), "ping\nexit\n");
    let refused = format!("Could not connect to Redis at 127.0.0.1:{}: ", lease.port());
    assert_eq!(seen.matches(&refused).count(), 2, "{seen}");
    assert!(seen.contains("not connected> "), "{seen}");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let server = Server::start(&[]);
    let ours = Ours::called("redis-cli");
    let line = format!(
        "set -o pipefail; {} -p {} -r -1 PING | head -n 1",
        ours.program.display(),
        server.port()
    );
    let out = command(Path::new("bash"), &["-c", &line]).output().expect("bash");
    assert_eq!(shown(&out), "Some(141)\n-- standard output\nPONG\n\n-- standard error\n");
}

#[test]
fn what_is_not_built_is_one_line_and_a_failure() {
    let ours = Ours::called("redis-cli");
    for args in [
        &["--cluster", "info", "127.0.0.1:1"][..],
        &["--rdb", "file"],
        &["--replica"],
        &["--functions-rdb", "file"],
        &["--eval", "script.lua"],
    ] {
        let out = command(&ours.program, args).output().expect("the client");
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert!(text.lines().count() == 1 && text.contains("not built"), "{args:?}: {text}");
        assert!(out.stdout.is_empty(), "{args:?}: {text}");
    }
    assert!(fs::metadata("file").is_err(), "nothing was written");
}
