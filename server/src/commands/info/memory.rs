//! `# Memory`.

use super::{Text, View};
use crate::alloc;
use crate::engine::Client;

pub(super) fn memory(text: &mut Text, view: &View<'_>) {
    let stats = &view.engine.stats;
    let settings = view.engine.config.settings();
    let used = view.engine.used_memory();
    let rss = view.process.rss_bytes;
    let peak = stats.peak_memory_bytes.max(used);
    let startup = stats.startup_memory_bytes;
    let clients: u64 = view.clients().map(Client::memory_bytes).sum::<usize>() as u64;
    let overhead = startup + clients;
    let dataset = used.saturating_sub(overhead);
    let net = used.saturating_sub(startup).max(1);

    bytes(text, "used_memory", used);
    bytes(text, "used_memory_rss", rss);
    bytes(text, "used_memory_peak", peak);
    percent(text, "used_memory_peak_perc", used, peak);
    text.field("used_memory_overhead", overhead);
    text.field("used_memory_startup", startup);
    text.field("used_memory_dataset", dataset);
    percent(text, "used_memory_dataset_perc", dataset, net);
    text.field("allocator_allocated", used);
    text.field("allocator_active", rss);
    text.field("allocator_resident", rss);
    text.field("allocator_muzzy", 0);
    bytes(text, "total_system_memory", view.process.total_memory_bytes);
    scripts(text);
    bytes(text, "maxmemory", settings.max_memory);
    text.field("maxmemory_policy", settings.eviction.name);
    // What is in force where `maxmemory` is not set: what the process's cgroup leaves it.
    text.field("maxmemory_effective", view.engine.max_memory());
    fragmentation(text, "allocator_frag", rss, used);
    fragmentation(text, "allocator_rss", rss, rss);
    fragmentation(text, "rss_overhead", rss, rss);
    fragmentation(text, "mem_fragmentation", rss, used);
    text.each(
        &[
            "mem_not_counted_for_evict",
            "mem_replication_backlog",
            "mem_total_replication_buffers",
            "mem_replicas_repl_buffer",
            "mem_clients_slaves",
        ],
        0,
    );
    text.field("mem_clients_normal", clients);
    text.each(&["mem_cluster_links", "mem_aof_buffer"], 0);
    text.field("mem_allocator", alloc::NAME);
    // The table grows by splitting small segments: there is never a second copy.
    text.field("mem_overhead_db_hashtable_rehashing", 0);
    text.each(&["active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects"], 0);
}

/// Scripts and functions are not built.
fn scripts(text: &mut Text) {
    text.each(&["used_memory_lua", "used_memory_vm_eval"], 0);
    text.field("used_memory_lua_human", human(0));
    text.each(
        &[
            "used_memory_scripts_eval",
            "number_of_cached_scripts",
            "number_of_functions",
            "number_of_libraries",
            "used_memory_vm_functions",
            "used_memory_vm_total",
        ],
        0,
    );
    text.field("used_memory_vm_total_human", human(0));
    text.each(&["used_memory_functions", "used_memory_scripts"], 0);
    text.field("used_memory_scripts_human", human(0));
}

/// The number, and the same for people.
fn bytes(text: &mut Text, name: &str, bytes: u64) {
    text.field(name, bytes);
    text.line(format_args!("{name}_human:{}", human(bytes)));
}

fn percent(text: &mut Text, name: &str, part: u64, whole: u64) {
    text.line(format_args!("{name}:{:.2}%", ratio(part, whole) * 100.0));
}

/// A ratio and a difference of the same two numbers.
fn fragmentation(text: &mut Text, name: &str, outer: u64, inner: u64) {
    text.line(format_args!("{name}_ratio:{:.2}", ratio(outer, inner)));
    text.line(format_args!("{name}_bytes:{}", i128::from(outer) - i128::from(inner)));
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `1.50M`
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    let scaled = |power: i32| bytes as f64 / 1024f64.powi(power);
    let unit = |index: usize| bytes >> (10 * (index + 1)) > 0 && index < UNITS.len();
    match (0..UNITS.len()).rev().find(|index| unit(*index)) {
        Some(index) => format!("{:.2}{}", scaled(index as i32 + 1), UNITS[index]),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        for (bytes, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (965_704, "943.07K"),
            (25_276_510_208, "23.54G"),
            (3 << 40, "3.00T"),
            (u64::MAX, "16384.00P"),
        ] {
            assert_eq!(human(bytes), expected);
        }
    }
}
