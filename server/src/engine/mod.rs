//! The engine: all data and all that commands act on, as one value behind one lock.
//!
//! Below the lock nothing awaits, opens a file, reads the clock or draws randomness: `now` and a
//! seeded generator come in with the call, and what is I/O by nature goes through [`Host`].
//!
//! Reading order: [`execute`] (a batch becomes replies), [`gate`] (what is refused before a handler
//! runs), [`call`] (what a handler may do), then the parts of the state.

pub mod access;
mod args;
mod blocking;
mod call;
mod client;
mod clients;
mod collections;
mod cron;
mod due;
mod evict;
mod evict_clients;
mod execute;
mod functions;
mod gate;
mod gather;
mod host;
mod journal;
mod load;
mod observe;
mod pause;
mod persistence;
mod prefetch;
mod pubsub;
mod replay;
mod snapshot;
mod stats;
#[cfg(test)]
pub(crate) mod testing;
mod tracking;
mod transaction;
mod transfer;
mod watch;

pub use access::{frequency, idle_seconds};
pub use args::Args;
pub(crate) use blocking::wait_reply;
pub use blocking::{Block, Release, Waiters, Waits};
pub use call::Call;
pub use client::{Address, Bell, Buffers, Client, Closing, ReplyMode, Traffic};
pub use clients::{Clients, Slot};
pub use collections::{Typed, With};
pub(crate) use due::Policy;
pub use execute::{Progress, Turn};
pub use host::{
    Certificate, Certificates, Data, Disposal, Durability, Durable, Garbage, Host, Reload,
    SnapshotTask,
};
pub use journal::{Journal, Line};
pub use load::LoadMode;
pub use observe::{
    Analysis, CommandLog, Event, Histogram, Latency, LogKind, Logged, Monitors, Series,
};
pub use pause::{Pause, PauseMode};
pub use persistence::{Damage, Loaded, Loading, LogStatus, NotNow, Persistence, Running, Work};
pub use pubsub::{PubSub, Subscriptions, Topic};
pub use replay::Replayed;
pub use snapshot::{Busy, Chunk, SnapshotPurpose, SnapshotSink};
pub use stats::{CommandStats, Stats};
pub use tracking::{Mode as TrackingMode, Options as TrackingOptions, Tracker, Tracking};
pub use transaction::{Refused, Transaction};
pub use transfer::{Destination, Failure, Outcome, Transfer, Transfers};
pub use watch::{Broken, Watch, Watches};

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng as _;

use tracking::Post;

use crate::clock::Now;
use crate::commands::Names;
use crate::config::Config;
use crate::config::value::OutputLimit;
use crate::keyspace::{Fetching, Keyspace};
use crate::resp::{Limits, ProtocolError};
use crate::types::members;

/// Output that a client may leave unread before it has authenticated, in bytes.
const OUTPUT_UNAUTHENTICATED: u64 = 1024;

/// What one client may send and leave unread.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    pub decode: Limits,
    /// `client-query-buffer-limit`, in bytes.
    pub max_query_len: usize,
    pub output: OutputLimit,
    /// Where its next keys are. Only a hint: its next command may be SELECT.
    pub db: usize,
}

/// What makes one server process different from another: drawn once at start.
#[derive(Clone, Copy, Default)]
pub struct Seed {
    pub hash_secret: [u8; 16],
    pub rng: [u8; 16],
    pub run_id: [u8; 20],
}

/// How it stands with a client whose bell rang.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub closing: Closing,
    /// Its next command is not to be executed yet.
    pub waits: bool,
}

pub struct Engine {
    pub keyspace: Keyspace,
    pub clients: Clients,
    pub config: Config,
    pub names: Names,
    pub stats: Stats,
    pub watches: Watches,
    pub waiters: Waiters,
    pub transfers: Transfers,
    pub pubsub: PubSub,
    pub tracking: Tracking,
    pub monitors: Monitors,
    pub command_log: CommandLog,
    pub latency: Latency,
    pub journal: Journal,
    pub persistence: Persistence,
    /// Libraries of functions, as they came: nothing runs them yet, and none is lost.
    pub functions: Vec<Box<[u8]>>,
    /// What has to be durable before anybody may hear of the last change.
    durable: Option<Durable>,
    /// The same for the batch being executed.
    batch_durable: Option<Durable>,
    /// Of the lone command that comes next, in which database.
    fetching: Option<(usize, Fetching)>,
    pub pause: Pause,
    /// Wakes background work before its time.
    pub cron_bell: Arc<Bell>,
    /// Whether the log's thread comes for what is recorded, within milliseconds.
    pub log_comes: Arc<AtomicBool>,
    pub rng: Pcg64Mcg,
    pub host: Box<dyn Host>,
    /// 40 hexadecimal digits that name this run of the server.
    pub run_id: String,
    /// As many that name the history of changes to the data; others after DEBUG CHANGE-REPL-ID.
    pub replication_id: String,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub active_expire: bool,
    /// DEBUG QUICKLIST-PACKED-THRESHOLD: list elements from this length on get a node of their own.
    pub list_plain_from: Option<usize>,
    /// DEBUG PAUSE-CRON.
    pub cron_paused: bool,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION.
    pub checksums_are_skipped: bool,
    /// What `maxmemory` is where nobody set it: what the process's cgroup leaves it. Zero is no limit.
    pub memory_ceiling: u64,
    /// What was given away to be freed.
    pub disposal: Arc<Disposal>,
    /// What threads keep for commands and replies to come.
    scratch_bytes: usize,
    gathering: gather::Gathering,
    eviction_pool: evict::Pool,
    next_eviction_db: usize,
    /// As it was before the command being executed.
    room: evict::Room,
    /// Keys that the command being executed found due.
    pub(crate) overdue: due::Overdue,
    /// Data is being loaded from a log: keys stay until it says otherwise.
    is_replaying: bool,
    replayer: Option<Box<replay::Replayer>>,
    snapshot: Option<snapshot::Snapshot>,
    cron: cron::Cron,
}

impl Engine {
    pub fn new(config: Config, names: Names, seed: Seed, host: Box<dyn Host>, now: Now) -> Self {
        let databases = config.settings().databases;
        members::set_secret(&seed.hash_secret);
        let run_id: String = seed.run_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut engine = Self {
            keyspace: Keyspace::new(databases, &seed.hash_secret),
            clients: Clients::default(),
            config,
            names,
            stats: Stats::new(now.ms()),
            watches: Watches::default(),
            waiters: Waiters::default(),
            transfers: Transfers::default(),
            pubsub: PubSub::default(),
            tracking: Tracking::default(),
            monitors: Monitors::default(),
            command_log: CommandLog::default(),
            latency: Latency::default(),
            journal: Journal::default(),
            persistence: Persistence::new(now),
            functions: Vec::new(),
            durable: None,
            batch_durable: None,
            fetching: None,
            pause: Pause::default(),
            cron_bell: Arc::default(),
            log_comes: Arc::default(),
            rng: Pcg64Mcg::from_seed(seed.rng),
            host,
            run_id: run_id.clone(),
            replication_id: run_id,
            active_expire: true,
            list_plain_from: None,
            cron_paused: false,
            checksums_are_skipped: false,
            memory_ceiling: 0,
            disposal: Arc::default(),
            scratch_bytes: 0,
            gathering: gather::Gathering::default(),
            eviction_pool: evict::Pool::default(),
            next_eviction_db: 0,
            room: evict::Room::Enough,
            overdue: Vec::new(),
            is_replaying: false,
            replayer: None,
            snapshot: None,
            cron: cron::Cron::default(),
        };
        engine.refresh_access(now);
        engine
    }

    /// A key was changed or removed: EXEC of whoever watches it answers null.
    pub(crate) fn touch_watchers(&mut self, db: usize, key: &[u8]) {
        if !self.watches.is_empty() {
            self.watches.touch(db, self.keyspace.db(db), key);
        }
    }

    /// A key was changed, by this client if by any: whoever may hold it is told.
    #[inline]
    pub(crate) fn invalidate(&mut self, key: &[u8], by: Option<u64>) {
        if !self.tracking.is_empty() {
            let mut post = Post { clients: &mut self.clients, pubsub: &self.pubsub };
            self.tracking.invalidate(key, by, &mut post);
        }
    }

    pub(crate) fn invalidate_all(&mut self) {
        let mut post = Post { clients: &mut self.clients, pubsub: &self.pubsub };
        self.tracking.invalidate_all(&mut post);
    }

    #[inline]
    pub(crate) fn broadcast_changes(&mut self) {
        let mut post = Post { clients: &mut self.clients, pubsub: &self.pubsub };
        self.tracking.broadcast(&mut post);
    }

    /// Has the client watch a key.
    pub(crate) fn watch(&mut self, client: &mut Client, db: usize, key: &[u8], now: Now) {
        let watch = Watch { db, key: key.into() };
        let is_due = self.keyspace.db(db).find(key).is_some_and(|entry| entry.is_due(now.ms()));
        if self.watches.add(&watch, client.id, &client.watch_broken, is_due) {
            client.watched_bytes += 2 * (watch.key.len() + size_of::<Watch>());
            client.watched.push(watch);
        }
    }

    /// Whether a key that the client watches was changed, or fell due.
    pub(crate) fn is_watch_broken(&self, client: &Client, now: Now) -> bool {
        let fell_due = |watch: &Watch| {
            let found = self.keyspace.db(watch.db).find(&*watch.key);
            found.is_some_and(|entry| entry.is_due(now.ms()))
                && !self.watches.was_due(watch, client.id)
        };
        client.watch_broken.is_set() || client.watched.iter().any(fell_due)
    }

    /// Takes all watches of a client away.
    pub(crate) fn unwatch(&mut self, client: &mut Client) {
        for watch in client.watched.drain(..) {
            self.watches.remove(&watch, client.id);
        }
        client.watched_bytes = 0;
        client.watch_broken.clear();
    }

    /// Bytes in use, as `maxmemory` counts them: not what removed keys left free for the next, not
    /// what is being freed or goes with an evicted client, and neither messages on their way nor the
    /// room for them (telling of an evicted key must not evict the next).
    pub fn used_memory(&self) -> u64 {
        self.used_of(crate::alloc::used_bytes())
    }

    /// The same of so many bytes allocated.
    fn used_of(&self, allocated: usize) -> u64 {
        let free = self.keyspace.free_bytes()
            + self.being_freed()
            + self.clients.posted_bytes()
            + self.clients.leaving_bytes()
            + self.scratch_bytes;
        allocated.saturating_sub(free) as u64
    }

    /// Bytes that were given away to be freed and are not free yet.
    pub fn being_freed(&self) -> usize {
        self.disposal.pending_bytes()
    }

    /// `maxmemory`, or what takes its place.
    pub fn max_memory(&self) -> u64 {
        match self.config.settings().max_memory {
            0 => self.memory_ceiling,
            limit => limit,
        }
    }

    /// A new connection. `None` when there are `maxclients` already.
    pub fn connect(
        &mut self,
        address: Address,
        local_address: Address,
        fd: i32,
        now: Now,
    ) -> Option<Slot> {
        if self.clients.len() >= self.config.settings().max_clients {
            self.stats.rejected_connections += 1;
            return None;
        }
        self.stats.connections += 1;
        let id = self.clients.next_id();
        let is_open = self.config.settings().require_pass.is_empty();
        Some(self.clients.insert(|slot| {
            let mut client = Client::new(id, slot, address, local_address, fd, now);
            if is_open {
                client.authenticate();
            }
            client
        }))
    }

    /// Takes a client for the user whom its certificate names. Whom it does not name, it has to tell.
    pub fn identify(&mut self, slot: Slot, names: &[Vec<u8>]) {
        if names.iter().any(|name| name == b"default") {
            self.clients.get_mut(slot).authenticate();
            crate::log::verbose!("TLS: Auto-authenticated client as default");
        } else if let Some(name) = names.last() {
            self.stats.certificates_denied += 1;
            crate::log::verbose!(
                "TLS: No matching user found for certificate name {:?}",
                String::from_utf8_lossy(name)
            );
        }
    }

    /// A new connection of whoever runs the server: it needs no password and no place among
    /// `maxclients`.
    pub fn connect_admin(&mut self, address: Address, fd: i32, now: Now) -> Slot {
        let id = self.clients.next_id();
        self.clients.insert(|slot| {
            let mut client = Client::new(id, slot, address.clone(), address, fd, now);
            client.is_admin = true;
            client.authenticate();
            client
        })
    }

    /// What this client may send, and leave unread.
    pub fn limits(&self, slot: Slot) -> ClientLimits {
        let settings = self.config.settings();
        let client = self.clients.get(slot);
        let decode = Limits {
            max_bulk_len: settings.max_bulk_len as u64,
            authenticated: client.authenticated || settings.require_pass.is_empty(),
        };
        ClientLimits {
            decode,
            max_query_len: settings.max_query_buffer_len,
            output: self.output_limit(client),
            db: client.db,
        }
    }

    /// What this client may leave unread.
    #[inline]
    pub(super) fn output_limit(&self, client: &Client) -> OutputLimit {
        let settings = self.config.settings();
        if client.monitors {
            settings.replica_output_limit
        } else if !client.subscriptions.is_empty() {
            settings.pubsub_output_limit
        } else if client.ever_authenticated || settings.require_pass.is_empty() {
            settings.normal_output_limit
        } else {
            OutputLimit { hard_bytes: OUTPUT_UNAUTHENTICATED, soft_bytes: 0, soft_seconds: 0 }
        }
    }

    /// What has to be durable before anybody may hear of the last change; `None` where nothing does.
    pub fn durable(&self) -> Option<&Durable> {
        self.durable.as_ref()
    }

    /// The same for the batch that was executed last.
    #[inline]
    pub fn take_durable(&mut self) -> Option<Durable> {
        self.batch_durable.take()
    }

    #[inline]
    pub fn count_traffic(&mut self, slot: Slot, traffic: Traffic) {
        self.stats.bytes_in += traffic.bytes_in;
        self.stats.bytes_out += traffic.bytes_out;
        self.stats.reads += traffic.reads;
        self.stats.writes += traffic.writes;
        let client = self.clients.get_mut(slot);
        client.bytes_in += traffic.bytes_in;
        client.bytes_out += traffic.bytes_out;
    }

    /// The client broke the protocol, which ends its connection.
    pub fn count_protocol_error(&mut self, slot: Slot, error: &ProtocolError) {
        self.stats.count_error("ERR");
        let client = self.clients.get(slot);
        crate::log::verbose!(
            "Protocol error ({}) from client: id={} addr={}",
            error.0,
            client.id,
            client.address
        );
    }

    /// Moves messages for a client to the end of `out`, and says how it stands with it.
    pub fn collect(&mut self, slot: Slot, out: &mut Vec<u8>) -> Standing {
        self.clients.collect(slot, out);
        let client = self.clients.get(slot);
        Standing { closing: client.closing, waits: client.paused || client.is_blocked() }
    }

    /// The connection tells what it holds for its client.
    pub fn set_buffers(&mut self, slot: Slot, buffers: Buffers) {
        self.clients.set_buffers(slot, buffers);
        self.evict_clients();
    }

    /// A thread keeps `now` bytes for commands and replies to come, no longer `before`.
    pub fn count_scratch(&mut self, before: usize, now: usize) {
        self.scratch_bytes = self.scratch_bytes + now - before;
    }

    /// The connection is gone.
    pub fn disconnect(&mut self, slot: Slot) {
        let mut client = self.clients.remove(slot);
        self.unwatch(&mut client);
        self.end_waiting(&mut client);
        self.pubsub.unsubscribe_all(&mut client);
        self.tracking.disable(client.id);
        self.monitors.remove(slot);
    }
}
