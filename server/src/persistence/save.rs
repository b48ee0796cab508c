//! RDB files being written: an unfinished file has another name, and gets its own once it is durable,
//! so that a power cut leaves the old file or the new one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::spill::Spill;
use crate::clock::Now;
use crate::config::Settings;
use crate::engine::{Chunk, Data, SnapshotSink, access};
use crate::rdb::crc64::Crc64;
use crate::rdb::file::{self, Head};
use crate::rdb::{Sink, Writer};
use crate::storage::{File, Purpose, Storage};

/// A file is synced each time this much was written, so that the end need not wait long.
const SYNC_EACH: usize = 4 << 20;
/// Bytes between two checks within a file: an eighth of what is written, but no more than this ...
const CHECK_FARTHEST: u64 = 1 << 20;
/// ... and no less.
const CHECK_NEAREST: u64 = 64 << 10;
/// Written at once where everybody waits.
const BUFFER: usize = 256 << 10;
/// Bytes of a snapshot that may wait for the disk before the walk pauses.
const QUEUED_MAX: usize = 1 << 20;

/// A file to be made.
#[derive(Clone)]
pub struct Target {
    pub storage: Arc<dyn Storage>,
    /// Its name until it is whole.
    pub temp: PathBuf,
    pub purpose: Purpose,
    pub checksum: bool,
    pub sync_as_written: bool,
}

/// A file being made. Dropping it removes what is there.
struct Unfinished {
    target: Target,
    file: Option<Box<dyn File>>,
    crc: Crc64,
    checked_at: u64,
    len: u64,
    unsynced: usize,
}

impl Unfinished {
    fn create(target: Target) -> io::Result<Self> {
        let file = target.storage.create(&target.temp, target.purpose)?;
        let crc = Crc64::default();
        Ok(Self { target, file: Some(file), crc, checked_at: 0, len: 0, unsynced: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().expect("open until it is finished");
        file.write_all(bytes)?;
        if self.target.checksum {
            self.crc.update(bytes);
        }
        self.len += bytes.len() as u64;
        self.unsynced += bytes.len();
        if self.target.sync_as_written && self.unsynced >= SYNC_EACH {
            file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// At the end of a key: a check, if it is time for one.
    fn check(&mut self) -> io::Result<()> {
        let due = self.checked_at + (self.len / 8).clamp(CHECK_NEAREST, CHECK_FARTHEST);
        if !self.target.checksum || self.len < due {
            return Ok(());
        }
        let mut check = Vec::with_capacity(file::write::CHECK_LEN);
        file::write_check(&mut check, self.crc.value());
        self.write(&check)?;
        self.checked_at = self.len;
        Ok(())
    }

    /// Writes the checksum and makes the file durable, still under its first name.
    fn finish(mut self) -> io::Result<()> {
        let crc = if self.target.checksum { self.crc.value() } else { 0 };
        self.write(&crc.to_le_bytes())?;
        let mut file = self.file.take().expect("open until it is finished");
        file.sync()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // It is of no use, and the next start removes what cannot be removed now.
            let _ = self.target.storage.remove(&self.target.temp);
        }
    }
}

/// Gives a finished file its name, durably.
pub fn publish(storage: &dyn Storage, temp: &Path, path: &Path) -> io::Result<()> {
    storage.rename(temp, path)?;
    sync_name(storage, path)
}

fn sync_name(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    storage.sync_dir(path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new(".")))
}

/// Leave for a file in the background to be given its name, which can be withdrawn until it has it.
#[derive(Clone, Default)]
pub struct Leave(Arc<Mutex<bool>>);

impl Leave {
    /// Once this returns, the file has its name already or will never get it.
    pub fn withdraw(&self) {
        *self.is_withdrawn() = true;
    }

    /// As [`publish`], unless it was withdrawn.
    pub fn publish(&self, storage: &dyn Storage, temp: &Path, path: &Path) -> io::Result<()> {
        let is_withdrawn = self.is_withdrawn();
        if *is_withdrawn {
            storage.remove(temp)?;
            return Err(io::Error::other("it was called off"));
        }
        storage.rename(temp, path)?;
        drop(is_withdrawn);
        sync_name(storage, path)
    }

    fn is_withdrawn(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ── All at once ─────────────────────────────────────────────────────────────────────────────────

/// Writes everything to a file of the target's first name.
pub fn write_all(
    target: Target,
    data: &Data<'_>,
    settings: &Settings,
    aof_base: bool,
    now: Now,
) -> io::Result<()> {
    let out = Direct { file: Unfinished::create(target)?, buffer: Vec::new(), result: Ok(()) };
    let mut writer = Writer::new(out, settings.rdb.compress, now);
    let has_field_times = data.keyspace.iter().any(|(_, db)| db.volatile_within_len() > 0);
    let used_memory = data.used_memory;
    file::write_head(&mut writer, &Head { used_memory, aof_base, has_field_times });
    for code in data.functions {
        file::write_function(&mut writer, code);
    }
    for (index, db) in data.keyspace.iter().filter(|(_, db)| !db.is_empty()) {
        file::write_database(&mut writer, index, db.len(), db.volatile_len());
        for entry in db.iter() {
            file::write_entry(&mut writer, entry, access::export(entry, settings, now));
            writer.sink().key_is_over()?;
        }
    }
    file::write_end(&mut writer);
    let mut out = writer.into_sink();
    out.flush();
    out.result?;
    out.file.finish()
}

/// An RDB file without data.
pub fn empty(checksum: bool) -> Vec<u8> {
    let now = Now { us: crate::clock::wall_us(), wall_offset_ms: 0 };
    let mut writer = Writer::new(Vec::new(), false, now);
    let head = Head { aof_base: true, ..Head::default() };
    file::write_head(&mut writer, &head);
    file::write_end(&mut writer);
    let mut bytes = writer.into_sink();
    let crc = if checksum { Crc64::of(&bytes) } else { 0 };
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Writes through a buffer, and keeps the first error.
struct Direct {
    file: Unfinished,
    buffer: Vec<u8>,
    result: io::Result<()>,
}

impl Direct {
    fn flush(&mut self) {
        if self.result.is_ok() {
            self.result = self.file.write(&self.buffer);
        }
        self.buffer.clear();
    }

    fn key_is_over(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER {
            self.flush();
            if self.result.is_ok() {
                self.result = self.file.check();
            }
        }
        std::mem::replace(&mut self.result, Ok(()))
    }
}

impl Sink for Direct {
    fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= 4 * BUFFER {
            self.flush();
        }
    }
}

// ── In the background ───────────────────────────────────────────────────────────────────────────

/// What a finished or failed background file leads to; called by the thread that wrote it.
pub type Finished = Box<dyn FnOnce(Result<(), String>) + Send>;

enum Message {
    Chunk(Chunk),
    Aside(Chunk),
    AsideIsOver,
    End(Result<(), String>),
}

/// The end of a snapshot's walk that bytes come out of; a thread writes them.
struct Background {
    messages: Sender<Message>,
    queued: Arc<AtomicUsize>,
}

impl SnapshotSink for Background {
    fn chunk(&mut self, chunk: Chunk) {
        // A thread that gave up reads on, and drops what comes.
        self.queued.fetch_add(chunk.memory_bytes(), Ordering::Relaxed);
        let _ = self.messages.send(Message::Chunk(chunk));
    }

    fn aside(&mut self, chunk: Chunk) {
        self.queued.fetch_add(chunk.memory_bytes(), Ordering::Relaxed);
        let _ = self.messages.send(Message::Aside(chunk));
    }

    fn aside_is_over(&mut self) {
        let _ = self.messages.send(Message::AsideIsOver);
    }

    fn waiting_bytes(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.waiting_bytes() > QUEUED_MAX
    }

    fn done(self: Box<Self>, result: Result<(), String>) {
        let _ = self.messages.send(Message::End(result));
    }
}

/// Starts a thread that writes a snapshot's bytes to a file, and then calls `finished`.
pub fn in_background(target: Target, finished: Finished) -> io::Result<Box<dyn SnapshotSink>> {
    let file = Unfinished::create(target)?;
    let queued = Arc::new(AtomicUsize::new(0));
    let (messages, inbox) = channel();
    let counter = Arc::clone(&queued);
    std::thread::Builder::new()
        .name("holdfast-save".into())
        .spawn(move || finished(write_as_it_comes(file, &inbox, &counter)))?;
    Ok(Box::new(Background { messages, queued }))
}

fn write_as_it_comes(
    file: Unfinished,
    inbox: &Receiver<Message>,
    queued: &AtomicUsize,
) -> Result<(), String> {
    let aside = Spill::new(&file.target);
    let mut writing = Ok(Writing { file, aside });
    loop {
        let (chunk, write): (_, fn(&mut Writing, Chunk) -> io::Result<()>) = match inbox.recv() {
            Ok(Message::Chunk(chunk)) => (chunk, Writing::chunk),
            Ok(Message::Aside(chunk)) => (chunk, Writing::aside),
            Ok(Message::AsideIsOver) => {
                writing = writing.and_then(Writing::with_aside);
                continue;
            }
            Ok(Message::End(result)) => {
                result?;
                let finished = writing.and_then(|writing| writing.file.finish());
                return finished.map_err(|error| error.to_string());
            }
            Err(_) => return Err("the snapshot was given up".into()),
        };
        let len = chunk.memory_bytes();
        writing = writing.and_then(|mut writing| write(&mut writing, chunk).map(|()| writing));
        queued.fetch_sub(len, Ordering::Relaxed);
    }
}

/// The file, and what has to wait for its place in it. Dropped at the first error.
struct Writing {
    file: Unfinished,
    aside: Spill,
}

impl Writing {
    fn chunk(&mut self, chunk: Chunk) -> io::Result<()> {
        let ends_item = chunk.ends_item();
        self.file.write(&chunk.into_bytes())?;
        if ends_item { self.file.check() } else { Ok(()) }
    }

    fn aside(&mut self, chunk: Chunk) -> io::Result<()> {
        self.aside.put(&chunk.into_bytes())
    }

    fn with_aside(mut self) -> io::Result<Self> {
        self.aside.give(|bytes| self.file.write(bytes))?;
        self.file.check()?;
        Ok(self)
    }
}
