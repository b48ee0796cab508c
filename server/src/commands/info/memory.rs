//! `# Memory`.

use super::{Text, View};
use crate::alloc;
use crate::commands::memory::Figures;

pub(super) fn memory(text: &mut Text, view: &View<'_>) {
    let settings = view.engine.config.settings();
    let figures = Figures::of(view.engine, view.client, view.process);
    let (used, pages) = (figures.used, figures.pages);

    bytes(text, "used_memory", used);
    bytes(text, "used_memory_rss", figures.rss);
    bytes(text, "used_memory_peak", figures.peak);
    percent(text, "used_memory_peak_perc", figures.peak_percent());
    text.field("used_memory_overhead", figures.overhead());
    text.field("used_memory_startup", figures.startup);
    text.field("used_memory_dataset", figures.dataset());
    percent(text, "used_memory_dataset_perc", figures.dataset_percent());
    text.field("allocator_allocated", pages.allocated);
    text.field("allocator_active", pages.active);
    text.field("allocator_resident", pages.resident);
    text.field("allocator_muzzy", pages.muzzy);
    bytes(text, "total_system_memory", view.process.total_memory_bytes);
    scripts(text);
    bytes(text, "maxmemory", settings.max_memory);
    text.field("maxmemory_policy", settings.eviction.name);
    // What is in force where `maxmemory` is not set: what the process's cgroup leaves it.
    text.field("maxmemory_effective", view.engine.max_memory());
    for overhead in figures.overheads() {
        text.line(format_args!("{}_ratio:{:.2}", overhead.0, overhead.ratio()));
        text.line(format_args!("{}_bytes:{}", overhead.0, overhead.bytes()));
    }
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
    text.field("mem_clients_normal", figures.clients);
    text.each(
        &[
            "mem_cluster_links",
            "mem_cluster_slot_import",
            "mem_cluster_slot_export",
            "mem_aof_buffer",
        ],
        0,
    );
    text.field("mem_allocator", alloc::NAME);
    // The table grows by splitting small segments: there is never a second copy.
    text.field("mem_overhead_db_hashtable_rehashing", 0);
    text.field("active_defrag_running", 0);
    text.field("lazyfree_pending_objects", view.engine.disposal.pending_objects());
    text.field("lazyfreed_objects", view.engine.disposal.freed_objects());
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

fn percent(text: &mut Text, name: &str, percent: f64) {
    text.line(format_args!("{name}:{percent:.2}%"));
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
