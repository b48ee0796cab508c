//! The append-only file: every change as a command, in files that Redis 7 and Valkey read and write,
//! proved by checksums that they skip.
//!
//! A folder holds a *base* (the data at one moment, an RDB file), *increments* (the commands since),
//! and a *manifest* that lists them in order. Files that a newer base made superfluous are *history*
//! until they are removed.
//!
//! ```text
//! appendonlydir/appendonly.aof.manifest      file appendonly.aof.2.base.rdb seq 2 type b
//!                                            file appendonly.aof.3.incr.aof seq 3 type i
//! appendonlydir/appendonly.aof.2.base.rdb
//! appendonlydir/appendonly.aof.3.incr.aof
//! ```
//!
//! An increment of ours is a chain of *groups*. Lines that begin with `#` are comments to every
//! server of Redis' family:
//!
//! ```text
//! #HF:log 1                                  head: whose file it is,
//! #HF:after 7193 1f0e…                       where the increment before it ends,
//! #HF:files 2                                and the manifest as it then is
//! #HF:file appendonly.aof.2.base.rdb seq 2 type b
//! #HF:file appendonly.aof.3.incr.aof seq 3 type i
//! #HF:200 8c3a…                              mark: 200 bytes up to here, and their CRC-64
//! #HF+                                       a group begins
//! *2 $6 SELECT $1 0 *3 $3 SET $1 k $1 v      whole units: commands, transactions
//! #HF:281 55d0…                              mark: 281 bytes up to here, and their CRC-64
//! ```
//!
//! What a mark says holds for the whole file up to it, so that the last mark that is right proves a
//! prefix, and nothing that is not proved is ever executed. What stands behind it is cut and kept
//! aside, unless another server wrote it: it never begins with `#HF+`.
//!
//! Reading order: [`manifest`] and [`marks`] (what files look like); [`input`], [`units`], [`groups`]
//! and [`plain`] (how they are read); [`open`], [`choose`], [`load`], [`start`], [`settle`] and
//! [`aside`] (the start); [`log`], [`shared`], [`writer`], [`gather`] and [`files`] (from then on);
//! [`check`] (the tool).

mod manifest;
mod marks;

mod input;
mod units;

mod groups;
mod plain;

mod aside;
mod choose;
mod load;
mod open;
mod settle;
mod start;

mod files;
mod gather;
mod log;
mod shared;
mod writer;

pub mod check;

#[cfg(test)]
mod testing;

#[cfg(test)]
mod damage;
#[cfg(test)]
mod power_cuts;

pub use open::{adopt_base_alone, begin, open};

pub use log::{Log, Status};

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use crate::config::settings::Fsync;
use crate::resp::Argv;

/// Where the log is and how it is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// `dir`: the folder of an old single-file log, and of `folder`. Empty where the process is.
    pub dir: PathBuf,
    /// `appenddirname`, inside `dir`.
    pub folder: String,
    /// `appendfilename`: how the names of all files begin.
    pub name: String,
    /// `appendfsync`.
    pub fsync: Fsync,
    /// `aof-load-truncated`: a log that ends too early is cut and loaded, not refused.
    pub load_truncated: bool,
    /// `aof-timestamp-enabled`: `#TS:` lines tell when.
    pub timestamps: bool,
    /// `aof-disable-auto-gc`: history files stay.
    pub keep_history: bool,
    /// The base of a log that begins without data: a whole RDB file, or nothing where bases are
    /// commands. `None` begins without one.
    pub empty_base: Option<Vec<u8>>,
}

impl Options {
    /// The folder of the log.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.folder)
    }

    /// `dir`, by a name that it can be opened by.
    fn parent(&self) -> &Path {
        if self.dir.as_os_str().is_empty() { Path::new(".") } else { &self.dir }
    }
}

/// Where bytes for the log gather while its thread is awake: it comes for them.
pub trait Source: Send + Sync {
    /// Whether the thread comes, within milliseconds where the disk lets it. While it does not, all bytes
    /// have to be [appended](Log::append) at once. Must not wait for anything.
    fn watch(&self, comes: bool);

    /// Has what gathered appended. Whether nothing is left: it need not wait for long.
    fn hand_over(&self) -> bool;
}

/// Takes what a log contains. The order of calls: a base, if there is one, then commands; between
/// files, [`file_is_over`](Self::file_is_over).
pub trait Apply {
    /// Loads the RDB file that `file` begins with, and tells how many bytes it has. More may have
    /// been read: an old log goes on with commands behind it. With `until`, a place that was
    /// [proved](BaseFault::Damaged), only what stands before.
    fn base(&mut self, file: &mut dyn io::Read, until: Option<u64>) -> Result<u64, BaseFault>;

    /// Executes a command. MULTI and EXEC come like others, and whatever is between them is whole.
    ///
    /// On an error the start is refused; the text says why, without a full stop.
    fn command(&mut self, argv: Argv<'_>) -> Result<(), String>;

    /// Executes commands, one after the other; how many there were.
    fn commands<'c>(
        &mut self,
        commands: &mut dyn Iterator<Item = Argv<'c>>,
    ) -> Result<u64, String> {
        let mut count = 0;
        for argv in commands {
            self.command(argv)?;
            count += 1;
        }
        Ok(count)
    }

    /// The next command belongs to another file and to database 0.
    fn file_is_over(&mut self) {}

    /// Forgets everything applied: another base follows.
    fn forget(&mut self);

    /// So many bytes of all files have been applied since the last call.
    fn progress(&mut self, _bytes: u64) {}
}

/// Why a base could not be loaded.
#[derive(Debug)]
pub enum BaseFault {
    /// The disk did not give its bytes.
    Unreadable(io::Error),
    /// Its bytes are wrong.
    Damaged {
        /// What is wrong, for the log.
        text: String,
        /// Bytes that a checksum inside the file proves, up to the end of a key. Everything that was
        /// loaded will be [forgotten](Apply::forget), and these read again.
        proved: Option<u64>,
    },
}

/// How a log was found at start. What is here is exact: nothing else was changed or dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes of all files that were loaded.
    pub bytes: u64,
    /// Commands that were executed.
    pub commands: u64,
    /// Bytes that were not loaded, in files that were.
    pub dropped_bytes: u64,
    /// Commands begun in those bytes, as far as they can be told.
    pub dropped_commands: u64,
    /// Files that what was dropped is kept in.
    pub set_aside: Vec<String>,
    /// What was wrong, a sentence each.
    pub faults: Vec<String>,
    /// The last increment, or its end, was not written by this server: its bytes are not proved by
    /// checksums until the log is rewritten.
    pub is_foreign: bool,
}

impl Report {
    /// Everything was as it should be.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// A log that is open for writing, after it was loaded.
pub struct Opened {
    pub log: Log,
    pub report: Report,
}

/// Why the server must not start: lines for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal(pub Vec<String>);

impl Fatal {
    fn new(line: impl Into<String>) -> Self {
        Self(vec![line.into()])
    }

    /// A call to the file system failed.
    fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("Can't {what} {}: {error}", path.display()))
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Fatal {}
