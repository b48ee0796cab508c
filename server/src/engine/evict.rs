//! Eviction: which keys go when memory runs short, a few at a time.
//!
//! As in Redis the order is approximate: of some keys sampled at random the best candidates are
//! kept in a pool from one time to the next, and the best of the pool goes.

use rand_pcg::rand_core::Rng as _;

use super::access::{frequency, idle_seconds};
use super::{Engine, Garbage};
use crate::clock::Now;
use crate::config::eviction::{Eviction, Order, Scope};
use crate::config::notify::Class;
use crate::config::settings::Settings;
use crate::keyspace::Entry;

/// Keys evicted before a command is let through with memory still short: what is left to do then,
/// background work does.
const STEP: usize = 64;

/// Whether there is room for a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// Being made; writes may go on.
    Soon,
    /// Nothing that may be evicted is left.
    None,
}

#[derive(Debug)]
struct Candidate {
    /// The higher, the sooner it goes.
    score: u64,
    db: usize,
    key: Box<[u8]>,
}

/// The best candidates seen, the best last.
#[derive(Debug, Default)]
pub(super) struct Pool(Vec<Candidate>);

impl Pool {
    const SIZE: usize = 16;

    fn offer(&mut self, score: u64, db: usize, key: &[u8]) {
        if self.0.len() == Self::SIZE && self.0[0].score >= score {
            return;
        }
        if self.0.iter().any(|known| known.db == db && *known.key == *key) {
            return;
        }
        let at = self.0.partition_point(|known| known.score < score);
        self.0.insert(at, Candidate { score, db, key: key.into() });
        if self.0.len() > Self::SIZE {
            self.0.remove(0);
        }
    }
}

/// How soon a key should go, higher is sooner.
fn score(entry: Entry<'_>, order: Order, settings: &Settings, now: Now) -> u64 {
    match order {
        Order::Lru | Order::Lrm => u64::from(idle_seconds(entry, now)),
        Order::Lfu => 255 - u64::from(frequency(entry, settings, now)),
        Order::Ttl => u64::MAX - entry.expire_at().map_or(0, |at| at.max(0).unsigned_abs()),
        Order::Random => 0,
    }
}

impl Engine {
    /// Evicts keys until memory suffices, but only so many.
    #[inline]
    pub(super) fn make_room(&mut self, now: Now) -> Room {
        let limit = self.max_memory();
        if limit == 0 {
            return Room::Enough;
        }
        let allocated = crate::alloc::used_bytes();
        if self.nears_footprint(allocated, limit) {
            self.gather_some(allocated, limit);
        }
        if self.used_of(allocated) <= limit { Room::Enough } else { self.evict_some(now) }
    }

    /// Whether `maxmemory` is kept.
    fn memory_left(&self) -> bool {
        let limit = self.max_memory();
        limit == 0 || self.used_memory() <= limit
    }

    /// A few keys for the sake of the footprint, where gathering what is scattered does not help. Never
    /// more than a fifth of the data.
    pub(super) fn trim_footprint(&mut self, now: Now) {
        let Some(policy) = self.policy_in_force(now) else { return };
        let limit = self.max_memory();
        for _ in 0..STEP {
            let allocated = crate::alloc::used_bytes();
            let is_over = limit > 0 && self.is_over_footprint(allocated, limit);
            if !is_over || self.is_gathering() || self.used_of(allocated) <= limit / 5 * 4 {
                return;
            }
            let Some((db, key)) = self.next_victim(policy, now) else { return };
            self.evict(db, &key);
        }
    }

    /// By which policy keys may go now, if they may: not while writes wait, or data is imported or
    /// loaded.
    fn policy_in_force(&self, now: Now) -> Option<Eviction> {
        let settings = self.config.settings();
        let writes_wait = self.pause.at(now.ms()).is_some();
        let is_held = settings.import_mode || self.is_replaying() || writes_wait;
        Some(settings.eviction).filter(|policy| policy.scope != Scope::Nothing && !is_held)
    }

    #[cold]
    fn evict_some(&mut self, now: Now) -> Room {
        let Some(policy) = self.policy_in_force(now) else { return Room::None };
        for _ in 0..STEP {
            let Some((db, key)) = self.next_victim(policy, now) else {
                // What was given away to be freed will make room.
                return if self.being_freed() > 0 { Room::Soon } else { Room::None };
            };
            self.evict(db, &key);
            if self.memory_left() {
                return Room::Enough;
            }
        }
        Room::Soon
    }

    fn next_victim(&mut self, policy: Eviction, now: Now) -> Option<(usize, Box<[u8]>)> {
        if policy.order == Order::Random {
            return self.random_victim(policy);
        }
        loop {
            self.fill_pool(policy, now);
            let candidate = self.eviction_pool.0.pop()?;
            let found = self.keyspace.db(candidate.db).find(&*candidate.key);
            let is_fair =
                |entry: Entry<'_>| policy.scope == Scope::All || entry.expire_at().is_some();
            if found.is_some_and(is_fair) {
                return Some((candidate.db, candidate.key));
            }
        }
    }

    /// Looks at a few keys of every database.
    fn fill_pool(&mut self, policy: Eviction, now: Now) {
        let Self { keyspace, eviction_pool, rng, config, .. } = self;
        let settings = config.settings();
        let volatile = policy.scope == Scope::Volatile;
        for (index, db) in keyspace.iter() {
            db.sample(
                || rng.next_u64(),
                volatile,
                settings.max_memory_samples,
                |entry| {
                    let score = score(entry, policy.order, settings, now);
                    eviction_pool.offer(score, index, entry.key());
                },
            );
        }
    }

    /// From one database after the other.
    fn random_victim(&mut self, policy: Eviction) -> Option<(usize, Box<[u8]>)> {
        let Self { keyspace, rng, next_eviction_db, .. } = self;
        let volatile = policy.scope == Scope::Volatile;
        for _ in 0..keyspace.databases() {
            *next_eviction_db = (*next_eviction_db + 1) % keyspace.databases();
            let mut found = None;
            let db = keyspace.db(*next_eviction_db);
            db.sample(|| rng.next_u64(), volatile, 1, |entry| found = Some(entry.key().into()));
            if let Some(key) = found {
                return Some((*next_eviction_db, key));
            }
        }
        None
    }

    fn evict(&mut self, db: usize, key: &[u8]) {
        let before = self.used_memory();
        self.remove(db, key);
        self.count_evicted(before.saturating_sub(self.used_memory()));
        self.journal.add_removal(db, key, self.config.settings().lazy_eviction);
        self.journal.unit_is_over();
        self.stats.evicted_keys += 1;
        self.invalidate(key, None);
        self.touch_watchers(db, key);
        self.notify(Class::EVICTED, "evicted", db, key);
    }

    /// Gives a value or database away to be freed outside the lock.
    pub(crate) fn discard(&mut self, garbage: Garbage) {
        self.host.discard(garbage.counted_by(&self.disposal));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;

    /// A world with a limit that `keys` of a thousand bytes exceed by half.
    fn crowded(policy: &str, setup: impl Fn(&mut World, super::super::Slot)) -> World {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, &format!("CONFIG SET maxmemory-policy {policy}"));
        world.run(client, "CONFIG SET maxmemory-samples 10");
        setup(&mut world, client);
        world
    }

    fn keys(world: &mut World, prefix: &str) -> usize {
        let client = world.connect();
        let reply = world.run(client, &format!("KEYS {prefix}*"));
        reply[1..reply.find('\r').expect("a header")].parse().expect("a count")
    }

    /// Evicts `count` keys, whatever the memory.
    fn evict(world: &mut World, count: usize) {
        for _ in 0..count {
            let policy = world.engine.config.settings().eviction;
            let (db, key) = world.engine.next_victim(policy, world.now).expect("keys are left");
            world.engine.evict(db, &key);
        }
    }

    fn fill(world: &mut World, client: super::super::Slot, prefix: &str, rest: &str) {
        for nth in 0..100 {
            world.run(client, &format!("SET {prefix}{nth} x{rest}"));
        }
    }

    #[test]
    fn what_was_not_used_for_long_goes_first() {
        let mut world = crowded("allkeys-lru", |world, client| {
            fill(world, client, "old", "");
            fill(world, client, "read", "");
            world.pass_ms(60_000);
            world.tick();
            fill(world, client, "new", "");
            for nth in 0..100 {
                world.run(client, &format!("GET read{nth}"));
            }
        });
        evict(&mut world, 90);
        assert!(keys(&mut world, "old") < 25, "nearly all that went were old");
    }

    #[test]
    fn by_changes_a_read_does_not_count() {
        let mut world = crowded("allkeys-lrm", |world, client| {
            fill(world, client, "old", "");
            world.pass_ms(60_000);
            world.tick();
            fill(world, client, "new", "");
            for nth in 0..100 {
                world.run(client, &format!("GET old{nth}"));
            }
        });
        evict(&mut world, 90);
        assert!(keys(&mut world, "old") < 25);
    }

    #[test]
    fn what_is_used_often_stays() {
        let mut world = crowded("allkeys-lfu", |world, client| {
            fill(world, client, "rare", "");
            fill(world, client, "often", "");
            for _ in 0..50 {
                for nth in 0..100 {
                    world.run(client, &format!("GET often{nth}"));
                }
            }
        });
        evict(&mut world, 90);
        assert!(keys(&mut world, "often") > 90);
    }

    #[test]
    fn what_expires_first_goes_first_and_what_never_does_stays() {
        let mut world = crowded("volatile-ttl", |world, client| {
            fill(world, client, "soon", " EX 100");
            fill(world, client, "late", " EX 1000");
            fill(world, client, "never", "");
        });
        evict(&mut world, 90);
        assert!(keys(&mut world, "late") > 85);
        evict(&mut world, 110);
        assert_eq!(keys(&mut world, "never"), 100);
        let policy = world.engine.config.settings().eviction;
        assert!(world.engine.next_victim(policy, world.now).is_none());
    }

    #[test]
    fn a_write_is_refused_only_where_nothing_can_go() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "SET a 1");
        world.run(client, "CONFIG SET maxmemory 1");
        let refusal = world.run(client, "SET b 1");
        assert!(refusal.starts_with("-OOM"), "{refusal}");
        assert_eq!(world.run(client, "GET a"), "$1\r\n1\r\n");
        world.run(client, "CONFIG SET maxmemory-policy allkeys-random");
        world.run(client, "GET a");
        assert_eq!(world.run(client, "EXISTS a"), ":0\r\n");
        assert_eq!(world.engine.stats.evicted_keys, 1);
    }

    #[test]
    fn the_footprint_is_left_alone_while_data_is_imported_or_writes_wait() {
        for held in ["CONFIG SET import-mode yes", "CLIENT PAUSE 1000 WRITE"] {
            let mut world = crowded("allkeys-lru", |world, client| fill(world, client, "k", ""));
            let client = world.connect();
            world.run(client, held);
            world.engine.memory_ceiling = 1 << 50;
            world.engine.gathering.waste_bytes = 1 << 60;
            world.engine.trim_footprint(world.now);
            assert_eq!(world.engine.stats.evicted_keys, 0, "{held}");
        }
    }

    #[test]
    fn commands_gather_a_bounded_part_however_small_the_limit() {
        let mut world = crowded("allkeys-lru", |_, _| {});
        let client = world.connect();
        world.run(client, "DEBUG POPULATE 20000 key 500");
        world.engine.memory_ceiling = 1;
        world.engine.gathering.waste_bytes = 16 << 20;
        world.engine.make_room(world.now);
        assert!(world.engine.is_gathering(), "ten megabytes take more than one command");
    }
}
