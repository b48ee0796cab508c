//! Snapshots: the content of all databases as it was at one moment, written while it changes, without
//! a second process and without a second copy.
//!
//! A walk through the keyspace takes a slice of background work's time at a time. What is about to
//! change before the walk has come to it is written first ([`crate::keyspace::Saver`]). The bytes go to
//! a [`SnapshotSink`]; while that is full the walk rests, but changes do not wait.
//!
//! Not here: files. What comes out is a whole RDB file but for the checksum behind its end.

mod chunk;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use chunk::Chunk;

use super::access::Export;
use super::{Engine, Garbage};
use crate::clock::Now;
use crate::keyspace::{Begun, Db, Dropped, Entry, Saver, Ticket, Value};
use crate::rdb::file::{Head, write_database, write_end, write_function, write_head};
use crate::types::parts::kept_bytes;
use stream::Stream;

/// The longest slice of a snapshot, in microseconds. With a millisecond between two, it takes at most
/// a fifth of one processor.
const SLICE_US: i64 = 250;
/// Keys between two looks at the clock: some 10 µs.
const STEP_KEYS: usize = 64;
/// Bytes between two looks at the clock.
const STEP_BYTES: usize = 64 * 1024;

/// Memory that a snapshot may take for what changed before its turn: beyond it writes wait. A disk that
/// is too slow for them must not cost all memory.
const MOST_KEPT: usize = 4 << 20;
/// Writes go on when so much of it is free: what a disk takes in about a millisecond, so that nobody
/// waits much longer.
const FREED_BYTES: usize = 64 << 10;

/// What a snapshot is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotPurpose {
    /// An RDB file.
    Save,
    /// The base of a log.
    AofBase,
}

impl SnapshotPurpose {
    /// As the log names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Save => "Background saving",
            Self::AofBase => "Background AOF rewrite",
        }
    }
}

/// Where a snapshot goes. Called under the engine's lock, so nothing here may wait.
pub trait SnapshotSink: Send {
    fn chunk(&mut self, chunk: Chunk);

    /// Belongs behind the value whose chunks are coming: it is kept until that is over.
    fn aside(&mut self, chunk: Chunk);

    /// The value is whole: what was put aside follows, in the order in which it came.
    fn aside_is_over(&mut self);

    /// Bytes in memory that wait to be written.
    fn waiting_bytes(&self) -> usize;

    /// Whether so much is waiting here that the walk had better rest.
    fn is_full(&self) -> bool;

    /// All chunks have come; or, on an error, no more will.
    fn done(self: Box<Self>, result: Result<(), String>);
}

/// Another snapshot is being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// The snapshot that is being taken.
pub(super) struct Snapshot {
    purpose: SnapshotPurpose,
    stream: Shared,
    /// Keys at its start.
    keys: u64,
    began_us: i64,
    /// Databases that were flushed since.
    flushed: Vec<Db>,
}

/// The stream, which the keyspace writes to before changes.
#[derive(Clone)]
struct Shared(Arc<Mutex<Stream>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stream> {
        // Never contended: all who have it are under the engine's lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Saver for Shared {
    fn save(&mut self, db: usize, entry: Entry<'_>) {
        self.lock().entry(db, entry);
    }

    fn begin(&mut self, db: usize, entry: Entry<'_>) -> Ticket {
        self.lock().begin(db, entry)
    }

    fn give(&mut self, ticket: Ticket, value: Value) {
        self.lock().give(ticket, value);
    }

    fn another(&self) -> Box<dyn Saver> {
        Box::new(self.clone())
    }
}

impl Engine {
    /// Takes the content of this moment: from now on changes do not matter to it. The bytes follow by
    /// and by, in background work's slices.
    pub fn begin_snapshot(
        &mut self,
        purpose: SnapshotPurpose,
        sink: Box<dyn SnapshotSink>,
        now: Now,
    ) -> Result<(), Busy> {
        if self.snapshot.is_some() {
            return Err(Busy);
        }
        let settings = self.config.settings();
        let export = Export::new(settings, now);
        let mut stream = Stream::new(sink, settings.rdb.compress, export, now);
        self.write_start(&mut stream, purpose);
        let stream = Shared(Arc::new(Mutex::new(stream)));
        for (index, db) in self.keyspace.iter_mut() {
            db.begin_save(index, Box::new(stream.clone()));
        }
        let keys = self.keyspace.len() as u64;
        self.snapshot =
            Some(Snapshot { purpose, stream, keys, began_us: now.us, flushed: Vec::new() });
        self.wake_cron_before(now.ms());
        Ok(())
    }

    /// All that comes before the keys.
    fn write_start(&self, stream: &mut Stream, purpose: SnapshotPurpose) {
        let head = Head {
            used_memory: self.used_memory(),
            aof_base: purpose == SnapshotPurpose::AofBase,
            has_field_times: self.keyspace.iter().any(|(_, db)| db.volatile_within_len() > 0),
        };
        stream.write(|writer| {
            write_head(writer, &head);
            self.functions.iter().for_each(|code| write_function(writer, code));
            for (index, db) in self.keyspace.iter().filter(|(_, db)| !db.is_empty()) {
                write_database(writer, index, db.len(), db.volatile_len());
            }
        });
    }

    /// Gives the running snapshot up, if there is one.
    pub fn cancel_snapshot(&mut self) {
        self.end_snapshot(Err("the snapshot was called off".into()));
    }

    /// What the running snapshot is for.
    pub fn snapshot_purpose(&self) -> Option<SnapshotPurpose> {
        self.snapshot.as_ref().map(|snapshot| snapshot.purpose)
    }

    /// Keys that the running snapshot has saved, of how many.
    pub fn snapshot_progress(&self) -> (u64, u64) {
        let snapshot = self.snapshot.as_ref();
        snapshot.map_or((0, 0), |snapshot| (snapshot.stream.lock().keys, snapshot.keys))
    }

    /// Takes the rest of the running snapshot at once, however long it takes and however full the
    /// sink is: SAVE, SHUTDOWN.
    pub fn finish_snapshot(&mut self) {
        while self.snapshot_step() {}
    }

    /// A slice of the running snapshot; whether there is more to do.
    pub(super) fn snapshot_slice(&mut self, now: Now, clock_us: &impl Fn() -> i64) -> bool {
        let Some(snapshot) = &self.snapshot else { return false };
        let (stream, elapsed_us) = (snapshot.stream.clone(), now.us - snapshot.began_us);
        let delay_us = self.config.settings().rdb.key_delay_us;
        let rests = || {
            let stream = stream.lock();
            stream.is_full() || delay_us > 0 && stream.keys as i64 > elapsed_us / delay_us
        };
        let start_us = clock_us();
        let mut spent_us = 0;
        while spent_us < SLICE_US && !rests() && self.snapshot_step() {
            spent_us = clock_us() - start_us;
        }
        self.hold_writes_for_snapshot();
        let spent_us = spent_us.unsigned_abs();
        self.stats.snapshot_longest_slice_us = self.stats.snapshot_longest_slice_us.max(spent_us);
        self.snapshot.is_some()
    }

    /// Lets writes wait while too much that changed is not written yet, or go on.
    fn hold_writes_for_snapshot(&mut self) {
        let held = self.persistence.snapshot_holds_writes;
        let limit = if held { MOST_KEPT - FREED_BYTES } else { MOST_KEPT };
        let waiting = self.snapshot.as_ref().map(|it| it.stream.lock().waiting_bytes());
        let holds = waiting.is_some_and(|bytes| bytes + kept_bytes() > limit);
        self.persistence.snapshot_holds_writes = holds;
        if held && !holds {
            self.wake_paused();
        }
    }

    /// Some of the running snapshot; false at its end.
    fn snapshot_step(&mut self) -> bool {
        let Some(snapshot) = &self.snapshot else { return false };
        let stream = snapshot.stream.clone();
        if self.save_part(&stream) {
            return true;
        }
        let is_delayed = self.config.settings().rdb.key_delay_us > 0;
        let step_keys = if is_delayed { 1 } else { STEP_KEYS };
        let Some(db) = self.saved_databases().find(|db| db.has_unsaved()) else {
            let is_whole = stream.lock().is_whole();
            debug_assert!(is_whole, "what was begun is somewhere");
            let result = if is_whole { Ok(()) } else { Err("a big value was lost".into()) };
            self.end_snapshot(result);
            return false;
        };
        let (index, mut left) = (db.saved_as().unwrap_or_default(), step_keys);
        let mut stream = stream.lock();
        let mut bytes = 0;
        db.save_some(move |entry| {
            bytes += stream.entry(index, entry);
            left = left.saturating_sub(1);
            left > 0 && bytes < STEP_BYTES
        });
        true
    }

    /// Writes a part of a value that was begun; false if there is none.
    fn save_part(&mut self, stream: &Shared) -> bool {
        let given = stream.lock().take_given();
        if let Some((ticket, mut collection)) = given {
            let is_whole = stream.lock().collection_part(ticket, &mut collection);
            let value = Value::Collection(collection);
            if is_whole {
                self.discard(Garbage::value(Dropped::of(Some(value))));
            } else {
                stream.lock().give(ticket, value);
            }
            return true;
        }
        let open = stream.lock().open();
        let may_be_next = |ticket: &Ticket| open.is_none_or(|open| open == *ticket);
        let found = self.saved_databases().find_map(|db| {
            let ticket = db.begun().find(may_be_next)?;
            Some((db, ticket))
        });
        let Some((db, ticket)) = found else { return false };
        let is_whole = match db.begun_mut(ticket) {
            Some(Begun::String(text)) => stream.lock().string_part(ticket, text),
            Some(Begun::Collection(it)) => stream.lock().collection_part(ticket, it),
            None => true,
        };
        if is_whole {
            db.finish(ticket);
        }
        true
    }

    /// Databases whose content is to be saved, the living and the flushed.
    fn saved_databases(&mut self) -> impl Iterator<Item = &mut Db> {
        let flushed = self.snapshot.as_mut().map_or(&mut [][..], |snapshot| &mut snapshot.flushed);
        flushed.iter_mut().chain(self.keyspace.iter_mut().map(|(_, db)| db))
    }

    /// Frees the content of a flushed database, once a running snapshot has saved it.
    pub(super) fn discard_database(&mut self, db: Db) {
        match &mut self.snapshot {
            Some(snapshot) if db.has_unsaved() || db.begun().next().is_some() => {
                snapshot.flushed.push(db);
            }
            _ => self.discard(Garbage::database(db)),
        }
    }

    fn end_snapshot(&mut self, result: Result<(), String>) {
        let Some(snapshot) = self.snapshot.take() else { return };
        self.hold_writes_for_snapshot();
        self.keyspace.iter_mut().for_each(|(_, db)| db.end_save());
        for db in snapshot.flushed {
            self.discard(Garbage::database(db));
        }
        let mut stream = snapshot.stream.lock();
        if result.is_ok() {
            stream.write(write_end);
        }
        stream.done(result);
    }
}
