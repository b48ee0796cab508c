//! The base of a log without an RDB preamble (`aof-use-rdb-preamble no`): a keyspace as the commands
//! that make it. Executed as a log, they make all of it again: counters of streams, what is pending in
//! groups, deadlines of keys and fields.
//!
//! Not like Valkey's: pending entries that are in the stream no longer are kept.

use crate::clock::Now;
use crate::engine::Line;
use crate::keyspace::{Entry, ValueRef};
use crate::number::DoubleText;
use crate::types::collection::Collection;
use crate::types::hash::{Hash, Pair, SHOW_DUE};
use crate::types::list::List;
use crate::types::listpack::Item;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;
use crate::types::stream::{Log, Nack, Stream, StreamId, TEXT_MAX};
use crate::types::string::Digits;

/// Elements in one command (`AOF_REWRITE_ITEMS_PER_CMD`).
const AT_ONCE: usize = 64;

/// The keys of database `index` follow.
pub fn write_select(out: &mut Vec<u8>, index: usize) {
    Line::of(out, 2).word(b"SELECT").int(index as i64);
}

pub fn write_function(out: &mut Vec<u8>, code: &[u8]) {
    Line::of(out, 3).word(b"FUNCTION").word(b"LOAD").word(code);
}

/// A key that was not there before. `now` tells Unix time from the server's own.
pub fn write_entry(out: &mut Vec<u8>, entry: Entry<'_>, now: Now) {
    let key = entry.key();
    match entry.value().view() {
        ValueRef::Str(string) => {
            let mut digits = Digits::new();
            Line::of(out, 3).word(b"SET").word(key).word(string.bytes(&mut digits));
        }
        ValueRef::Collection(Collection::List(list)) => {
            write_list(out, key, list);
        }
        ValueRef::Collection(Collection::Set(set)) => write_set(out, key, set),
        ValueRef::Collection(Collection::SortedSet(set)) => write_sorted_set(out, key, set),
        ValueRef::Collection(Collection::Hash(hash)) => write_hash(out, key, hash, now),
        ValueRef::Collection(Collection::Stream(stream)) => write_stream(out, key, stream, now),
    }
    if let Some(deadline) = entry.expire_at() {
        Line::of(out, 3).word(b"PEXPIREAT").word(key).int(now.unix_ms_of_deadline(deadline));
    }
}

/// Some elements at a time, each as one word.
fn in_portions<T>(
    out: &mut Vec<u8>,
    name: &[u8],
    key: &[u8],
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut Line<'_>, T),
) {
    in_portions_of(out, name, key, items, 1, write);
}

/// The same, each as `width` words.
fn in_portions_of<T>(
    out: &mut Vec<u8>,
    name: &[u8],
    key: &[u8],
    mut items: impl Iterator<Item = T>,
    width: usize,
    write: impl Fn(&mut Line<'_>, T),
) {
    let mut portion = Vec::with_capacity(AT_ONCE);
    loop {
        portion.extend(items.by_ref().take(AT_ONCE));
        if portion.is_empty() {
            return;
        }
        let mut line = Line::of(out, 2 + width * portion.len());
        line.word(name).word(key);
        portion.drain(..).for_each(|item| write(&mut line, item));
    }
}

fn word_of(line: &mut Line<'_>, item: Item<'_>) {
    line.word(item.write_to(&mut Digits::new()));
}

fn write_list(out: &mut Vec<u8>, key: &[u8], list: &List) {
    let mut left = list.len();
    let mut in_line = 0;
    list.each(&mut |item| {
        if in_line == 0 {
            in_line = left.min(AT_ONCE);
            Line::of(out, 2 + in_line).word(b"RPUSH").word(key);
        }
        word_of(&mut Line::go_on(out, in_line), item);
        (left, in_line) = (left - 1, in_line - 1);
    });
}

fn write_set(out: &mut Vec<u8>, key: &[u8], set: &Set) {
    in_portions(out, b"SADD", key, set.iter(), |line, item| word_of(line, item));
}

fn write_sorted_set(out: &mut Vec<u8>, key: &[u8], set: &SortedSet) {
    in_portions_of(out, b"ZADD", key, set.iter(), 2, |line, (member, score)| {
        line.word(DoubleText::new(score).as_bytes());
        word_of(line, member);
    });
}

fn write_hash(out: &mut Vec<u8>, key: &[u8], hash: &Hash, now: Now) {
    let lasting = hash.iter(SHOW_DUE).filter(|pair| pair.deadline.is_none());
    in_portions_of(out, b"HMSET", key, lasting, 2, pair_of);
    if hash.next_deadline().is_none() {
        return;
    }
    for pair in hash.iter(SHOW_DUE) {
        let Some(deadline) = pair.deadline else { continue };
        let mut line = Line::of(out, 8);
        line.word(b"HSETEX").word(key).word(b"PXAT").int(now.unix_ms_of_deadline(deadline));
        line.word(b"FIELDS").int(1);
        pair_of(&mut line, pair);
    }
}

fn pair_of(line: &mut Line<'_>, pair: Pair<'_>) {
    word_of(line, pair.field);
    word_of(line, pair.value);
}

fn id_of(line: &mut Line<'_>, id: StreamId) {
    line.word(id.write_to(&mut [0; TEXT_MAX]));
}

/// Entries that are gone but still pending come first, for XCLAIM to find, and are trimmed away, which
/// leaves nothing behind but an id that XSETID takes back.
fn write_stream(out: &mut Vec<u8>, key: &[u8], stream: &Stream, now: Now) {
    let log = stream.log();
    let ghosts = ghosts(stream);
    for id in &ghosts {
        let mut line = Line::of(out, 5);
        line.word(b"XADD").word(key);
        id_of(&mut line, *id);
        line.word(b"x").word(b"y");
    }
    if !ghosts.is_empty() {
        write_groups(out, key, stream);
        write_all_pending(out, key, stream, now, |id| !log.contains(id));
        Line::of(out, 5).word(b"XTRIM").word(key).word(b"MAXLEN").word(b"=").int(0);
        Line::of(out, 3).word(b"XSETID").word(key).word(b"0-0");
    }
    write_entries(out, key, log);
    if ghosts.is_empty() {
        if log.len() == 0 {
            let mut line = Line::of(out, 7);
            line.word(b"XADD").word(key).word(b"MAXLEN").int(0).word(b"0-1").word(b"x").word(b"y");
        }
        write_groups(out, key, stream);
    }
    write_all_pending(out, key, stream, now, |id| log.contains(id));
    let mut line = Line::of(out, 7);
    line.word(b"XSETID").word(key);
    id_of(&mut line, log.last_id());
    line.word(b"ENTRIESADDED").int(i64::try_from(log.entries_added()).unwrap_or(i64::MAX));
    line.word(b"MAXDELETEDID");
    id_of(&mut line, log.max_deleted_id());
}

/// Ids that are pending in some group and not in the log, in order.
fn ghosts(stream: &Stream) -> Vec<StreamId> {
    let log = stream.log();
    let pending = stream.groups().iter().flat_map(|(_, group)| group.pending(..).map(|(id, _)| id));
    let mut ghosts: Vec<_> = pending.filter(|id| !id.is_zero() && !log.contains(*id)).collect();
    ghosts.sort_unstable();
    ghosts.dedup();
    ghosts
}

fn write_entries(out: &mut Vec<u8>, key: &[u8], log: &Log) {
    for entry in log.all() {
        let mut line = Line::of(out, 3 + 2 * entry.fields.len());
        line.word(b"XADD").word(key);
        id_of(&mut line, entry.id);
        for (name, value) in entry.fields {
            word_of(&mut line, name);
            word_of(&mut line, value);
        }
    }
}

fn write_groups(out: &mut Vec<u8>, key: &[u8], stream: &Stream) {
    for (name, group) in stream.groups().iter() {
        let read = group.entries_read.filter(|read| *read >= 0).unwrap_or(-1);
        let mut line = Line::of(out, 7);
        line.word(b"XGROUP").word(b"CREATE").word(key).word(name);
        id_of(&mut line, group.last_id);
        line.word(b"ENTRIESREAD").int(read);
        for consumer in group.consumers().iter() {
            let consumer = consumer.name();
            let mut line = Line::of(out, 5);
            line.word(b"XGROUP").word(b"CREATECONSUMER").word(key).word(name).word(consumer);
        }
    }
}

/// What is pending and `concerns` the caller.
fn write_all_pending(
    out: &mut Vec<u8>,
    key: &[u8],
    stream: &Stream,
    now: Now,
    concerns: impl Fn(StreamId) -> bool,
) {
    for (name, group) in stream.groups().iter() {
        for (id, nack) in group.pending(..).filter(|(id, _)| concerns(*id)) {
            let consumer = group.consumers().consumer(nack.consumer).name();
            write_pending(out, [key, name, consumer], id, nack, now);
        }
    }
}

fn write_pending(out: &mut Vec<u8>, words: [&[u8]; 3], id: StreamId, nack: &Nack, now: Now) {
    let mut line = Line::of(out, 12);
    line.word(b"XCLAIM").words(words.into_iter()).int(0);
    id_of(&mut line, id);
    line.word(b"TIME").int(now.unix_ms_of_deadline(nack.delivered_ms));
    line.word(b"RETRYCOUNT").int(i64::try_from(nack.deliveries).unwrap_or(i64::MAX));
    line.word(b"JUSTID").word(b"FORCE");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{World, content};

    /// A world made from the commands that another one comes to.
    fn made_again(world: &World) -> World {
        let mut out = Vec::new();
        for (index, db) in world.engine.keyspace.iter().filter(|(_, db)| !db.is_empty()) {
            write_select(&mut out, index);
            db.iter().for_each(|entry| write_entry(&mut out, entry, world.now));
        }
        let mut other = World::new();
        other.pass_ms(1_000_000);
        other.engine.begin_replay(other.now);
        other.replay_all(&out);
        let end = other.engine.end_log(other.now);
        assert_eq!(end.errors, 0, "{}", out.escape_ascii());
        other
    }

    #[track_caller]
    fn check(lines: &[&str]) {
        let mut world = World::new();
        let client = world.connect();
        for line in lines {
            let reply = world.run(client, line);
            assert!(!reply.starts_with('-'), "{line}: {reply}");
        }
        let other = made_again(&world);
        assert_eq!(content(&world.engine.keyspace), content(&other.engine.keyspace), "{lines:?}");
    }

    #[test]
    fn values_of_every_type_are_made_again() {
        check(&["SET a 1", "SET b text PX 100", "SETRANGE c 5 x", "SELECT 3", "SET d 1"]);
        check(&["RPUSH l a 1 -5 b", "SADD s a b 1", "SADD i 1 2 3", "EXPIRE l 10"]);
        check(&[
            "ZADD z 1 a 0.1 b inf c -0.5 d",
            "PFADD p a b c",
            "GEOADD g 13.361389 38.115556 x",
        ]);
        check(&["HSET h a 1 b 2", "HPEXPIRE h 1 FIELDS 1 a", "HSET small f v"]);
    }

    #[test]
    fn many_elements_take_several_commands() {
        let numbers: Vec<String> = (0..200).map(|number| format!("e{number}")).collect();
        let pairs: Vec<String> = (0..200).map(|number| format!("{number} e{number}")).collect();
        let (numbers, pairs) = (numbers.join(" "), pairs.join(" "));
        let lines = [
            format!("RPUSH l {numbers}"),
            format!("SADD s {numbers}"),
            format!("ZADD z {pairs}"),
            format!("HSET h {pairs}"),
            "HEXPIRE h 10 FIELDS 3 1 2 3".to_owned(),
        ];
        check(&lines.each_ref().map(String::as_str));
    }

    #[test]
    fn streams_are_made_again_with_all_that_is_remembered() {
        check(&["XADD x 1-1 a b", "XADD x 1-2 a b c d", "XADD x 5-0 e f"]);
        check(&["XADD x 1-1 a b", "XDEL x 1-1"]);
        check(&["XGROUP CREATE x g $ MKSTREAM", "XGROUP CREATECONSUMER x g c"]);
        check(&["XADD x 1-1 a b", "XSETID x 9-9 ENTRIESADDED 100 MAXDELETEDID 8-0"]);
        let read = [
            "XADD x 1-1 a b",
            "XADD x 2-2 a b",
            "XADD x 3-3 a b",
            "XADD x 4-4 a b",
            "XGROUP CREATE x g 0",
            "XREADGROUP GROUP g c COUNT 3 STREAMS x >",
            "XREADGROUP GROUP g c STREAMS x 0",
        ];
        check(&read);
        for gone in
            ["XDEL x 2-2", "XDEL x 1-1", "XTRIM x MAXLEN 2", "XTRIM x MAXLEN 0", "XDEL x 4-4"]
        {
            check(&[&read[..], &[gone]].concat());
            check(&[&read[..], &[gone, "XDEL x 3-3"]].concat());
            let back = ["XTRIM x MAXLEN 0", "XSETID x 9-9 MAXDELETEDID 1-0", "XSETID x 1-0"];
            check(&[&read[..], &[gone], &back].concat());
        }
    }
}
