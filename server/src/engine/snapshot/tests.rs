//! Snapshots of an engine that works on meanwhile.

use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::testing::World;

/// What came out.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    chunks: usize,
    is_full: bool,
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
        out.bytes.extend(chunk.into_bytes());
        out.chunks += 1;
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
