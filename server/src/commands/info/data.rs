//! The data and its copies: `# Persistence`, `# Replication`, `# Cluster`, `# Keyspace`.

use super::{Text, View};
use crate::clock::Now;
use crate::engine::Engine;

/// Nothing is written to disk yet: what an instance shows that never saved.
pub(super) fn persistence(text: &mut Text, view: &View<'_>) {
    let stats = &view.engine.stats;
    text.each(
        &[
            "loading",
            "async_loading",
            "current_cow_peak",
            "current_cow_size",
            "current_cow_size_age",
        ],
        0,
    );
    text.field("current_fork_perc", "0.00");
    text.each(&["current_save_keys_processed", "current_save_keys_total"], 0);
    text.field("rdb_changes_since_last_save", stats.dirty);
    text.field("rdb_bgsave_in_progress", 0);
    // Redis, too, counts from the start until it has saved once.
    text.field("rdb_last_save_time", stats.started_ms / 1000);
    text.field("rdb_last_bgsave_status", "ok");
    text.each(&["rdb_last_bgsave_time_sec", "rdb_current_bgsave_time_sec"], -1);
    text.each(
        &[
            "rdb_saves",
            "rdb_last_cow_size",
            "rdb_last_load_keys_expired",
            "rdb_last_load_keys_loaded",
            "aof_enabled",
            "aof_rewrite_in_progress",
            "aof_rewrite_scheduled",
        ],
        0,
    );
    text.each(&["aof_last_rewrite_time_sec", "aof_current_rewrite_time_sec"], -1);
    text.field("aof_last_bgrewrite_status", "ok");
    text.each(&["aof_rewrites", "aof_rewrites_consecutive_failures"], 0);
    text.field("aof_last_write_status", "ok");
    text.each(
        &[
            "aof_last_cow_size",
            "module_fork_in_progress",
            "module_fork_last_cow_size",
            "slot_migration_fork_in_progress",
        ],
        0,
    );
}

/// A primary that no replica has ever asked.
pub(super) fn replication(text: &mut Text, view: &View<'_>) {
    text.field("role", "master");
    text.each(&["connected_slaves", "replicas_waiting_psync"], 0);
    text.field("master_failover_state", "no-failover");
    text.field("master_replid", &view.engine.run_id);
    text.field("master_replid2", "0".repeat(40));
    text.field("master_repl_offset", 0);
    text.field("second_repl_offset", -1);
    text.field("repl_backlog_active", 0);
    text.field("repl_backlog_size", view.engine.config.show("repl-backlog-size"));
    text.each(&["repl_backlog_first_byte_offset", "repl_backlog_histlen"], 0);
}

/// Scripts are not built.
pub(super) fn scripting_engines(text: &mut Text, _: &View<'_>) {
    text.each(&["engines_count", "engines_total_used_memory", "engines_total_memory_overhead"], 0);
}

pub(super) fn cluster(text: &mut Text, _: &View<'_>) {
    text.field("cluster_enabled", 0);
}

pub(super) fn keyspace(text: &mut Text, view: &View<'_>) {
    for (index, db) in view.engine.keyspace.iter().filter(|(_, db)| !db.is_empty()) {
        let (keys, expires) = (db.len(), db.volatile_len());
        let ttl_ms = view.ttls[index];
        let within = db.volatile_within_len();
        text.line(format_args!(
            "db{index}:keys={keys},expires={expires},avg_ttl={ttl_ms},keys_with_volatile_items={within}"
        ));
    }
}

/// Keys looked at for the average time to live of a database.
const TTL_SAMPLES: usize = 64;

/// By database: the time to live of its keys that have one, in milliseconds, estimated from some
/// keys drawn at random. Zero when none of them has one.
pub(super) fn average_ttls(engine: &mut Engine, now: Now) -> Vec<i64> {
    use rand_pcg::rand_core::Rng as _;
    let Engine { keyspace, rng, .. } = engine;
    let average = |(_, db): (usize, &crate::keyspace::Db)| {
        if db.volatile_len() == 0 {
            return 0;
        }
        let drawn = (0..TTL_SAMPLES).filter_map(|_| db.random(|| rng.next_u64()));
        let ttls: Vec<i64> =
            drawn.filter_map(|entry| entry.expire_at()).map(|at| (at - now.ms()).max(0)).collect();
        ttls.iter().sum::<i64>().checked_div(ttls.len() as i64).unwrap_or(0)
    };
    keyspace.iter().map(average).collect()
}
