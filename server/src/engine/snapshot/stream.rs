//! What a snapshot has written: entries in whatever order they come, from the walk and from changes
//! that could not wait for it.
//!
//! A value that is written in parts must not have others between its parts. Entries that are saved
//! meanwhile go to a second *lane*. The sink keeps what comes of it until that value is whole, and puts
//! it behind.

use std::collections::HashMap;

use super::{Chunk, SnapshotSink};
use crate::clock::Now;
use crate::engine::access::Export;
use crate::keyspace::{Entry, Ticket, Value};
use crate::rdb::file::{write_entry, write_entry_head, write_select};
use crate::rdb::{Deferred, Writer, has_times, write_behind_parts, write_part, write_part_count};
use crate::types::collection::Collection;
use crate::types::string::Str;

/// Bytes of a chunk, and the largest entry's more.
const CHUNK: usize = 64 * 1024;
/// Elements of a collection written at once, and a node's more: a node as a rule, since its elements
/// may be long.
const PART: usize = 16;

pub(super) struct Stream {
    /// Until the end.
    sink: Option<Box<dyn SnapshotSink>>,
    compress: bool,
    export: Export,
    now: Now,
    main: Lane,
    /// Behind the value that is being written in parts.
    aside: Lane,
    /// The value that is being written in parts, and bytes of it that are.
    open: Option<(Ticket, usize)>,
    /// Values that are to be written in parts, or are being.
    heads: HashMap<Ticket, Head>,
    /// Those of them that have left the keyspace.
    given: Vec<(Ticket, Collection)>,
    next_ticket: u32,
    /// Keys saved.
    pub(super) keys: u64,
}

/// All of an entry but its value, and of that what stands before the parts.
struct Head {
    db: usize,
    bytes: Vec<u8>,
    /// The fields of a hash have the times when they are due.
    with_times: bool,
    /// What stands behind the parts.
    behind: Vec<u8>,
}

struct Lane {
    writer: Writer<Deferred>,
    /// The database that entries belong to.
    db: Option<usize>,
}

impl Lane {
    fn new(now: Now) -> Self {
        Self { writer: Writer::new(Deferred::default(), false, now), db: None }
    }

    fn select(&mut self, db: usize) {
        if self.db.replace(db) != Some(db) {
            write_select(&mut self.writer, db);
        }
    }

    fn len(&mut self) -> usize {
        self.writer.sink().len()
    }

    /// What was written; as much is expected again.
    fn take(&mut self) -> Deferred {
        if self.len() == 0 {
            return Deferred::default();
        }
        std::mem::replace(self.writer.sink(), Deferred::with_capacity(CHUNK + CHUNK / 8))
    }
}

impl Stream {
    pub(super) fn new(
        sink: Box<dyn SnapshotSink>,
        compress: bool,
        export: Export,
        now: Now,
    ) -> Self {
        Self {
            sink: Some(sink),
            compress,
            export,
            now,
            main: Lane::new(now),
            aside: Lane::new(now),
            open: None,
            heads: HashMap::new(),
            given: Vec::new(),
            next_ticket: 0,
            keys: 0,
        }
    }

    /// Writes what is neither key nor value.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Writer<Deferred>)) {
        write(&mut self.main.writer);
    }

    /// Bytes that wait to be written.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.sink.as_ref().map_or(0, |sink| sink.waiting_bytes())
    }

    pub(super) fn is_full(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.is_full())
    }

    /// Writes an entry whole; how many bytes that took.
    pub(super) fn entry(&mut self, db: usize, entry: Entry<'_>) -> usize {
        let access = self.export.of(entry);
        let lane = self.lane();
        let before = lane.len();
        lane.select(db);
        write_entry(&mut lane.writer, entry, access);
        let bytes = lane.len() - before;
        self.keys += 1;
        self.flush_if_long();
        bytes
    }

    // ── Values in parts ─────────────────────────────────────────────────────────────────────

    pub(super) fn begin(&mut self, db: usize, entry: Entry<'_>) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let mut writer = Writer::new(Vec::new(), false, self.now);
        write_entry_head(&mut writer, entry, self.export.of(entry));
        if let Some(collection) = entry.collection() {
            write_part_count(&mut writer, &collection);
        }
        let with_times = entry.collection().is_some_and(|collection| has_times(&collection));
        let bytes = std::mem::take(writer.sink());
        if let Some(collection) = entry.collection() {
            write_behind_parts(&mut writer, &collection);
        }
        let behind = writer.into_sink();
        self.heads.insert(ticket, Head { db, bytes, with_times, behind });
        ticket
    }

    /// The value that must be written on before another is begun.
    pub(super) fn open(&self) -> Option<Ticket> {
        self.open.map(|(ticket, _)| ticket)
    }

    /// Writes a part of a string; whether that was the last.
    pub(super) fn string_part(&mut self, ticket: Ticket, text: &[u8]) -> bool {
        let at = self.open_string(ticket, text.len());
        let end = text.len().min(at + CHUNK);
        self.main.writer.raw(&text[at..end]);
        self.open = Some((ticket, end));
        let is_whole = end == text.len();
        if is_whole {
            self.close(ticket);
        }
        self.flush_if_long();
        is_whole
    }

    /// A value that was begun, and is the stream's now.
    pub(super) fn give(&mut self, ticket: Ticket, value: Value) {
        match value {
            Value::Str(Str::Bytes(text) | Str::Raw(text)) => self.rest_of_string(ticket, text),
            Value::Collection(collection) => self.given.push((ticket, collection)),
            // No big value.
            Value::Str(Str::Int(_)) => {}
        }
    }

    /// A collection that has left the keyspace, if it may be written on now.
    pub(super) fn take_given(&mut self) -> Option<(Ticket, Collection)> {
        let may_be_next = |ticket| self.open().is_none_or(|open| open == ticket);
        let nth = self.given.iter().position(|(ticket, _)| may_be_next(*ticket))?;
        Some(self.given.swap_remove(nth))
    }

    /// Writes a part of a collection; whether that was the last.
    pub(super) fn collection_part(&mut self, ticket: Ticket, collection: &mut Collection) -> bool {
        if self.open.is_none() {
            self.write_head(ticket);
            self.open = Some((ticket, 0));
        }
        let with_times = self.heads.get(&ticket).is_some_and(|head| head.with_times);
        let writer = &mut self.main.writer;
        let more = collection.save_part(PART, &mut |part| write_part(writer, part, with_times));
        if !more {
            if let Some(head) = self.heads.get(&ticket) {
                self.main.writer.raw(&head.behind);
            }
            self.close(ticket);
        }
        self.flush_if_long();
        !more
    }

    /// Whether all that was begun is written.
    pub(super) fn is_whole(&self) -> bool {
        self.heads.is_empty()
    }

    fn rest_of_string(&mut self, ticket: Ticket, text: Vec<u8>) {
        if self.open.is_some_and(|(open, _)| open != ticket) {
            let Some(head) = self.heads.remove(&ticket) else { return };
            self.aside.select(head.db);
            self.aside.writer.raw(&head.bytes);
            self.aside.writer.count(text.len());
            let before = Chunk::written(self.aside.take(), self.compress, false);
            self.put_aside(before);
            self.put_aside(Chunk::rest(text, 0));
            self.keys += 1;
            return;
        }
        let at = self.open_string(ticket, text.len());
        self.flush(false);
        self.pass_on(Chunk::rest(text, at));
        self.close(ticket);
    }

    /// Where the bytes of a string go on.
    fn open_string(&mut self, ticket: Ticket, len: usize) -> usize {
        if let Some((_, at)) = self.open {
            return at;
        }
        self.write_head(ticket);
        self.main.writer.count(len);
        self.open = Some((ticket, 0));
        0
    }

    fn write_head(&mut self, ticket: Ticket) {
        if let Some(head) = self.heads.get(&ticket) {
            self.main.select(head.db);
            self.main.writer.raw(&head.bytes);
        }
    }

    /// A value is whole: what had to wait for it follows.
    fn close(&mut self, ticket: Ticket) {
        self.open = None;
        self.heads.remove(&ticket);
        self.keys += 1;
        let Some(db) = self.aside.db.take() else { return };
        self.flush(true);
        if let Some(sink) = &mut self.sink {
            sink.aside_is_over();
        }
        self.main.db = Some(db);
        std::mem::swap(self.main.writer.sink(), self.aside.writer.sink());
    }

    // ── Chunks ──────────────────────────────────────────────────────────────────────────────

    fn lane(&mut self) -> &mut Lane {
        if self.open.is_some() { &mut self.aside } else { &mut self.main }
    }

    fn flush_if_long(&mut self) {
        if self.main.len() >= CHUNK {
            self.flush(self.open.is_none());
        }
        if self.aside.len() >= CHUNK {
            let bytes = self.aside.take();
            self.put_aside(Chunk::written(bytes, self.compress, true));
        }
    }

    fn flush(&mut self, ends_item: bool) {
        let bytes = self.main.take();
        if !bytes.is_empty() {
            self.pass_on(Chunk::written(bytes, self.compress, ends_item));
        }
    }

    /// Nothing more follows.
    pub(super) fn done(&mut self, result: Result<(), String>) {
        // Behind the end nothing may be put.
        self.flush(false);
        if let Some(sink) = self.sink.take() {
            sink.done(result);
        }
    }

    fn put_aside(&mut self, chunk: Chunk) {
        if let Some(sink) = &mut self.sink {
            sink.aside(chunk);
        }
    }

    fn pass_on(&mut self, chunk: Chunk) {
        if let Some(sink) = &mut self.sink {
            sink.chunk(chunk);
        }
    }
}
