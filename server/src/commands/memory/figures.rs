//! What memory is used for: the figures behind MEMORY STATS, MEMORY DOCTOR and INFO's `# Memory`.

use crate::alloc::{self, Pages};
use crate::engine::{Client, Engine};
use crate::process::Process;

/// In bytes.
pub(in crate::commands) struct Figures {
    pub(in crate::commands) used: u64,
    pub(in crate::commands) peak: u64,
    pub(in crate::commands) rss: u64,
    /// What the server took before it had any data.
    pub(in crate::commands) startup: u64,
    pub(in crate::commands) clients: u64,
    /// Number of clients.
    pub(in crate::commands) client_count: u64,
    pub(in crate::commands) pages: Pages,
    /// Of the databases that hold something.
    pub(in crate::commands) databases: Vec<Database>,
    /// Number of keys.
    pub(in crate::commands) keys: u64,
}

pub(in crate::commands) struct Database {
    pub(in crate::commands) index: usize,
    pub(in crate::commands) table: u64,
    pub(in crate::commands) deadlines: u64,
}

impl Figures {
    /// `asking` is not in the engine's table while its command is executed.
    pub(in crate::commands) fn of(engine: &Engine, asking: &Client, process: &Process) -> Self {
        let used = engine.used_memory();
        let clients = || engine.clients.iter().chain([asking]);
        let databases = engine.keyspace.iter().filter(|(_, db)| !db.is_empty());
        let rss = process.rss_bytes;
        let unknown = Pages { allocated: used, active: rss, resident: rss, muzzy: 0 };
        Self {
            used,
            peak: engine.stats.peak_memory_bytes.max(used),
            rss,
            startup: engine.stats.startup_memory_bytes,
            clients: clients().map(Client::memory_bytes).sum::<usize>() as u64,
            client_count: clients().count() as u64,
            pages: alloc::pages().unwrap_or(unknown),
            databases: databases
                .map(|(index, db)| Database {
                    index,
                    table: db.table_bytes() as u64,
                    deadlines: db.deadlines_bytes() as u64,
                })
                .collect(),
            keys: engine.keyspace.len() as u64,
        }
    }

    /// What is not keys and values.
    pub(in crate::commands) fn overhead(&self) -> u64 {
        self.startup + self.clients + self.tables()
    }

    pub(in crate::commands) fn tables(&self) -> u64 {
        self.databases.iter().map(|db| db.table + db.deadlines).sum()
    }

    pub(in crate::commands) fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead())
    }

    /// What was added since the start.
    pub(in crate::commands) fn net(&self) -> u64 {
        self.used.saturating_sub(self.startup)
    }

    pub(in crate::commands) fn dataset_percent(&self) -> f64 {
        ratio(self.dataset(), self.net()) * 100.0
    }

    pub(in crate::commands) fn peak_percent(&self) -> f64 {
        ratio(self.used, self.peak) * 100.0
    }

    /// Each with INFO's and MEMORY STATS' names: what is held, of what is needed.
    pub(in crate::commands) fn overheads(&self) -> [Overhead; 4] {
        let Pages { allocated, active, resident, .. } = self.pages;
        [
            Overhead("allocator_frag", "allocator-fragmentation", active, allocated),
            Overhead("allocator_rss", "allocator-rss", resident, active),
            Overhead("rss_overhead", "rss-overhead", self.rss, resident),
            Overhead("mem_fragmentation", "fragmentation", self.rss, self.used),
        ]
    }
}

/// Name in INFO, name in MEMORY STATS, bytes held, bytes needed.
pub(in crate::commands) struct Overhead(pub &'static str, pub &'static str, u64, u64);

impl Overhead {
    pub(in crate::commands) fn ratio(&self) -> f64 {
        ratio(self.2, self.3)
    }

    pub(in crate::commands) fn bytes(&self) -> i64 {
        self.2 as i64 - self.3 as i64
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
