//! WATCH: which clients watch which keys, and whether one of those was changed.
//!
//! A key that is due counts as missing, removed already or not. So one that was due when WATCH was
//! called may vanish without a change, and one that falls due before EXEC has changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::keyspace::Db;

/// Whether a key that a client watches was changed: EXEC will answer null. Held by the client and
/// by each of its watches; read and written under the engine's lock only.
#[derive(Clone, Debug, Default)]
pub struct Broken(Arc<AtomicBool>);

impl Broken {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A key under WATCH, as its client remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub db: usize,
    pub key: Box<[u8]>,
}

#[derive(Debug)]
struct Watcher {
    client: u64,
    broken: Broken,
    /// The key is there, but was due already when the watch began: its removal is no change.
    was_due: bool,
}

type Watchers = Vec<Watcher>;

/// Every watched key of every database. Holds no empty lists.
#[derive(Debug, Default)]
pub struct Watches {
    by_db: Vec<HashMap<Box<[u8]>, Watchers>>,
    len: usize,
}

impl Watches {
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keys watched, each counted once however many watch it.
    pub fn keys(&self) -> usize {
        self.by_db.iter().map(HashMap::len).sum()
    }

    /// Adds a watch; false if the client had it already.
    pub(super) fn add(&mut self, watch: &Watch, client: u64, broken: &Broken, due: bool) -> bool {
        if self.by_db.len() <= watch.db {
            self.by_db.resize_with(watch.db + 1, HashMap::new);
        }
        let watchers = self.by_db[watch.db].entry(watch.key.clone()).or_default();
        if watchers.iter().any(|watcher| watcher.client == client) {
            return false;
        }
        watchers.push(Watcher { client, broken: broken.clone(), was_due: due });
        self.len += 1;
        true
    }

    pub(super) fn remove(&mut self, watch: &Watch, client: u64) {
        let by_key = &mut self.by_db[watch.db];
        let Some(watchers) = by_key.get_mut(&watch.key) else { return };
        let before = watchers.len();
        watchers.retain(|watcher| watcher.client != client);
        self.len -= before - watchers.len();
        if watchers.is_empty() {
            by_key.remove(&watch.key);
        }
    }

    /// Whether the key was due when this client began to watch it, and has not gone since.
    pub(super) fn was_due(&self, watch: &Watch, client: u64) -> bool {
        let watchers = self.by_db.get(watch.db).and_then(|by_key| by_key.get(&watch.key));
        watchers.is_some_and(|list| list.iter().any(|w| w.client == client && w.was_due))
    }

    /// A key of `db`, database number `index`, was changed or removed.
    pub(super) fn touch(&mut self, index: usize, db: &Db, key: &[u8]) {
        let watchers = self.by_db.get_mut(index).and_then(|by_key| by_key.get_mut(key));
        let Some(watchers) = watchers else { return };
        let is_there = db.contains(key);
        for watcher in watchers {
            if watcher.was_due && !is_there {
                watcher.was_due = false;
            } else {
                watcher.broken.set();
            }
        }
    }

    /// The content of database `index` is about to be replaced: by another's (SWAPDB), or by
    /// nothing (FLUSHDB).
    pub(super) fn replace(&mut self, index: usize, old: &Db, new: Option<&Db>, now_ms: i64) {
        let Some(by_key) = self.by_db.get_mut(index) else { return };
        for (key, watchers) in by_key {
            let was_there = old.contains(&**key);
            let entry = new.and_then(|db| db.find(&**key));
            let (is_there, is_due) = (entry.is_some(), entry.is_some_and(|e| e.is_due(now_ms)));
            for watcher in watchers {
                let was_alive = was_there && !watcher.was_due;
                if was_alive || (is_there && !is_due) {
                    watcher.broken.set();
                } else {
                    watcher.was_due = is_due;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;

    const RAN: &str = "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n";
    const BROKEN: &str = "+OK\r\n+QUEUED\r\n*-1\r\n";

    /// What MULTI, PING, EXEC answer to a client that watched `x` in database 0 after `before` and
    /// before `after`. Both are run by another client; a number lets so many milliseconds pass.
    fn exec(before: &[&str], after: &[&str]) -> String {
        let mut world = World::new();
        let (watcher, other) = (world.connect(), world.connect());
        let run = |world: &mut World, steps: &[&str]| {
            for step in steps {
                match step.parse() {
                    Ok(ms) => world.pass_ms(ms),
                    Err(_) => {
                        let reply = world.run(other, step);
                        assert!(!reply.starts_with('-'), "{step}: {reply}");
                    }
                }
            }
        };
        run(&mut world, before);
        world.run(watcher, "WATCH x");
        run(&mut world, after);
        ["MULTI", "PING", "EXEC"].map(|command| world.run(watcher, command)).concat()
    }

    #[track_caller]
    fn check(before: &[&str], after: &[&str], expected: &str) {
        assert_eq!(exec(before, after), expected, "{before:?} WATCH {after:?}");
    }

    #[test]
    fn a_change_breaks_the_watch_and_a_look_does_not() {
        check(&["SET x 1"], &["GET x", "EXISTS x", "TTL x", "SET y 1"], RAN);
        check(&["SET x 1"], &["SET x 1"], BROKEN);
        check(&["SET x 1"], &["DEL x"], BROKEN);
        check(&["SET x 1"], &["RENAME x y"], BROKEN);
        check(&["SET y 1"], &["RENAME y x"], BROKEN);
        check(&["SET x 1"], &["EXPIRE x 100"], BROKEN);
        check(&["SET x 1"], &["PERSIST x", "EXPIRE x 100 XX"], RAN);
        check(&["SET y 1"], &["COPY y x"], BROKEN);
        check(&["SET x 1"], &["MOVE x 1"], BROKEN);
        check(&["SET x 1"], &["SELECT 1", "SET x 1"], RAN);
        check(&[], &["DEL x"], RAN);
        check(&[], &["SET x 1", "DEL x"], BROKEN);
    }

    #[test]
    fn a_key_that_falls_due_has_changed() {
        check(&["SET x 1 PX 10"], &["9"], RAN);
        check(&["SET x 1 PX 10"], &["10"], BROKEN);
        check(&["SET x 1 PX 10"], &["10", "GET x"], BROKEN);
        check(&["SET x 1 PX 10"], &["10", "FLUSHALL"], BROKEN);
    }

    #[test]
    fn the_end_of_a_stale_key_is_no_change() {
        let stale: &[&str] = &["SET x 1 PX 10", "20"];
        check(stale, &[], RAN);
        check(stale, &["EXISTS x"], RAN);
        check(stale, &["GET x"], RAN);
        check(stale, &["RANDOMKEY"], RAN);
        check(stale, &["SCAN 0"], RAN);
        check(stale, &["FLUSHDB"], RAN);
        check(stale, &["FLUSHALL"], RAN);
        check(stale, &["GET x", "SET x 1"], BROKEN);
        check(stale, &["SET x 1"], BROKEN);
        check(stale, &["SET x 1 KEEPTTL"], BROKEN);
        check(stale, &["FLUSHALL", "SET x 1"], BROKEN);
    }

    #[test]
    fn active_expiry_of_a_stale_key_is_no_change() {
        let mut world = World::new();
        let client = world.connect();
        for stale in [true, false] {
            world.run(client, "SET x 1 PX 10");
            world.pass_ms(if stale { 20 } else { 0 });
            world.run(client, "WATCH x");
            world.pass_ms(20);
            world.tick();
            let answers = ["MULTI", "PING", "EXEC"].map(|command| world.run(client, command));
            assert_eq!(answers.concat(), if stale { RAN } else { BROKEN });
        }
    }

    #[test]
    fn swapping_databases_changes_what_is_there_before_or_after() {
        let stale: &[&str] = &["SET x 1 PX 10", "20"];
        let stale_in_1: &[&str] = &["SELECT 1", "SET x 1 PX 10", "20"];
        let both: &[&str] = &["SET x 1 PX 10", "SELECT 1", "SET x 1 PX 10", "20"];
        let swap: &[&str] = &["SWAPDB 0 1"];
        check(&[], swap, RAN);
        check(&["SET x 1"], swap, BROKEN);
        check(&["SET x 1"], &["SWAPDB 0 0"], RAN);
        check(&["SELECT 1", "SET x 1"], swap, BROKEN);
        check(&["SET y 1"], swap, RAN);
        check(stale, swap, RAN);
        check(stale_in_1, swap, RAN);
        check(both, swap, RAN);
        check(stale_in_1, &["SWAPDB 0 1", "SELECT 0", "GET x"], RAN);
        check(&["SET x 1", "SELECT 1", "SET x 1 PX 10", "20"], swap, BROKEN);
    }

    #[test]
    fn exec_and_discard_end_the_watch() {
        for end in ["EXEC", "DISCARD"] {
            let mut world = World::new();
            let client = world.connect();
            for command in ["SET x 1", "WATCH x y", "WATCH x", "MULTI", end, "SET x 2", "MULTI"] {
                world.run(client, command);
            }
            assert!(world.engine.watches.is_empty());
            world.run(client, "PING");
            assert_eq!(world.run(client, "EXEC"), "*1\r\n+PONG\r\n");
        }
    }

    #[test]
    fn a_client_that_leaves_watches_nothing() {
        let mut world = World::new();
        let (client, other) = (world.connect(), world.connect());
        world.run(client, "WATCH x y");
        world.run(other, "WATCH x");
        assert_eq!(world.engine.watches.keys(), 2);
        world.engine.disconnect(client);
        assert_eq!(world.engine.watches.keys(), 1);
        world.engine.disconnect(other);
        assert!(world.engine.watches.is_empty());
    }
}
