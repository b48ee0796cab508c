//! Data that comes out of RDB files: batches of items, read without the lock, are taken in under it.

use super::{Engine, access};
use crate::clock::Now;
use crate::keyspace::{Duplicate, NewKey};
use crate::rdb::Limits;
use crate::rdb::file::{Batch, Fault, Item, Options};
use crate::types::list;

/// How a file is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadMode {
    /// Keys that are there already give way, instead of being an error.
    pub replaces: bool,
    /// Keys and fields whose time is over stay: a log that follows says when they went.
    pub keeps_due: bool,
}

impl Engine {
    /// When values that come from elsewhere change their encoding.
    pub fn value_limits(&self) -> Limits {
        let settings = self.config.settings();
        Limits {
            list: list::Limits::new(settings.list_max_listpack_size, self.list_plain_from),
            set: settings.set_limits,
            hash: settings.hash_limits,
            sorted_set: settings.sorted_set_limits,
        }
    }

    /// How files are read for this engine.
    pub fn load_options(&self, mode: LoadMode, now: Now) -> Options {
        let settings = self.config.settings();
        Options {
            limits: self.value_limits(),
            now,
            databases: settings.databases,
            keeps_due: mode.keeps_due,
            checks: settings.rdb.checksum && !self.checksums_are_skipped,
            any_version: settings.rdb.any_version,
            until: None,
        }
    }

    /// Takes in what was read, and empties the batch.
    pub fn take_items(&mut self, batch: &mut Batch, mode: LoadMode, now: Now) -> Result<(), Fault> {
        let Self { keyspace, functions, persistence, config, .. } = self;
        let settings = config.settings();
        let keys = batch.drain().filter_map(|item| {
            match item {
                Item::Key(key) => {
                    return Some(NewKey {
                        database: key.database,
                        name: key.name,
                        value: key.value,
                        expire_at: key.expire_at,
                        access: key.access.and_then(|access| access::import(access, settings, now)),
                    });
                }
                Item::Function(code) => functions.push(code.into()),
                Item::Aux { name: b"used-mem", text } => {
                    if let Some(loading) = &mut persistence.loading {
                        let bytes = crate::number::parse_int(text);
                        loading.used_memory = bytes.unwrap_or_default().max(0) as u64;
                    }
                }
                Item::Aux { .. } | Item::Sizes { .. } => {}
            }
            None
        });
        let result = keyspace.load(keys, mode.replaces);
        batch.clear();
        result.map_err(|Duplicate { database, name }| Fault::Duplicate { database, key: name })
    }

    /// Nothing is there, as before any file was read.
    pub fn forget_everything(&mut self) {
        for index in 0..self.keyspace.databases() {
            let old = self.keyspace.db_mut(index).flush();
            self.discard_database(old);
        }
        self.functions.clear();
    }
}
