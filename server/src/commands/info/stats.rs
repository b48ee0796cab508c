//! What happened: `# Clients`, `# Stats`, `# Commandstats`, `# Errorstats`.

use super::{Text, View};
use crate::commands::TABLE;
use crate::engine::{PauseMode, Topic};

pub(super) fn clients(text: &mut Text, view: &View<'_>) {
    let buffers = || view.clients().map(|client| client.buffers);
    let pause = view.engine.pause.at(view.now.ms());
    text.field("connected_clients", view.engine.clients.len());
    text.field("cluster_connections", 0);
    text.field("maxclients", view.engine.config.settings().max_clients);
    let input = buffers().map(|buffers| buffers.query_len + buffers.query_free).max();
    text.field("client_recent_max_input_buffer", input.unwrap_or(0));
    let output = buffers().map(|buffers| buffers.output_capacity).max();
    text.field("client_recent_max_output_buffer", output.unwrap_or(0));
    // Those that CLIENT PAUSE holds back count as blocked, too.
    let paused = view.clients().filter(|client| client.paused).count();
    text.field("blocked_clients", view.engine.waiters.len() + paused);
    text.field("tracking_clients", view.engine.tracking.clients());
    text.field("pubsub_clients", view.engine.pubsub.clients());
    let watching = view.clients().filter(|client| !client.watched.is_empty()).count();
    text.field("watching_clients", watching);
    text.field("clients_in_timeout_table", view.engine.waiters.timeouts());
    text.field("total_watched_keys", view.engine.watches.keys());
    text.field("total_blocking_keys", view.engine.waiters.keys());
    text.field("total_blocking_keys_on_nokey", view.engine.waiters.keys_on_delete());
    let (reason, actions, left_ms) = match pause {
        None => ("none", "none", 0),
        Some((PauseMode::All, until_ms)) => ("client_pause", "all", until_ms - view.now.ms()),
        Some((PauseMode::Write, until_ms)) => ("client_pause", "write", until_ms - view.now.ms()),
    };
    text.field("paused_reason", reason);
    text.field("paused_actions", actions);
    text.field("paused_timeout_milliseconds", left_ms);
}

pub(super) fn stats(text: &mut Text, view: &View<'_>) {
    let stats = &view.engine.stats;
    let kbps = |per_second: u64| format!("{:.2}", per_second as f64 / 1024.0);
    text.field("total_connections_received", stats.connections);
    text.field("total_commands_processed", stats.commands);
    text.field("instantaneous_ops_per_sec", stats.operations.per_second());
    text.field("total_net_input_bytes", stats.bytes_in);
    text.field("total_net_output_bytes", stats.bytes_out);
    text.each(
        &[
            "total_net_repl_input_bytes",
            "total_net_repl_output_bytes",
            "total_net_cluster_slot_import_bytes",
            "total_net_cluster_slot_export_bytes",
        ],
        0,
    );
    text.field("instantaneous_input_kbps", kbps(stats.input.per_second()));
    text.field("instantaneous_output_kbps", kbps(stats.output.per_second()));
    text.each(&["instantaneous_input_repl_kbps", "instantaneous_output_repl_kbps"], "0.00");
    text.field("rejected_connections", stats.rejected_connections);
    text.each(&["sync_full", "sync_partial_ok", "sync_partial_err"], 0);
    text.field("expired_keys", stats.expired_keys);
    text.field("expired_fields", stats.expired_fields);
    // The index of expiry times finds due keys without sampling: none is stale.
    text.field("expired_stale_perc", "0.00");
    text.field("expired_keys_with_volatile_items_stale_perc", "0.00");
    text.field("expired_time_cap_reached_count", stats.expired_time_cap_reached);
    text.field("expire_cycle_cpu_milliseconds", stats.expire_cycle_us / 1000);
    text.field("evicted_keys", stats.evicted_keys);
    text.field("evicted_clients", stats.evicted_clients);
    text.each(
        &["evicted_scripts", "total_eviction_exceeded_time", "current_eviction_exceeded_time"],
        0,
    );
    text.field("keyspace_hits", stats.keyspace_hits);
    text.field("keyspace_misses", stats.keyspace_misses);
    text.field("pubsub_channels", view.engine.pubsub.len(Topic::Channel));
    text.field("pubsub_patterns", view.engine.pubsub.len(Topic::Pattern));
    text.field("pubsubshard_channels", view.engine.pubsub.len(Topic::Shard));
    text.each(&["latest_fork_usec", "total_forks"], 0);
    text.field("migrate_cached_sockets", view.engine.transfers.cached_sockets);
    text.each(
        &[
            "slave_expires_tracked_keys",
            "active_defrag_hits",
            "active_defrag_misses",
            "active_defrag_key_hits",
            "active_defrag_key_misses",
            "total_active_defrag_time",
            "current_active_defrag_time",
        ],
        0,
    );
    text.field("tracking_total_keys", view.engine.tracking.keys());
    text.field("tracking_total_items", view.engine.tracking.items());
    text.field("tracking_total_prefixes", view.engine.tracking.prefixes());
    text.field("unexpected_error_replies", 0);
    text.field("total_error_replies", stats.errors);
    text.field("dump_payload_sanitizations", 0);
    text.field("total_reads_processed", stats.reads);
    text.field("total_writes_processed", stats.writes);
    text.each(
        &[
            "io_threaded_reads_processed",
            "io_threaded_writes_processed",
            "io_threaded_freed_objects",
            "io_threaded_accept_processed",
            "io_threaded_poll_processed",
            "io_threaded_total_prefetch_batches",
            "io_threaded_total_prefetch_entries",
        ],
        0,
    );
    text.field("client_query_buffer_limit_disconnections", stats.query_buffer_disconnections);
    text.field("client_output_buffer_limit_disconnections", stats.output_buffer_disconnections);
    text.each(&["reply_buffer_shrinks", "reply_buffer_expands"], 0);
    text.field("eventloop_cycles", stats.turns.count);
    text.field("eventloop_duration_sum", stats.turns.us);
    text.field("eventloop_duration_cmd_sum", stats.turns.commands_us);
    text.field("instantaneous_eventloop_cycles_per_sec", stats.turns.per_second.per_second());
    text.field("instantaneous_eventloop_duration_usec", stats.turns.recent_us());
    text.field("acl_access_denied_auth", stats.auth_denied);
    text.each(&["acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel"], 0);
    text.field("acl_access_denied_tls_cert", stats.certificates_denied);
    text.field("acl_access_denied_db", 0);
    text.field("wall_clock_steps", stats.wall_clock_steps);
}

pub(super) fn commands(text: &mut Text, view: &View<'_>) {
    for (id, stats) in view.engine.stats.by_command() {
        let name = &id.entry().full_name;
        let per_call = if stats.calls == 0 { 0.0 } else { stats.usec as f64 / stats.calls as f64 };
        text.line(format_args!(
            "cmdstat_{name}:calls={},usec={},usec_per_call={per_call:.2},\
             rejected_calls={},failed_calls={}",
            stats.calls, stats.usec, stats.rejected, stats.failed
        ));
    }
}

pub(super) fn latencies(text: &mut Text, view: &View<'_>) {
    let settings = view.engine.config.settings();
    if !settings.latency_tracking {
        return;
    }
    for id in TABLE.all() {
        let histogram = view.engine.stats.histogram(id);
        if histogram.is_empty() {
            continue;
        }
        let percentiles = settings.latency_percentiles.iter().map(|percent| {
            let us = histogram.percentile(*percent) as f64 / 1000.0;
            format!("p{percent}={us:.3}")
        });
        let percentiles: Vec<String> = percentiles.collect();
        let name = format!("latency_percentiles_usec_{}", id.entry().full_name);
        text.field(&name, percentiles.join(","));
    }
}

/// For whoever develops the server.
pub(super) fn debug(text: &mut Text, view: &View<'_>) {
    let turns = &view.engine.stats.turns;
    // There is no append-only file yet.
    text.field("eventloop_duration_aof_sum", 0);
    text.field("eventloop_duration_cron_sum", turns.background_us);
    text.field("eventloop_duration_max", turns.longest_us);
    text.field("eventloop_cmd_per_cycle_max", turns.most_commands);
}

pub(super) fn errors(text: &mut Text, view: &View<'_>) {
    for (code, count) in view.engine.stats.by_error() {
        text.line(format_args!("errorstat_{}:count={count}", without_separators(code)));
    }
}

/// A code may come from a client (a script's error); it must not break the lines.
fn without_separators(code: &str) -> String {
    code.replace(['#', ':', '\n', '\r', '='], "_")
}
