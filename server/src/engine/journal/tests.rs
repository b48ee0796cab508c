//! What each command is logged as.

use std::sync::atomic::Ordering;

use super::super::testing::World;

/// Runs the commands of `before` unlogged, then `command`; what was logged, without the SELECT that
/// begins it.
fn logged_after(before: &[&str], command: &str) -> Vec<String> {
    let mut world = World::new();
    let client = world.connect();
    run_all(&mut world, client, before);
    world.engine.journal.start();
    run_all(&mut world, client, &[command]);
    let mut lines = world.logged();
    lines.retain(|line| line != "SELECT 0");
    lines
}

/// A number lets so many milliseconds pass.
fn run_all(world: &mut World, client: super::super::Slot, steps: &[&str]) {
    for step in steps {
        match step.parse() {
            Ok(ms) => world.pass_ms(ms),
            Err(_) if *step == "tick" => _ = world.tick(),
            Err(_) => _ = world.run(client, step),
        }
    }
}

#[track_caller]
fn check(before: &[&str], command: &str, expected: &[&str]) {
    assert_eq!(logged_after(before, command), expected, "{before:?} {command}");
}

/// Now, and a second later, in Unix milliseconds.
const NOW: &str = "1700000000000";

#[test]
fn what_changes_nothing_is_not_logged() {
    for (before, command) in [
        (&["SET a 1"][..], "GET a"),
        (&[], "DEL a"),
        (&["SET a 1"], "SETNX a 2"),
        (&["SET a 1"], "SET a 2 NX"),
        (&[], "SET a 2 XX"),
        (&["SADD s a"], "SADD s a"),
        (&["ZADD z 1 a"], "ZADD z 1 a"),
        (&["ZADD z 1 a"], "ZADD z GT 0 a"),
        (&["HSET h a 1"], "HSETNX h a 2"),
        (&["HSET h a 1"], "HDEL h b"),
        (&["SET a 1"], "PERSIST a"),
        (&["RPUSH l a"], "LREM l 0 b"),
        (&["RPUSH l a"], "LPOP l 0"),
        (&["RPUSH l a"], "LTRIM l 0 -1"),
        (&["SET a 1"], "LPUSH a 1"),
        (&["SET a x"], "INCR a"),
        (&[], "EXPIRE a 10"),
        (&["SET a 1"], "EXPIRE a 10 XX"),
        (&["XADD s 1-1 a b"], "XTRIM s MAXLEN 5"),
        (&["PFADD p a"], "PFADD p a"),
        (&["SET a 1", "SET b 1"], "RENAMENX a b"),
        (&["SET a 1", "SET b 1"], "COPY a b"),
        (&[], "SPOP s"),
        (&[], "BLPOP l 0"),
        (&[], "MULTI"),
        (&["SET a 1 PX 1000"], "GETEX a"),
    ] {
        check(before, command, &[]);
    }
}

#[test]
fn what_depends_on_nothing_is_logged_as_it_came() {
    for (before, command) in [
        (&[][..], "SET a 1"),
        (&[], "set A 1"),
        (&["SET a 1"], "SETRANGE a 5 x"),
        (&["SET a 1"], "APPEND a x"),
        (&["SET a 1"], "INCRBY a 5"),
        (&[], "MSET a 1 b 2"),
        (&[], "MSETNX a 1 b 2"),
        (&[], "SETBIT a 5 1"),
        (&[], "BITFIELD a SET u8 0 5"),
        (&["SET a 1"], "RENAME a b"),
        (&["SET a 1"], "COPY a b DB 3"),
        (&["SET a 1"], "MOVE a 3"),
        (&["SET a 1"], "DEL a b"),
        (&["SET a 1 EX 10"], "PERSIST a"),
        (&[], "FLUSHALL ASYNC"),
        (&[], "FLUSHDB"),
        (&[], "SWAPDB 0 1"),
        (&[], "RPUSH l a b"),
        (&["RPUSH l a b"], "LPOP l 2"),
        (&["RPUSH l a b"], "LMOVE l m LEFT RIGHT"),
        (&["SADD s a b"], "SMOVE s t a"),
        (&["SADD s a b"], "SUNIONSTORE t s"),
        (&["RPUSH l 3 1 2"], "SORT l STORE m"),
        (&["ZADD z 1 a 2 b"], "ZRANGESTORE y z 0 -1"),
        (&["HSET h a 1"], "HINCRBY h a 5"),
        (&["HSET h a 1 b 2"], "HDEL h a c"),
        (&[], "PFADD p a"),
        (&["PFADD p a"], "PFCOUNT p"),
        (&[], "XADD s 5-1 a b"),
        (&[], "XGROUP CREATE s g $ MKSTREAM"),
        (&[], "GEOADD g 13.361389 38.115556 Palermo"),
        (&[], "DEBUG POPULATE 5 k 8"),
    ] {
        check(before, command, &[command]);
    }
}

#[test]
fn times_are_logged_as_points_in_time() {
    let at = "1700000010000";
    for (command, expected) in [
        ("SET a 2 EX 10", format!("SET a 2 PXAT {at}")),
        ("SET a 2 PX 10000 XX GET", format!("SET a 2 PXAT {at}")),
        ("SET a 2 EXAT 1700000010", format!("SET a 2 PXAT {at}")),
        ("SETEX a 10 2", format!("SET a 2 PXAT {at}")),
        ("PSETEX a 10000 2", format!("SET a 2 PXAT {at}")),
        ("EXPIRE a 10", format!("PEXPIREAT a {at}")),
        ("PEXPIRE a 10000 NX", format!("PEXPIREAT a {at}")),
        ("EXPIREAT a 1700000010", format!("PEXPIREAT a {at}")),
        ("GETEX a EX 10", format!("PEXPIREAT a {at}")),
        ("MSETEX 1 b 2 EX 10", format!("SET b 2 PXAT {at}")),
        ("HEXPIRE h 10 FIELDS 2 f g", format!("HPEXPIREAT h {at} FIELDS 1 f")),
        ("HGETEX h EX 10 FIELDS 2 f g", format!("HPEXPIREAT h {at} FIELDS 1 f")),
        ("HSETEX h FXX EX 10 FIELDS 1 f 2", format!("HSETEX h PXAT {at} FIELDS 1 f 2")),
    ] {
        check(&["SET a 1", "HSET h f 1 k 1"], command, &[&expected]);
    }
}

#[test]
fn what_is_over_already_is_a_removal() {
    let before = &["SET a 1", "HSET h f 1 k 1"];
    for command in ["SET a 2 PXAT 1", "EXPIRE a -1", "PEXPIREAT a 1", "GETEX a PXAT 1"] {
        check(before, command, &["UNLINK a"]);
    }
    for command in [
        "HPEXPIREAT h 1 FIELDS 2 f g",
        "HGETEX h PXAT 1 FIELDS 2 f g",
        "HSETEX h PXAT 1 FIELDS 1 f 2",
    ] {
        check(before, command, &["HDEL h f"]);
    }
    check(&["CONFIG SET lazyfree-lazy-expire no", "SET a 1"], "EXPIRE a -1", &["DEL a"]);
}

#[test]
fn conditions_and_what_is_told_are_left_out() {
    for (before, command, expected) in [
        (&["SET a 1"][..], "SET a 2 XX", "SET a 2"),
        (&["SET a 1"], "SET a 2 IFEQ 1 GET", "SET a 2"),
        (&["SET a 1 EX 10"], "SET a 2 KEEPTTL GET", "SET a 2 KEEPTTL"),
        (&["SET a 1"], "GETSET a 2", "SET a 2"),
        (&["SET a 1"], "GETDEL a", "DEL a"),
        (&["SET a 1"], "DELIFEQ a 1", "DEL a"),
        (&["SET a 1 EX 10"], "GETEX a PERSIST", "PERSIST a"),
        (&["SET a 1.5"], "INCRBYFLOAT a 0.25", "SET a 1.75 KEEPTTL"),
        (&["HSET h f 1.5"], "HINCRBYFLOAT h f 0.25", "HSET h f 1.75"),
        (&["HSET h f 1 g 1"], "HGETDEL h FIELDS 2 f x", "HDEL h f"),
        (&["HSETEX h EX 10 FIELDS 1 f 1"], "HPERSIST h FIELDS 2 f g", "HPERSIST h FIELDS 1 f"),
        (&["HSET h f 1"], "HSETEX h FXX FIELDS 1 f 2", "HSET h f 2"),
        (
            &["HSETEX h EX 1 FIELDS 1 f 1"],
            "HINCRBY h f 1",
            "HSETEX h PXAT 1700000001000 FIELDS 1 f 2",
        ),
        (&["RPUSH l a b c"], "LMPOP 2 k l LEFT COUNT 5", "LPOP l 3"),
        (&["RPUSH l a b c"], "BLPOP k l 0", "LPOP l"),
        (&["RPUSH l a b c"], "BRPOP k l 0", "RPOP l"),
        (&["RPUSH l a b c"], "BLMPOP 0 2 k l RIGHT", "RPOP l 1"),
        (&["RPUSH l a b c"], "BLMOVE l m LEFT LEFT 0", "LMOVE l m LEFT LEFT"),
        (&["RPUSH l a b c"], "BRPOPLPUSH l m 0", "RPOPLPUSH l m"),
        (&["ZADD z 1 a 2 b"], "ZMPOP 2 y z MAX COUNT 5", "ZPOPMAX z 2"),
        (&["ZADD z 1 a 2 b"], "BZPOPMIN y z 0", "ZPOPMIN z 1"),
        (&["ZADD z 1 a 2 b"], "BZMPOP 0 1 z MIN", "ZPOPMIN z 1"),
    ] {
        check(before, command, &[expected]);
    }
}

#[test]
fn what_chance_decides_is_logged_as_decided() {
    check(&["SADD s a"], "SPOP s", &["UNLINK s"]);
    check(&["SADD s a b c"], "SPOP s 3", &["UNLINK s"]);
    let logged = logged_after(&["SADD s a b c"], "SPOP s 2");
    assert!(
        logged[0].starts_with("SREM s ") && logged[0].len() == "SREM s a b".len(),
        "{logged:?}"
    );
}

#[test]
fn streams_are_logged_by_what_came_of_it() {
    let entry = format!("XADD s {NOW}-0 a b");
    check(&[], "XADD s * a b", &[&entry]);
    check(&[], "XADD s MAXLEN 5 * a b", &[&entry]);
    check(&["XADD s 1-0 a b"], "XADD s MAXLEN 1 1-* c d", &["XADD s MAXLEN = 1 1-1 c d"]);
    let group = &["XADD s 1-0 a b", "XADD s 2-0 a b", "XGROUP CREATE s g 0"];
    let claim = |ids: &str, count: u8| {
        format!("XCLAIM s g me 0 {ids} TIME {NOW} RETRYCOUNT {count} FORCE JUSTID")
    };
    let delivered = [
        "MULTI",
        "XGROUP CREATECONSUMER s g me",
        &claim("1-0 2-0", 1),
        "XGROUP SETID s g 2-0 ENTRIESREAD 2",
        "EXEC",
    ];
    check(group, "XREADGROUP GROUP g me STREAMS s >", &delivered);
    let progress = ["MULTI", delivered[1], delivered[3], "EXEC"];
    check(group, "XREADGROUP GROUP g me NOACK STREAMS s >", &progress);
    let read = [group, &["XREADGROUP GROUP g me STREAMS s >"][..]].concat();
    check(&read, "XREADGROUP GROUP g me STREAMS s >", &[]);
    check(&read, "XREADGROUP GROUP g me STREAMS s 1", &[&claim("2-0", 2)]);
    check(&read, "XCLAIM s g me 0 1-0 9-9", &[&claim("1-0", 2)]);
    check(&read, "XCLAIM s g me 100 1-0", &[]);
    check(&read, "XACK s g 1-0 9-9", &["XACK s g 1-0 9-9"]);
    let deleted = [&read[..], &["XDEL s 1-0"]].concat();
    let both = ["MULTI", &claim("2-0", 2), "XACK s g 1-0", "EXEC"];
    check(&deleted, "XAUTOCLAIM s g me 0 0", &both);
}

#[test]
fn keys_that_go_by_themselves_are_logged_once_and_alone() {
    let due = &["SET a 1 PX 10", "SET b 1 PX 10", "10"];
    check(due, "tick", &["UNLINK a", "UNLINK b"]);
    check(due, "GET a", &["UNLINK a"]);
    check(due, "SET a 2", &["SET a 2"]);
    check(due, "INCR a", &["MULTI", "UNLINK a", "INCR a", "EXEC"]);
    check(due, "DEL a", &["UNLINK a"]);
    check(due, "SET a 2 NX GET", &["MULTI", "UNLINK a", "SET a 2", "EXEC"]);
    check(
        &["SADD t x", "SADD s a", "PEXPIRE s 10", "10"],
        "SUNIONSTORE d s t",
        &["MULTI", "UNLINK s", "SUNIONSTORE d s t", "EXEC"],
    );
    check(
        &["SET a 1", "CONFIG SET maxmemory-policy allkeys-random", "CONFIG SET maxmemory 1"],
        "PING",
        &["UNLINK a"],
    );
}

#[test]
fn fields_that_go_by_themselves_are_logged_by_name() {
    let due = &["HSET h f 1 g 1 k 1", "HPEXPIRE h 10 FIELDS 2 f g", "10"];
    let logged = logged_after(due, "tick");
    assert!(["HDEL h f g", "HDEL h g f"].contains(&&*logged[0]) && logged.len() == 1, "{logged:?}");
    check(due, "HGET h f", &[]);
    check(due, "HDEL h f k", &["HDEL h k"]);
    check(due, "HGETDEL h FIELDS 2 f k", &["HDEL h k"]);
    check(due, "HSETNX h f 2", &["HSET h f 2"]);
    check(due, "HINCRBY h f 2", &["HSET h f 2"]);
    check(due, "HEXPIRE h 1 FIELDS 2 f k", &["HPEXPIREAT h 1700000001010 FIELDS 1 k"]);
    check(
        due,
        "HSETEX h KEEPTTL FIELDS 2 k 2 f 2",
        &["MULTI", "HSET h f 2", "HSETEX h KEEPTTL FIELDS 1 k 2", "EXEC"],
    );
}

#[test]
fn a_transaction_is_a_unit_and_databases_are_selected_within() {
    let mut world = World::new();
    let client = world.connect();
    world.engine.journal.start();
    let steps = ["MULTI", "SET a 1", "SELECT 3", "GET a", "SET b 1", "EXEC", "SET c 1"];
    run_all(&mut world, client, &steps);
    let unit = ["MULTI", "SELECT 0", "SET a 1", "SELECT 3", "SET b 1", "EXEC", "SET c 1"];
    assert_eq!(world.logged(), unit);
    run_all(
        &mut world,
        client,
        &["MULTI", "GET a", "SET d 1", "EXEC", "MULTI", "SET e 1", "DISCARD"],
    );
    assert_eq!(world.logged(), ["SET d 1"]);
    world.engine.journal.forget_db();
    run_all(&mut world, client, &["SET f 1"]);
    assert_eq!(world.logged(), ["SELECT 3", "SET f 1"]);
}

#[test]
fn who_waited_is_logged_when_served() {
    let mut world = World::new();
    let (waiting, other) = (world.connect(), world.connect());
    world.engine.journal.start();
    world.run(waiting, "BLPOP l 0");
    world.run(other, "RPUSH l a b");
    assert_eq!(world.logged(), ["SELECT 0", "RPUSH l a b", "LPOP l"]);
}

#[test]
fn renamed_commands_are_logged_by_their_own_names() {
    let mut world = World::new();
    let rename = crate::config::Rename { command: "incr", name: Some(b"up".to_vec()) };
    world.engine.names = crate::commands::Names::with_renames(&[rename]);
    let client = world.connect();
    world.engine.journal.start();
    world.run(client, "UP a");
    assert_eq!(world.logged(), ["SELECT 0", "incr a"]);
}

#[test]
fn the_wires_bytes_are_copied_and_what_differs_is_written_anew() {
    for (sent, logged) in [
        ("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$11\r\n0123456789x\r\n", None),
        ("*1\r\n$8\r\nFLUSHALL\r\n", None),
        ("SET k 'a b'\r\n", Some("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na b\r\n")),
        ("FLUSHALL\r\n", Some("*1\r\n$8\r\nFLUSHALL\r\n")),
    ] {
        let mut world = World::new();
        let client = world.connect();
        world.engine.journal.start();
        world.execute(client, sent);
        let log = String::from_utf8(world.record.lock().expect("not poisoned").log.clone());
        let expected = format!("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n{}", logged.unwrap_or(sent));
        assert_eq!(log, Ok(expected));
    }
}

#[test]
fn what_is_recorded_stays_for_a_log_that_comes_unless_it_is_much_or_asked_for() {
    let mut world = World::new();
    let client = world.connect();
    world.engine.journal.start();
    world.engine.log_comes.store(true, Ordering::Relaxed);
    world.execute(client, "SET a 1\r\n");
    assert!(world.logged().is_empty(), "the log will come");
    world.engine.hand_over_journal();
    assert_eq!(world.logged(), ["SELECT 0", "SET a 1"]);

    world.execute(client, "SET a 2\r\n");
    world.execute(client, format!("SET a {}\r\n", "x".repeat(50_000)));
    assert!(world.logged().is_empty());
    world.execute(client, format!("SET a {}\r\n", "y".repeat(50_000)));
    assert_eq!(world.logged().len(), 3);

    for command in ["WAITAOF 0 0 0", "SHUTDOWN NOSAVE"] {
        world.execute(client, "SET a 3\r\n");
        assert!(world.logged().is_empty());
        world.execute(client, format!("{command}\r\n"));
        assert_eq!(world.logged(), ["SET a 3"], "{command}");
    }
    let other = world.connect();
    world.execute(other, "SET a 4\r\n");
    assert_eq!(world.logged(), ["SET a 4"], "it comes no more");
}

#[test]
fn a_log_that_is_turned_off_has_all_that_came_before() {
    let mut world = World::new();
    let client = world.connect();
    world.engine.journal.start();
    world.engine.log_comes.store(true, Ordering::Relaxed);
    world.execute(client, "SET a 1\r\n");
    world.execute(client, "CONFIG SET appendonly no appendfsync always\r\n");
    assert_eq!(world.logged(), ["SELECT 0", "SET a 1"]);
}
