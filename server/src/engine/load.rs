//! Data that comes out of RDB files: batches of items, read without the lock, are taken in under it.

use super::{Engine, access};
use crate::clock::Now;
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
    /// What is there goes as soon as the file turns out to be one that can be read.
    pub empties: bool,
}

impl Engine {
    /// When values that come from elsewhere change their encoding.
    pub fn value_limits(&self) -> Limits {
        let settings = self.config.settings();
        Limits {
            list: self.list_limits(),
            set: settings.set_limits,
            hash: settings.hash_limits,
            sorted_set: settings.sorted_set_limits,
        }
    }

    /// How lists are kept that grow now.
    #[inline]
    pub fn list_limits(&self) -> list::Limits {
        let settings = self.config.settings();
        list::Limits::new(settings.list_max_listpack_size, self.list_plain_from)
            .compressed_beyond(settings.list_compress_depth)
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
            len: self.persistence.loading.map_or(0, |loading| loading.total_bytes),
            until: None,
        }
    }

    /// Takes in what was read, and empties the batch.
    pub fn take_items(&mut self, batch: &mut Batch, mode: LoadMode, now: Now) -> Result<(), Fault> {
        let Self { keyspace, functions, persistence, config, .. } = self;
        let settings = config.settings();
        let access = |access| access::import(access, settings, now);
        batch.apply(keyspace, mode.replaces, access, |item| match item {
            Item::Function(code) => functions.push(code.into()),
            Item::Aux { name, text } => {
                if let (b"used-mem", Some(loading)) = (name, &mut persistence.loading) {
                    let bytes = crate::number::parse_int(text);
                    loading.used_memory = bytes.unwrap_or_default().max(0) as u64;
                }
                log_aux(name, text, now);
            }
            Item::Empty(name) => {
                crate::log::notice!("rdbLoadObject skipping empty key: {}", name.escape_ascii());
            }
            Item::Database(_) | Item::Sizes { .. } | Item::Key(_) => {}
        })
    }

    /// Nothing is there, as before any file was read.
    pub fn forget_everything(&mut self) {
        self.forget_log();
        for index in 0..self.keyspace.databases() {
            let old = self.keyspace.db_mut(index).flush();
            self.discard_database(old);
        }
        self.functions.clear();
    }
}

/// Says what a file says of itself, in Valkey's words.
fn log_aux(name: &[u8], text: &[u8], now: Now) {
    let shown = text.escape_ascii();
    let number = crate::number::parse_int(text).unwrap_or_default();
    match name {
        b"redis-ver" => crate::log::notice!("Loading RDB produced by Redis version {shown}"),
        b"valkey-ver" => crate::log::notice!("Loading RDB produced by Valkey version {shown}"),
        b"ctime" => {
            let age = (now.unix_ms() / 1000).saturating_sub(number).max(0);
            crate::log::notice!("RDB age {age} seconds");
        }
        b"used-mem" => {
            let megabytes = number as f64 / f64::from(1 << 20);
            crate::log::notice!("RDB memory usage when created {megabytes:.2} Mb");
        }
        b"aof-base" if number != 0 => crate::log::notice!("RDB is base AOF"),
        b"aof-preamble" if number != 0 => crate::log::notice!("RDB has an AOF tail"),
        [b'%', ..] => crate::log::notice!("RDB '{}': {shown}", name.escape_ascii()),
        _ => {}
    }
}
