//! Counters behind INFO. Plain integers under the engine's lock; formatting is INFO's business.

use std::collections::BTreeMap;

use super::observe::Histogram;
use crate::commands::{Id, TABLE};

/// Error codes counted apart; after this many different ones (somebody may send garbage scripts)
/// no new ones are added.
const MAX_ERROR_CODES: usize = 128;
/// Samples averaged for `instantaneous_*`, one every 100 ms.
const SAMPLES: usize = 16;

#[derive(Clone, Copy, Debug, Default)]
pub struct CommandStats {
    pub calls: u64,
    pub usec: u64,
    /// Refused before execution: arity, authentication, memory.
    pub rejected: u64,
    /// Answered an error.
    pub failed: u64,
    /// What one took that came alone, when that was last measured, and how many of the next are said
    /// to take as long.
    pub(super) lone_us: u64,
    pub(super) unmeasured_left: u32,
}

#[derive(Debug)]
pub struct Stats {
    pub started_ms: i64,
    pub commands: u64,
    pub connections: u64,
    pub rejected_connections: u64,
    pub expired_keys: u64,
    pub expired_fields: u64,
    pub expired_time_cap_reached: u64,
    pub evicted_keys: u64,
    /// Keys moved so that slabs run empty.
    pub gathered_keys: u64,
    pub evicted_clients: u64,
    pub expire_cycle_us: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Times something was read from a socket, or written to one.
    pub reads: u64,
    pub writes: u64,
    pub errors: u64,
    pub auth_denied: u64,
    /// Certificates that name no user of ours.
    pub certificates_denied: u64,
    pub query_buffer_disconnections: u64,
    pub output_buffer_disconnections: u64,
    pub wall_clock_steps: u64,
    pub peak_memory_bytes: u64,
    /// Of all snapshots.
    pub snapshot_longest_slice_us: u64,
    /// What the server took before it had any data.
    pub startup_memory_bytes: u64,
    /// Changes since the last save.
    pub dirty: u64,
    by_command: Vec<CommandStats>,
    histograms: Vec<Histogram>,
    by_error: BTreeMap<String, u64>,
    /// Times that work was done under the engine's lock: a connection's batch, a slice of background
    /// work. Monitoring knows them as turns of an event loop.
    pub turns: Turns,
    pub operations: Rate,
    pub input: Rate,
    pub output: Rate,
}

impl Stats {
    pub fn new(now_ms: i64) -> Self {
        Self {
            started_ms: now_ms,
            commands: 0,
            connections: 0,
            rejected_connections: 0,
            expired_keys: 0,
            expired_fields: 0,
            expired_time_cap_reached: 0,
            evicted_keys: 0,
            gathered_keys: 0,
            evicted_clients: 0,
            expire_cycle_us: 0,
            keyspace_hits: 0,
            keyspace_misses: 0,
            bytes_in: 0,
            bytes_out: 0,
            reads: 0,
            writes: 0,
            errors: 0,
            auth_denied: 0,
            certificates_denied: 0,
            query_buffer_disconnections: 0,
            output_buffer_disconnections: 0,
            wall_clock_steps: 0,
            peak_memory_bytes: 0,
            snapshot_longest_slice_us: 0,
            startup_memory_bytes: crate::alloc::used_bytes() as u64,
            dirty: 0,
            by_command: vec![CommandStats::default(); TABLE.count()],
            histograms: vec![Histogram::default(); TABLE.count()],
            by_error: BTreeMap::new(),
            turns: Turns::default(),
            operations: Rate::default(),
            input: Rate::default(),
            output: Rate::default(),
        }
    }

    /// CONFIG RESETSTAT: what counts from the start stays, the rest goes to zero.
    pub fn reset(&mut self) {
        let fresh = Self::new(self.started_ms);
        let kept = (self.dirty, self.peak_memory_bytes, self.startup_memory_bytes);
        *self = fresh;
        (self.dirty, self.peak_memory_bytes, self.startup_memory_bytes) = kept;
    }

    #[inline]
    pub fn command(&mut self, id: Id) -> &mut CommandStats {
        &mut self.by_command[id.index()]
    }

    /// Counts the time that `calls` executions took together; their own are not known better than on
    /// average.
    #[inline]
    pub fn record(&mut self, id: Id, calls: u64, us: u64, with_histogram: bool) {
        self.by_command[id.index()].usec += us;
        self.turns.commands_us += us;
        if with_histogram && calls > 0 {
            // A clock of microseconds measures less than one as none.
            self.histograms[id.index()].add((us * 1000 / calls).max(1), calls);
        }
    }

    pub fn histogram(&self, id: Id) -> &Histogram {
        &self.histograms[id.index()]
    }

    pub fn by_command(&self) -> impl Iterator<Item = (Id, &CommandStats)> {
        TABLE
            .all()
            .zip(&self.by_command)
            .filter(|(_, stats)| stats.calls + stats.rejected + stats.failed > 0)
    }

    pub fn count_error(&mut self, code: &str) {
        self.errors += 1;
        if let Some(count) = self.by_error.get_mut(code) {
            *count += 1;
        } else if self.by_error.len() < MAX_ERROR_CODES {
            self.by_error.insert(code.to_owned(), 1);
        }
    }

    pub fn by_error(&self) -> impl Iterator<Item = (&str, u64)> {
        self.by_error.iter().map(|(code, count)| (code.as_str(), *count))
    }

    /// Called about every 100 ms.
    pub fn sample(&mut self, now_ms: i64) {
        self.operations.sample(now_ms, self.commands);
        self.turns.sample(now_ms);
        self.input.sample(now_ms, self.bytes_in);
        self.output.sample(now_ms, self.bytes_out);
    }
}

/// Turns of work, and the time they took.
#[derive(Debug, Default)]
pub struct Turns {
    pub count: u64,
    pub us: u64,
    pub commands_us: u64,
    pub background_us: u64,
    pub longest_us: u64,
    /// Commands of the turn with the most.
    pub most_commands: u64,
    pub per_second: Rate,
    pub us_per_second: Rate,
}

impl Turns {
    #[inline]
    pub fn add(&mut self, us: u64, commands: u64) {
        self.count += 1;
        self.us += us;
        self.longest_us = self.longest_us.max(us);
        self.most_commands = self.most_commands.max(commands);
    }

    fn sample(&mut self, now_ms: i64) {
        self.per_second.sample(now_ms, self.count);
        self.us_per_second.sample(now_ms, self.us);
    }

    /// Of the last turns on average.
    pub fn recent_us(&self) -> u64 {
        self.us_per_second.per_second() / self.per_second.per_second().max(1)
    }
}

/// Change per second of a counter, averaged over the last samples.
#[derive(Debug, Default)]
pub struct Rate {
    last: Option<(i64, u64)>,
    per_second: [u64; SAMPLES],
    next: usize,
}

impl Rate {
    fn sample(&mut self, now_ms: i64, count: u64) {
        if let Some((last_ms, last_count)) = self.last {
            let Ok(elapsed @ 1..) = u64::try_from(now_ms - last_ms) else { return };
            self.per_second[self.next] = count.saturating_sub(last_count) * 1000 / elapsed;
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last = Some((now_ms, count));
    }

    pub fn per_second(&self) -> u64 {
        self.per_second.iter().sum::<u64>() / SAMPLES as u64
    }
}
