//! A connected client as the engine sees it, and the table of all of them. Sockets and buffers belong
//! to the connection (`net`); what other clients may ask about or act upon is here.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

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

    /// Whether it rang since it was last answered; `waker` is woken by every ring from now on.
    pub fn answer(&self, waker: &Waker) -> bool {
        if self.waker.get().is_none() {
            let kept = self.waker.get_or_init(|| waker.clone());
            debug_assert!(kept.will_wake(waker), "one task listens to a bell");
            // A ring that came too early for the waker is seen below; one too late for that sees it.
            fence(Ordering::SeqCst);
        }
        self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::SeqCst)
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
    /// It has shown once that it belongs here; it may leave more output unread than a stranger.
    pub ever_authenticated: bool,
    pub transaction: Option<Transaction>,
    pub watched: Vec<Watch>,
    pub watch_broken: Broken,
    pub reply_mode: ReplyMode,
    pub no_evict: bool,
    pub no_touch: bool,
    pub import_source: bool,
    /// CLIENT CAPA REDIRECT.
    pub can_redirect: bool,
    pub closing: Closing,
    /// Its next command waits for the end of CLIENT PAUSE.
    pub paused: bool,
    pub created_ms: i64,
    pub last_active_ms: i64,
    pub last_command: Option<Id>,
    pub commands: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub buffers: Buffers,
    pub bell: Arc<Bell>,
}

impl Client {
    pub fn new(id: u64, address: Address, local_address: Address, fd: i32, now: Now) -> Self {
        Self {
            id,
            address,
            local_address,
            fd,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_version: Vec::new(),
            db: 0,
            protocol: Protocol::Resp2,
            authenticated: false,
            ever_authenticated: false,
            transaction: None,
            watched: Vec::new(),
            watch_broken: Broken::default(),
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            import_source: false,
            can_redirect: false,
            closing: Closing::No,
            paused: false,
            created_ms: now.ms(),
            last_active_ms: now.ms(),
            last_command: None,
            commands: 0,
            bytes_in: 0,
            bytes_out: 0,
            buffers: Buffers::default(),
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

    /// Bytes kept for this client.
    pub fn memory_bytes(&self) -> usize {
        let transaction = self.transaction.as_ref().map_or(0, Transaction::len_bytes);
        size_of::<Self>()
            + self.name.capacity()
            + transaction
            + self.buffers.query_len
            + self.buffers.query_free
            + self.buffers.output_capacity
    }
}

/// All connected clients. The one whose batch is being executed is out of the table meanwhile.
#[derive(Debug, Default)]
pub struct Clients {
    slots: Vec<Option<Box<Client>>>,
    free: Vec<usize>,
    connected: usize,
    last_id: u64,
}

/// A connection's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

impl Clients {
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Connected clients, the one executing included.
    pub fn len(&self) -> usize {
        self.connected
    }

    pub fn is_empty(&self) -> bool {
        self.connected == 0
    }

    pub fn insert(&mut self, client: Client) -> Slot {
        self.connected += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(Box::new(client));
        Slot(slot)
    }

    /// Takes a client out while its commands are executed.
    pub(super) fn check_out(&mut self, slot: Slot) -> Box<Client> {
        self.slots[slot.0].take().expect("a connection owns its slot until it removes it")
    }

    pub(super) fn check_in(&mut self, slot: Slot, client: Box<Client>) {
        self.slots[slot.0] = Some(client);
    }

    pub fn get(&self, slot: Slot) -> &Client {
        self.slots[slot.0].as_deref().expect("a connection owns its slot until it removes it")
    }

    pub fn get_mut(&mut self, slot: Slot) -> &mut Client {
        self.slots[slot.0].as_deref_mut().expect("a connection owns its slot until it removes it")
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Box<Client> {
        self.connected -= 1;
        self.free.push(slot.0);
        self.slots[slot.0].take().expect("a connection removes its slot once")
    }

    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }
}
