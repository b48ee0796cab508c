//! Which units of Valkey's suite are run, and when.

/// Units that continuous integration runs. The slow ones first: they run side by side.
pub const UNITS: &[&str] = &[
    "unit/hyperloglog",
    "unit/obuf-limits",
    "unit/aofrw",
    "unit/type/list-3",
    "unit/geo",
    "unit/maxmemory",
    "unit/type/zset",
    "unit/introspection",
    "unit/type/stream",
    "unit/type/list",
    "integration/corrupt-dump",
    "unit/hashexpire",
    "unit/expire",
    "unit/client-eviction",
    "unit/other",
    "unit/type/set",
    "unit/type/hash",
    "unit/type/stream-cgroups",
    "unit/type/string",
    "unit/type/incr",
    "unit/type/list-2",
    "unit/bitops",
    "unit/bitfield",
    "unit/sort",
    "unit/keyspace",
    "unit/dump",
    "unit/scan",
    "unit/multi",
    "unit/protocol",
    "unit/querybuf",
    "unit/quit",
    "unit/auth",
    "unit/slowlog",
    "unit/commandlog",
    "unit/latency-monitor",
    "unit/info",
    "unit/info-command",
    "unit/introspection-2",
    "unit/networking",
    "unit/pubsub",
    "unit/pubsubshard",
    "unit/tracking",
    "unit/pause",
    "unit/lazyfree",
    "unit/memefficiency",
    "unit/shutdown",
    "unit/oom-score-adj",
    "unit/violations",
    "unit/replybufsize",
    "integration/convert-zipmap-hash-on-load",
    "integration/convert-ziplist-hash-on-load",
    "integration/convert-ziplist-zset-on-load",
    "integration/valkey-check-rdb",
    "integration/aof",
    "integration/aof-multi-part",
    "integration/rdb",
    "integration/logging",
    "integration/valkey-cli",
    "integration/valkey-benchmark",
];

/// Units about Valkey's own clients, which are built for them.
pub(super) const CLIENT_UNITS: &[&str] =
    &["integration/valkey-cli", "integration/valkey-benchmark"];

/// Units that are run over TLS: the one about it, and some that a stream of records could break.
pub const TLS_UNITS: &[&str] = &[
    "unit/tls",
    "unit/type/list",
    "unit/type/string",
    "unit/protocol",
    "unit/querybuf",
    "unit/quit",
    "unit/pubsub",
    "unit/tracking",
    "unit/obuf-limits",
];

/// The suite's tags for what we have not at all: left out as a whole.
pub(super) const DENIED_TAGS: &str = "-needs:repl -cluster";

/// Units whose body, outside of any check, needs what we have not: they run without the blocks that
/// the suite tags so: a chain of replicas in the midst of the expiry of fields; active defragmentation,
/// in place of which ours gathers what lies scattered.
const DENIED_IN: &[(&str, &str)] =
    &[("unit/hashexpire", "-external:skip"), ("unit/memefficiency", "-defrag")];

pub(super) fn denied_tags(unit: &str) -> String {
    let own = DENIED_IN.iter().find(|(denied_in, _)| *denied_in == unit);
    own.map_or(DENIED_TAGS.to_owned(), |(_, tags)| format!("{DENIED_TAGS} {tags}"))
}
