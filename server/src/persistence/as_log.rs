//! The base of a log as commands, for who wants no RDB in it (`aof-use-rdb-preamble no`). It is made
//! of the RDB file that the snapshot wrote, after the walk: nobody waits for it.

use std::io;
use std::path::Path;

use super::as_commands::{write_entry, write_function, write_select};
use super::save::Target;
use crate::keyspace::{Keyspace, NewKey};
use crate::rdb::file::{Batch, FileReader, Item, Key, Options, Step};
use crate::storage::File;

/// Written at once.
const BUFFER: usize = 256 << 10;
/// Written between two syncs.
const SYNC_EACH: usize = 4 << 20;

/// Writes `rdb` as commands to the target's file, and makes it durable.
pub fn convert(rdb: &Path, options: Options, target: &Target) -> io::Result<()> {
    let mut file = target.storage.open(rdb)?;
    let mut reader = FileReader::new(&mut *file, options);
    let mut out = Out {
        file: target.storage.create(&target.temp, target.purpose)?,
        bytes: Vec::new(),
        database: None,
        // One key at a time is here, so that its encoding is the one that the server would give it.
        keyspace: Keyspace::new(1, &[0; 16]),
        options,
        unsynced: 0,
    };
    let mut batch = Batch::default();
    loop {
        let step =
            reader.fill(&mut batch).map_err(|failure| io::Error::other(failure.to_string()))?;
        for item in batch.drain() {
            out.item(item)?;
        }
        batch.clear();
        if let Step::End(_) = step {
            out.flush()?;
            return out.file.sync();
        }
    }
}

struct Out {
    file: Box<dyn File>,
    bytes: Vec<u8>,
    /// The one that is selected.
    database: Option<usize>,
    keyspace: Keyspace,
    options: Options,
    unsynced: usize,
}

impl Out {
    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        match item {
            Item::Key(key) => self.key(key),
            Item::Function(code) => write_function(&mut self.bytes, code),
            // What a file says of itself.
            _ => {}
        }
        if self.bytes.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn key(&mut self, key: Key<'_>) {
        if self.database != Some(key.database) {
            self.database = Some(key.database);
            write_select(&mut self.bytes, key.database);
        }
        let name = key.name;
        let Key { value, expire_at, .. } = key;
        let new = NewKey { database: 0, name, value, expire_at, access: None };
        let loaded = self.keyspace.load(std::iter::once(new), true);
        debug_assert!(loaded.is_ok(), "a key that is there is replaced");
        if let Some(entry) = self.keyspace.db(0).find(name) {
            write_entry(&mut self.bytes, entry, self.options.now);
        }
        self.keyspace.db_mut(0).remove(name);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.bytes)?;
        self.unsynced += self.bytes.len();
        self.bytes.clear();
        if self.unsynced >= SYNC_EACH {
            self.unsynced = 0;
            self.file.sync()?;
        }
        Ok(())
    }
}
