//! What the engine asks of the world. The engine itself does no I/O; the few commands that are I/O
//! by nature (CONFIG REWRITE, CONFIG SET port, DEBUG SLEEP, MIGRATE, SHUTDOWN) go through this trait, which
//! tests replace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::persistence::LogStatus;
use super::{Bell, Engine, LoadMode, SnapshotPurpose, SnapshotSink, Transfer};
use crate::clock::Now;
use crate::config::rewrite::Scope;
use crate::config::{Config, Effect, Settings};
use crate::keyspace::{Db, Dropped, Keyspace};
use crate::process::Process;
use crate::rdb::file::Options;
use crate::storage::Written;

pub trait Host: Send {
    /// Writes the configuration back to the file it was read from.
    fn rewrite_config(&mut self, config: &Config, scope: Scope) -> Result<(), String>;

    /// Puts a changed directive into force outside the engine: listeners, log, directories.
    /// On an error the caller puts the old value back.
    fn apply(&mut self, effect: &Effect, config: &Config) -> Result<(), String>;

    /// Stops everything for a while: DEBUG SLEEP.
    fn sleep(&mut self, time: Duration);

    /// Asks the process to end with `status` once the current batch is answered.
    fn exit(&mut self, status: u8);

    /// Sends keys to another server, and has [`Engine::end_transfer`] told what came of it.
    fn transfer(&mut self, transfer: Transfer);

    /// Frees memory outside the engine's lock.
    fn discard(&mut self, garbage: Garbage);

    /// Takes whole units of commands that go to the end of the log; tells when they are durable, if
    /// replies are to wait for that.
    fn log(&mut self, units: &[u8]) -> Option<Durable>;

    /// Has everything stand still for a while before each write to the log: DEBUG AOF-FLUSH-SLEEP.
    fn sleep_before_log(&mut self, time: Duration);

    /// The end of the log as it is now; `None` where there is none.
    fn log_end(&self) -> Option<Durable>;

    /// How it stands with the log; `None` where there is none.
    fn log_status(&mut self) -> Option<LogStatus>;

    /// Where the bytes of a snapshot go, and how they would be read again. A log goes on in a new file
    /// from here.
    fn begin_snapshot(
        &mut self,
        task: SnapshotTask,
        settings: &Settings,
        options: Options,
    ) -> Result<Box<dyn SnapshotSink>, String>;

    /// The snapshot being written must not become a file any more, even if all of it is written.
    fn call_off_snapshot(&mut self);

    /// Writes all data to the RDB file, at once.
    fn save(&mut self, data: &Data<'_>, settings: &Settings, now: Now) -> Result<(), String>;

    /// What reads the RDB file into the engine: DEBUG RELOAD.
    fn reload_rdb(&mut self, settings: &Settings, mode: LoadMode) -> Result<Reload, String>;

    /// What reads the log into the engine, after all of it was written: DEBUG LOADAOF.
    fn reload_log(&mut self, settings: &Settings) -> Result<Reload, String>;

    /// What was written to the disk since the start.
    fn written(&self) -> Written;

    /// Ends the process at once, as a crash would: DEBUG SEGFAULT and its like.
    fn crash(&mut self);

    /// What the system knows about this process and its machine.
    fn process(&self) -> Process;

    /// The certificates in use.
    fn certificates(&self) -> Certificates {
        Certificates::default()
    }

    /// Unix time in microseconds, as TIME answers.
    fn wall_us(&self) -> i64;
}

/// The certificates that TLS uses, as INFO tells of them.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    pub server: Option<Certificate>,
    pub client: Option<Certificate>,
    /// The one of them all that expires first.
    pub ca: Option<Certificate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Hexadecimal.
    pub serial: String,
    pub expires_unix_s: i64,
}

/// Reads a file into the engine. Apart from the host, which the engine has within itself.
pub type Reload = Box<dyn FnOnce(&mut Engine) -> Result<(), String>>;

/// A snapshot being written. Its number tells it from one that was called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotTask {
    pub purpose: SnapshotPurpose,
    pub number: u64,
}

/// All that a file has to hold.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    pub keyspace: &'a Keyspace,
    pub functions: &'a [Box<[u8]>],
    pub used_memory: u64,
}

/// The place in the log that has to be durable before something is told.
#[derive(Clone)]
pub struct Durable {
    pub offset: u64,
    pub log: Arc<dyn Durability>,
}

/// Whoever knows what is durable of the log.
pub trait Durability: Send + Sync {
    fn reached(&self, offset: u64) -> bool;

    /// Rings once `offset` is reached; at once if it is already.
    fn ring_at(&self, offset: u64, bell: &Arc<Bell>);
}

/// What was given away to be freed, of all garbage there was.
#[derive(Debug, Default)]
pub struct Disposal {
    pending_bytes: AtomicUsize,
    pending_objects: AtomicUsize,
    freed_objects: AtomicUsize,
}

impl Disposal {
    /// Bytes that are not free yet.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// Values that are not freed yet.
    pub fn pending_objects(&self) -> usize {
        self.pending_objects.load(Ordering::Relaxed)
    }

    /// Values freed since [`forget`](Self::forget).
    pub fn freed_objects(&self) -> usize {
        self.freed_objects.load(Ordering::Relaxed)
    }

    /// CONFIG RESETSTAT.
    pub fn forget(&self) {
        self.freed_objects.store(0, Ordering::Relaxed);
    }
}

/// What is to be freed, and may be large. Dropping it frees it.
pub struct Garbage {
    content: Content,
    /// Dropped after the content: it counts until it is really freed.
    _count: Option<Count>,
}

enum Content {
    Database(Box<Db>),
    Value(Dropped),
}

/// A share in what waits to be freed.
struct Count {
    bytes: usize,
    objects: usize,
    disposal: Arc<Disposal>,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.disposal.pending_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.disposal.pending_objects.fetch_sub(self.objects, Ordering::Relaxed);
        self.disposal.freed_objects.fetch_add(self.objects, Ordering::Relaxed);
    }
}

impl Garbage {
    /// The content of a flushed database.
    pub fn database(db: Db) -> Self {
        Self { content: Content::Database(Box::new(db)), _count: None }
    }

    /// A value for which [`Dropped::is_big`] holds.
    pub fn value(value: Dropped) -> Self {
        Self { content: Content::Value(value), _count: None }
    }

    /// Has `disposal` know of it until it is freed.
    pub fn counted_by(self, disposal: &Arc<Disposal>) -> Self {
        let (bytes, objects) = match &self.content {
            Content::Database(db) => (db.used_bytes(), db.len()),
            Content::Value(value) => (value.used_bytes(), 1),
        };
        disposal.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        disposal.pending_objects.fetch_add(objects, Ordering::Relaxed);
        let count = Count { bytes, objects, disposal: Arc::clone(disposal) };
        Self { content: self.content, _count: Some(count) }
    }

    /// Whether freeing it takes less time than waking a thread for it.
    pub fn is_small(&self) -> bool {
        const SMALL_DATABASE: usize = 1000;
        matches!(&self.content, Content::Database(db) if db.len() <= SMALL_DATABASE)
    }
}
