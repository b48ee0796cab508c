//! Commands that wait for a key: BLPOP, BZPOPMIN, XREAD and their like.
//!
//! A handler that finds nothing asks to wait ([`Call::block`]). Whoever puts something at a key says
//! so ([`Call::signal`]); once that command is over, those who wait for the key have their command
//! executed again, the longest waiting first. A command that still finds nothing goes on waiting, in
//! its old place and with its old deadline.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Call, Client, Engine, Slot};
use crate::clock::{Clock, Now};
use crate::commands::Id;
use crate::error::{Error, Result};
use crate::keyspace::Kind;
use crate::resp::OwnedArgv;
use crate::resp::Reply;

/// What a command waits for.
#[derive(Debug)]
pub struct Block {
    pub keys: Vec<Box<[u8]>>,
    /// The type that a key must have for the command to be tried again.
    pub kind: Kind,
    /// On the server's timeline, in milliseconds; `None` waits for ever.
    pub deadline_ms: Option<i64>,
    /// Tried again, too, when a key is gone or holds another type (XREADGROUP).
    pub on_delete: bool,
    pub waits: Waits,
}

/// What ends the waiting besides its keys, and what is answered then.
#[derive(Clone, Copy, Debug)]
pub enum Waits {
    /// Nothing: null.
    ForKeys,
    /// WAIT: no replica has what was written.
    ForReplicas,
    /// WAITAOF: how many logs have it. With `ends`, as soon as our own is durable up to `offset`.
    ForLog { offset: u64, ends: bool },
    /// MIGRATE: what comes of it, and nothing else.
    ForTransfer { number: u64 },
}

/// A client that waits, with the command to be tried again.
#[derive(Debug)]
pub(super) struct Blocked {
    block: Block,
    pub(super) id: Id,
    pub(super) argv: OwnedArgv,
    db: usize,
    /// Orders those who wait for the same key.
    ticket: u64,
    /// What executing it took so far, in microseconds.
    pub(super) spent_us: u64,
}

type Key = (usize, Box<[u8]>);

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Waiters {
    by_key: HashMap<Key, BTreeMap<u64, Slot>>,
    deadlines: BTreeSet<(i64, u64, Slot)>,
    /// By the offset that the log has to reach.
    offsets: BTreeSet<(u64, u64, Slot)>,
    /// How many wait for a key's vanishing, too.
    on_delete: HashMap<Key, usize>,
    /// Keys signalled since they were last looked at, in order.
    ready: Vec<Key>,
    last_ticket: u64,
    blocked: usize,
}

impl Waiters {
    /// Clients that wait.
    pub fn len(&self) -> usize {
        self.blocked
    }

    pub fn is_empty(&self) -> bool {
        self.blocked == 0
    }

    /// Keys that somebody waits for.
    pub fn keys(&self) -> usize {
        self.by_key.len()
    }

    /// Clients that wait for a limited time.
    pub fn timeouts(&self) -> usize {
        self.deadlines.len()
    }

    /// Keys whose vanishing, too, somebody waits for.
    pub fn keys_on_delete(&self) -> usize {
        self.on_delete.len()
    }

    /// Whether nobody can have been served yet who should be.
    #[inline]
    pub(super) fn nothing_ready(&self) -> bool {
        self.ready.is_empty()
    }

    /// The next time at which somebody has waited long enough.
    pub(super) fn next_deadline_ms(&self) -> Option<i64> {
        self.deadlines.first().map(|(deadline_ms, ..)| *deadline_ms)
    }

    fn add(&mut self, slot: Slot, blocked: &Blocked) {
        for key in &blocked.block.keys {
            let waiting = self.by_key.entry((blocked.db, key.clone())).or_default();
            let is_new = waiting.insert(blocked.ticket, slot).is_none();
            if blocked.block.on_delete && is_new {
                *self.on_delete.entry((blocked.db, key.clone())).or_default() += 1;
            }
        }
        if let Some(deadline_ms) = blocked.block.deadline_ms {
            self.deadlines.insert((deadline_ms, blocked.ticket, slot));
        }
        if let Waits::ForLog { offset, ends: true } = blocked.block.waits {
            self.offsets.insert((offset, blocked.ticket, slot));
        }
        self.blocked += 1;
    }

    fn remove(&mut self, slot: Slot, blocked: &Blocked) {
        for key in &blocked.block.keys {
            let key = (blocked.db, key.clone());
            // A key named twice is gone the second time.
            let Some(waiting) = self.by_key.get_mut(&key) else { continue };
            let was_there = waiting.remove(&blocked.ticket).is_some();
            if waiting.is_empty() {
                self.by_key.remove(&key);
            }
            if blocked.block.on_delete && was_there {
                self.forget_on_delete(&key);
            }
        }
        if let Waits::ForLog { offset, .. } = blocked.block.waits {
            self.offsets.remove(&(offset, blocked.ticket, slot));
        }
        if let Some(deadline_ms) = blocked.block.deadline_ms {
            self.deadlines.remove(&(deadline_ms, blocked.ticket, slot));
        }
        self.blocked -= 1;
    }

    fn forget_on_delete(&mut self, key: &Key) {
        let Some(count) = self.on_delete.get_mut(key) else { return };
        *count -= 1;
        if *count == 0 {
            self.on_delete.remove(key);
        }
    }

    fn signal(&mut self, db: usize, key: &[u8]) {
        let key = (db, Box::from(key));
        if self.by_key.contains_key(&key) && !self.ready.contains(&key) {
            self.ready.push(key);
        }
    }
}

/// Why a client stops waiting without having been served.
#[derive(Clone, Debug)]
pub enum Release {
    TimedOut,
    Refused(Error),
}

/// How many logs have what was written: ours, and those of replicas, which are none.
pub(crate) fn wait_reply(reply: &mut Reply<'_>, logs: i64) {
    reply.array(2);
    reply.int(logs);
    reply.int(0);
}

impl Client {
    /// The transfer that its command waits for.
    pub(super) fn awaits_transfer(&self) -> Option<u64> {
        match self.blocked.as_ref()?.block.waits {
            Waits::ForTransfer { number } => Some(number),
            _ => None,
        }
    }
}

impl Call<'_> {
    /// Whether this command may wait: inside a transaction it answers at once.
    pub fn may_block(&self) -> bool {
        !self.client.in_exec
    }

    /// Has the command wait; the handler writes no reply.
    pub fn block(&mut self, block: Block) -> Result {
        self.block_as(block, self.argv.iter())
    }

    /// The same, with other words to be executed later: what `$` stands for is settled now.
    pub fn block_as<'w>(&mut self, block: Block, words: impl Iterator<Item = &'w [u8]>) -> Result {
        debug_assert!(self.may_block());
        let waiters = &mut self.engine.waiters;
        let blocked = match self.client.retried.take() {
            Some(old) => Box::new(Blocked {
                block: Block { deadline_ms: old.block.deadline_ms, ..block },
                ..*old
            }),
            None => {
                waiters.last_ticket += 1;
                let (id, db, ticket) = (self.id, self.client.db, waiters.last_ticket);
                Box::new(Blocked { block, id, argv: words.collect(), db, ticket, spent_us: 0 })
            }
        };
        waiters.add(self.client.slot, &blocked);
        if let Some(deadline_ms) = blocked.block.deadline_ms {
            self.engine.wake_cron_before(deadline_ms);
        }
        self.client.blocked = Some(blocked);
        Ok(())
    }

    /// Whether the command waited already and is tried again.
    pub fn is_retry(&self) -> bool {
        self.client.retried.is_some()
    }

    /// Something that others may wait for was put at `key`.
    #[inline]
    pub fn signal(&mut self, key: &[u8]) {
        self.engine.signal(self.client.db, key);
    }
}

impl Engine {
    #[inline]
    pub(crate) fn signal(&mut self, db: usize, key: &[u8]) {
        if !self.waiters.is_empty() {
            self.waiters.signal(db, key);
        }
    }

    /// The content of whole databases changed: whoever waits for a key in them looks again.
    pub(crate) fn signal_database(&mut self, db: usize) {
        let keys = self.waiters.by_key.keys().filter(|(at, _)| *at == db).cloned();
        let keys: Vec<Key> = keys.collect();
        keys.iter().for_each(|(db, key)| self.waiters.signal(*db, key));
    }

    /// Has those tried again who wait for a key that was signalled. What they do may signal more.
    #[cold]
    pub(super) fn serve_ready(&mut self, now: Now, clock: &Clock) {
        while !self.waiters.ready.is_empty() {
            for key in std::mem::take(&mut self.waiters.ready) {
                let waiting = self.waiters.by_key.get(&key);
                let slots: Vec<Slot> =
                    waiting.into_iter().flat_map(BTreeMap::values).copied().collect();
                slots.into_iter().for_each(|slot| self.retry(slot, &key, now, clock));
            }
        }
    }

    /// Tries a waiting command again, if the key suits it.
    fn retry(&mut self, slot: Slot, (db, key): &Key, now: Now, clock: &Clock) {
        // The one whose command is being executed does not wait; it may have gone on meanwhile.
        let Some(client) = self.clients.other_mut(slot) else { return };
        let Some(blocked) = &client.blocked else { return };
        let found = self.keyspace.db(*db).find(&**key).filter(|entry| !entry.is_due(now.ms()));
        let suits = found.is_some_and(|entry| entry.kind() == blocked.block.kind);
        if !suits && !blocked.block.on_delete {
            return;
        }
        if !self.transfers.holds_nothing() && self.transfers.hold(blocked.id, blocked.argv.view()) {
            // It is tried again once the transfer is over.
            return;
        }
        let mut client = self.clients.check_out(slot);
        let blocked = client.blocked.take().expect("looked at above");
        self.waiters.remove(slot, &blocked);
        let (id, argv) = (blocked.id, blocked.argv.clone());
        client.retried = Some(blocked);
        // What was posted before stays before the reply, what the command itself brings comes after.
        let (mut earlier, mut out) = (Vec::new(), Vec::new());
        self.clients.collect(slot, &mut earlier);
        let started = clock.now();
        self.call(&mut client, id, argv.view(), &mut out, now, clock);
        self.journal.unit_is_over();
        let ended = clock.now();
        self.account(&mut client, id, argv.view(), 1, ended.us.abs_diff(started.us), ended);
        client.retried = None;
        let goes_on_waiting = client.is_blocked();
        super::execute::suppress_reply(&mut client, &mut out, 0);
        if goes_on_waiting {
            out.clear();
        }
        self.clients.collect(slot, &mut out);
        self.clients.check_in(slot, client);
        earlier.append(&mut out);
        if !earlier.is_empty() {
            self.clients.post_bytes(slot, &earlier);
        }
    }

    /// Answers those who have waited long enough.
    pub(super) fn release_overdue(&mut self, now_ms: i64) {
        while let Some(&(deadline_ms, _, slot)) = self.waiters.deadlines.first()
            && deadline_ms <= now_ms
        {
            self.release(slot, Release::TimedOut);
        }
    }

    /// Whether the log is durable up to `offset`.
    pub(crate) fn is_logged(&mut self, offset: u64) -> bool {
        self.host.log_end().is_some_and(|end| end.log.reached(offset))
    }

    /// Answers those whose writes are durable now, and has the next ones announced.
    pub(super) fn release_logged(&mut self) {
        while let Some(&(offset, _, slot)) = self.waiters.offsets.first() {
            let Some(end) = self.host.log_end() else { return };
            if !end.log.reached(offset) {
                end.log.ring_at(offset, &self.cron_bell);
                return;
            }
            self.release(slot, Release::TimedOut);
        }
    }

    /// Ends a client's waiting; false if it does not wait, or for what cannot be called off.
    pub(crate) fn release(&mut self, slot: Slot, why: Release) -> bool {
        let client = self.clients.other_mut(slot);
        let client = client.filter(|client| client.awaits_transfer().is_none());
        let Some(blocked) = client.and_then(|client| client.blocked.take()) else {
            return false;
        };
        self.waiters.remove(slot, &blocked);
        let stats = self.stats.command(blocked.id);
        stats.calls += 1;
        if let Release::Refused(error) = &why {
            stats.rejected += 1;
            self.stats.count_error(error.code());
        }
        let logs = match blocked.block.waits {
            Waits::ForLog { offset, .. } => i64::from(self.is_logged(offset)),
            _ => 0,
        };
        self.clients.post(slot, |reply| match (&why, blocked.block.waits) {
            (Release::Refused(error), _) => reply.error(error),
            (Release::TimedOut, Waits::ForKeys | Waits::ForTransfer { .. }) => reply.null_array(),
            (Release::TimedOut, Waits::ForReplicas) => reply.int(0),
            (Release::TimedOut, Waits::ForLog { .. }) => wait_reply(reply, logs),
        });
        true
    }

    /// The client does not wait any more: nobody must find it.
    pub(super) fn end_waiting(&mut self, client: &mut Client) -> Option<Box<Blocked>> {
        let blocked = client.blocked.take()?;
        self.waiters.remove(client.slot, &blocked);
        Some(blocked)
    }
}
