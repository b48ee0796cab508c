//! The configuration beside Debian's Redis: defaults, errors at start, files that both rewrite.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use holdfast_tests::binaries::Flavour::{self, Holdfast, Redis, Valkey};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::server::{Server, run_flavour_to_end};
use tempfile::TempDir;

/// Directives whose default is not Debian's Redis 7.0's, and why.
const OTHER_DEFAULTS: [(&str, &str, &str, &str); 9] = [
    ("lazyfree-lazy-eviction", "no", "yes", "Valkey 8"),
    ("lazyfree-lazy-expire", "no", "yes", "Valkey 8"),
    ("lazyfree-lazy-server-del", "no", "yes", "Valkey 8"),
    ("lazyfree-lazy-user-del", "no", "yes", "Valkey 8"),
    ("lazyfree-lazy-user-flush", "no", "yes", "Valkey 8"),
    ("repl-backlog-size", "1048576", "10485760", "Valkey 8"),
    ("replica-lazy-flush", "no", "yes", "Valkey 8"),
    ("slave-lazy-flush", "no", "yes", "Valkey 8"),
    ("syslog-ident", "redis", "holdfast", "the program's own name"),
];

/// Directives of Redis 7.0 that we do not show, and why.
const GONE: [(&str, &str); 2] = [
    ("io-threads-do-reads", "deprecated in Redis 8 and Valkey 8: swallowed in files"),
    ("aof-disable-auto-gc", "hidden since Redis 7.2: shown when asked by name"),
];

/// Directives that Redis 7.0 does not have, by whose they are.
const NEW: [(&str, &[&str]); 5] = [
    ("Holdfast", &["aof-max-size"]),
    ("Redis 7.2", &["locale-collate", "set-max-listpack-entries", "set-max-listpack-value"]),
    (
        "Redis 8",
        &[
            "cluster-compatibility-sample-ratio",
            "hide-user-data-from-log",
            "max-new-connections-per-cycle",
            "max-new-tls-connections-per-cycle",
            "replica-full-sync-buffer-limit",
            "unixsocketgroup",
        ],
    ),
    (
        "Valkey",
        &[
            "active-defrag-cycle-us",
            "availability-zone",
            "cluster-announce-client-ipv4",
            "cluster-announce-client-ipv6",
            "cluster-announce-client-port",
            "cluster-announce-client-tls-port",
            "cluster-announce-human-nodename",
            "cluster-blacklist-ttl",
            "cluster-config-save-behavior",
            "cluster-databases",
            "cluster-manual-failover-timeout",
            "cluster-slot-migration-log-max-len",
            "cluster-slot-stats-enabled",
            "commandlog-execution-slower-than",
            "commandlog-large-reply-max-len",
            "commandlog-large-request-max-len",
            "commandlog-reply-larger-than",
            "commandlog-request-larger-than",
            "commandlog-slow-execution-max-len",
            "dual-channel-replication-enabled",
            "extended-redis-compatibility",
            "hash-seed",
            "import-mode",
            "log-format",
            "log-timestamp-format",
            "mptcp",
            "prefetch-batch-max-size",
            "rdb-version-check",
            "rdma-bind",
            "rdma-completion-vector",
            "rdma-port",
            "rdma-rx-size",
            "repl-mptcp",
            "slot-migration-max-failover-repl-bytes",
            "tls-auth-clients-user",
            "tls-auto-reload-interval",
        ],
    ),
    (
        "Valkey's spelling of what both have",
        &[
            "aof-rewrite-cpulist",
            "bgsave-cpulist",
            "bio-cpulist",
            "primaryauth",
            "primaryuser",
            "server-cpulist",
        ],
    ),
];

/// What differs because the two servers do: their place and port.
const OF_THE_SERVER: [&str; 2] = ["dir", "port"];

fn all_directives(flavour: Flavour) -> BTreeMap<String, String> {
    let server = Server::start_flavour(flavour, &[]);
    let Value::Array(items) = server.client().run("CONFIG GET *") else { panic!("no array") };
    let text = |value: &Value| {
        String::from_utf8(value.bytes().expect("a bulk string").to_vec()).expect("UTF-8")
    };
    let mut all: BTreeMap<_, _> =
        items.as_chunks::<2>().0.iter().map(|[name, value]| (text(name), text(value))).collect();
    OF_THE_SERVER.iter().for_each(|name| drop(all.remove(*name)));
    all
}

#[test]
fn every_default_is_redis_own_or_differs_for_a_reason() {
    let (redis, holdfast) = (all_directives(Redis), all_directives(Holdfast));
    for (name, value) in &redis {
        if let Some((_, theirs, ours, why)) =
            OTHER_DEFAULTS.iter().find(|(other, ..)| other == name)
        {
            assert_eq!(
                (value.as_str(), holdfast[name].as_str()),
                (*theirs, *ours),
                "{name}: {why}"
            );
        } else if let Some((_, why)) = GONE.iter().find(|(gone, _)| gone == name) {
            assert!(!holdfast.contains_key(name), "{name}: {why}");
        } else {
            assert_eq!(holdfast.get(name), Some(value), "{name}");
        }
    }
    let listed: Vec<&str> = NEW.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    for name in holdfast.keys() {
        assert_eq!(listed.contains(&name.as_str()), !redis.contains_key(name), "{name}");
    }
    for name in listed {
        assert!(holdfast.contains_key(name), "{name} is listed and not there");
    }
}

/// Directives of Redis 8 that Valkey 9.1 does not have.
const REDIS_8_ONLY: [&str; 4] = [
    "cluster-compatibility-sample-ratio",
    "dynamic-hz",
    "replica-full-sync-buffer-limit",
    "sanitize-dump-payload",
];

#[test]
fn every_default_is_valkeys_own() {
    let (mut valkey, mut holdfast) = (all_directives(Valkey), all_directives(Holdfast));
    assert!(holdfast.remove("aof-max-size").is_some());
    for name in REDIS_8_ONLY {
        assert!(holdfast.remove(name).is_some(), "{name}");
    }
    let idents = [&mut valkey, &mut holdfast].map(|all| all.remove("syslog-ident"));
    assert_eq!(idents.map(|ident| ident.expect("it is there")), ["valkey", "holdfast"]);
    assert_eq!(holdfast, valkey);
}

/// What a file with one wrong line says, without what names the program and the file.
fn refusal(flavour: Flavour, text: &str) -> String {
    let directory = TempDir::new().expect("a scratch directory");
    let path = directory.path().join("server.conf");
    std::fs::write(&path, text).expect("the file can be written");
    let path = path.to_str().expect("UTF-8");
    let (status, log) = run_flavour_to_end(flavour, &[path]);
    assert_eq!(status.code(), Some(1), "{flavour:?} {text}\n{log}");
    let lines = log.lines().filter(|line| !line.starts_with("***"));
    let lines: Vec<_> = lines.map(|line| line.replace(&format!(" of {path}"), "")).collect();
    lines.join("\n").trim().to_owned()
}

#[test]
fn a_wrong_line_ends_the_start_in_redis_words() {
    for line in [
        "nosuch 1",
        "port",
        "port 1 2",
        "port abc",
        "port 65536",
        "bind \"x",
        "save 900",
        "save '900 1",
        "maxclients 0",
        "maxmemory 1tb",
        "maxmemory-clients x",
        "maxmemory-clients 101%",
        "timeout -1",
        "hz -1",
        "daemonize maybe",
        "appendfsync sometimes",
        "dir /nonexistent",
        "dir",
        "dbfilename a/b",
        "unixsocketperm 888",
        "unixsocketperm 7777",
        "oom-score-adj-values",
        "oom-score-adj-values 1 2 3000",
        "client-output-buffer-limit normal 1 2",
        "client-output-buffer-limit master 1 2 3",
        "client-output-buffer-limit normal 1 2 x",
        "notify-keyspace-events a",
        "notify-keyspace-events",
        "slaveof a",
        "bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
        "rename-command nosuch x",
        "rename-command get set",
        "rename-command get",
        "sentinel monitor a b 1 1",
        "foo.bar",
        "logfile /nonexistent/log",
        "lua-replicate-commands",
        "latency-tracking-info-percentiles 50 101",
        "proc-title-template {x}",
        "tls-auth-clients maybe",
        "cluster-enabled yes\nreplicaof a 1",
    ] {
        let text = format!("# a comment\n\n  {line}\n");
        assert_eq!(refusal(Holdfast, &text), refusal(Redis, &text), "{line}");
    }
}

const FILE: &str = "\
# what an administrator wrote
maxclients 100
slave-priority 50

save 900 1
save 300 10
rename-command FLUSHALL \"\"
client-output-buffer-limit pubsub 16mb 4mb 30
requirepass \"a \\\"b\\\"\"
";

const CHANGES: [[&str; 2]; 6] = [
    ["timeout", "77"],
    ["maxmemory", "100mb"],
    ["save", "60 5"],
    ["client-output-buffer-limit", "normal 1mb 2mb 3"],
    ["notify-keyspace-events", "KEA"],
    ["latency-tracking-info-percentiles", "50 99.9"],
];

/// Starts `flavour` from [`FILE`], changes some directives and rewrites the file.
fn rewritten_by(flavour: Flavour) -> String {
    let server = Server::start_from_file(flavour, FILE);
    let mut client = server.client();
    let ok = Value::status("OK");
    assert_eq!(client.command(&["AUTH", "a \"b\""]).unwrap(), ok);
    for [name, value] in CHANGES {
        assert_eq!(client.command(&["CONFIG", "SET", name, value]).unwrap(), ok, "{name}");
    }
    assert_eq!(client.run("CONFIG REWRITE"), ok);
    let text = std::fs::read_to_string(server.file()).expect("the file is there");
    // Its directory goes with the server.
    let lines = text.lines().filter(|line| !line.starts_with("dir "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The values that [`rewritten_by`] must leave, as `CONFIG GET` shows them.
#[track_caller]
fn check_values(client: &mut Client) {
    client.command(&["AUTH", "a \"b\""]).unwrap();
    for (name, expected) in [
        ("timeout", "77"),
        ("maxmemory", "104857600"),
        ("maxclients", "100"),
        ("replica-priority", "50"),
        ("notify-keyspace-events", "AKE"),
        ("latency-tracking-info-percentiles", "50 99.9"),
        (
            "client-output-buffer-limit",
            "normal 1048576 2097152 3 slave 268435456 67108864 60 pubsub 16777216 4194304 30",
        ),
    ] {
        let expected = Value::Array(vec![Value::bulk(name), Value::bulk(expected)]);
        assert_eq!(client.command(&["CONFIG", "GET", name]).unwrap(), expected);
    }
    let flushall = client.run("FLUSHALL").error_text().expect("FLUSHALL is renamed away");
    assert!(flushall.starts_with("ERR unknown command"), "{flushall}");
}

#[test]
fn a_rewritten_file_keeps_what_the_administrator_wrote() {
    let text = rewritten_by(Holdfast);
    assert!(text.starts_with("# what an administrator wrote\nmaxclients 100\n"), "{text}");
    assert!(text.contains("\nreplica-priority 50\n\nsave 60 5\n"), "{text}");
    assert!(text.contains("\nrename-command FLUSHALL \"\"\n"), "{text}");
    assert_eq!(text.matches("# Generated by CONFIG REWRITE\n").count(), 1, "{text}");
    assert!(text.contains("\ntimeout 77\n") && text.contains("\nmaxmemory 100mb\n"), "{text}");
}

#[test]
fn files_rewritten_by_one_start_the_other() {
    let ours = rewritten_by(Holdfast);
    check_values(&mut Server::start_from_file(Redis, &ours).client());
    check_values(&mut Server::start_from_file(Holdfast, &ours).client());
    let theirs = rewritten_by(Redis);
    assert!(theirs.contains("\nuser default on "), "{theirs}");
    check_values(&mut Server::start_from_file(Holdfast, &theirs).client());
}

#[test]
fn a_rewrite_needs_a_file() {
    let server = Server::start(&[]);
    let error = server.client().run("CONFIG REWRITE").error_text();
    assert_eq!(error.as_deref(), Some("ERR The server is running without a config file"));
}

#[test]
fn the_port_can_be_changed_while_running() {
    let server = Server::start(&[]);
    let mut client = server.client();
    // The old port's lease covers none other: what is free a moment ago is most likely free.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = free.local_addr().expect("bound").port();
    let set = format!("CONFIG SET port {port}");

    let taken = client.run(&set).error_text();
    assert_eq!(
        taken.as_deref(),
        Some(
            "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on \
             this port. Check server logs."
        )
    );
    let unchanged = Value::Array(vec![Value::bulk("port"), Value::bulk(server.port().to_string())]);
    assert_eq!(client.run("CONFIG GET port"), unchanged);
    assert_eq!(server.client().run("PING"), Value::status("PONG"));

    drop(free);
    // A connection of somebody else's may be given that port just now; then another is as good.
    let is_set = |port: &u16| client.run(&format!("CONFIG SET port {port}")) == Value::status("OK");
    let others = std::iter::repeat_with(|| {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        free.local_addr().expect("bound").port()
    });
    let port = std::iter::once(port).chain(others).take(5).find(is_set).expect("a port can be had");
    let moved = || Client::connect((Ipv4Addr::LOCALHOST, port).into()).ok();
    let mut moved = holdfast_tests::wait::until(holdfast_tests::wait::PATIENCE, moved)
        .expect("the new port is listened on");
    assert_eq!(moved.run("PING"), Value::status("PONG"));
    assert_eq!(client.run("PING"), Value::status("PONG"), "old connections go on");
    holdfast_tests::wait::expect("the old port is closed", || {
        Client::connect(server.address()).is_err()
    });
}

#[test]
fn the_directory_can_be_changed_by_who_may() {
    let server = Server::start(&["--enable-protected-configs", "local"]);
    let mut client = server.client();
    let error = client.run("CONFIG SET dir /nonexistent").error_text();
    assert_eq!(
        error.as_deref(),
        Some(
            "ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or directory"
        )
    );
    let at = |dir: &str| Value::Array(vec![Value::bulk("dir"), Value::bulk(dir)]);
    let before = server.directory().to_str().expect("UTF-8");
    assert_eq!(client.run("CONFIG GET dir"), at(before));
    assert_eq!(client.run("CONFIG SET dir /usr/./lib/.."), Value::status("OK"));
    assert_eq!(client.run("CONFIG GET dir"), at("/usr"));
}

#[test]
fn log_lines_have_redis_form() {
    let server = Server::start(&[]);
    let log = server.log();
    let line = log.lines().find(|line| line.contains("Ready to accept")).expect("it is ready");
    let words: Vec<&str> = line.split(' ').collect();
    let [pid_and_role, day, _month, year, time, level, ..] = words.as_slice() else {
        panic!("{line}")
    };
    assert_eq!(*pid_and_role, format!("{}:M", server.pid()));
    assert_eq!((day.len(), year.len(), time.len(), *level), (2, 4, 12, "*"), "{line}");
}
