//! Snapshots of an engine that works on meanwhile.

use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::testing::World;
use crate::engine::{LoadMode, Slot};
use crate::rdb::crc64::Crc64;
use crate::rdb::file::{Batch, FileReader, Step};

/// What came out.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    chunks: usize,
    /// Whether something might be put behind the last chunk.
    ends_item: bool,
    is_full: bool,
    aside: Vec<Chunk>,
    waiting_bytes: usize,
    result: Option<Result<(), String>>,
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Out>>);

impl Collector {
    fn lock(&self) -> MutexGuard<'_, Out> {
        self.0.lock().expect("no test panics meanwhile")
    }
}

impl SnapshotSink for Collector {
    fn chunk(&mut self, chunk: Chunk) {
        let mut out = self.lock();
        assert!(out.result.is_none());
        out.ends_item = chunk.ends_item();
        out.bytes.extend(chunk.into_bytes());
        out.chunks += 1;
    }

    fn aside(&mut self, chunk: Chunk) {
        self.lock().aside.push(chunk);
    }

    fn aside_is_over(&mut self) {
        let aside = std::mem::take(&mut self.lock().aside);
        aside.into_iter().for_each(|chunk| self.chunk(chunk));
    }

    fn waiting_bytes(&self) -> usize {
        self.lock().waiting_bytes
    }

    fn is_full(&self) -> bool {
        self.lock().is_full
    }

    fn done(self: Box<Self>, result: Result<(), String>) {
        assert!(self.lock().result.replace(result).is_none());
    }
}

fn begin(world: &mut World) -> Collector {
    let sink = Collector::default();
    let begun =
        world.engine.begin_snapshot(SnapshotPurpose::Save, Box::new(sink.clone()), world.now);
    assert_eq!(begun, Ok(()));
    sink
}

#[test]
fn writes_wait_while_too_much_is_kept_for_a_slow_disk() {
    let mut world = World::new();
    let sink = begin(&mut world);
    let mut holds_at = |bytes: usize| {
        sink.lock().waiting_bytes = bytes;
        sink.lock().is_full = true;
        world.engine.snapshot_slice(world.now, &|| 0);
        world.engine.persistence.holds_writes().is_some()
    };
    assert!(!holds_at(MOST_KEPT / 2));
    assert!(holds_at(MOST_KEPT + 1));
    assert!(holds_at(MOST_KEPT - 1), "a byte more or less wakes nobody");
    assert!(!holds_at(MOST_KEPT / 2));
    assert!(holds_at(MOST_KEPT + 1));
    world.engine.cancel_snapshot();
    assert!(world.engine.persistence.holds_writes().is_none());
}

#[test]
fn one_snapshot_at_a_time() {
    let mut world = World::new();
    let client = world.connect();
    world.run(client, "DEBUG POPULATE 10000");
    let sink = begin(&mut world);
    assert_eq!(world.engine.snapshot_purpose(), Some(SnapshotPurpose::Save));
    assert_eq!(world.engine.snapshot_progress(), (0, 10_000));
    let other = Box::new(Collector::default());
    assert_eq!(world.engine.begin_snapshot(SnapshotPurpose::AofBase, other, world.now), Err(Busy));
    world.engine.cancel_snapshot();
    assert!(matches!(sink.lock().result, Some(Err(_))));
    assert_eq!(world.engine.snapshot_purpose(), None);
    begin(&mut world);
}

#[test]
fn the_walk_rests_while_the_sink_is_full_and_changes_do_not_wait() {
    let mut world = World::new();
    let client = world.connect();
    world.run(client, "DEBUG POPULATE 10000");
    let sink = begin(&mut world);
    sink.lock().is_full = true;
    world.tick();
    assert_eq!(world.engine.snapshot_progress(), (0, 10_000));
    world.run(client, "SET key:7 new");
    assert_eq!(world.engine.snapshot_progress(), (1, 10_000));
    sink.lock().is_full = false;
    world.tick();
    assert_eq!(world.engine.snapshot_progress(), (0, 0));
    assert_eq!(sink.lock().result, Some(Ok(())));
    assert!(sink.lock().chunks > 3);
    assert!(!sink.lock().ends_item, "the checksum follows the end");
}

#[test]
fn a_slice_ends_when_its_time_is_up() {
    let mut world = World::new();
    let client = world.connect();
    world.run(client, "DEBUG POPULATE 10000");
    let sink = begin(&mut world);
    let mut slices = 0;
    while sink.lock().result.is_none() {
        let time_us = std::cell::Cell::new(0);
        world.engine.tick(world.now, || time_us.replace(time_us.get() + SLICE_US / 4));
        slices += 1;
    }
    assert!(slices >= 10_000 / STEP_KEYS / 5, "{slices}");
    assert!(world.engine.stats.snapshot_longest_slice_us > 0);
}

/// A world with a client, and a small generator for what happens in it.
struct History {
    world: World,
    client: Slot,
    state: u64,
}

/// Commands that change something, or might. `K` is any key, `N` a number, `T` a text, `D` a database;
/// `L`, `S`, `H`, `Z` and `X` are keys that mostly hold a large collection of that type.
const CHANGES: &[&str] = &[
    "SET K T",
    "SET K T",
    "SET K N PX N",
    "APPEND K T",
    "SETRANGE K N T",
    "SETBIT K N 1",
    "INCRBY K N",
    "GETDEL K",
    "GETEX K PX N",
    "DEL K",
    "UNLINK K K",
    "RENAME K K",
    "RENAME H K",
    "COPY H K REPLACE",
    "COPY K K DB D REPLACE",
    "MOVE K D",
    "MOVE S D",
    "PERSIST K",
    "PEXPIRE K N",
    "MSET K T K T",
    "RPUSH L T T N T",
    "LPUSH L T N",
    "LPOP L",
    "RPOP L N",
    "LSET L N T",
    "LTRIM L 1 -2",
    "LREM L 1 N",
    "LINSERT L AFTER N T",
    "LMOVE L L LEFT RIGHT",
    "LTRIM L N -1",
    "LREM L 0 N",
    "LINSERT L BEFORE N N",
    "SADD S T N N N",
    "SREM S N N T N",
    "SPOP S 2",
    "SUNIONSTORE K S S",
    "SMOVE S S N",
    "HSET H N T N N T N",
    "HSET H N N",
    "HDEL H N N N",
    "HINCRBY H N N",
    "HPEXPIRE H N FIELDS 1 N",
    "HSETEX H PX N FIELDS 1 N T",
    "HGETDEL H FIELDS 1 N",
    "HPERSIST H FIELDS 1 N",
    "ZADD Z N T N N",
    "ZADD Z N N",
    "ZINCRBY Z N N",
    "ZREM Z N N N",
    "ZPOPMIN Z 2",
    "ZREMRANGEBYRANK Z N N",
    "ZUNIONSTORE K 2 Z Z",
    "XADD X * N T",
    "XADD X * f T g N",
    "XADD X * N T",
    "XADD X N-* N T",
    "XTRIM X MAXLEN ~ N",
    "XSETID X N-5",
    "XDEL X N-0",
    "XTRIM X MAXLEN N",
    "XGROUP CREATE X g 0",
    "XGROUP DESTROY X g",
    "XREADGROUP GROUP g c COUNT 3 STREAMS X >",
    "XACK X g N-0",
    "XCLAIM X g d 0 N-0 JUSTID",
    "SORT L BY nosort ALPHA STORE K",
    "DEL H",
    "DEL S",
    "DEL Z",
    "DEL L",
    "SELECT D",
    "SELECT D",
    "SWAPDB D D",
];

/// What makes collections large; `N` numbers many.
const FILLS: &[&str] =
    &["RPUSH L ?", "SADD S ?", "HSET H ?", "ZADD Z ?", "XADD X * N T", "XADD X * N T"];

impl History {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        let client = world.connect();
        let mut history = Self { world, client, state: seed };
        // Lists and streams of many nodes.
        history.run("CONFIG SET list-max-listpack-size 16 stream-node-max-entries 4");
        for db in 0..4 {
            history.run(&format!("SELECT {db}"));
            (0..60).for_each(|_| history.fill());
        }
        history
    }

    fn fill(&mut self) {
        let which = self.below(FILLS.len() as u64) as usize;
        let words: Vec<String> = FILLS[which].split(' ').map(|word| self.word(word)).collect();
        self.run(&words.join(" "));
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) % limit
    }

    fn run(&mut self, command: &str) -> String {
        self.world.run(self.client, command)
    }

    /// One of many keys; a few of them are much used, and grow.
    fn change(&mut self) {
        let which = self.below(CHANGES.len() as u64) as usize;
        let words: Vec<String> = CHANGES[which].split(' ').map(|word| self.word(word)).collect();
        self.run(&words.join(" "));
    }

    fn word(&mut self, word: &str) -> String {
        match word {
            "K" if self.below(20) == 0 => {
                let kind = ["l", "s", "h", "z", "x"][self.below(5) as usize];
                format!("{kind}{}", self.below(3))
            }
            "K" => format!("key{}", self.below(400)),
            "N" => self.below(3000).to_string(),
            "?" => (0..200).map(|_| format!("{} ", self.below(3000))).collect(),
            "L" | "S" | "H" | "Z" | "X" => format!("{}{}", word.to_lowercase(), self.below(3)),
            "D" => self.below(4).to_string(),
            "T" => {
                let len = [3, 10, 30, 100, 700][self.below(5) as usize];
                let digit = self.below(10);
                format!("{digit}{}", "t".repeat(self.below(len) as usize))
            }
            other => other.into(),
        }
    }

    /// A little of the snapshot.
    fn step(&mut self) {
        let time_us = std::cell::Cell::new(0);
        self.world.engine.tick(self.world.now, || time_us.replace(time_us.get() + SLICE_US / 2));
    }
}

fn digest(world: &mut World, client: Slot) -> String {
    world.run(client, "DEBUG DIGEST")
}

/// A world that holds what was saved.
fn loaded(sink: &Collector, now: Now) -> World {
    let mut world = World { now, ..World::new() };
    let mode = LoadMode { keeps_due: true, ..LoadMode::default() };
    let mut bytes = sink.lock().bytes.clone();
    let crc = Crc64::of(&bytes);
    bytes.extend(crc.to_le_bytes());
    let mut file = &bytes[..];
    let mut reader = FileReader::new(&mut file, world.engine.load_options(mode, world.now));
    let mut batch = Batch::default();
    loop {
        let step = reader.fill(&mut batch).expect("a whole file");
        world.engine.take_items(&mut batch, mode, world.now).expect("each key once");
        if let Step::End(_) = step {
            return world;
        }
    }
}

/// Keys, types and lengths: what differs when digests do.
fn summary(world: &World) -> Vec<(usize, String, usize)> {
    let mut keys = Vec::new();
    for (index, db) in world.engine.keyspace.iter() {
        for entry in db.iter() {
            let len = entry.collection().map_or(0, |collection| collection.len());
            keys.push((index, String::from_utf8_lossy(entry.key()).into_owned(), len));
        }
    }
    keys.sort();
    keys
}

fn check_history(seed: u64, disturb: impl Fn(&mut History)) {
    let mut history = History::new(seed);
    for _ in 0..2_000 {
        history.change();
    }
    for round in 0..3 {
        let client = history.client;
        let (before, keys) = (digest(&mut history.world, client), summary(&history.world));
        let now = history.world.now;
        let sink = begin(&mut history.world);
        while sink.lock().result.is_none() {
            for _ in 0..history.below(40) {
                history.change();
            }
            history.fill();
            disturb(&mut history);
            history.step();
        }
        assert_eq!(sink.lock().result, Some(Ok(())));
        let mut copy = loaded(&sink, now);
        let client = copy.connect();
        assert_eq!(summary(&copy), keys, "seed {seed}, round {round}");
        assert_eq!(digest(&mut copy, client), before, "seed {seed}, round {round}");
    }
}

#[test]
fn a_snapshot_is_what_was_there_at_its_start() {
    for seed in 0..3 {
        check_history(seed, |_| {});
    }
}

#[test]
fn a_snapshot_outlives_a_flush() {
    for seed in 0..2 {
        check_history(seed, |history| match history.below(12) {
            0 => _ = history.run("FLUSHDB"),
            1 => _ = history.run("FLUSHALL ASYNC"),
            _ => {}
        });
    }
}

#[test]
fn what_expires_meanwhile_is_saved() {
    for seed in 0..2 {
        check_history(seed, |history| history.world.pass_ms(50));
    }
}
