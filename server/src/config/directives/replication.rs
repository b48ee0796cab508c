//! Primary and replicas.

use super::super::directive::{
    Choices, Directive, INT_MAX, LONG_MAX, MB, Special, boolean, choice, int, memory, optional,
    special,
};
use super::super::value::Value;

const REPL_DISKLESS_LOAD: Choices =
    &[("disabled", 0), ("on-empty-db", 1), ("swapdb", 2), ("flush-before-load", 3)];
const PROPAGATION_ERROR_BEHAVIOR: Choices =
    &[("ignore", 0), ("panic", 1), ("panic-on-replicas", 2)];

pub(super) const DIRECTIVES: &[Directive] = &[
    special("replicaof", Special::ReplicaOf, || Value::Primary(None))
        .alias("slaveof")
        .immutable()
        .multi_arg()
        .not_yet(),
    optional("primaryauth").alias("masterauth").sensitive().not_yet(),
    optional("primaryuser").alias("masteruser").sensitive().not_yet(),
    boolean("replica-serve-stale-data", true).alias("slave-serve-stale-data").not_yet(),
    boolean("replica-read-only", true).alias("slave-read-only").not_yet(),
    boolean("replica-lazy-flush", true).alias("slave-lazy-flush").not_yet(),
    boolean("replica-ignore-maxmemory", true).alias("slave-ignore-maxmemory").not_yet(),
    boolean("replica-ignore-disk-write-errors", false).not_yet(),
    boolean("replica-announced", true).not_yet(),
    optional("replica-announce-ip").alias("slave-announce-ip").not_yet(),
    int("replica-announce-port", 0, 65535, 0).alias("slave-announce-port").not_yet(),
    int("replica-priority", 0, INT_MAX, 100).alias("slave-priority").not_yet(),
    int("min-replicas-to-write", 0, INT_MAX, 0).alias("min-slaves-to-write").not_yet(),
    int("min-replicas-max-lag", 0, INT_MAX, 10).alias("min-slaves-max-lag").not_yet(),
    memory("repl-backlog-size", 1, LONG_MAX, 10 * MB).not_yet(),
    int("repl-backlog-ttl", 0, LONG_MAX, 3600).not_yet(),
    int("repl-timeout", 1, INT_MAX, 60).not_yet(),
    int("repl-ping-replica-period", 1, INT_MAX, 10).alias("repl-ping-slave-period").not_yet(),
    boolean("repl-disable-tcp-nodelay", false).not_yet(),
    boolean("repl-mptcp", false).immutable().not_yet(),
    boolean("repl-diskless-sync", true).not_yet(),
    int("repl-diskless-sync-delay", 0, INT_MAX, 5).not_yet(),
    int("repl-diskless-sync-max-replicas", 0, INT_MAX, 0).not_yet(),
    choice("repl-diskless-load", REPL_DISKLESS_LOAD, 0).denied_while_loading().not_yet(),
    boolean("dual-channel-replication-enabled", false).not_yet(),
    // Redis 8 only: its own second channel, and the buffer of a replica that loads.
    boolean("repl-rdb-channel", true).hidden().not_yet(),
    memory("replica-full-sync-buffer-limit", 0, LONG_MAX, 0).not_yet(),
    choice("propagation-error-behavior", PROPAGATION_ERROR_BEHAVIOR, 0).not_yet(),
    boolean("import-mode", false),
];
