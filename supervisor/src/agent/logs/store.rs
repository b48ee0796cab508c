//! The log on the data partition: one file per stream, cut off when it is long, the newest few kept.
//!
//! ```text
//!  --- 2026-11-22T10:00:00Z boot 0f2c…91 at 0          what follows began at this position
//!  …the stream's bytes, unchanged…
//!  --- 2026-11-22T10:04:10Z boot 0f2c…91 at 40960, 512 bytes were dropped before
//!  …
//! ```
//!
//! Such a line stands at the head of every file, where bytes are missing, and where the stream was
//! silent for a while, since not every writer says the time. The last one and the file's length tell
//! a new agent where to go on. Files are written by a thread of their own: a disk that hangs must not
//! hang the agent. A flood is cut, because flash wears out.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use holdfast_supervisor::paths;

use crate::utc::Utc;

/// Messages of init's that may wait for the disk; what does not fit is a gap.
const WAITING: usize = 256;
/// What one stream may write per minute.
const BYTES_PER_MINUTE: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);
/// Lines reach the disk this long after they were written, at the latest.
const SYNC_AFTER: Duration = Duration::from_secs(5);
const HEADER: &str = "--- ";

/// What is kept of each stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep {
    /// 0 keeps nothing.
    pub(crate) files: u32,
    pub(crate) file_bytes: u64,
}

impl Keep {
    pub(crate) const STANDARD: Self = Self { files: 4, file_bytes: 1 << 20 };
}

/// The way to the writing thread, which ends when this is dropped.
pub(super) struct Store {
    sender: SyncSender<Piece>,
}

struct Piece {
    name: String,
    at: u64,
    text: Vec<u8>,
}

impl Store {
    pub(super) fn start(keep: Keep) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let folder = Folder::new(Path::new(paths::STATE).join("logs"), keep);
        let thread = std::thread::Builder::new().name("logs".to_owned());
        if let Err(error) = thread.spawn(move || folder.serve(&receiver)) {
            eprintln!("holdfast-agent: logs are not kept: {error}");
        }
        Self { sender }
    }

    /// Never waits: a piece that finds the queue full is a gap in its file.
    pub(super) fn write(&self, name: &str, at: u64, text: &[u8]) {
        let _ = self.sender.try_send(Piece { name: name.to_owned(), at, text: text.to_vec() });
    }
}

struct Folder {
    path: PathBuf,
    keep: Keep,
    boot: String,
    streams: BTreeMap<String, Stream>,
    /// The last write failed, and that was said.
    failing: bool,
}

impl Folder {
    fn new(path: PathBuf, keep: Keep) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.trim().to_owned();
        Self { path, keep, boot, streams: BTreeMap::new(), failing: false }
    }

    fn serve(mut self, pieces: &Receiver<Piece>) {
        loop {
            match pieces.recv_timeout(SYNC_AFTER) {
                Ok(piece) => self.write(&piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.sync(Duration::ZERO),
            }
            self.sync(SYNC_AFTER);
        }
    }

    fn write(&mut self, piece: &Piece) {
        let result = self.try_write(piece);
        if let (Err(error), false) = (&result, self.failing) {
            eprintln!(
                "holdfast-agent: the log in {} cannot be written: {error}",
                self.path.display()
            );
        }
        self.failing = result.is_err();
    }

    fn try_write(&mut self, piece: &Piece) -> io::Result<()> {
        if !self.streams.contains_key(&piece.name) {
            fs::create_dir_all(&self.path)?;
            let file = self.path.join(format!("{}.log", piece.name));
            self.streams.insert(piece.name.clone(), Stream::open(file, &self.boot)?);
        }
        let Some(stream) = self.streams.get_mut(&piece.name) else { return Ok(()) };
        let result = stream.write(piece.at, &piece.text, self.keep, &self.boot);
        if result.is_err() {
            // What is in the file now is found out anew.
            self.streams.remove(&piece.name);
        }
        result
    }

    fn sync(&mut self, age: Duration) {
        for stream in self.streams.values_mut() {
            if stream.unsynced.is_some_and(|since| since.elapsed() >= age) {
                let _ = stream.file.sync_data();
                stream.unsynced = None;
            }
        }
    }
}

struct Stream {
    path: PathBuf,
    file: File,
    len: u64,
    /// The position after the last byte in the file; `None` when that is of another boot.
    next: Option<u64>,
    last_write: Option<Instant>,
    minute: (Instant, u64),
    unsynced: Option<Instant>,
}

impl Stream {
    fn open(path: PathBuf, boot: &str) -> io::Result<Self> {
        let file = append_to(&path)?;
        let len = file.metadata()?.len();
        let next = position_after(&fs::read(&path)?, boot);
        let minute = (Instant::now(), 0);
        Ok(Self { path, file, len, next, last_write: None, minute, unsynced: None })
    }

    fn write(&mut self, at: u64, text: &[u8], keep: Keep, boot: &str) -> io::Result<()> {
        let known =
            usize::try_from(self.next.unwrap_or(0).saturating_sub(at)).unwrap_or(usize::MAX);
        let new = text.get(known..).unwrap_or_default();
        if new.is_empty() || !self.may_write(new.len() as u64) {
            return Ok(());
        }
        let at = at + known as u64;
        if self.len + new.len() as u64 > keep.file_bytes {
            self.rotate(keep.files)?;
        }
        let silent = self.last_write.is_none_or(|last| last.elapsed() >= MINUTE);
        if silent || self.next != Some(at) {
            let line = header(SystemTime::now(), boot, at, self.next);
            self.append(line.as_bytes())?;
        }
        self.append(new)?;
        self.next = Some(at + new.len() as u64);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        self.last_write = Some(Instant::now());
        self.unsynced = self.unsynced.or(self.last_write);
        Ok(())
    }

    fn may_write(&mut self, bytes: u64) -> bool {
        let (since, written) = &mut self.minute;
        if since.elapsed() >= MINUTE {
            (*since, *written) = (Instant::now(), 0);
        }
        *written += bytes;
        *written <= BYTES_PER_MINUTE
    }

    /// `x.log` becomes `x.log.1`, that `x.log.2`, and the oldest goes.
    fn rotate(&mut self, files: u32) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            if number > 0 {
                name.push(format!(".{number}"));
            }
            name
        };
        for number in (0..files.max(1)).rev() {
            let from = numbered(number);
            let moved = match number + 1 < files {
                true => fs::rename(from, numbered(number + 1)),
                false => fs::remove_file(from),
            };
            moved.or_else(absent_is_fine)?;
        }
        self.file = append_to(&self.path)?;
        self.len = 0;
        self.last_write = None;
        Ok(())
    }
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

fn header(now: SystemTime, boot: &str, at: u64, next: Option<u64>) -> String {
    let missing = next.map_or(0, |next| at.saturating_sub(next));
    let missing = match missing {
        0 => String::new(),
        bytes => format!(", {bytes} bytes were dropped before"),
    };
    format!("{HEADER}{} boot {boot} at {at}{missing}\n", Utc::of(now))
}

/// From the last header to the end of the file, if that header is of this boot.
fn position_after(content: &[u8], boot: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(content);
    let mut position = None;
    for line in text.split_inclusive('\n') {
        position = match parse_header(line, boot) {
            Some(of_this_boot) => of_this_boot,
            None => position.map(|position| position + line.len() as u64),
        };
    }
    position
}

/// `Some(None)`: a header, of another boot.
fn parse_header(line: &str, boot: &str) -> Option<Option<u64>> {
    let mut words = line.strip_prefix(HEADER)?.split_ascii_whitespace();
    let (_time, word, which, at) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let position = words.next().filter(|_| word == "boot" && at == "at")?;
    let position = position.trim_end_matches(',').parse().ok()?;
    Some((which == boot).then_some(position))
}

#[cfg(test)]
mod tests;
