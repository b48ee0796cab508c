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
