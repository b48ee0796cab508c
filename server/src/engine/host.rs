//! What the engine asks of the world. The engine itself does no I/O; the few commands that are I/O
//! by nature (CONFIG REWRITE, CONFIG SET port, DEBUG SLEEP, SHUTDOWN) go through this trait, which
//! tests replace.

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

    /// Ends the process at once, as a crash would: DEBUG SEGFAULT and its like.
    fn crash(&mut self);

    /// What the system knows about this process and its machine.
    fn process(&self) -> Process;

    /// Unix time in microseconds, as TIME answers.
    fn wall_us(&self) -> i64;
}

/// What is to be freed, and may be large.
pub enum Garbage {
    /// The content of a flushed database.
    Database(Box<Db>),
    /// A value for which [`Dropped::is_big`] holds.
    Value(Dropped),
}
