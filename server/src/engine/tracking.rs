//! Client-side caching: which client may hold which key, and who is told when one changes.
//!
//! A tracking client is told once of each key that it read and that changed after; in broadcast mode,
//! of every key under its prefixes. What it holds is kept by client id, so that who leaves need not
//! be searched for: an id that nobody has is skipped when its key changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;

use super::{Clients, PubSub, Slot};

/// `CLIENT TRACKING ON`'s options.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The client that is told in this one's place.
    pub redirect: Option<u64>,
    pub mode: Mode,
    /// The client's own changes are not told to it.
    pub no_loop: bool,
}

/// Which keys a client is told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Those that it read.
    #[default]
    Default,
    /// Those that it read right after CLIENT CACHING YES.
    OptIn,
    /// Those that it read, but not right after CLIENT CACHING NO.
    OptOut,
    /// All under its prefixes.
    Broadcast,
}

/// One tracking client.
#[derive(Clone, Debug)]
pub struct Tracker {
    slot: Slot,
    pub options: Options,
    pub prefixes: BTreeSet<Box<[u8]>>,
    /// CLIENT CACHING was given, for the next command.
    pub caching: bool,
    pub broken_redirect: bool,
}

/// A key that was changed, and by whom: `None` where no client did it.
type Changes = BTreeMap<Box<[u8]>, Option<u64>>;

#[derive(Debug, Default)]
struct Prefix {
    clients: BTreeSet<u64>,
    /// Since the last broadcast.
    changes: Changes,
}

/// All tracking clients, and what they were told of.
#[derive(Debug, Default)]
pub struct Tracking {
    trackers: HashMap<u64, Tracker>,
    /// Who may hold a key. Databases are not told apart, as in Redis.
    readers: HashMap<Box<[u8]>, HashSet<u64>>,
    items: usize,
    prefixes: BTreeMap<Box<[u8]>, Prefix>,
    /// Prefixes that have changes to broadcast.
    to_broadcast: bool,
}

/// Where messages go.
pub(super) struct Post<'a> {
    pub(super) clients: &'a mut Clients,
    pub(super) pubsub: &'a PubSub,
}

impl Tracking {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.trackers.is_empty()
    }

    pub fn clients(&self) -> usize {
        self.trackers.len()
    }

    pub fn keys(&self) -> usize {
        self.readers.len()
    }

    /// Pairs of a key and a client that may hold it.
    pub fn items(&self) -> usize {
        self.items
    }

    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    pub fn tracker(&self, client: u64) -> Option<&Tracker> {
        self.trackers.get(&client)
    }

    pub fn tracker_mut(&mut self, client: u64) -> Option<&mut Tracker> {
        self.trackers.get_mut(&client)
    }

    /// CLIENT TRACKING ON; prefixes add to those that the client has already.
    pub fn enable(&mut self, client: u64, slot: Slot, options: Options, prefixes: &[&[u8]]) {
        let old = self.trackers.remove(&client).map(|tracker| tracker.prefixes);
        let mut all = old.unwrap_or_default();
        if options.mode == Mode::Broadcast {
            let everything: &[&[u8]] = &[b""];
            let wanted = if prefixes.is_empty() { everything } else { prefixes };
            all.extend(wanted.iter().map(|prefix| Box::<[u8]>::from(*prefix)));
        }
        for prefix in &all {
            self.prefixes.entry(prefix.clone()).or_default().clients.insert(client);
        }
        let tracker =
            Tracker { slot, options, prefixes: all, caching: false, broken_redirect: false };
        self.trackers.insert(client, tracker);
    }

    /// CLIENT TRACKING OFF, or the client is gone.
    pub fn disable(&mut self, client: u64) {
        let Some(tracker) = self.trackers.remove(&client) else { return };
        for prefix in &tracker.prefixes {
            let Some(state) = self.prefixes.get_mut(prefix) else { continue };
            state.clients.remove(&client);
            if state.clients.is_empty() {
                self.prefixes.remove(prefix);
            }
        }
        if self.trackers.is_empty() {
            self.forget_readers();
        }
    }

    /// A client read keys.
    pub(super) fn remember<'k>(&mut self, client: u64, keys: impl Iterator<Item = &'k [u8]>) {
        let Some(tracker) = self.trackers.get(&client) else { return };
        let remembers = match tracker.options.mode {
            Mode::Default => true,
            Mode::OptIn => tracker.caching,
            Mode::OptOut => !tracker.caching,
            Mode::Broadcast => false,
        };
        if !remembers {
            return;
        }
        for key in keys {
            let readers = match self.readers.get_mut(key) {
                Some(readers) => readers,
                None => self.readers.entry(key.into()).or_default(),
            };
            self.items += usize::from(readers.insert(client));
        }
    }

    /// A key was changed, by this client if by any.
    pub(super) fn invalidate(&mut self, key: &[u8], by: Option<u64>, post: &mut Post<'_>) {
        for (prefix, state) in &mut self.prefixes {
            if key.starts_with(prefix) {
                state.changes.insert(key.into(), by);
                self.to_broadcast = true;
            }
        }
        let Some(readers) = self.readers.remove(key) else { return };
        self.items -= readers.len();
        for reader in readers {
            let Some(tracker) = self.trackers.get_mut(&reader) else { continue };
            let own = tracker.options.no_loop && by == Some(reader);
            if tracker.options.mode != Mode::Broadcast && !own {
                tracker.tell(Some(&[key]), post);
            }
        }
    }

    /// Everything changed at once: FLUSHALL.
    pub(super) fn invalidate_all(&mut self, post: &mut Post<'_>) {
        for tracker in self.trackers.values_mut() {
            tracker.tell(None, post);
        }
        self.forget_readers();
    }

    fn forget_readers(&mut self) {
        self.readers.clear();
        self.items = 0;
    }

    /// Tells those who track prefixes of what changed since the last time, in one message each.
    #[inline]
    pub(super) fn broadcast(&mut self, post: &mut Post<'_>) {
        if self.to_broadcast {
            self.broadcast_changes(post);
        }
    }

    #[cold]
    fn broadcast_changes(&mut self, post: &mut Post<'_>) {
        self.to_broadcast = false;
        for state in self.prefixes.values_mut() {
            let changes = std::mem::take(&mut state.changes);
            for client in &state.clients {
                let Some(tracker) = self.trackers.get_mut(client) else { continue };
                let no_loop = tracker.options.no_loop;
                let is_told = |by: &Option<u64>| !(no_loop && *by == Some(*client));
                let told = changes.iter().filter(|(_, by)| is_told(by)).map(|(key, _)| &**key);
                let keys: Vec<&[u8]> = told.collect();
                if !keys.is_empty() {
                    tracker.tell(Some(&keys), post);
                }
            }
        }
    }

    /// Forgets keys, telling their readers, until at most `limit` are left. Looks at a few at a
    /// time; whether more are to go.
    pub(super) fn shrink(&mut self, limit: usize, rng: &mut Pcg64Mcg, post: &mut Post<'_>) -> bool {
        const STEP: usize = 100;
        if limit == 0 {
            return false;
        }
        let over = self.readers.len().saturating_sub(limit).min(STEP);
        if over > 0 {
            let most = self.readers.len() - over + 1;
            let skipped = (rng.next_u64() % most as u64) as usize;
            let keys: Vec<Box<[u8]>> =
                self.readers.keys().skip(skipped).take(over).cloned().collect();
            keys.iter().for_each(|key| self.invalidate(key, None, post));
        }
        self.readers.len() > limit
    }
}

impl Tracker {
    /// Sends the keys that changed, or that all did.
    fn tell(&mut self, keys: Option<&[&[u8]]>, post: &mut Post<'_>) {
        let (slot, redirected) = match self.options.redirect {
            None => (self.slot, false),
            Some(id) => {
                match post.clients.find(id).filter(|slot| !post.clients.is_closing(*slot)) {
                    Some(slot) => (slot, true),
                    None => return self.tell_of_broken_redirect(id, post),
                }
            }
        };
        let listens = redirected && post.pubsub.is_subscriber(slot);
        if !post.clients.speaks_resp3(slot) && !listens {
            // RESP2 has no place for a message among replies.
            return;
        }
        post.clients.post(slot, |reply| {
            if reply.protocol() == crate::resp::Protocol::Resp3 {
                reply.push(2);
                reply.bulk(b"invalidate");
            } else {
                reply.array(3);
                reply.bulk(b"message");
                reply.bulk(b"__redis__:invalidate");
            }
            match keys {
                Some(keys) => reply.bulks(keys),
                None => reply.null(),
            }
        });
    }

    fn tell_of_broken_redirect(&mut self, id: u64, post: &mut Post<'_>) {
        self.broken_redirect = true;
        if post.clients.speaks_resp3(self.slot) {
            post.clients.post(self.slot, |reply| {
                reply.push(2);
                reply.bulk(b"tracking-redir-broken");
                reply.int(id as i64);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;

    #[test]
    fn a_reader_is_told_once_of_a_change_and_not_of_its_own() {
        let mut world = World::new();
        let (reader, writer) = (world.connect(), world.connect());
        world.run(reader, "HELLO 3");
        world.run(reader, "CLIENT TRACKING ON NOLOOP");
        world.run(reader, "GET k");
        world.run(reader, "SET k 1");
        assert_eq!(world.messages(reader), "");
        world.run(reader, "GET k");
        world.run(writer, "MSET k 1 other 2");
        world.run(writer, "SET k 2");
        assert_eq!(world.messages(reader), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
        assert_eq!(world.engine.tracking.items(), 0);
    }

    #[test]
    fn prefixes_are_told_of_in_one_message_each_batch() {
        let mut world = World::new();
        let (listener, writer) = (world.connect(), world.connect());
        world.run(listener, "HELLO 3");
        world.run(listener, "CLIENT TRACKING ON BCAST PREFIX a PREFIX b");
        world.run(writer, "MSET a2 1 a1 2 c 3");
        let told = ">2\r\n$10\r\ninvalidate\r\n*2\r\n$2\r\na1\r\n$2\r\na2\r\n";
        assert_eq!(world.messages(listener), told);
        world.engine.disconnect(listener);
        assert_eq!((world.engine.tracking.clients(), world.engine.tracking.prefixes()), (0, 0));
    }

    #[test]
    fn a_redirect_whose_target_left_says_so() {
        let mut world = World::new();
        let (reader, target, writer) = (world.connect(), world.connect(), world.connect());
        world.run(reader, "HELLO 3");
        world.run(target, "SUBSCRIBE __redis__:invalidate");
        world.run(reader, "CLIENT TRACKING ON REDIRECT 2");
        world.run(reader, "GET k");
        world.run(writer, "SET k 1");
        let told = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n";
        assert_eq!(world.messages(target), told);
        // It has said so, and its connection ends soon.
        world.run(target, "QUIT");
        world.run(reader, "GET k");
        world.run(writer, "SET k 2");
        assert_eq!(world.messages(reader), ">2\r\n$21\r\ntracking-redir-broken\r\n:2\r\n");
    }
}
