//! What the list commands do that a transcript cannot show: waiting, events, dirt.

use crate::engine::Slot;
use crate::engine::testing::World;

/// What `listener` is told of events while `command` runs, as `event key` words.
fn events(world: &mut World, client: Slot, command: &str) -> Vec<String> {
    let listener = world.connect();
    world.run(client, "CONFIG SET notify-keyspace-events EA");
    world.run(listener, "HELLO 3");
    world.run(listener, "PSUBSCRIBE __keyevent@0__:*");
    world.run(client, command);
    let messages = world.messages(listener);
    world.engine.disconnect(listener);
    let parts: Vec<&str> = messages.split("\r\n").collect();
    let events = parts.iter().zip(parts.iter().skip(2)).filter_map(|(event, key)| {
        let event = event.strip_prefix("__keyevent@0__:")?;
        (event != "*").then(|| format!("{event} {key}"))
    });
    events.collect()
}

#[test]
fn every_change_is_told_as_valkey_tells_it() {
    let mut world = World::new();
    let client = world.connect();
    for (command, expected) in [
        ("LPUSH l a b", &["lpush l"][..]),
        ("RPUSHX l c", &["rpush l"]),
        ("LPUSHX nolist c", &[]),
        ("LINSERT l BEFORE a x", &["linsert l"]),
        ("LINSERT l BEFORE nothere x", &[]),
        ("LSET l 0 y", &["lset l"]),
        ("LREM l 0 nothere", &[]),
        ("LREM l 0 y", &["lrem l"]),
        ("LTRIM l 0 -1", &["ltrim l"]),
        ("LMOVE l l LEFT RIGHT", &["rpush l", "lpop l"]),
        ("LMOVE l m LEFT LEFT", &["lpush m", "lpop l"]),
        ("RPOPLPUSH m l", &["lpush l", "rpop m", "del m"]),
        ("LPOP l 0", &[]),
        ("LPOP l 2", &["lpop l"]),
        ("LMPOP 2 nolist l RIGHT COUNT 5", &["rpop l", "del l"]),
        ("RPUSH l a a", &["rpush l"]),
        ("LTRIM l 5 6", &["ltrim l", "del l"]),
        ("RPUSH l a a", &["rpush l"]),
        ("LREM l 0 a", &["lrem l", "del l"]),
        ("BLPOP l 0.1", &[]),
    ] {
        assert_eq!(events(&mut world, client, command), expected, "{command}");
    }
}

#[test]
fn who_waits_longest_is_served_first() {
    let mut world = World::new();
    let (first, second, pusher) = (world.connect(), world.connect(), world.connect());
    assert_eq!(world.run(first, "BLPOP a b 0"), "");
    assert_eq!(world.run(second, "BRPOP b 0"), "");
    assert_eq!(world.run(pusher, "RPUSH b 1 2 3"), ":3\r\n");
    assert_eq!(world.messages(first), "*2\r\n$1\r\nb\r\n$1\r\n1\r\n");
    assert_eq!(world.messages(second), "*2\r\n$1\r\nb\r\n$1\r\n3\r\n");
    assert_eq!(world.run(pusher, "LRANGE b 0 -1"), "*1\r\n$1\r\n2\r\n");
}

#[test]
fn a_move_that_waited_feeds_the_next_one() {
    let mut world = World::new();
    let (mover, popper, pusher) = (world.connect(), world.connect(), world.connect());
    assert_eq!(world.run(popper, "BLMPOP 0 1 c LEFT COUNT 10"), "");
    assert_eq!(world.run(mover, "BLMOVE a c LEFT RIGHT 0"), "");
    world.run(pusher, "RPUSH a x y");
    assert_eq!(world.messages(mover), "$1\r\nx\r\n");
    assert_eq!(world.messages(popper), "*2\r\n$1\r\nc\r\n*1\r\n$1\r\nx\r\n");
    assert_eq!(world.run(pusher, "LRANGE a 0 -1"), "*1\r\n$1\r\ny\r\n");
}

#[test]
fn a_wait_ends_in_time_with_nothing() {
    let mut world = World::new();
    let client = world.connect();
    for command in ["BLPOP a 0.5", "BLMOVE a b LEFT LEFT 0.5", "BLMPOP 0.5 1 a LEFT"] {
        assert_eq!(world.run(client, command), "");
        world.pass_ms(499);
        world.tick();
        assert_eq!(world.messages(client), "", "{command}");
        world.pass_ms(2);
        world.tick();
        assert_eq!(world.messages(client), "*-1\r\n", "{command}");
    }
}

#[test]
fn in_a_transaction_nothing_waits() {
    let mut world = World::new();
    let client = world.connect();
    for command in ["MULTI", "BLPOP a 0", "BRPOPLPUSH a b 0", "BLMPOP 0 1 a LEFT"] {
        world.run(client, command);
    }
    assert_eq!(world.run(client, "EXEC"), "*3\r\n*-1\r\n$-1\r\n*-1\r\n");
}

#[test]
fn rotating_the_only_element_keeps_the_key_and_its_expiry() {
    let mut world = World::new();
    let client = world.connect();
    world.run(client, "RPUSH l only");
    world.run(client, "EXPIRE l 100");
    assert_eq!(world.run(client, "LMOVE l l LEFT LEFT"), "$4\r\nonly\r\n");
    assert_eq!(world.run(client, "TTL l"), ":100\r\n");
}

#[test]
fn a_big_list_goes_back_to_a_listpack_and_then_away() {
    let mut world = World::new();
    let client = world.connect();
    let elements = "0123456789abcdef ".repeat(1000);
    assert_eq!(world.run(client, &format!("RPUSH l {elements}")), ":1000\r\n");
    assert_eq!(world.run(client, "OBJECT ENCODING l"), "$9\r\nquicklist\r\n");
    world.run(client, "LTRIM l 950 -1");
    assert_eq!(world.run(client, "OBJECT ENCODING l"), "$8\r\nlistpack\r\n");
    world.run(client, "RPOP l 50");
    assert_eq!(world.run(client, "EXISTS l"), ":0\r\n");
}

#[test]
fn each_element_counts_as_a_change_and_a_move_as_one() {
    let mut world = World::new();
    let client = world.connect();
    for (command, changes) in [
        ("RPUSH l a b c d e f", 6),
        ("LMOVE l m LEFT LEFT", 1),
        ("LMOVE l l LEFT RIGHT", 1),
        ("LPOP l 2", 2),
        ("LPOP l", 1),
        ("LTRIM l 0 0", 1),
        ("LTRIM l 0 0", 0),
        ("LREM l 0 nothere", 0),
        ("LSET l 0 x", 1),
        ("LINSERT l AFTER x y", 1),
        ("LREM l 0 x", 1),
    ] {
        let before = world.engine.stats.dirty;
        world.run(client, command);
        assert_eq!(world.engine.stats.dirty - before, changes, "{command}");
    }
}
