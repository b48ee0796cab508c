//! A connected client as the engine sees it. Sockets and buffers belong to the connection (`net`); what
//! other clients may ask about or act upon is here.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use super::blocking::Blocked;
use super::clients::Slot;
use super::pubsub::Subscriptions;
use super::transaction::Transaction;
use super::watch::{Broken, Watch};
use crate::clock::Now;
use crate::commands::Id;
use crate::resp::Protocol;

/// Where a client connects from, or listens at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(Arc<str>),
}

impl Address {
    pub fn is_loopback(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Unix(_) => true,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "{path}:0"),
        }
    }
}

/// Wakes a connection's task from under the engine's lock.
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicBool,
    /// The task's waker, which stays the same for as long as the task lives.
    waker: OnceLock<Waker>,
}

impl Bell {
    pub fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Waits for the next ring.
    pub async fn rings(&self) {
        poll_fn(|cx| if self.answer(cx.waker()) { Poll::Ready(()) } else { Poll::Pending }).await
    }

    /// Whether it rang since it was last answered; `waker` is woken by every ring from now on.
    pub fn answer(&self, waker: &Waker) -> bool {
        self.listen(waker);
        self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::SeqCst)
    }

    /// Has `waker` woken by every ring from now on.
    pub fn listen(&self, waker: &Waker) {
        if self.waker.get().is_none() {
            let kept = self.waker.get_or_init(|| waker.clone());
            debug_assert!(kept.will_wake(waker), "one task listens to a bell");
            // A ring too early for the waker is seen by the next answer; one too late sees the waker.
            fence(Ordering::SeqCst);
        }
    }
}

/// `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// The reply of the next command is left out. `Skip(true)` until CLIENT REPLY SKIP itself ended.
    Skip {
        armed: bool,
    },
}

/// When a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closing {
    #[default]
    No,
    /// After what is in its output buffer has been sent.
    AfterReply,
    /// At once.
    Now,
}

/// Bytes held for a client, as its connection last reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// Unread or incomplete input.
    pub query_len: usize,
    pub query_free: usize,
    /// Replies not sent yet.
    pub output_len: usize,
    pub output_capacity: usize,
}

/// Bytes that went over a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub reads: u64,
    pub writes: u64,
}

#[derive(Debug)]
pub struct Client {
    pub id: u64,
    pub slot: Slot,
    pub address: Address,
    pub local_address: Address,
    pub fd: i32,
    pub name: Vec<u8>,
    pub lib_name: Vec<u8>,
    pub lib_version: Vec<u8>,
    /// Number of the selected database.
    pub db: usize,
    pub protocol: Protocol,
    pub authenticated: bool,
    /// It came by the socket that our own init asks for: its probes are answered whatever the
    /// clients do, so it counts as none of them.
    pub is_admin: bool,
    /// It has shown once that it belongs here; it may leave more output unread than a stranger.
    pub ever_authenticated: bool,
    pub transaction: Option<Transaction>,
    pub watched: Vec<Watch>,
    /// Bytes that those take, here and in the table of all watches.
    pub(super) watched_bytes: usize,
    pub watch_broken: Broken,
    pub reply_mode: ReplyMode,
    pub no_evict: bool,
    pub no_touch: bool,
    pub import_source: bool,
    /// It executes a log, where keys go only by command.
    pub(super) executes_log: bool,
    /// READONLY: it does not mind if a replica answers.
    pub reads_only: bool,
    /// CLIENT CAPA REDIRECT.
    pub can_redirect: bool,
    pub closing: Closing,
    /// Its next command waits for the end of CLIENT PAUSE.
    pub paused: bool,
    /// The command that waits for a key: BLPOP and its like.
    pub(super) blocked: Option<Box<Blocked>>,
    /// The same while that command is tried again.
    pub(super) retried: Option<Box<Blocked>>,
    /// EXEC is executing what it queued.
    pub in_exec: bool,
    pub subscriptions: Subscriptions,
    /// CLIENT TRACKING is on; the rest is in the engine's [`Tracking`](super::Tracking).
    pub tracks: bool,
    /// Bytes that its prefixes take there.
    pub tracked_bytes: usize,
    /// MONITOR.
    pub monitors: bool,
    pub created_ms: i64,
    pub last_active_ms: i64,
    pub last_command: Option<Id>,
    pub commands: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub buffers: Buffers,
    /// Bytes of replies that its batch may add before the hard output limit closes it.
    pub(super) output_left: usize,
    pub bell: Arc<Bell>,
}

impl Client {
    pub(super) fn new(
        id: u64,
        slot: Slot,
        address: Address,
        local_address: Address,
        fd: i32,
        now: Now,
    ) -> Self {
        Self {
            id,
            slot,
            address,
            local_address,
            fd,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_version: Vec::new(),
            db: 0,
            protocol: Protocol::Resp2,
            authenticated: false,
            is_admin: false,
            ever_authenticated: false,
            transaction: None,
            watched: Vec::new(),
            watched_bytes: 0,
            watch_broken: Broken::default(),
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            import_source: false,
            executes_log: false,
            reads_only: false,
            can_redirect: false,
            closing: Closing::No,
            paused: false,
            blocked: None,
            retried: None,
            in_exec: false,
            subscriptions: Subscriptions::default(),
            tracks: false,
            tracked_bytes: 0,
            monitors: false,
            created_ms: now.ms(),
            last_active_ms: now.ms(),
            last_command: None,
            commands: 0,
            bytes_in: 0,
            bytes_out: 0,
            buffers: Buffers::default(),
            output_left: usize::MAX,
            bell: Arc::default(),
        }
    }

    pub fn authenticate(&mut self) {
        self.authenticated = true;
        self.ever_authenticated = true;
    }

    pub fn close(&mut self, closing: Closing) {
        self.closing = closing;
        self.bell.ring();
    }

    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Whether only subscribing and a few more commands are allowed: in RESP2 a message could not
    /// be told from a reply.
    pub fn is_subscriber_only(&self) -> bool {
        self.protocol == Protocol::Resp2 && !self.subscriptions.is_empty()
    }

    /// Bytes kept for this client, with the room made for input that has not come: they count for
    /// `maxmemory`, too, and a client must not push keys out that could have been evicted itself.
    pub fn memory_bytes(&self) -> usize {
        let transaction = self.transaction.as_ref().map_or(0, Transaction::len_bytes);
        size_of::<Self>()
            + self.name.capacity()
            + transaction
            + self.watched_bytes
            + self.subscriptions.memory_bytes()
            + self.tracked_bytes
            + self.buffers.query_len
            + self.buffers.query_free
            + self.buffers.output_capacity
    }
}
