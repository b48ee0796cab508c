//! The start.

use std::io;
use std::sync::Arc;

use super::{Apply, Fatal, Log, Opened, Options};
use crate::storage::Storage;

/// Loads the log, repairs what is broken, and opens it for writing. See [`Report`](super::Report).
pub fn open(
    storage: Arc<dyn Storage>,
    options: &Options,
    apply: &mut dyn Apply,
) -> Result<Opened, Fatal> {
    let _ = (storage, options, apply);
    Err(Fatal::new("the append-only file cannot be read yet"))
}

/// Begins a log while the server runs. It is none before its first base was adopted: until then a
/// restart finds what was there before.
pub fn begin(storage: Arc<dyn Storage>, options: &Options) -> io::Result<Log> {
    let _ = (storage, options);
    Err(io::Error::other("the append-only file cannot be written yet"))
}
