//! The data and its copies: `# Persistence`, `# Replication`, `# Cluster`, `# Keyspace`.

use super::{Text, View};
use crate::clock::Now;
use crate::engine::{Engine, Loading, LogStatus, Persistence, Running, Work};

/// What is written without a second process costs no copies, so that what Redis tells of them is zero.
pub(super) fn persistence(text: &mut Text, view: &View<'_>) {
    let (engine, now) = (view.engine, view.now);
    let state = &engine.persistence;
    text.field("loading", i32::from(state.loading.is_some()));
    text.each(
        &["async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"],
        0,
    );
    let (saved, total) = engine.snapshot_progress();
    let percent = if total == 0 { 0.0 } else { saved as f64 * 100.0 / total as f64 };
    text.field("current_fork_perc", format_args!("{percent:.2}"));
    text.field("current_save_keys_processed", saved);
    text.field("current_save_keys_total", total);
    text.field("rdb_changes_since_last_save", state.unsaved(engine.stats.dirty));
    text.field("rdb_bgsave_in_progress", i32::from(state.save.running.is_some()));
    text.field("rdb_last_save_time", state.saved_at_s);
    text.field("rdb_last_bgsave_status", ok_or_err(!state.save.failed));
    times(text, ["rdb_last_bgsave_time_sec", "rdb_current_bgsave_time_sec"], &state.save, now);
    text.field("rdb_saves", state.saves);
    text.field("rdb_last_cow_size", 0);
    text.field("snapshot_longest_slice_usec", engine.stats.snapshot_longest_slice_us);
    text.field("rdb_last_load_keys_expired", state.loaded.expired);
    text.field("rdb_last_load_keys_loaded", state.loaded.keys);
    text.field("aof_enabled", i32::from(engine.config.settings().aof.is_on));
    text.field("aof_rewrite_in_progress", i32::from(state.rewrite.running.is_some()));
    text.field("aof_rewrite_scheduled", i32::from(state.rewrite.is_scheduled));
    times(text, ["aof_last_rewrite_time_sec", "aof_current_rewrite_time_sec"], &state.rewrite, now);
    text.field("aof_last_bgrewrite_status", ok_or_err(!state.rewrite.failed));
    text.field("aof_rewrites", state.rewrite.started);
    text.field("aof_rewrites_consecutive_failures", state.failed_rewrites);
    let has_error = state.log.as_ref().is_some_and(|log| log.error.is_some());
    text.field("aof_last_write_status", ok_or_err(!has_error));
    text.each(
        &[
            "aof_last_cow_size",
            "module_fork_in_progress",
            "module_fork_last_cow_size",
            "slot_migration_fork_in_progress",
        ],
        0,
    );
    let written = engine.host.written();
    for (name, bytes) in [
        ("holdfast_written_log_bytes", written.log),
        ("holdfast_written_rewrite_bytes", written.rewrite),
        ("holdfast_written_snapshot_bytes", written.snapshot),
        ("holdfast_written_manifest_bytes", written.manifest),
        ("holdfast_syncs", written.syncs),
    ] {
        text.field(name, bytes);
    }
    text.field("holdfast_damaged_bytes", state.damage.bytes);
    text.field("holdfast_damaged_commands", state.damage.commands);
    text.field("holdfast_damaged_files", state.damage.files);
    if let Some(log) = &state.log {
        log_facts(text, log, state);
    }
    if let Some(loading) = &state.loading {
        loading_facts(text, loading, now);
    }
}

fn ok_or_err(ok: bool) -> &'static str {
    if ok { "ok" } else { "err" }
}

/// How long the last run took and how long the current one has, in seconds; -1 where there is none.
fn times(text: &mut Text, [last, current]: [&str; 2], work: &Work, now: Now) {
    text.field(last, work.took_s.unwrap_or(-1));
    let since = |running: Running| (now.ms() - running.since_ms) / 1000;
    text.field(current, work.running.map_or(-1, since));
}

fn log_facts(text: &mut Text, log: &LogStatus, state: &Persistence) {
    text.field("aof_current_size", log.bytes);
    text.field("aof_base_size", log.base_bytes);
    text.field("aof_pending_rewrite", i32::from(state.rewrite.is_scheduled));
    text.field("aof_buffer_length", log.buffered);
    text.field("aof_pending_bio_fsync", i32::from(log.sync_is_pending));
    text.field("aof_delayed_fsync", log.delayed_syncs);
}

fn loading_facts(text: &mut Text, loading: &Loading, now: Now) {
    let (loaded, total) = (loading.loaded_bytes, loading.total_bytes);
    let percent = if total == 0 { 100.0 } else { loaded as f64 * 100.0 / total as f64 };
    let elapsed_ms = (now.ms() - loading.since_ms).max(0) as u64;
    let left_s = total.saturating_sub(loaded) * elapsed_ms / 1000 / loaded.max(1);
    text.field("loading_start_time", (now.unix_ms() - elapsed_ms as i64) / 1000);
    text.field("loading_total_bytes", total);
    text.field("loading_rdb_used_mem", loading.used_memory);
    text.field("loading_loaded_bytes", loaded);
    text.field("loading_loaded_perc", format_args!("{percent:.2}"));
    text.field("loading_eta_seconds", left_s);
}

/// A primary that no replica has ever asked.
pub(super) fn replication(text: &mut Text, view: &View<'_>) {
    text.field("role", "master");
    text.each(&["connected_slaves", "replicas_waiting_psync"], 0);
    text.field("master_failover_state", "no-failover");
    text.field("master_replid", &view.engine.replication_id);
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
