//! `CONFIG SET` and `CONFIG GET`.

use super::super::Effect;
use super::super::set::SetError;
use super::*;

/// Sets `value` and expects what `CONFIG GET` shows then, or the end of the error text.
#[track_caller]
fn check(name: &str, value: &str, expected: Result<&str, &str>) {
    let mut config = Config::default();
    let before = config.show(name);
    let result = config.set(&[name.as_bytes(), value.as_bytes()], REMOTE);
    match (result, expected) {
        (Ok(_), Ok(shown)) => assert_eq!(config.show(name), shown, "{name} {value:?}"),
        (Err(error), Err(reason)) => {
            let expected =
                format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}");
            assert_eq!(error.reply(), expected, "{name} {value:?}");
            assert_eq!(config.show(name), before, "{name} {value:?}");
        }
        (result, _) => panic!("{name} {value:?}: {result:?}, expected {expected:?}"),
    }
}

#[test]
fn booleans() {
    check("protected-mode", "no", Ok("no"));
    check("protected-mode", "YES", Ok("yes"));
    check("appendonly", "maybe", Err("argument must be 'yes' or 'no'"));
}

#[test]
fn integers() {
    check("timeout", "5", Ok("5"));
    check("timeout", "abc", Err("argument couldn't be parsed into an integer"));
    check("timeout", "1kb", Err("argument couldn't be parsed into an integer"));
    check("timeout", "01", Err("argument couldn't be parsed into an integer"));
    check("timeout", "-1", Err("argument must be between 0 and 2147483647 inclusive"));
    check(
        "tcp-keepalive",
        "2147483648",
        Err("argument must be between 0 and 2147483647 inclusive"),
    );
    check("port", "70000", Err("argument must be between 0 and 65535 inclusive"));
    check("maxclients", "-1", Err("argument must be between 1 and 4294967295 inclusive"));
    check("list-max-ziplist-size", "-5", Ok("-5"));
}

#[test]
fn a_frequency_out_of_range_is_brought_into_it() {
    check("hz", "1000", Ok("500"));
    check("hz", "0", Ok("1"));
    check("hz", "-3", Err("argument must be between 0 and 2147483647 inclusive"));
}

#[test]
fn memory() {
    check("maxmemory", "100mb", Ok("104857600"));
    check("maxmemory", "2GB", Ok("2147483648"));
    check("maxmemory", "", Ok("0"));
    check("maxmemory", "-1", Err("argument must be a memory value"));
    check("maxmemory", "10%", Err("argument must be a memory value"));
    check(
        "repl-backlog-size",
        "0",
        Err("argument must be between 1 and 9223372036854775807 inclusive"),
    );
    check(
        "proto-max-bulk-len",
        "1k",
        Err("argument must be between 1048576 and 9223372036854775807 inclusive"),
    );
    check("maxmemory-clients", "20%", Ok("20%"));
    check("maxmemory-clients", "1mb", Ok("1048576"));
    check("maxmemory-clients", "101%", Err("percentage argument must be less or equal to 100"));
    check("maxmemory-clients", "-5", Err("argument must be a memory or percent value"));
    check("slot-migration-max-failover-repl-bytes", "-1", Ok("-1"));
}

#[test]
fn choices() {
    check("loglevel", "VERBOSE", Ok("verbose"));
    let levels = "debug, verbose, notice, warning, nothing";
    check("loglevel", "x", Err(&format!("argument(s) must be one of the following: {levels}")));
    check("shutdown-on-sigint", "now force", Ok("now force"));
    check("shutdown-on-sigint", "force now", Ok("now force"));
    check("shutdown-on-sigint", "default", Ok("default"));
    check(
        "shutdown-on-sigint",
        "save nosave",
        Err("shutdown options SAVE and NOSAVE can't be used simultaneously"),
    );
    let flags = "default, save, nosave, now, force, safe, failover";
    check(
        "shutdown-on-sigterm",
        "",
        Err(&format!("argument(s) must be one of the following: {flags}")),
    );
    check("oom-score-adj", "yes", Ok("yes"));
    check("oom-score-adj", "relative", Ok("yes"));
}

#[test]
fn save_points() {
    check("save", "900 1 60 10000", Ok("900 1 60 10000"));
    check("save", "900 01", Ok("900 1"));
    check("save", "", Ok(""));
    for wrong in ["900", "900 1 60 -1", "0 1", "x 1", "900 1  60 2", " "] {
        check("save", wrong, Err("Invalid save parameters"));
    }
}

#[test]
fn output_buffer_limits_change_one_class_at_a_time() {
    let name = "client-output-buffer-limit";
    let rest = "slave 268435456 67108864 60 pubsub 33554432 8388608 60";
    check(name, "normal 1mb 2kb 3", Ok(&format!("normal 1048576 2048 3 {rest}")));
    check(name, "", Ok(&format!("normal 0 0 0 {rest}")));
    check(name, "replica 1 2 3 PUBSUB 4 5 6", Ok("normal 0 0 0 slave 1 2 3 pubsub 4 5 6"));
    check(name, "normal 1 2", Err("Wrong number of arguments in buffer limit configuration."));
    check(
        name,
        "master 1 2 3",
        Err("Invalid client class specified in buffer limit configuration."),
    );
    for wrong in ["normal 1 2 x", "normal x 2 3", "normal 1 2 -3", "normal 0 0 0 pubsub 1 2 x"] {
        check(
            name,
            wrong,
            Err("Error in hard, soft or soft_seconds setting in buffer limit configuration."),
        );
    }
}

#[test]
fn other_grammars() {
    check("notify-keyspace-events", "KEA", Ok("AKE"));
    check(
        "notify-keyspace-events",
        "KEAq",
        Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    );
    check("oom-score-adj-values", "-1 0 2000", Ok("-1 0 2000"));
    check("oom-score-adj-values", "1 2", Err("wrong number of arguments"));
    check(
        "oom-score-adj-values",
        "1 2 3000",
        Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000."),
    );
    let percentiles = "latency-tracking-info-percentiles";
    check(percentiles, "50.0 99.90 100.0", Ok("50 99.9 100"));
    check(percentiles, "0.001 1e1 99.9999999", Ok("0.001 10 100"));
    check(percentiles, "", Ok(""));
    check(percentiles, "50 x", Err("Invalid latency-tracking-info-percentiles parameters"));
    check(
        percentiles,
        "50 101",
        Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
    );
    check("bind", "127.0.0.1 -::1", Ok("127.0.0.1 -::1"));
    check("bind", "", Ok(""));
    check(
        "bind",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
        Err("Too many bind addresses specified."),
    );
    let bad_template = "template format is invalid or contains unknown variables";
    check("proc-title-template", "{title}: {port}", Ok("{title}: {port}"));
    check("proc-title-template", "{title", Err(bad_template));
    check("proc-title-template", "{titel}x", Err(bad_template));
    check("proc-title-template", "{title}", Err(bad_template));
    check(
        "cluster-announce-hostname",
        "a_b",
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots"),
    );
    check("cluster-announce-client-ipv4", "1.2.3", Err("Invalid IPv4 address"));
    check("cluster-announce-client-ipv6", "::1", Ok("::1"));
}

#[test]
fn what_may_not_be_set() {
    check("daemonize", "yes", Err("can't set immutable config"));
    check("enable-debug-command", "yes", Err("can't set immutable config"));
    check("dir", "/", Err("can't set protected config"));
    check("dbfilename", "x", Err("can't set protected config"));
}

#[track_caller]
fn check_error(args: &[&str], expected: &str) {
    let mut config = Config::default();
    let before = config.get(&[b"*"]);
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    let error = config.set(&args, REMOTE).expect_err(expected);
    assert_eq!(error.reply(), expected);
    assert_eq!(config.get(&[b"*"]), before, "nothing is changed");
}

#[test]
fn several_pairs_are_set_together_or_not_at_all() {
    let mut config = Config::default();
    let args = [b"maxclients".as_slice(), b"100", b"LogLevel", b"debug"];
    let change = config.set(&args, REMOTE).unwrap();
    assert_eq!(change.effects(), [(Effect::MaxClients, "maxclients"), (Effect::Log, "loglevel")]);
    assert_eq!(config.settings().max_clients, 100);

    let prefix = "ERR CONFIG SET failed (possibly related to argument";
    check_error(
        &["maxclients", "100", "timeout", "x"],
        &format!("{prefix} 'timeout') - argument couldn't be parsed into an integer"),
    );
    check_error(
        &["maxclients", "100", "MAXCLIENTS", "200"],
        &format!("{prefix} 'MAXCLIENTS') - duplicate parameter"),
    );
    check_error(
        &["dbfilename", "x", "nosuch", "1"],
        &format!("{prefix} 'dbfilename') - can't set protected config"),
    );
    let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'NoSuch'";
    check_error(&["maxclients", "100", "NoSuch", "1"], unknown);
    check_error(&["NoSuch", "1", "dbfilename", "1"], unknown);
    check_error(&["maxclients", "100", "timeout"], "ERR syntax error");
}

#[test]
fn a_change_can_be_taken_back() {
    let mut config = Config::default();
    let args = [b"port".as_slice(), b"7000", b"bind", b"127.0.0.1", b"timeout", b"9"];
    let change = config.set(&args, REMOTE).unwrap();
    assert_eq!(change.effects(), [(Effect::Listen, "port")]);
    config.undo(change);
    assert_eq!(config.get(&[b"*"]), Config::default().get(&[b"*"]));
    assert_eq!(config.settings().port, 6379);
}

#[test]
fn a_value_that_stays_the_same_has_no_effect() {
    let mut config = Config::default();
    assert!(config.set(&[b"port", b"6379"], REMOTE).unwrap().effects().is_empty());
}

#[test]
fn some_directives_wait_for_the_data_set() {
    let asker = Asker { loading: true, ..REMOTE };
    let error = Config::default().set(&[b"appendonly", b"yes"], asker).unwrap_err();
    assert_eq!(error, SetError::Loading);
}

#[track_caller]
fn check_get(patterns: &[&str], expected: &[(&str, &str)]) {
    let patterns: Vec<&[u8]> = patterns.iter().map(|pattern| pattern.as_bytes()).collect();
    let found = Config::default().get(&patterns);
    let found: Vec<_> = found
        .iter()
        .map(|(name, value)| [name, value].map(|text| std::str::from_utf8(text).unwrap()))
        .map(|[name, value]| (name, value))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn get_answers_names_and_patterns() {
    check_get(&["port"], &[("port", "6379")]);
    check_get(&["PORT"], &[("PORT", "6379")]);
    check_get(&["nosuch"], &[]);
    check_get(&["slaveof", "replica-prio*"], &[("replica-priority", "100"), ("slaveof", "")]);
    check_get(
        &["MAX?lients", "maxclients", "unixsocketperm"],
        &[("maxclients", "10000"), ("unixsocketperm", "0")],
    );
    check_get(
        &["*-max-intset-*", "set-max-*-value"],
        &[("set-max-intset-entries", "512"), ("set-max-listpack-value", "64")],
    );
    check_get(
        &["hash-max-*-value"],
        &[("hash-max-listpack-value", "64"), ("hash-max-ziplist-value", "64")],
    );
}

#[test]
fn hidden_directives_answer_to_their_full_name_only() {
    check_get(&["use-exit-on-pani?"], &[]);
    check_get(&["use-exit-on-panic"], &[("use-exit-on-panic", "no")]);
}
