//! The table of connected clients, and what the engine has to tell each of them besides the replies
//! to its own commands.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::{Bell, Buffers, Client, Closing};
use crate::resp::{Protocol, Reply};

/// A connection's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(usize);

impl Slot {
    /// Of a client that has no connection: nobody finds it, and nothing can be posted to it.
    pub(super) const NONE: Self = Self(usize::MAX);
}

/// Messages for a client, until its connection collects them. Apart from the [`Client`], so that
/// they reach it even while its own command is being executed.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    protocol: Protocol,
    bell: Arc<Bell>,
}

#[derive(Debug, Default)]
struct Place {
    /// This client's share of [`Clients::memory`].
    counted: usize,
    /// And of [`Clients::leaving`].
    leaving: usize,
    /// `None` while free, and while a command of the client is being executed.
    client: Option<Box<Client>>,
    outbox: Outbox,
}

/// All connected clients. The one whose batch is being executed is out of the table meanwhile.
#[derive(Debug, Default)]
pub struct Clients {
    places: Vec<Place>,
    free: Vec<Slot>,
    by_id: HashMap<u64, Slot>,
    /// How many of them came by the admin socket.
    admins: usize,
    /// Bytes that messages take which connections have not collected.
    posted: usize,
    /// Bytes that all clients take, as counted when each was last looked at.
    memory: usize,
    /// Bytes of evicted clients whose connections are still there.
    leaving: usize,
    last_id: u64,
}

const TAKEN: &str = "a connection owns its slot until it removes it";

impl Clients {
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Connected clients, the one executing included, those of the admin socket not.
    pub fn len(&self) -> usize {
        self.by_id.len() - self.admins
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of the client with this id.
    pub fn find(&self, id: u64) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// Whether the client's connection is about to end.
    pub(super) fn is_closing(&self, slot: Slot) -> bool {
        let client = self.places[slot.0].client.as_deref();
        client.is_some_and(|client| client.closing != Closing::No)
    }

    /// Adds the client that `create` makes for its slot.
    pub(super) fn insert(&mut self, create: impl FnOnce(Slot) -> Client) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            Slot(self.places.len() - 1)
        });
        let client = create(slot);
        self.by_id.insert(client.id, slot);
        self.admins += usize::from(client.is_admin);
        let bell = Arc::clone(&client.bell);
        let outbox = Outbox { bytes: Vec::new(), protocol: client.protocol, bell };
        let client = Some(Box::new(client));
        self.places[slot.0] = Place { client, outbox, ..Place::default() };
        self.count(slot);
        slot
    }

    /// Takes a client out while its commands are executed.
    pub(super) fn check_out(&mut self, slot: Slot) -> Box<Client> {
        self.places[slot.0].client.take().expect(TAKEN)
    }

    pub(super) fn check_in(&mut self, slot: Slot, client: Box<Client>) {
        self.places[slot.0].client = Some(client);
        self.count(slot);
    }

    /// What a client's connection holds for it.
    pub(super) fn set_buffers(&mut self, slot: Slot, buffers: Buffers) {
        self.get_mut(slot).buffers = buffers;
        self.count(slot);
    }

    /// Brings the sum up to what this client takes now.
    fn count(&mut self, slot: Slot) {
        let place = &mut self.places[slot.0];
        let Some(client) = &place.client else { return };
        let now = client.memory_bytes() + place.outbox.bytes.len();
        self.memory = self.memory + now - place.counted;
        place.counted = now;
    }

    /// Bytes that all clients take.
    pub fn memory_bytes(&self) -> usize {
        self.memory
    }

    /// Closes the connection of a client that takes too much.
    pub(super) fn evict(&mut self, slot: Slot) {
        let place = &mut self.places[slot.0];
        place.leaving = place.counted;
        self.leaving += place.leaving;
        self.get_mut(slot).close(Closing::Now);
    }

    /// Bytes of evicted clients, as good as free.
    pub fn leaving_bytes(&self) -> usize {
        self.leaving
    }

    /// Bytes that messages take which connections have not collected.
    pub fn posted_bytes(&self) -> usize {
        self.posted
    }

    /// The largest of those clients that may be evicted, and its bytes.
    pub(super) fn largest(&self) -> Option<(Slot, usize)> {
        let evictable = |place: &&Place| {
            let client = place.client.as_ref();
            client.is_some_and(|c| {
                !c.no_evict && !c.is_admin && !c.monitors && c.closing == Closing::No
            })
        };
        let largest = self.places.iter().filter(evictable).max_by_key(|place| place.counted)?;
        let slot = largest.client.as_ref().map(|client| client.slot)?;
        Some((slot, largest.counted))
    }

    #[inline]
    pub fn get(&self, slot: Slot) -> &Client {
        self.places[slot.0].client.as_deref().expect(TAKEN)
    }

    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> &mut Client {
        self.places[slot.0].client.as_deref_mut().expect(TAKEN)
    }

    /// The client, unless it is the one whose command is being executed.
    pub fn other_mut(&mut self, slot: Slot) -> Option<&mut Client> {
        self.places[slot.0].client.as_deref_mut()
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Box<Client> {
        let place = std::mem::take(&mut self.places[slot.0]);
        self.memory -= place.counted;
        self.leaving -= place.leaving;
        self.posted -= place.outbox.bytes.capacity();
        let client = place.client.expect("a connection removes its slot once");
        self.by_id.remove(&client.id);
        self.admins -= usize::from(client.is_admin);
        self.free.push(slot);
        client
    }

    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.places.iter().filter_map(|place| place.client.as_deref())
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.places.iter_mut().filter_map(|place| place.client.as_deref_mut())
    }

    /// Says in which protocol the client wants its messages.
    pub(super) fn speak(&mut self, slot: Slot, protocol: Protocol) {
        self.places[slot.0].outbox.protocol = protocol;
    }

    pub(super) fn speaks_resp3(&self, slot: Slot) -> bool {
        self.places[slot.0].outbox.protocol == Protocol::Resp3
    }

    /// Writes a message for a client, and wakes its connection.
    pub fn post(&mut self, slot: Slot, write: impl FnOnce(&mut Reply<'_>)) {
        let outbox = &mut self.places[slot.0].outbox;
        let before = outbox.bytes.capacity();
        write(&mut Reply::new(&mut outbox.bytes, outbox.protocol));
        self.posted += outbox.bytes.capacity() - before;
        outbox.bell.ring();
    }

    /// The same for a message that is rendered already.
    pub(super) fn post_bytes(&mut self, slot: Slot, bytes: &[u8]) {
        let outbox = &mut self.places[slot.0].outbox;
        let before = outbox.bytes.capacity();
        outbox.bytes.extend_from_slice(bytes);
        self.posted += outbox.bytes.capacity() - before;
        outbox.bell.ring();
    }

    /// Moves what was posted to the end of `out`.
    #[inline]
    pub(super) fn collect(&mut self, slot: Slot, out: &mut Vec<u8>) {
        let bytes = &mut self.places[slot.0].outbox.bytes;
        if !bytes.is_empty() {
            self.posted -= bytes.capacity();
            collect_all(bytes, out);
        }
    }
}

#[cold]
fn collect_all(bytes: &mut Vec<u8>, out: &mut Vec<u8>) {
    if out.is_empty() {
        std::mem::swap(bytes, out);
    } else {
        out.append(bytes);
    }
    // An outbox costs nothing while there is nothing in it.
    *bytes = Vec::new();
}
