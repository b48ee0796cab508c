//! Keys whose time is over: who still sees them, and how they go.
//!
//! A command that reads changes nothing: what it finds due is hidden from it and removed once it is
//! over. One that writes has the key removed before. The rest is active expiry's ([`super::cron`]).

use super::{Client, Engine, Garbage};
use crate::clock::Now;
use crate::keyspace::{AsKey, Entry};

/// What a command that reads makes of due keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueKeys {
    now_ms: i64,
    policy: Policy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Missing, and removed once the command is over.
    Remove,
    /// Missing, but kept: another's word decides (import mode), or nothing may change (CLIENT PAUSE).
    Hide,
    /// Keys like any other, for the import source.
    Show,
}

/// Keys found due during a command: database and key.
pub(crate) type Overdue = Vec<(usize, Box<[u8]>)>;

impl DueKeys {
    /// Whether the command sees the key; notes it where it is to be removed.
    #[inline]
    pub(crate) fn admit(self, db: usize, entry: Entry<'_>, overdue: &mut Overdue) -> bool {
        !entry.is_due(self.now_ms) || self.admit_due(db, entry, overdue)
    }

    #[cold]
    fn admit_due(self, db: usize, entry: Entry<'_>, overdue: &mut Overdue) -> bool {
        if self.policy == Policy::Remove {
            overdue.push((db, entry.key().into()));
        }
        self.policy == Policy::Show
    }

    /// Whether the command sees the key, which stays in any case: KEYS.
    pub(crate) fn shows(self, entry: Entry<'_>) -> bool {
        self.policy == Policy::Show || !entry.is_due(self.now_ms)
    }

    pub(crate) fn policy(self) -> Policy {
        self.policy
    }
}

impl Engine {
    pub(crate) fn due_keys(&self, client: &Client, now: Now) -> DueKeys {
        let policy = if self.sees_due_keys(client) {
            Policy::Show
        } else if self.config.settings().import_mode || self.pause.at(now.ms()).is_some() {
            Policy::Hide
        } else {
            Policy::Remove
        };
        DueKeys { now_ms: now.ms(), policy }
    }

    /// CLIENT IMPORT-SOURCE: for this client keys do not expire.
    pub(super) fn sees_due_keys(&self, client: &Client) -> bool {
        client.import_source && self.config.settings().import_mode
    }

    /// Removes what the command that is over found due, unless it was written meanwhile.
    #[inline]
    pub(super) fn remove_overdue(&mut self, now: Now) {
        if !self.overdue.is_empty() {
            self.remove_all_overdue(now);
        }
    }

    #[cold]
    fn remove_all_overdue(&mut self, now: Now) {
        for (db, key) in std::mem::take(&mut self.overdue) {
            if self.keyspace.db(db).find(&*key).is_some_and(|entry| entry.is_due(now.ms())) {
                self.expire(db, &*key);
            }
        }
    }

    /// Removes a key because its time is over.
    #[cold]
    pub(crate) fn expire<'k>(&mut self, db: usize, key: impl AsKey<'k> + Copy) {
        let found = self.keyspace.db(db).find(key);
        let Some(bytes) = found.map(|entry| Box::<[u8]>::from(entry.key())) else { return };
        self.remove(db, key);
        self.stats.expired_keys += 1;
        self.touch_watchers(db, &bytes);
    }

    /// Removes a key; whether it was there. A big value is freed outside the lock.
    pub(crate) fn remove<'k>(&mut self, db: usize, key: impl AsKey<'k>) -> bool {
        let Some(dropped) = self.keyspace.db_mut(db).remove(key) else { return false };
        if dropped.is_big() {
            self.host.discard(Garbage::Value(dropped));
        }
        true
    }
}
