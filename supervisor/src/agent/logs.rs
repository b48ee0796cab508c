//! What init and the services wrote, as init passes it on: the last lines in memory for `logs`, and
//! all of it in files on the data partition ([`store`]).
//!
//! init numbers every byte of a stream, so what was dropped on the way is known exactly and said in
//! its place.

mod store;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use holdfast_supervisor::channel::INIT_SLOT;
use holdfast_supervisor::degraded::Degraded;
use holdfast_supervisor::snapshot::{Mode, Snapshot};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::run::Shared;
pub(crate) use store::Keep;
use store::Store;

/// Lines in memory, of all streams together.
const MAX_BYTES: usize = 256 * 1024;
/// Of one line; a longer one is cut into several.
const MAX_LINE_BYTES: usize = 8 * 1024;
/// Lines that one who follows may be behind.
const BEHIND: usize = 1024;

pub(crate) struct Logs {
    lines: RefCell<VecDeque<Line>>,
    bytes: Cell<usize>,
    streams: RefCell<BTreeMap<u8, Stream>>,
    news: broadcast::Sender<Line>,
    store: RefCell<Option<Store>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    slot: u8,
    text: String,
}

/// The unfinished line of a stream, and the position after it.
#[derive(Debug, Default)]
struct Stream {
    partial: Vec<u8>,
    next: u64,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self {
            lines: RefCell::default(),
            bytes: Cell::default(),
            streams: RefCell::default(),
            news: broadcast::Sender::new(BEHIND),
            store: RefCell::default(),
        }
    }

    /// Files are for a machine that keeps its data; a container's log is its runtime's business.
    pub(crate) fn keep_on_disk(&self, snapshot: &Snapshot, keep: &Keep) {
        let keeps = snapshot.mode == Mode::Metal
            && !snapshot.degraded.contains(Degraded::VolatileData)
            && !snapshot.degraded.contains(Degraded::NoDataDirectory);
        let mut store = self.store.borrow_mut();
        if keeps && keep.files > 0 && store.is_none() {
            *store = Some(Store::start(*keep));
        }
    }

    pub(crate) fn take(&self, slot: u8, name: &str, at: u64, text: &[u8]) {
        if let Some(store) = &*self.store.borrow() {
            store.write(name, at, text);
        }
        let mut streams = self.streams.borrow_mut();
        let stream = streams.entry(slot).or_default();
        for line in stream.take(at, text) {
            self.add(Line { slot, text: line });
        }
    }

    fn add(&self, line: Line) {
        let mut lines = self.lines.borrow_mut();
        let mut bytes = self.bytes.get() + line.text.len();
        // Nobody follows: fine.
        let _ = self.news.send(line.clone());
        lines.push_back(line);
        while bytes > MAX_BYTES {
            let Some(oldest) = lines.pop_front() else { break };
            bytes -= oldest.text.len();
        }
        self.bytes.set(bytes);
    }
}

impl Stream {
    /// The lines that are whole now, and a line of our own for what is missing before them.
    fn take(&mut self, at: u64, text: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let missing = at.saturating_sub(self.next);
        if missing > 0 {
            lines.extend(self.finish());
            lines.push(format!("({missing} bytes were dropped here)"));
        }
        // init tells a new agent everything again; this one may have a part.
        let known = usize::try_from(self.next.saturating_sub(at)).unwrap_or(usize::MAX);
        let text = text.get(known..).unwrap_or_default();
        self.next = self.next.max(at) + text.len() as u64;
        for piece in text.split_inclusive(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() >= MAX_LINE_BYTES {
                lines.extend(self.finish());
            }
        }
        lines
    }

    fn finish(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.partial);
        (!line.is_empty()).then(|| printable(line.trim_ascii_end()))
    }
}

/// What a client made the server log must not steer the terminal of who reads it.
fn printable(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    for letter in String::from_utf8_lossy(line).chars() {
        match letter {
            '\t' => text.push(letter),
            letter if letter.is_control() => text.extend(letter.escape_default()),
            letter => text.push(letter),
        }
    }
    text
}

/// Which stream is meant by a name: a service's, or `init`.
pub(crate) fn slot_of(shared: &Shared, name: &str) -> Option<u8> {
    if name == "init" {
        return Some(INIT_SLOT);
    }
    let snapshot = shared.snapshot.borrow();
    let (slot, _) = snapshot.as_ref()?.service(name)?;
    u8::try_from(slot).ok()
}

/// A message of init's.
pub(crate) fn take(shared: &Shared, slot: u8, at: u64, text: &[u8]) {
    shared.logs.take(slot, &name_of(shared, slot), at, text);
}

fn name_of(shared: &Shared, slot: u8) -> String {
    if slot == INIT_SLOT {
        return "init".to_owned();
    }
    let snapshot = shared.snapshot.borrow();
    let service = snapshot.as_ref().and_then(|snapshot| snapshot.services.get(usize::from(slot)));
    service.map_or_else(|| format!("service-{slot}"), |service| service.name.to_string())
}

/// The newest lines, oldest first; of all streams with the stream's name before each.
pub(crate) fn tail(shared: &Shared, slot: Option<u8>, lines: usize) -> Vec<String> {
    let all = shared.logs.lines.borrow();
    let wanted = all.iter().filter(|line| slot.is_none_or(|slot| line.slot == slot));
    let count = wanted.clone().count();
    wanted.skip(count.saturating_sub(lines)).map(|line| shown(shared, line, slot)).collect()
}

/// The lines from now on.
pub(crate) fn follow(shared: &Shared, slot: Option<u8>) -> Follow {
    Follow { news: shared.logs.news.subscribe(), slot }
}

pub(crate) struct Follow {
    news: broadcast::Receiver<Line>,
    slot: Option<u8>,
}

impl Follow {
    /// The next line, or how many went by unread.
    pub(crate) async fn next(&mut self, shared: &Shared) -> Option<String> {
        loop {
            match self.news.recv().await {
                Ok(line) if self.slot.is_none_or(|slot| line.slot == slot) => {
                    return Some(shown(shared, &line, self.slot));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    return Some(format!("({missed} lines went by unread)"));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn shown(shared: &Shared, line: &Line, slot: Option<u8>) -> String {
    match slot {
        Some(_) => line.text.clone(),
        None => format!("{}: {}", name_of(shared, line.slot), line.text),
    }
}

#[cfg(test)]
mod tests;
