//! Snapshots and the append-only file.

use super::super::directive::{
    Choices, Directive, Effect, INT_MAX, INT_MIN, LONG_MAX, MB, Special, boolean, choice, int,
    memory, special, text,
};
use super::super::rules;
use super::super::value::{SavePoint, Value};

pub(crate) const FSYNC_EVERYSEC: i64 = 2;
pub(crate) const FSYNC_ALWAYS: i64 = 1;
const APPEND_FSYNC: Choices = &[("everysec", FSYNC_EVERYSEC), ("always", FSYNC_ALWAYS), ("no", 0)];
pub(crate) const RDB_VERSION_RELAXED: i64 = 1;
const RDB_VERSION_CHECK: Choices = &[("strict", 0), ("relaxed", RDB_VERSION_RELAXED)];
const SANITIZE_DUMP_PAYLOAD: Choices = &[("no", 0), ("yes", 1), ("clients", 2)];

/// An hour after one change, five minutes after a hundred, a minute after ten thousand.
fn default_save_points() -> Value {
    let point = |(seconds, changes)| SavePoint { seconds, changes };
    Value::Save([(3600, 1), (300, 100), (60, 10_000)].map(point).to_vec())
}

pub(super) const DIRECTIVES: &[Directive] = &[
    special("dir", Special::Dir, || Value::Text(b".".to_vec()))
        .protected()
        .denied_while_loading()
        .effect(Effect::Dir),
    special("save", Special::Save, default_save_points).multi_arg(),
    text("dbfilename", "dump.rdb").protected().rule(rules::db_filename),
    boolean("rdbcompression", true),
    boolean("rdbchecksum", true).immutable(),
    boolean("rdb-save-incremental-fsync", true),
    boolean("rdb-del-sync-files", false).not_yet(),
    choice("rdb-version-check", RDB_VERSION_CHECK, 0),
    boolean("stop-writes-on-bgsave-error", true),
    // Redis only; Valkey and Holdfast check every payload.
    choice("sanitize-dump-payload", SANITIZE_DUMP_PAYLOAD, 0).moot(),
    boolean("appendonly", false).denied_while_loading().effect(Effect::AppendOnly),
    text("appendfilename", "appendonly.aof").immutable().rule(rules::append_filename),
    text("appenddirname", "appendonlydir").immutable().rule(rules::append_dirname),
    choice("appendfsync", APPEND_FSYNC, FSYNC_EVERYSEC).effect(Effect::LogWriting),
    // Nobody waits for the syncs but those who ask to, so there is nothing to leave out.
    boolean("no-appendfsync-on-rewrite", false).moot(),
    int("auto-aof-rewrite-percentage", 0, INT_MAX, 100),
    memory("auto-aof-rewrite-min-size", 0, LONG_MAX, 64 * MB),
    // Ours: flash is small, and a log that fills it stops everything.
    memory("aof-max-size", 0, LONG_MAX, 0),
    boolean("aof-load-truncated", true),
    boolean("aof-use-rdb-preamble", true),
    boolean("aof-timestamp-enabled", false).effect(Effect::LogWriting),
    boolean("aof-rewrite-incremental-fsync", true),
    boolean("aof-disable-auto-gc", false).hidden().effect(Effect::LogWriting),
    // For the peers' tests.
    int("rdb-key-save-delay", INT_MIN, INT_MAX, 0).hidden(),
    int("key-load-delay", INT_MIN, INT_MAX, 0).hidden(),
    int("loading-process-events-interval-bytes", 1024, INT_MAX, 2 * MB).hidden().moot(),
];
