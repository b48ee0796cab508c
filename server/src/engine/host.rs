//! What the engine asks of the world. The engine itself does no I/O; the few commands that are I/O
//! by nature (CONFIG REWRITE, CONFIG SET port, DEBUG SLEEP, SHUTDOWN) go through this trait, which
//! tests replace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::rewrite::Scope;
use crate::config::{Config, Effect};
use crate::keyspace::{Db, Dropped};
use crate::process::Process;

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

    /// Frees memory outside the engine's lock.
    fn discard(&mut self, garbage: Garbage);

    /// Takes whole units of commands that go to the end of the log.
    fn log(&mut self, units: &[u8]);

    /// Ends the process at once, as a crash would: DEBUG SEGFAULT and its like.
    fn crash(&mut self);

    /// What the system knows about this process and its machine.
    fn process(&self) -> Process;

    /// Unix time in microseconds, as TIME answers.
    fn wall_us(&self) -> i64;
}

/// What is to be freed, and may be large. Dropping it frees it.
pub struct Garbage {
    content: Content,
    /// Dropped after the content: bytes count until they are really free.
    _count: Option<Count>,
}

enum Content {
    Database(Box<Db>),
    Value(Dropped),
}

/// A share in the sum of bytes that wait to be freed.
struct Count {
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
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

    /// Adds its bytes to `total` until they are free.
    pub fn counted_by(self, total: &Arc<AtomicUsize>) -> Self {
        let bytes = match &self.content {
            Content::Database(db) => db.used_bytes(),
            Content::Value(value) => value.used_bytes(),
        };
        total.fetch_add(bytes, Ordering::Relaxed);
        Self { content: self.content, _count: Some(Count { bytes, total: Arc::clone(total) }) }
    }

    /// Whether freeing it takes less time than waking a thread for it.
    pub fn is_small(&self) -> bool {
        const SMALL_DATABASE: usize = 1000;
        matches!(&self.content, Content::Database(db) if db.len() <= SMALL_DATABASE)
    }
}
