//! One command being executed: its arguments, its client, its reply, and the changes a handler may
//! make. Handlers see the keyspace only through here, so due keys are never seen and every change is
//! counted, watched and (later) logged in one place.

use super::{Args, Client, Engine};
use crate::clock::Now;
use crate::commands::Id;
use crate::error::{self, Result};
use crate::keyspace::{
    AsKey, Db, Dropped, Entry, EntryMut, Keyspace, Kind, StrMut, Taken, Ttl, Value,
};
use crate::resp::{Argv, Reply};
use crate::types::string::StrRef;

pub struct Call<'a> {
    pub engine: &'a mut Engine,
    pub client: &'a mut Client,
    pub reply: Reply<'a>,
    pub argv: Argv<'a>,
    pub now: Now,
    /// The command or subcommand.
    pub id: Id,
}

impl<'a> Call<'a> {
    /// Runs the handler and counts the call. An error takes back what the handler had written.
    pub(super) fn execute(mut self) {
        let handler = self.id.entry().command.handler.expect("a container asks for a subcommand");
        let start = self.reply.position();
        let result = handler(&mut self);
        self.engine.stats.commands += 1;
        self.engine.stats.command(self.id).calls += 1;
        if let Err(error) = result {
            self.reply.truncate(start);
            self.reply.error(&error);
            self.engine.stats.command(self.id).failed += 1;
            self.engine.stats.count_error(error.code());
        }
    }

    /// Runs another command in this one's place: EXEC. Its reply follows what is written already.
    pub fn run(&mut self, id: Id, argv: Argv<'_>) {
        let Call { engine, client, reply, now, .. } = self;
        let mut reply = reply.reborrow();
        reply.switch(client.protocol);
        Call { engine, client, reply, argv, now: *now, id }.execute();
        self.reply.switch(self.client.protocol);
    }

    /// The arguments behind the name, and behind the subcommand's.
    pub fn args(&self) -> Args<'a> {
        let words = if self.id.entry().parent.is_some() { 2 } else { 1 };
        Args::new(self.argv, words)
    }

    pub fn full_name(&self) -> &'static str {
        &self.id.entry().full_name
    }

    pub fn wrong_arity(&self) -> error::Error {
        error::wrong_arity(self.full_name())
    }

    pub fn db(&self) -> &Db {
        self.engine.keyspace.db(self.client.db)
    }

    pub fn db_mut(&mut self) -> &mut Db {
        self.engine.keyspace.db_mut(self.client.db)
    }

    /// Looks a key up for reading: due keys are gone, hits and misses counted, the access noted.
    pub fn read(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.read_and_reply(key).0
    }

    /// The same, with the reply to write what was found into.
    fn read_and_reply(&mut self, key: &[u8]) -> (Option<Entry<'_>>, &mut Reply<'a>) {
        let hashed = self.db().key(key);
        self.expire_if_due(self.client.db, hashed);
        let access = (!self.client.no_touch).then(|| access_now(self.now));
        let Engine { keyspace, stats, .. } = &mut *self.engine;
        let found = keyspace.db(self.client.db).find(hashed);
        match found {
            Some(entry) => {
                stats.keyspace_hits += 1;
                if let Some(access) = access {
                    entry.set_access(access);
                }
            }
            None => stats.keyspace_misses += 1,
        }
        (found, &mut self.reply)
    }

    /// Looks a key up without any trace: EXISTS of the generic commands, OBJECT, TTL.
    pub fn peek(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.peek_in(self.client.db, key)
    }

    pub fn peek_in(&mut self, db: usize, key: &[u8]) -> Option<Entry<'_>> {
        let hashed = self.engine.keyspace.db(db).key(key);
        self.expire_if_due(db, hashed);
        self.engine.keyspace.db(db).find(hashed)
    }

    /// Looks a string up for reading.
    pub fn read_string(&mut self, key: &[u8]) -> Result<Option<StrRef<'_>>> {
        self.read_string_and_reply(key).map(|(found, _)| found)
    }

    /// The same, with the reply to write it into from where it lies.
    pub fn read_string_and_reply(
        &mut self,
        key: &[u8],
    ) -> Result<(Option<StrRef<'_>>, &mut Reply<'a>)> {
        let (found, reply) = self.read_and_reply(key);
        let string = found.map(|entry| entry.value().as_str().ok_or(error::WRONG_TYPE));
        Ok((string.transpose()?, reply))
    }

    /// Looks a string up for a change in place; notes the access, counts neither hit nor miss.
    pub fn write_string(&mut self, key: &[u8]) -> Result<Option<StrMut<'_>>> {
        let hashed = self.db().key(key);
        self.expire_if_due(self.client.db, hashed);
        let access = access_now(self.now);
        let Some(found) = self.db_mut().find_mut(hashed) else { return Ok(None) };
        found.entry().set_access(access);
        found.into_str().map(Some).ok_or(error::WRONG_TYPE)
    }

    /// The type of a key that is there.
    pub fn kind(&mut self, key: &[u8]) -> Option<Kind> {
        self.peek(key).map(|entry| entry.value().kind())
    }

    pub fn entry_mut(&mut self, key: &[u8]) -> Option<EntryMut<'_>> {
        let hashed = self.db().key(key);
        self.expire_if_due(self.client.db, hashed);
        self.db_mut().find_mut(hashed)
    }

    /// Sets a string, whatever was there before.
    pub fn set_string(&mut self, key: &[u8], value: &[u8], ttl: Ttl) {
        let hashed = self.db().key(key);
        // An expiry that is over must not be kept for the new value.
        if ttl == Ttl::Keep {
            self.expire_if_due(self.client.db, hashed);
        }
        self.db_mut().set_string(hashed, value, ttl);
    }

    pub fn set_value(&mut self, key: &[u8], value: Value, expire_at: Option<i64>) {
        self.db_mut().set(key, value, expire_at);
    }

    /// Removes a key that is there and not due.
    pub fn remove(&mut self, key: &[u8]) -> Option<Dropped> {
        let hashed = self.db().key(key);
        self.expire_if_due(self.client.db, hashed);
        self.db_mut().remove(hashed)
    }

    /// Takes a key out with all that belongs to it.
    pub fn take(&mut self, key: &[u8]) -> Option<Taken> {
        let hashed = self.db().key(key);
        self.expire_if_due(self.client.db, hashed);
        self.db_mut().take(hashed)
    }

    /// To be called once for each change of a key, after it was made.
    pub fn changed(&mut self, key: &[u8]) {
        self.changed_in(self.client.db, key);
    }

    pub fn changed_in(&mut self, db: usize, key: &[u8]) {
        self.engine.stats.dirty += 1;
        self.engine.touch_watchers(db, key, self.client);
    }

    /// Empties the databases that `concerns` says yes to. What was in them is freed elsewhere.
    pub fn flush(&mut self, concerns: impl Fn(usize) -> bool) {
        let mut removed = 0;
        self.break_watches(&concerns, |keyspace, db, key| keyspace.db(db).contains(key));
        for (_, db) in self.engine.keyspace.iter_mut().filter(|(index, _)| concerns(*index)) {
            removed += db.len();
            let old = db.flush();
            self.engine.host.discard(old);
        }
        // FLUSHALL counts as a change even of nothing.
        self.engine.stats.dirty += removed.max(1) as u64;
    }

    pub fn swap_databases(&mut self, a: usize, b: usize) {
        let other = |db| if db == a { b } else { a };
        // A watch is broken unless the key is missing before and after.
        self.break_watches(
            |db| db == a || db == b,
            |keyspace, db, key| {
                keyspace.db(db).contains(key) || keyspace.db(other(db)).contains(key)
            },
        );
        self.engine.keyspace.swap(a, b);
        self.engine.stats.dirty += 1;
    }

    /// Breaks the watches on keys of some databases for which `changes` says yes.
    fn break_watches(
        &mut self,
        concerns: impl Fn(usize) -> bool,
        changes: impl Fn(&Keyspace, usize, &[u8]) -> bool,
    ) {
        let Engine { watches, keyspace, clients, .. } = &mut *self.engine;
        let mut broken: Vec<u64> = Vec::new();
        for (db, key, watchers) in watches.in_databases(concerns) {
            if changes(keyspace, db, key) {
                broken.extend(watchers);
            }
        }
        self.client.watch_broken |= broken.contains(&self.client.id);
        for client in clients.iter_mut().filter(|client| broken.contains(&client.id)) {
            client.watch_broken = true;
        }
    }

    /// Whether a deadline is over already, so that giving it to a key means to delete the key.
    /// While data is imported, deleting is left to the source.
    pub fn is_over(&self, deadline_ms: i64) -> bool {
        deadline_ms <= self.now.ms() && !self.engine.config.settings().import_mode
    }

    /// Removes a key that was given a deadline that is over. It counts as expired and as changed.
    pub fn remove_expired(&mut self, key: &[u8]) {
        if self.remove(key).is_some() {
            self.engine.stats.expired_keys += 1;
            self.changed(key);
        }
    }

    /// Removes the key if its time is over.
    fn expire_if_due<'k>(&mut self, db: usize, key: impl AsKey<'k> + Copy) {
        let keyspace = &mut self.engine.keyspace;
        let now_ms = self.now.ms();
        if keyspace.db(db).volatile_len() == 0 {
            return;
        }
        let due = keyspace.db(db).find(key).is_some_and(|entry| entry.is_due(now_ms));
        if due {
            self.expire(db, key);
        }
    }

    #[cold]
    fn expire<'k>(&mut self, db: usize, key: impl AsKey<'k> + Copy) {
        let settings = self.engine.config.settings();
        if settings.import_mode && self.client.import_source {
            return;
        }
        let bytes = self.engine.keyspace.db(db).find(key).map(|entry| entry.key().to_vec());
        self.engine.keyspace.db_mut(db).remove(key);
        self.engine.stats.expired_keys += 1;
        if let Some(bytes) = bytes {
            self.engine.touch_watchers(db, &bytes, self.client);
        }
    }
}

/// The access field of an entry read now: seconds on the server timeline, 24 bits.
pub(super) fn access_now(now: Now) -> u32 {
    (now.ms() / 1000) as u32 & 0xff_ffff
}
