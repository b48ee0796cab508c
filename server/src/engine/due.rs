//! Keys whose time is over: who still sees them, and how they go.
//!
//! A command that reads changes nothing: what it finds due is hidden from it and removed once it is
//! over. One that writes has the key removed before. The rest is active expiry's ([`super::cron`]).
//! The log hears of it at once in either case: what the command does next, it does without the key.

use super::{Client, Engine, Garbage, Journal};
use crate::clock::Now;
use crate::config::notify::Class;
use crate::keyspace::{AsKey, Entry};

/// What a command that reads makes of due keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueKeys {
    now_ms: i64,
    policy: Policy,
    /// Logged as UNLINK.
    lazily: bool,
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
    pub(crate) fn admit(
        self,
        db: usize,
        entry: Entry<'_>,
        overdue: &mut Overdue,
        journal: &mut Journal,
    ) -> bool {
        !entry.is_due(self.now_ms) || self.admit_due(db, entry, overdue, journal)
    }

    #[cold]
    fn admit_due(
        self,
        db: usize,
        entry: Entry<'_>,
        overdue: &mut Overdue,
        journal: &mut Journal,
    ) -> bool {
        if self.policy == Policy::Remove {
            overdue.push((db, entry.key().into()));
            journal.add_removal(db, entry.key(), self.lazily);
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
        DueKeys { now_ms: now.ms(), policy, lazily: self.config.settings().lazy_expiry }
    }

    /// For this client keys do not expire: CLIENT IMPORT-SOURCE, or a log being executed.
    pub(super) fn sees_due_keys(&self, client: &Client) -> bool {
        client.import_source && self.config.settings().import_mode || client.executes_log
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
                self.remove_due(db, &*key);
            }
        }
    }

    /// Removes a key because its time is over.
    #[cold]
    pub(crate) fn expire<'k>(&mut self, db: usize, key: impl AsKey<'k> + Copy) {
        let lazily = self.config.settings().lazy_expiry;
        if let Some(entry) = self.keyspace.db(db).find(key) {
            self.journal.add_removal(db, entry.key(), lazily);
        }
        self.remove_due(db, key);
    }

    /// The same for one that is logged already.
    fn remove_due<'k>(&mut self, db: usize, key: impl AsKey<'k> + Copy) {
        let found = self.keyspace.db(db).find(key);
        let Some(bytes) = found.map(|entry| Box::<[u8]>::from(entry.key())) else { return };
        self.remove(db, key);
        self.stats.expired_keys += 1;
        self.touch_watchers(db, &bytes);
        self.invalidate(&bytes, None);
        self.notify(Class::EXPIRED, "expired", db, &bytes);
    }

    /// Frees what a command overwrote; where that is big, outside the lock.
    #[cold]
    pub(super) fn discard_replaced(&mut self, db: usize) {
        // Whoever waits on one of these keys is to learn that its type is another now.
        self.signal_database(db);
        for dropped in self.keyspace.db_mut(db).take_replaced() {
            if dropped.is_big() {
                self.discard(Garbage::value(dropped));
            }
        }
    }

    /// Removes a key; whether it was there. A big value is freed outside the lock.
    pub(crate) fn remove<'k>(&mut self, db: usize, key: impl AsKey<'k>) -> bool {
        let key = self.keyspace.db(db).key_of(key);
        let Some(dropped) = self.keyspace.db_mut(db).remove(key) else { return false };
        self.signal(db, key.bytes);
        if dropped.is_big() {
            self.discard(Garbage::value(dropped));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;

    /// Every command that looks at a key, and its answer where there is none.
    const LOOKS: [(&str, &str); 10] = [
        ("GET x", "$-1\r\n"),
        ("EXISTS x", ":0\r\n"),
        ("TTL x", ":-2\r\n"),
        ("TYPE x", "+none\r\n"),
        ("TOUCH x", ":0\r\n"),
        ("OBJECT ENCODING x", "$-1\r\n"),
        ("KEYS *", "*0\r\n"),
        ("SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"),
        ("RANDOMKEY", "$-1\r\n"),
        ("COPY x y", ":0\r\n"),
    ];

    #[test]
    fn a_due_key_is_missing_for_every_command_and_expires_once() {
        for (look, missing) in LOOKS {
            let mut world = World::new();
            let client = world.connect();
            world.run(client, "SET x 1 PX 10");
            world.pass_ms(10);
            assert_eq!(world.run(client, look), missing, "{look}");
            // KEYS leaves the removal to others.
            world.run(client, "MGET x x");
            assert_eq!(world.run(client, "DBSIZE"), ":0\r\n", "{look}");
            assert_eq!(world.engine.stats.expired_keys, 1, "{look}");
        }
    }

    #[test]
    fn writes_find_nothing_of_a_due_key() {
        for (write, answer, left) in [
            ("DEL x", ":0\r\n", None),
            ("PERSIST x", ":0\r\n", None),
            ("EXPIRE x 100", ":0\r\n", None),
            ("RENAME x y", "-ERR no such key\r\n", None),
            ("MOVE x 1", ":0\r\n", None),
            ("SET x 2 XX", "$-1\r\n", None),
            ("SET x 2 KEEPTTL", "+OK\r\n", Some("2")),
            ("INCR x", ":1\r\n", Some("1")),
            ("APPEND x 3", ":1\r\n", Some("3")),
        ] {
            let mut world = World::new();
            let client = world.connect();
            world.run(client, "SET x 41 PX 10");
            world.pass_ms(10);
            assert_eq!(world.run(client, write), answer, "{write}");
            let expected = left.map_or("$-1\r\n".into(), |left| format!("$1\r\n{left}\r\n"));
            assert_eq!(world.run(client, "GET x"), expected, "{write}");
            let ttl = if left.is_some() { ":-1\r\n" } else { ":-2\r\n" };
            assert_eq!(world.run(client, "TTL x"), ttl, "{write}");
        }
    }

    #[test]
    fn in_import_mode_due_keys_are_hidden_and_stay() {
        let mut world = World::new();
        let (client, source) = (world.connect(), world.connect());
        world.run(client, "CONFIG SET import-mode yes");
        assert_eq!(world.run(source, "CLIENT IMPORT-SOURCE ON"), "+OK\r\n");
        world.run(source, "SET x 1 PX 10");
        world.pass_ms(10);
        for (look, missing) in LOOKS.into_iter().filter(|(look, _)| *look != "RANDOMKEY") {
            assert_eq!(world.run(client, look), missing, "{look}");
        }
        world.tick();
        assert_eq!(world.run(client, "DBSIZE"), ":1\r\n");
        assert_eq!(world.run(source, "TTL x"), ":0\r\n");
        assert_eq!(world.run(source, "INCR x"), ":2\r\n");
        assert_eq!(world.run(source, "RANDOMKEY"), "$1\r\nx\r\n");
        // A past time is left for the source to act upon.
        assert_eq!(world.run(source, "PEXPIREAT x 1"), ":1\r\n");
        assert_eq!(world.run(source, "GET x"), "$1\r\n2\r\n");
        assert_eq!(world.run(client, "DEL x"), ":1\r\n");
        assert_eq!(world.run(source, "EXISTS x"), ":0\r\n");
        assert_eq!(world.engine.stats.expired_keys, 0);
    }

    #[test]
    fn a_time_that_is_over_deletes_and_counts_as_expired() {
        for past in ["EXPIRE x 0", "PEXPIRE x -1", "EXPIREAT x 1", "PEXPIREAT x 1"] {
            let mut world = World::new();
            let client = world.connect();
            world.run(client, "SET x 1");
            assert_eq!(world.run(client, past), ":1\r\n");
            assert_eq!(world.run(client, "DBSIZE"), ":0\r\n");
            assert_eq!(world.engine.stats.expired_keys, 1);
        }
    }

    #[test]
    fn big_values_are_freed_elsewhere() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "SET small 1");
        world.run(client, "SETRANGE big 1000000 x");
        assert_eq!(world.run(client, "DEL small"), ":1\r\n");
        assert_eq!(world.record.lock().expect("not poisoned").discarded, 0);
        assert_eq!(world.run(client, "UNLINK big"), ":1\r\n");
        assert_eq!(world.record.lock().expect("not poisoned").discarded, 1);
    }
}
