//! The process as the system sees it: what INFO tells of it and its machine, and being a service.

pub mod cgroup;
pub mod descriptors;
pub mod manager;
pub mod oom;
pub mod service;
mod sys;
pub mod title;

pub use sys::release_text;

use std::sync::LazyLock;
use std::time::Duration;

/// One reading.
#[derive(Debug, Clone, Default)]
pub struct Process {
    pub id: u32,
    pub executable: String,
    /// System, release and architecture: `Linux 6.12.0 x86_64`.
    pub os: String,
    /// A supervisor listens at `NOTIFY_SOCKET`.
    pub has_notify_socket: bool,
    /// Of the machine.
    pub total_memory_bytes: u64,
    /// Resident: what the process costs the machine.
    pub rss_bytes: u64,
    pub cpu: CpuTime,
    /// Of children that have ended.
    pub children_cpu: CpuTime,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct CpuTime {
    pub user: Duration,
    pub system: Duration,
}

/// What does not change while the process lives.
static FIXED: LazyLock<Process> = LazyLock::new(|| {
    let name = rustix::system::uname();
    let [system, release, machine] =
        [name.sysname(), name.release(), name.machine()].map(|text| text.to_string_lossy());
    let info = rustix::system::sysinfo();
    Process {
        id: std::process::id(),
        executable: std::env::current_exe().unwrap_or_default().display().to_string(),
        os: format!("{system} {release} {machine}"),
        has_notify_socket: manager::manager().has_socket(),
        total_memory_bytes: (info.totalram as u64).saturating_mul(u64::from(info.mem_unit)),
        ..Process::default()
    }
});

/// Reads it all now: a file of /proc and two system calls.
pub fn read() -> Process {
    let [cpu, children_cpu] = sys::cpu_times();
    Process { rss_bytes: rss_bytes().unwrap_or(0), cpu, children_cpu, ..FIXED.clone() }
}

/// The second number of /proc/self/statm, in pages.
fn rss_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_tells_of_this_process() {
        let process = read();
        assert_eq!(process.id, std::process::id());
        assert!(process.os.starts_with("Linux "), "{}", process.os);
        assert!(process.rss_bytes > 100_000 && process.rss_bytes < process.total_memory_bytes);
        let used = process.cpu.user + process.cpu.system;
        assert!(used > Duration::ZERO && used < Duration::from_secs(3600), "{used:?}");
    }
}
