//! Memory: its limit, what goes first, how collections are encoded, how expired keys leave.

use super::super::directive::{
    Directive, INT_MAX, INT_MIN, LONG_MAX, MB, ULONG_MAX, Unit, boolean, choice, int, memory,
};
use super::super::{eviction, rules};

pub(super) const DIRECTIVES: &[Directive] = &[
    memory("maxmemory", 0, ULONG_MAX, 0),
    choice("maxmemory-policy", eviction::CHOICES, eviction::NO_EVICTION),
    int("maxmemory-samples", 1, 64, 5),
    // A command evicts so many keys at most, and background work the rest: there is no time limit
    // to choose.
    int("maxmemory-eviction-tenacity", 0, 100, 10).moot(),
    int("maxmemory-clients", -100, LONG_MAX, 0).unit(Unit::MemoryOrPercent),
    int("lfu-log-factor", 0, INT_MAX, 10),
    int("lfu-decay-time", 0, INT_MAX, 1),
    int("tracking-table-max-keys", 0, LONG_MAX, 1_000_000),
    // Expiry and background work.
    int("hz", 0, INT_MAX, 10).rule(rules::hz),
    // Redis only; Valkey's hz is always dynamic.
    boolean("dynamic-hz", true).moot(),
    // An index of expiry times finds every due key: there is no effort to choose.
    int("active-expire-effort", 1, 10, 1).moot(),
    boolean("activerehashing", true).moot(),
    // What is big is always freed outside the lock. These two say whether the log has UNLINK or DEL.
    boolean("lazyfree-lazy-eviction", true),
    boolean("lazyfree-lazy-expire", true),
    boolean("lazyfree-lazy-server-del", true).moot(),
    boolean("lazyfree-lazy-user-del", true).moot(),
    boolean("lazyfree-lazy-user-flush", true).moot(),
    // Encodings of the types to come.
    int("list-max-listpack-size", INT_MIN, INT_MAX, -2).alias("list-max-ziplist-size"),
    int("hash-max-listpack-entries", 0, LONG_MAX, 512).alias("hash-max-ziplist-entries"),
    memory("hash-max-listpack-value", 0, LONG_MAX, 64).alias("hash-max-ziplist-value"),
    int("list-compress-depth", 0, INT_MAX, 0),
    int("zset-max-listpack-entries", 0, LONG_MAX, 128).alias("zset-max-ziplist-entries"),
    memory("zset-max-listpack-value", 0, LONG_MAX, 64).alias("zset-max-ziplist-value"),
    int("set-max-intset-entries", 0, LONG_MAX, 512),
    int("set-max-listpack-entries", 0, LONG_MAX, 128),
    memory("set-max-listpack-value", 0, LONG_MAX, 64).unit(Unit::Plain),
    memory("hll-sparse-max-bytes", 0, LONG_MAX, 3000),
    memory("stream-node-max-bytes", 0, LONG_MAX, 4096),
    int("stream-node-max-entries", 0, LONG_MAX, 100),
    // The allocator.
    boolean("jemalloc-bg-thread", true).moot(),
    boolean("activedefrag", false).not_yet(),
    memory("active-defrag-ignore-bytes", 1, LONG_MAX, 100 * MB).moot(),
    int("active-defrag-threshold-lower", 0, 1000, 10).moot(),
    int("active-defrag-threshold-upper", 0, 1000, 100).moot(),
    int("active-defrag-cycle-min", 1, 99, 1).moot(),
    int("active-defrag-cycle-max", 1, 99, 25).moot(),
    int("active-defrag-cycle-us", 0, 100_000, 500).moot(),
    int("active-defrag-max-scan-fields", 1, LONG_MAX, 1000).moot(),
];
