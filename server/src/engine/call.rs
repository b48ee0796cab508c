//! One command being executed: its arguments, its client, its reply, and the changes a handler may
//! make. Handlers see the keyspace only through here, so due keys are never seen and every change is
//! counted, watched and (later) logged in one place.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;

use super::access::Note;
use super::observe::Run;
use super::{Args, Client, Engine, Line, Policy};
use crate::clock::{Clock, Now};
use crate::commands::{Flags, Id};
use crate::config::eviction::Order;
use crate::config::notify::Class;
use crate::config::settings::Settings;
use crate::error::{self, Result};
use crate::keyspace::{AsKey, Db, Entry, EntryMut, Kind, StrMut, Taken, Ttl, Value};
use crate::resp::{Argv, Protocol, Reply};
use crate::types::string::StrRef;

pub struct Call<'a> {
    pub engine: &'a mut Engine,
    pub client: &'a mut Client,
    pub reply: Reply<'a>,
    pub argv: Argv<'a>,
    pub now: Now,
    /// Only measures how long a command takes; what it does depends on `now`.
    pub(super) clock: &'a Clock,
    /// The command or subcommand.
    pub id: Id,
}

impl<'a> Call<'a> {
    /// Runs the handler and counts the call. An error takes back what the handler had written.
    pub(super) fn execute(mut self) {
        let handler = self.id.entry().command.handler.expect("a container asks for a subcommand");
        let start = self.reply.position();
        let is_watched = !self.engine.monitors.is_empty() && !self.is_retry();
        let (db, dirty) = (self.client.db, self.engine.stats.dirty);
        let result = handler(&mut self);
        let has_changed = self.engine.stats.dirty != dirty;
        let own_name = self.engine.names.own_name(self.id);
        self.engine.journal.command_is_over(db, own_name, self.argv, has_changed);
        if is_watched {
            self.engine.tell_monitors(self.client, self.id, self.argv, self.now);
        }
        self.engine.remove_overdue(self.now);
        if self.client.tracks {
            self.remember_keys();
        }
        if self.db().has_replaced() {
            self.engine.discard_replaced(self.client.db);
        }
        if self.client.is_blocked() {
            // It counts once it is answered.
            return;
        }
        self.engine.stats.commands += 1;
        self.engine.stats.command(self.id).calls += 1;
        if let Err(error) = result {
            self.reply.truncate(start);
            self.reply.error(&error);
            self.engine.stats.command(self.id).failed += 1;
            self.engine.stats.count_error(error.code());
        }
        let reply_len = self.reply.position() - start;
        if self.engine.may_be_large(self.argv, reply_len) {
            self.engine.log_large(self.client, self.id, self.argv, reply_len, self.now);
        }
    }

    /// Runs the handler of a command from a log, and nothing else. What it had written is the caller's
    /// to drop.
    #[inline]
    pub(super) fn execute_from_log(mut self) -> Result {
        let handler = self.id.entry().command.handler.expect("whoever found the command looked");
        let result = handler(&mut self);
        if self.db().has_replaced() {
            self.engine.discard_replaced(self.client.db);
        }
        result
    }

    /// Runs other commands in this one's place: EXEC. Their replies follow what is written already.
    pub fn run_all<'q>(&mut self, queue: impl Iterator<Item = (Id, Argv<'q>)>) {
        let clock = self.clock;
        let mut run = Run::starting(clock.now());
        for (id, argv) in queue {
            self.engine.begin(&mut run, self.client, id, argv, clock);
            let start = self.reply.position();
            self.run(id, argv);
            let reply_len = self.reply.position() - start;
            self.engine.settle(&mut run, self.client, reply_len, clock);
        }
        self.engine.end(&mut run, self.client, clock);
    }

    fn run(&mut self, id: Id, argv: Argv<'_>) {
        let Call { engine, client, reply, now, clock, .. } = self;
        let mut reply = reply.reborrow();
        reply.switch(client.protocol);
        Call { engine, client, reply, argv, now: *now, clock, id }.execute();
        self.reply.switch(self.client.protocol);
    }

    /// Notes which keys a tracking client may hold now.
    fn remember_keys(&mut self) {
        let command = self.id.entry().command;
        if !command.flags.contains(Flags::READONLY) {
            return;
        }
        let argv = self.argv;
        for spec in command.keys {
            let positions = spec.positions(argv.len(), |at| argv.get(at)).unwrap_or_default();
            let keys = positions.into_iter().filter_map(|at| argv.get(at));
            self.engine.tracking.remember(self.client.id, keys);
        }
    }

    /// From now on the client is spoken to in `protocol`: HELLO, RESET.
    pub fn switch_protocol(&mut self, protocol: Protocol) {
        self.client.protocol = protocol;
        self.engine.clients.speak(self.client.slot, protocol);
        self.reply.switch(protocol);
    }

    /// Tells of a keyspace event, after [`Self::changed`].
    #[inline]
    pub fn event(&mut self, class: Class, event: &str, key: &[u8]) {
        self.engine.notify(class, event, self.client.db, key);
    }

    pub fn event_in(&mut self, class: Class, event: &str, db: usize, key: &[u8]) {
        self.engine.notify(class, event, db, key);
    }

    /// The arguments behind the name, and behind the subcommand's.
    #[inline]
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

    pub fn settings(&self) -> &Settings {
        self.engine.config.settings()
    }

    pub fn rng(&mut self) -> &mut Pcg64Mcg {
        &mut self.engine.rng
    }

    pub fn db(&self) -> &Db {
        self.engine.keyspace.db(self.client.db)
    }

    pub fn db_mut(&mut self) -> &mut Db {
        self.engine.keyspace.db_mut(self.client.db)
    }

    /// Looks a key up for reading: hits and misses are counted, the access is noted.
    pub fn read(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.read_and_reply(key).0
    }

    /// The same, with the reply to write what was found into.
    #[inline]
    pub fn read_and_reply(&mut self, key: &[u8]) -> (Option<Entry<'_>>, &mut Reply<'a>) {
        let note = self.note_of_read();
        let (found, reply) = self.inspect_and_reply(key);
        if let (Some(entry), Some(note)) = (found, note) {
            note.on(entry);
        }
        (found, reply)
    }

    /// TOUCH: notes the access whatever CLIENT NO-TOUCH says; whether the key is there.
    pub fn touch(&mut self, key: &[u8]) -> bool {
        let note = self.note();
        let found = self.inspect(key);
        found.inspect(|entry| note.on(*entry)).is_some()
    }

    /// Looks a key up without noting an access: TTL, TYPE, OBJECT.
    pub fn inspect(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.inspect_and_reply(key).0
    }

    fn inspect_and_reply(&mut self, key: &[u8]) -> (Option<Entry<'_>>, &mut Reply<'a>) {
        let due = self.engine.due_keys(self.client, self.now);
        if self.settings().keyspace_events.contains(Class::KEY_MISS) {
            self.tell_of_miss(key);
        }
        let Engine { keyspace, stats, overdue, journal, .. } = &mut *self.engine;
        let db = self.client.db;
        let found = keyspace.db(db).find(key);
        let found = found.filter(|entry| due.admit(db, *entry, overdue, journal));
        match found {
            Some(_) => stats.keyspace_hits += 1,
            None => stats.keyspace_misses += 1,
        }
        (found, &mut self.reply)
    }

    #[cold]
    fn tell_of_miss(&mut self, key: &[u8]) {
        let due = self.engine.due_keys(self.client, self.now);
        if self.db().find(key).is_none_or(|entry| !due.shows(entry)) {
            self.event(Class::KEY_MISS, "keymiss", key);
        }
    }

    /// Looks a key up before a write, without a trace.
    pub fn peek(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        self.peek_in(self.client.db, key)
    }

    pub fn peek_in(&mut self, db: usize, key: &[u8]) -> Option<Entry<'_>> {
        let hashed = self.engine.keyspace.db(db).key(key);
        self.remove_if_due(db, hashed);
        self.engine.keyspace.db(db).find(hashed)
    }

    /// Looks a string up for reading.
    pub fn read_string(&mut self, key: &[u8]) -> Result<Option<StrRef<'_>>> {
        self.read_string_and_reply(key).map(|(found, _)| found)
    }

    /// The same, with the reply to write it into from where it lies.
    #[inline]
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
        let Some(found) = self.entry_mut(key) else { return Ok(None) };
        found.into_str().map(Some).ok_or(error::WRONG_TYPE)
    }

    /// The type of a key that is there.
    pub fn kind(&mut self, key: &[u8]) -> Option<Kind> {
        self.peek(key).map(|entry| entry.kind())
    }

    /// Looks a key up for a change; notes the access, counts neither hit nor miss.
    pub fn entry_mut(&mut self, key: &[u8]) -> Option<EntryMut<'_>> {
        self.entry_mut_in(self.client.db, key)
    }

    pub fn entry_mut_in(&mut self, db: usize, key: &[u8]) -> Option<EntryMut<'_>> {
        let note = self.note_of_write();
        let hashed = self.engine.keyspace.db(db).key(key);
        self.remove_if_due(db, hashed);
        let found = self.engine.keyspace.db_mut(db).find_mut(hashed)?;
        if let Some(note) = note {
            note.on(found.entry());
        }
        Some(found)
    }

    /// Whether there is no such key, after a change that may have removed it.
    pub fn is_gone(&self, key: &[u8]) -> bool {
        !self.db().contains(key)
    }

    /// How an access is noted now.
    #[inline]
    fn note(&mut self) -> Note {
        let Engine { config, rng, .. } = &mut *self.engine;
        Note::new(config.settings(), self.now, || rng.next_u64())
    }

    /// The same, unless the client wants its accesses not to be noted.
    #[inline]
    pub(super) fn note_of_write(&mut self) -> Option<Note> {
        (!self.client.no_touch).then(|| self.note())
    }

    /// Reads do not count where keys go by their last change.
    #[inline]
    fn note_of_read(&mut self) -> Option<Note> {
        let by_change = self.settings().eviction.order == Order::Lrm;
        if by_change { None } else { self.note_of_write() }
    }

    /// RANDOMKEY: a key that this client sees.
    pub fn random_key(&mut self) -> Option<Box<[u8]>> {
        /// Draws before a hidden key is taken after all: there may be no others.
        const MAX_HIDDEN: usize = 100;
        let due = self.engine.due_keys(self.client, self.now);
        let db = self.client.db;
        let mut hidden = 0;
        loop {
            let Engine { keyspace, rng, .. } = &mut *self.engine;
            let entry = keyspace.db(db).random(|| rng.next_u64())?;
            let key: Box<[u8]> = entry.key().into();
            if due.shows(entry) || hidden == MAX_HIDDEN {
                return Some(key);
            }
            match due.policy() {
                Policy::Remove => self.engine.expire(db, &*key),
                Policy::Hide | Policy::Show => hidden += 1,
            }
        }
    }

    /// Sets a string, whatever was there before.
    pub fn set_string(&mut self, key: &[u8], value: &[u8], ttl: Ttl) {
        let hashed = self.db().key(key);
        // An expiry that is over must not be kept for the new value.
        if ttl == Ttl::Keep {
            self.remove_if_due(self.client.db, hashed);
        }
        let was_there = self.db_mut().set_string(hashed, value, ttl);
        if !was_there {
            self.event(Class::NEW, "new", key);
        }
    }

    pub fn set_value(&mut self, key: &[u8], value: Value, expire_at: Option<i64>) {
        let was_there = self.db_mut().set(key, value, expire_at);
        if !was_there {
            self.event(Class::NEW, "new", key);
        }
    }

    /// Removes a key that is there and not due; whether there was one.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let hashed = self.db().key(key);
        let db = self.client.db;
        // A key that the import source still wants is an ordinary one for whoever deletes it.
        if !self.engine.config.settings().import_mode {
            self.remove_if_due(db, hashed);
        }
        self.engine.remove(db, hashed)
    }

    /// Takes a key out with all that belongs to it.
    pub fn take(&mut self, key: &[u8]) -> Option<Taken> {
        let hashed = self.db().key(key);
        self.remove_if_due(self.client.db, hashed);
        self.db_mut().take(hashed)
    }

    /// To be called once for each change of a key, after it was made.
    pub fn changed(&mut self, key: &[u8]) {
        self.changed_in(self.client.db, key);
    }

    /// The same for another key of a change that is counted already.
    pub fn changed_too(&mut self, key: &[u8]) {
        self.changed(key);
        self.engine.stats.dirty -= 1;
    }

    /// More changes than the one that [`Self::changed`] counts.
    pub fn dirty(&mut self, changes: u64) {
        self.engine.stats.dirty += changes;
    }

    #[inline]
    pub fn changed_in(&mut self, db: usize, key: &[u8]) {
        self.engine.stats.dirty += 1;
        self.engine.invalidate(key, Some(self.client.id));
        self.engine.touch_watchers(db, key);
    }

    /// Logs this command as another one of `len` words, whose effect depends on nothing but the data.
    /// May be called several times: what was said comes in this order, and the command itself is not
    /// logged.
    #[inline]
    pub fn log(&mut self, len: usize, write: impl FnOnce(&mut Line<'_>)) {
        self.engine.journal.add(self.client.db, len, write);
        self.engine.journal.settle();
    }

    /// The same for a command without numbers.
    pub fn log_as(&mut self, words: &[&[u8]]) {
        self.log(words.len(), |line| line.words(words.iter().copied()).done());
    }

    /// Whether it matters what is said about logging.
    #[inline]
    pub fn is_logged(&self) -> bool {
        self.engine.journal.is_on()
    }

    /// What this command changed is no matter for a log, or is in it already.
    pub fn log_nothing(&mut self) {
        self.engine.journal.settle();
    }

    /// Empties the databases that `concerns` says yes to. What was in them is freed elsewhere.
    pub fn flush(&mut self, concerns: impl Fn(usize) -> bool) {
        let mut removed = 0;
        for index in (0..self.engine.keyspace.databases()).filter(|index| concerns(*index)) {
            let Engine { keyspace, watches, .. } = &mut *self.engine;
            let db = keyspace.db_mut(index);
            watches.replace(index, db, None, self.now.ms());
            removed += db.len();
            let old = db.flush();
            self.engine.discard_database(old);
            self.engine.signal_database(index);
        }
        // FLUSHALL counts as a change even of nothing.
        self.engine.stats.dirty += removed.max(1) as u64;
        self.engine.invalidate_all();
    }

    pub fn swap_databases(&mut self, a: usize, b: usize) {
        let Engine { keyspace, watches, stats, .. } = &mut *self.engine;
        stats.dirty += 1;
        if a == b {
            return;
        }
        for (index, other) in [(a, b), (b, a)] {
            let (old, new) = (keyspace.db(index), keyspace.db(other));
            watches.replace(index, old, Some(new), self.now.ms());
        }
        keyspace.swap(a, b);
        self.engine.signal_database(a);
        self.engine.signal_database(b);
    }

    /// Whether a deadline is over already, so that giving it to a key means to delete the key.
    /// While data is imported, deleting is left to the source, and in a log to the command that follows.
    pub fn is_over(&self, deadline_ms: i64) -> bool {
        deadline_ms <= self.now.ms()
            && !self.engine.config.settings().import_mode
            && !self.client.executes_log
    }

    /// Removes a key that was given a deadline that is over. It counts as expired and as changed.
    pub fn remove_expired(&mut self, key: &[u8]) {
        if self.remove(key) {
            self.log_removal(key);
            self.engine.stats.expired_keys += 1;
            self.changed(key);
            self.event(Class::EXPIRED, "expired", key);
        }
    }

    /// All that this command changed is that the key is gone, because its time is over.
    pub fn log_removal(&mut self, key: &[u8]) {
        let lazily = self.settings().lazy_expiry;
        self.engine.journal.add_removal(self.client.db, key, lazily);
        self.engine.journal.settle();
    }

    /// Makes room for a write: a key that is due goes now.
    pub(super) fn remove_if_due<'k>(&mut self, db: usize, key: impl AsKey<'k> + Copy) {
        let keyspace = &self.engine.keyspace;
        let now_ms = self.now.ms();
        if keyspace.db(db).volatile_len() == 0 {
            return;
        }
        if keyspace.db(db).find(key).is_some_and(|entry| entry.is_due(now_ms))
            && !self.engine.sees_due_keys(self.client)
        {
            self.engine.expire(db, key);
        }
    }
}
