//! MEMORY DOCTOR: what is unusual about the memory used, in words.

use super::figures::Figures;

/// Less data than this says nothing about how memory is used.
const LEAST_BYTES: u64 = 5 << 20;
/// An overhead of fewer bytes is no trouble, whatever its ratio.
const MIN_OVERHEAD_BYTES: i64 = 10 << 20;
const MAX_BYTES_PER_CLIENT: u64 = 200 << 10;

pub(super) fn report(figures: &Figures) -> String {
    if figures.used < LEAST_BYTES {
        return "This instance is empty or uses very little memory: there is nothing to tell of it yet.\n".into();
    }
    let found = findings(figures);
    if found.is_empty() {
        return "There is nothing unusual about the memory of this instance.\n".into();
    }
    let list: String = found.iter().map(|finding| format!(" * {finding}\n\n")).collect();
    format!("A few things are unusual about the memory of this instance:\n\n{list}")
}

fn findings(figures: &Figures) -> Vec<&'static str> {
    let [fragmentation, allocator, process, total] = figures.overheads();
    let exceeds = |overhead: &super::figures::Overhead, ratio: f64| {
        overhead.ratio() > ratio && overhead.bytes() > MIN_OVERHEAD_BYTES
    };
    [
        (
            figures.peak as f64 > figures.used as f64 * 1.5,
            "High peak: this instance once used more than one and a half times of what it uses now. Memory that was given back to the allocator may still count as resident; it serves new data first. MEMORY PURGE gives it back to the system.",
        ),
        (
            exceeds(&total, 1.4),
            "High resident memory: the process takes more than 1.4 times what it has asked for. After a high peak that is harmless; otherwise the workload leaves pages with few blocks in use.",
        ),
        (
            exceeds(&fragmentation, 1.1),
            "High fragmentation: more than a tenth of the pages in use is free blocks between others.",
        ),
        (
            exceeds(&allocator, 1.1),
            "High overhead of the allocator: it holds more than a tenth beyond the pages in use. MEMORY PURGE gives free ones back to the system.",
        ),
        (
            exceeds(&process, 1.1),
            "High overhead of the process: more than a tenth of the resident memory is not the allocator's.",
        ),
        (
            figures.clients / figures.client_count.max(1) > MAX_BYTES_PER_CLIENT,
            "Large client buffers: clients hold more than 200 KiB each on average. CLIENT LIST says which: those that leave replies or messages unread, or send very long pipelines.",
        ),
    ]
    .into_iter()
    .filter(|(applies, _)| *applies)
    .map(|(_, finding)| finding)
    .collect()
}
