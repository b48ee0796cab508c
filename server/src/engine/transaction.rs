//! MULTI's queue and WATCH's index.

use std::collections::HashMap;

use crate::commands::Id;
use crate::error::Error;
use crate::resp::{Argv, decode::OwnedArgv};

/// The state between MULTI and EXEC.
#[derive(Debug, Default)]
pub struct Transaction {
    queue: Vec<(Id, OwnedArgv)>,
    /// Why EXEC will refuse: the error of a command that could not be queued.
    pub refused: Option<Refused>,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// EXEC answers the plain EXECABORT.
    Error,
    /// EXEC names the reason: a command was refused for want of memory or the like.
    Because(Error),
}

impl Transaction {
    pub fn push(&mut self, id: Id, argv: Argv<'_>) {
        let owned = OwnedArgv::copy_of(argv);
        self.bytes += owned.len_bytes() + size_of::<(Id, OwnedArgv)>();
        self.queue.push((id, owned));
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn len_bytes(&self) -> usize {
        self.bytes
    }

    /// The commands queued.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.queue.iter().map(|(id, _)| *id)
    }

    pub fn into_queue(self) -> Vec<(Id, OwnedArgv)> {
        self.queue
    }
}

/// A key under WATCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub db: usize,
    pub key: Box<[u8]>,
    /// Its time was over when WATCH was called, so that its removal is no change.
    pub was_due: bool,
}

/// Which clients watch which keys.
#[derive(Debug, Default)]
pub struct Watches {
    /// By database and key, the ids of the clients that watch it. Never holds an empty list.
    by_key: HashMap<(usize, Box<[u8]>), Vec<u64>>,
}

impl Watches {
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Adds a watch; false if the client had it already.
    pub fn add(&mut self, db: usize, key: &[u8], client: u64) -> bool {
        let watchers = self.by_key.entry((db, key.into())).or_default();
        let new = !watchers.contains(&client);
        if new {
            watchers.push(client);
        }
        new
    }

    pub fn remove(&mut self, db: usize, key: &[u8], client: u64) {
        let place = (db, Box::from(key));
        if let Some(watchers) = self.by_key.get_mut(&place) {
            watchers.retain(|&watcher| watcher != client);
            if watchers.is_empty() {
                self.by_key.remove(&place);
            }
        }
    }

    /// The clients watching a key.
    pub fn of(&self, db: usize, key: &[u8]) -> &[u64] {
        // The tuple key makes a borrowed look-up impossible; this runs only while somebody watches.
        self.by_key.get(&(db, Box::from(key))).map_or(&[], Vec::as_slice)
    }

    /// Every watched key of the databases that `concerns` says yes to, with its watchers.
    pub fn in_databases(
        &self,
        concerns: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = (usize, &[u8], &[u64])> {
        self.by_key
            .iter()
            .filter(move |((db, _), _)| concerns(*db))
            .map(|((db, key), watchers)| (*db, &**key, watchers.as_slice()))
    }
}
