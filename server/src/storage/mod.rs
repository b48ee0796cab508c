//! All that the server does with its data files, as one narrow trait: so tests can fail any call,
//! tear any write and lose what was not synced. Not here: what the files contain.
//!
//! What a caller may count on is what POSIX promises and no more: bytes are durable after
//! [`File::sync`]; a new name, a rename and a removal are durable after [`Storage::sync_dir`] of the
//! folder. Until then a power cut may keep any part of them, in any order.

mod disk;
#[cfg(test)]
pub(crate) mod sim;

pub use disk::{Counters, Disk, Written};

use std::io;
use std::path::Path;

/// Where data files live.
pub trait Storage: Send + Sync {
    /// Opens a file for reading from its start.
    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read + Send>>;

    /// Makes an empty file, in place of one that is there.
    fn create(&self, path: &Path, purpose: Purpose) -> io::Result<Box<dyn File>>;

    /// Opens a file that is there for writing behind its end.
    fn append(&self, path: &Path, purpose: Purpose) -> io::Result<Box<dyn File>>;

    /// Gives a file another name, in place of one that has it already.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder; one that is there is no error.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Names of the files in a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Length of a file in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// Bytes that can still be written to the file system that `dir` is on.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// A file being written.
pub trait File: Send {
    /// Writes at the end. After an error part of `bytes` may be there.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file, or fills it with zeros; the end moves there.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

/// What bytes are written for: they are counted by it, because flash wears out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Commands, as they come.
    Log,
    /// The base of a log that is written anew.
    Rewrite,
    /// An RDB file.
    Snapshot,
    /// Manifests.
    Manifest,
}
