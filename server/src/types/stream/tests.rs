//! The stream against a model: a map of entries, and the rules written down naively.

use std::collections::BTreeMap;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::*;

type Words = Vec<Vec<u8>>;

/// What a stream is, without nodes.
#[derive(Default)]
struct Model {
    entries: BTreeMap<StreamId, Words>,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
}

impl Model {
    fn trim(&mut self, keep: Keep) -> u64 {
        let before = self.entries.len();
        match keep {
            Keep::Len(len) => {
                while self.entries.len() as u64 > len {
                    self.entries.pop_first();
                }
            }
            Keep::From(id) => self.entries = self.entries.split_off(&id),
        }
        (before - self.entries.len()) as u64
    }
}

fn words(entry: &Entry<'_>) -> Words {
    entry.fields.clone().flat_map(|(name, value)| [name.to_vec(), value.to_vec()]).collect()
}

fn check(log: &Log, model: &Model) {
    let counters = Counters {
        len: model.entries.len() as u64,
        first_id: model.entries.keys().next().copied().unwrap_or_default(),
        last_id: model.last_id,
        max_deleted_id: model.max_deleted_id,
        entries_added: model.added,
    };
    assert_eq!(log.counters(), counters);
    let expected: Vec<_> = model.entries.iter().map(|(id, words)| (*id, words.clone())).collect();
    let shown: Vec<_> = log.all().map(|entry| (entry.id, words(&entry))).collect();
    assert_eq!(shown, expected);
    let back = log.range_back(StreamId::MIN..=StreamId::MAX);
    let mut back: Vec<_> = back.map(|entry| (entry.id, words(&entry))).collect();
    back.reverse();
    assert_eq!(back, expected);
    assert_eq!(log.last_entry_id(), model.entries.keys().next_back().copied());
    let nodes = log.nodes().map(|(master, node)| (master, rdb(master, node)));
    assert_eq!(Log::from_parts(nodes, log.counters()).as_ref(), Ok(log));
}

fn rdb(master: StreamId, node: &Node) -> Vec<u8> {
    let mut bytes = Vec::new();
    node.write_listpack(master, &mut bytes);
    bytes
}

struct Run {
    rng: Pcg64Mcg,
    limits: Limits,
    log: Log,
    model: Model,
}

impl Run {
    fn new(seed: u64, limits: Limits) -> Self {
        let rng = Pcg64Mcg::seed_from_u64(seed);
        Self { rng, limits, log: Log::default(), model: Model::default() }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end
    }

    /// An id around those that were used.
    fn some_id(&mut self) -> StreamId {
        let ms = self.below(self.model.last_id.ms + 3);
        StreamId::new(ms, self.below(4))
    }

    fn some_words(&mut self) -> Words {
        const FIELDS: [&str; 3] = ["field", "12", ""];
        let pairs = 1 + self.below(3);
        let mut words = Words::new();
        for nth in 0..pairs as usize {
            let at = if self.below(4) == 0 { self.below(3) as usize } else { nth };
            words.push(FIELDS[at].into());
            let len = self.below(30) as usize;
            words.push(match self.below(3) {
                0 => (self.rng.next_u64() as i64).to_string().into_bytes(),
                _ => vec![b'v'; len],
            });
        }
        words
    }

    fn step(&mut self) {
        match self.below(20) {
            0..=11 => self.add(),
            12..=16 => self.delete(),
            17 => self.trim(),
            18 => self.trim_roughly(),
            _ => self.look(),
        }
    }

    fn add(&mut self) {
        let id = match self.below(10) {
            0 => self.some_id(),
            1 => StreamId::new(self.model.last_id.ms + 1 + self.below(300), self.below(3)),
            _ => StreamId::new(self.model.last_id.ms, self.model.last_id.seq + 1),
        };
        let words = self.some_words();
        let added = self.log.add(id, words.iter().map(Vec::as_slice), self.limits);
        if id <= self.model.last_id {
            assert_eq!(added, Err(AddError::NotBehindLast));
            return;
        }
        assert_eq!(added, Ok(()));
        self.model.entries.insert(id, words);
        self.model.last_id = id;
        self.model.added += 1;
    }

    fn delete(&mut self) {
        let guess = self.some_id();
        let known = self.model.entries.range(guess..).next().map_or(guess, |(id, _)| *id);
        let id = if self.below(3) == 0 { guess } else { known };
        let deleted = self.log.delete(id);
        assert_eq!(deleted, self.model.entries.remove(&id).is_some());
        if deleted {
            self.model.max_deleted_id = self.model.max_deleted_id.max(id);
        }
    }

    fn trim(&mut self) {
        let len = self.model.entries.len() as u64;
        let keep = match self.below(2) {
            0 => Keep::Len(len.saturating_sub(self.below(20))),
            _ => {
                let first = self.model.entries.keys().next().copied().unwrap_or_default();
                Keep::From(StreamId::new(first.ms + self.below(10), self.below(3)))
            }
        };
        assert_eq!(self.log.trim(keep, Effort::Exact), self.model.trim(keep));
    }

    /// Whole nodes only: fewer entries may go than asked for, never others.
    fn trim_roughly(&mut self) {
        let limit = self.below(3) * 10;
        let keep = Keep::Len(self.below(self.model.entries.len() as u64 + 1));
        let wanted = self.model.entries.len() as u64
            - match keep {
                Keep::Len(len) => len,
                Keep::From(_) => 0,
            };
        let removed = self.log.trim(keep, Effort::Nodes { limit });
        assert!(removed <= wanted && (limit == 0 || removed <= limit));
        for _ in 0..removed {
            self.model.entries.pop_first();
        }
    }

    fn look(&mut self) {
        let (a, b) = (self.some_id(), self.some_id());
        let expected: Vec<_> = match a <= b {
            true => self.model.entries.range(a..=b).map(|(id, _)| *id).collect(),
            false => vec![],
        };
        let shown: Vec<_> = self.log.range(a..=b).map(|entry| entry.id).collect();
        assert_eq!(shown, expected);
        let mut back: Vec<_> = self.log.range_back(a..=b).map(|entry| entry.id).collect();
        back.reverse();
        assert_eq!(back, expected);
        assert_eq!(self.log.contains(a), self.model.entries.contains_key(&a));
    }
}

#[test]
fn a_log_does_what_the_model_does() {
    let limits = [(4096, 100), (200, 0), (0, 3), (1, 1), (0, 0)];
    for (seed, (node_bytes, node_entries)) in limits.into_iter().enumerate() {
        let mut run = Run::new(seed as u64, Limits { node_bytes, node_entries });
        for _ in 0..3000 {
            run.step();
        }
        check(&run.log, &run.model);
        for _ in 0..200 {
            run.step();
            check(&run.log, &run.model);
        }
    }
}

const LIMITS: Limits = Limits { node_bytes: 4096, node_entries: 100 };

fn log_of(ids: impl IntoIterator<Item = u64>) -> Log {
    let mut log = Log::default();
    for ms in ids {
        let words: [&[u8]; 2] = [b"f", b"v"];
        log.add(StreamId::new(ms, 0), words.into_iter(), LIMITS).expect("ids ascend");
    }
    log
}

/// What Valkey 9.1 puts into RDB after `XADD s 1-0 f v`, `XADD s 3-7 f v g 300`.
#[test]
fn a_node_is_laid_out_as_in_rdb() {
    let mut log = log_of([1]);
    let words: [&[u8]; 4] = [b"f", b"v", b"g", b"300"];
    log.add(StreamId::new(3, 7), words.into_iter(), LIMITS).expect("ids ascend");
    let nodes: Vec<_> = log.nodes().map(|(master, node)| (master, rdb(master, node))).collect();
    let expected = [
        &b"\x33\0\0\0\x13\0"[..],
        b"\x02\x01\0\x01\x01\x01\x81f\x02\0\x01",
        b"\x02\x01\0\x01\0\x01\x81v\x02\x04\x01",
        b"\0\x01\x02\x01\x07\x01\x02\x01\x81f\x02\x81v\x02\x81g\x02\xc1\x2c\x02\x08\x01",
        b"\xff",
    ];
    assert_eq!(nodes, [(StreamId::new(1, 0), expected.concat())]);
}

/// What the server wrote for these entries when its nodes were listpacks in memory, too.
#[test]
fn nodes_are_written_as_they_have_always_been() {
    let limits = Limits { node_bytes: 0, node_entries: 4 };
    let long = [b'x'; 70];
    let entries: [(StreamId, &[&[u8]]); 9] = [
        (StreamId::new(1, 9), &[b"f", b"v", b"12", b"-1"]),
        (StreamId::new(1, 10), &[b"f", b"300", b"12", b"-70000"]),
        (StreamId::new(2, 0), &[b"f", b"1099511627776", b"12", b""]),
        (StreamId::new(1 << 33, 3), &[b"f", b"v", b"12", b"w", b"g", &long]),
        (StreamId::new(1 << 33, 700), &[b"temperature", b"21.5"]),
        (StreamId::new((1 << 33) + 200, 0), &[b"temperature", b"0021"]),
        (StreamId::new((1 << 33) + 70_000, 1 << 20), &[b"pressure", b"1013"]),
        (StreamId::new((1 << 33) + 70_000, u64::MAX), &[b"temperature", b"-8388609"]),
        (StreamId::new(u64::MAX, 1), &[b"", b"127", b"", b"128"]),
    ];
    let mut log = Log::default();
    for (id, words) in entries {
        log.add(id, words.iter().copied(), limits).expect("ids ascend");
    }
    log.delete(StreamId::new(1, 10));
    log.delete(StreamId::new((1 << 33) + 200, 0));
    let first = [
        &b"\xb1\0\0\0#\0\x03\x01\x01\x01\x02\x01\x81f\x02\x0c\x01\0\x01"[..],
        b"\x02\x01\0\x01\0\x01\x81v\x02\xdf\xff\x02\x05\x01",
        b"\x03\x01\0\x01\x01\x01\xc1,\x02\xf2\x90\xee\xfe\x04\x05\x01",
        b"\x02\x01\x01\x01\xdf\xf7\x02\xf4\0\0\0\0\0\x01\0\0\t\x80\x01\x05\x01",
        b"\0\x01\xf4\xff\xff\xff\xff\x01\0\0\0\t\xdf\xfa\x02\x03\x01",
        b"\x81f\x02\x81v\x02\x0c\x01\x81w\x02\x81g\x02\xe0F",
        &long,
        b"H\n\x01\xff",
    ];
    let second = [
        &b"i\0\0\0\x1b\0\x03\x01\x01\x01\x01\x01\x8btemperature\x0c\0\x01"[..],
        b"\x02\x01\0\x01\0\x01\x8421.5\x05\x04\x01",
        b"\x03\x01\xc0\xc8\x02\xddD\x02\x840021\x05\x04\x01",
        b"\0\x01\xf2p\x11\x01\x04\xf2D\xfd\x0f\x04\x01\x01",
        b"\x88pressure\t\xc3\xf5\x02\x06\x01",
        b"\x02\x01\xf2p\x11\x01\x04\xddC\x02\xf3\xff\xff\x7f\xff\x05\x04\x01\xff",
    ];
    let third = [
        &b"\x20\0\0\0\x0c\0\x01\x01\0\x01\x02\x01\x80\x01\x80\x01\0\x01"[..],
        b"\x02\x01\0\x01\0\x01\x7f\x01\xc0\x80\x02\x05\x01\xff",
    ];
    let expected = [first.concat(), second.concat(), third.concat()];
    let shown = log.nodes().map(|(master, node)| rdb(master, node));
    assert!(shown.eq(expected));
}

#[test]
fn whole_nodes_go_when_trimming_roughly() {
    let mut log = log_of(1..=250);
    assert_eq!(log.trim(Keep::Len(160), Effort::Nodes { limit: 0 }), 0);
    assert_eq!(log.trim(Keep::Len(40), Effort::Nodes { limit: 100 }), 100);
    assert_eq!(log.trim(Keep::From(StreamId::new(201, 0)), Effort::Nodes { limit: 0 }), 100);
    assert_eq!(log.trim(Keep::From(StreamId::new(204, 0)), Effort::Exact), 3);
    assert_eq!(log.first_id(), StreamId::new(204, 0));
}

#[test]
fn what_does_not_add_up_is_refused() {
    let log = log_of(1..=3);
    let (master, node) = log.nodes().next().expect("one node");
    let bytes = rdb(master, node);
    let load = |at: usize, byte: u8, len: u64| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Log::from_parts([(master, bytes)], Counters { len, ..log.counters() })
    };
    assert_eq!(load(6, 3, 3), Ok(log.clone()));
    assert_eq!(load(6, 3, 2), Err(Corrupt), "the stream's length");
    assert_eq!(load(6, 4, 4), Err(Corrupt), "the node's count");
    assert_eq!(load(8, 1, 3), Err(Corrupt), "the deleted ones' count");
    assert_eq!(load(10, 2, 3), Err(Corrupt), "the number of fields");
    assert_eq!(load(17, 0, 3), Err(Corrupt), "flags that ask for fields of its own");
}

/// No byte changed makes a node that panics: it is refused, or another node.
#[test]
fn a_damaged_node_is_harmless() {
    let mut log = log_of(1..=5);
    log.delete(StreamId::new(2, 0));
    let (master, node) = log.nodes().next().expect("one node");
    let bytes = rdb(master, node);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let Ok(mut log) = Log::from_parts([(master, bytes)], log.counters()) else { continue };
            log.all().for_each(|entry| drop(words(&entry)));
            log.range_back(StreamId::MIN..=StreamId::MAX).for_each(|entry| drop(words(&entry)));
            for ms in 0..7 {
                log.delete(StreamId::new(ms, 0));
            }
            log.trim(Keep::Len(1), Effort::Exact);
            log.trim(Keep::From(StreamId::MAX), Effort::Exact);
        }
    }
}
