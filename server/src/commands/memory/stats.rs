//! MEMORY STATS: the figures as one map, under Valkey's names and in its order.

use super::figures::Figures;
use crate::resp::Reply;

pub(super) fn answer(reply: &mut Reply<'_>, figures: &Figures) {
    let start = reply.position();
    let mut map = Map { reply, len: 0 };
    map.int("peak.allocated", figures.peak);
    map.int("total.allocated", figures.used);
    map.int("startup.allocated", figures.startup);
    for name in ["replication.backlog", "replicas.repl.buffer", "clients.slaves"] {
        // Replication is not built.
        map.int(name, 0);
    }
    map.int("clients.normal", figures.clients);
    for name in ["cluster.links", "cluster.slot_import", "cluster.slot_export", "aof.buffer"] {
        map.int(name, 0);
    }
    for name in ["lua.caches", "functions.caches"] {
        map.int(name, 0);
    }
    for db in &figures.databases {
        map.name(&format!("db.{}", db.index));
        map.reply.map(2);
        map.reply.bulk(b"overhead.hashtable.main");
        map.reply.int(db.table as i64);
        map.reply.bulk(b"overhead.hashtable.expires");
        map.reply.int(db.deadlines as i64);
    }
    map.int("overhead.db.hashtable.lut", figures.tables());
    // The table grows by splitting small segments: there is never a second copy.
    map.int("overhead.db.hashtable.rehashing", 0);
    map.int("overhead.total", figures.overhead());
    map.int("db.dict.rehashing.count", 0);
    map.int("keys.count", figures.keys);
    map.int("keys.bytes-per-key", figures.net().checked_div(figures.keys).unwrap_or(0));
    map.int("dataset.bytes", figures.dataset());
    map.double("dataset.percentage", figures.dataset_percent());
    map.double("peak.percentage", figures.peak_percent());
    map.int("allocator.allocated", figures.pages.allocated);
    map.int("allocator.active", figures.pages.active);
    map.int("allocator.resident", figures.pages.resident);
    map.int("allocator.muzzy", figures.pages.muzzy);
    let [inner @ .., total] = figures.overheads();
    for overhead in &inner {
        map.double(&format!("{}.ratio", overhead.1), overhead.ratio());
        map.signed(&format!("{}.bytes", overhead.1), overhead.bytes());
    }
    map.double("fragmentation", total.ratio());
    map.signed("fragmentation.bytes", total.bytes());
    let len = map.len;
    reply.insert(start, |reply| reply.map(len));
}

/// A map whose length is known at the end.
struct Map<'m, 'r> {
    reply: &'m mut Reply<'r>,
    len: usize,
}

impl Map<'_, '_> {
    fn name(&mut self, name: &str) {
        self.len += 1;
        self.reply.bulk(name.as_bytes());
    }

    fn int(&mut self, name: &str, value: u64) {
        self.signed(name, value as i64);
    }

    fn signed(&mut self, name: &str, value: i64) {
        self.name(name);
        self.reply.int(value);
    }

    fn double(&mut self, name: &str, value: f64) {
        self.name(name);
        self.reply.double(value);
    }
}
