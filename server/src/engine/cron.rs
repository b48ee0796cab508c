//! Background work, in slices: each call does little and says when to come again.

use std::time::Duration;

use super::access;
use super::evict::Room;
use super::tracking::Post;
use super::{Client, Closing, Engine, Event, Journal};
use crate::clock::Now;
use crate::config::eviction::Order;
use crate::config::notify::Class;
use crate::keyspace::Due;
use crate::resp::Argv;
use crate::resp::OwnedArgv;

/// The longest slice of active expiry or of gathering, in microseconds. With [`BUSY`] between two, it
/// takes at most a fifth of one processor.
pub(super) const SLICE_US: i64 = 250;
/// Keys of one database examined before the next one's turn comes, and the time is looked at.
const EXPIRE_STEP: usize = 64;
/// Between slices while keys are still due.
const BUSY: Duration = Duration::from_millis(1);
/// How often counters are sampled and idle clients looked for.
const SAMPLE_MS: i64 = 100;
const IDLE_CHECK_MS: i64 = 1000;

#[derive(Debug, Default)]
pub(super) struct Cron {
    sampled_ms: i64,
    idle_checked_ms: i64,
    /// When the next slice is due; earlier work rings the bell.
    next_ms: i64,
    /// The database whose turn it is to have its keys expired.
    next_db: usize,
}

impl Engine {
    /// One slice of background work; how long to wait before the next. `clock_us` tells the time
    /// while the slice runs, in microseconds from wherever.
    pub fn tick(&mut self, now: Now, clock_us: impl Fn() -> i64) -> Duration {
        let began_us = clock_us();
        let mut pause = self.slice(now, &clock_us);
        if self.snapshot_slice(now, &clock_us) {
            pause = pause.min(BUSY);
        }
        let spent_us = clock_us().abs_diff(began_us);
        self.stats.turns.add(spent_us, 0);
        self.stats.turns.background_us += spent_us;
        self.offer_journal();
        self.cron.next_ms = now.ms().saturating_add(pause.as_millis() as i64);
        pause
    }

    /// Has background work come in time for something due at `deadline_ms`.
    #[inline]
    pub(crate) fn wake_cron_before(&mut self, deadline_ms: i64) {
        if deadline_ms < self.cron.next_ms {
            self.cron.next_ms = deadline_ms;
            self.cron_bell.ring();
        }
    }

    /// Has what the log needs looked at at once, and writes wait for it.
    #[cold]
    pub(super) fn look_after_persistence_now(&mut self) {
        self.persistence.hold_writes();
        self.cron.sampled_ms = 0;
        self.cron_bell.ring();
    }

    fn slice(&mut self, now: Now, clock_us: &impl Fn() -> i64) -> Duration {
        let pause =
            Duration::from_millis(1000 / u64::from(self.config.settings().hz.clamp(1, 500)));
        if self.cron_paused {
            return pause;
        }
        let now_ms = now.ms();
        // At each second's begin, lest a new key be taken for one that has been idle for a second.
        self.refresh_access(now);
        let pause = pause.min(access::changes_in(now));
        self.release_overdue(now_ms);
        self.release_logged();
        if self.pause.is_over(now_ms) {
            self.pause.end();
            self.wake_paused();
        }
        if now_ms - self.cron.sampled_ms >= SAMPLE_MS {
            self.cron.sampled_ms = now_ms;
            self.stats.sample(now_ms);
            let used = self.used_memory();
            self.measure_waste();
            self.look_after_persistence(now);
            self.stats.peak_memory_bytes = self.stats.peak_memory_bytes.max(used);
        }
        if now_ms - self.cron.idle_checked_ms >= IDLE_CHECK_MS {
            self.cron.idle_checked_ms = now_ms;
            self.gathering.may_begin = true;
            self.close_idle(now_ms);
            self.remind_slow();
        }
        let forgets = self.shrink_tracking();
        let evicts = self.make_room(now) == Room::Soon;
        self.trim_footprint(now);
        let expires = self.expires_keys(now_ms);
        let start_us = clock_us();
        let more = expires && self.expire_slice(now, clock_us);
        let gathers = self.gather_slice(|| clock_us() - start_us);
        self.broadcast_changes();
        if more || forgets || evicts || gathers {
            return BUSY;
        }
        let keys =
            self.keyspace.iter().filter(|_| expires).filter_map(|(_, db)| db.next_deadline());
        let next_ms = keys.chain(self.waiters.next_deadline_ms()).min();
        let wait = next_ms.map(|at| Duration::from_millis(at.saturating_sub(now_ms).max(0) as u64));
        wait.map_or(pause, |wait| wait.clamp(BUSY, pause))
    }

    /// Wakes clients that CLIENT PAUSE held back.
    pub(crate) fn wake_paused(&mut self) {
        for client in self.clients.iter_mut().filter(|client| client.paused) {
            client.paused = false;
            client.bell.ring();
        }
    }

    /// Tells the keyspace what new keys remember of their first access from `now` on.
    pub(crate) fn refresh_access(&mut self, now: Now) {
        let settings = self.config.settings();
        let by_recency = settings.eviction.order != Order::Lfu;
        self.keyspace.set_initial_access(access::initial(settings, now), by_recency);
    }

    /// Keeps to `tracking-table-max-keys`; whether there is more to do.
    pub(super) fn shrink_tracking(&mut self) -> bool {
        let limit = self.config.settings().tracking_max_keys;
        let mut post = Post { clients: &mut self.clients, pubsub: &self.pubsub };
        self.tracking.shrink(limit, &mut self.rng, &mut post)
    }

    fn expires_keys(&self, now_ms: i64) -> bool {
        let writes_paused = self.pause.at(now_ms).is_some();
        let is_held = self.config.settings().import_mode || self.is_replaying();
        self.active_expire && !writes_paused && !is_held
    }

    /// Removes keys that are due, in each database some and then again, until none is left or the
    /// time is up. Whether more are due.
    fn expire_slice(&mut self, now: Now, clock_us: &impl Fn() -> i64) -> bool {
        let now_ms = now.ms();
        let start_us = clock_us();
        let mut spent_us = 0;
        let mut more = true;
        while more && spent_us < SLICE_US {
            more = false;
            for _ in 0..self.keyspace.databases() {
                let index = self.cron.next_db % self.keyspace.databases();
                self.cron.next_db = index + 1;
                if self.keyspace.db(index).next_deadline().is_none() {
                    continue;
                }
                more |= self.expire_some(index, now_ms);
                spent_us = clock_us() - start_us;
                if spent_us >= SLICE_US {
                    // Those whose turn did not come may have more.
                    self.stats.expired_time_cap_reached += 1;
                    more = true;
                    break;
                }
            }
        }
        self.stats.expire_cycle_us += spent_us.unsigned_abs();
        self.note_latency(Event::ExpireCycle, spent_us.unsigned_abs(), now);
        more
    }

    fn expire_some(&mut self, index: usize, now_ms: i64) -> bool {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        // Hashes that lost fields, and whether any are left.
        let mut hashes: Vec<(Box<[u8]>, bool)> = Vec::new();
        let is_told = self.config.settings().keyspace_events.contains(Class::EXPIRED);
        let is_watched = is_told || !self.watches.is_empty() || !self.tracking.is_empty();
        let lazily = self.config.settings().lazy_expiry;
        // Those of the hash that comes next.
        let mut fields = OwnedArgv::default();
        let (db, journal) = (self.keyspace.db_mut(index), &mut self.journal);
        let slice = db.expire_due(now_ms, EXPIRE_STEP, |due| match due {
            Due::Key(entry) => {
                journal.add_removal(index, entry.key(), lazily);
                journal.unit_is_over();
                if is_watched {
                    keys.push(entry.key().into());
                }
            }
            Due::Field(field) if journal.is_on() => fields.push(field),
            Due::Field(_) => {}
            Due::Fields(entry) => {
                log_expired_fields(journal, index, entry.key(), fields.view());
                fields.clear();
                let is_gone = entry.collection().is_some_and(|collection| collection.is_void());
                hashes.push((entry.key().into(), is_gone));
            }
        });
        if db.has_replaced() {
            self.discard_replaced(index);
        }
        self.stats.expired_keys += slice.removed as u64;
        self.stats.expired_fields += slice.fields as u64;
        for key in keys {
            self.touch_watchers(index, &key);
            self.invalidate(&key, None);
            self.notify(Class::EXPIRED, "expired", index, &key);
        }
        for (key, is_gone) in hashes {
            self.touch_watchers(index, &key);
            self.invalidate(&key, None);
            self.notify(Class::EXPIRED, "hexpired", index, &key);
            if is_gone {
                self.notify(Class::GENERIC, "del", index, &key);
            }
        }
        slice.more
    }

    /// Has connections look at their soft output limit that send nothing and so never look.
    fn remind_slow(&mut self) {
        let holds_output = |client: &&Client| client.buffers.output_len > 0;
        self.clients.iter().filter(holds_output).for_each(|client| client.bell.ring());
    }

    /// The `timeout` directive.
    fn close_idle(&mut self, now_ms: i64) {
        let limit_ms = self.config.settings().timeout.as_millis() as i64;
        if limit_ms == 0 {
            return;
        }
        for client in self.clients.iter_mut() {
            let may_idle = client.is_blocked() || !client.subscriptions.is_empty();
            let idles = now_ms - client.last_active_ms > limit_ms && !may_idle;
            if idles && client.closing == Closing::No {
                client.close(Closing::Now);
            }
        }
    }
}

/// One unit for a hash. It goes by itself with its last field.
fn log_expired_fields(journal: &mut Journal, db: usize, key: &[u8], fields: Argv<'_>) {
    journal.add(db, 2 + fields.len(), |line| {
        line.word(b"HDEL").word(key).words(fields.iter()).done();
    });
    journal.unit_is_over();
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    use super::super::testing::World;
    use super::*;

    #[test]
    fn keys_of_all_databases_go_when_their_time_comes() {
        let mut world = World::new();
        let client = world.connect();
        for db in ["0", "3"] {
            world.run(client, &format!("SELECT {db}"));
            world.run(client, "DEBUG POPULATE 1000");
            for nth in 0..1000 {
                world.run(client, &format!("PEXPIRE key:{nth} 50"));
            }
        }
        world.run(client, "SET stays 1");
        world.pass_ms(49);
        assert_eq!(
            world.tick(),
            Duration::from_millis(1),
            "the next deadline is a millisecond off"
        );
        assert_eq!(world.engine.keyspace.len(), 2001);
        world.pass_ms(1);
        world.tick();
        assert_eq!(world.engine.keyspace.len(), 1);
        assert_eq!(world.engine.stats.expired_keys, 2000);
    }

    #[test]
    fn a_key_that_comes_due_soon_wakes_background_work() {
        let mut world = World::new();
        let client = world.connect();
        assert!(world.tick() >= Duration::from_millis(100), "there is nothing to do");
        world.execute(client, "SET k v PX 5\r\n");
        let bell = Arc::clone(&world.engine.cron_bell);
        let waker = Waker::from(Arc::new(Sleeper));
        assert!(bell.answer(&waker), "it rang");
        world.execute(client, "SET k v PX 50\r\n");
        assert!(!bell.answer(&waker), "the earlier look is soon enough");
    }

    struct Sleeper;

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_slice_ends_when_its_time_is_up_and_every_database_has_its_turn() {
        let mut world = World::new();
        let client = world.connect();
        for db in 0..4 {
            world.run(client, &format!("SELECT {db}"));
            world.run(client, "DEBUG POPULATE 5000");
            for nth in 0..5000 {
                world.run(client, &format!("PEXPIRE key:{nth} 10"));
            }
        }
        world.pass_ms(10);
        // Each look at the clock finds half a slice gone.
        let time_us = Cell::new(0);
        let clock_us = || time_us.replace(time_us.get() + SLICE_US / 2);
        for _ in 0..2 {
            assert_eq!(world.engine.tick(world.now, clock_us), BUSY);
        }
        let left: Vec<usize> =
            world.engine.keyspace.iter().map(|(_, db)| db.len()).take(4).collect();
        assert!(left.iter().all(|&len| (1..5000).contains(&len)), "{left:?}");
        assert_eq!(world.engine.stats.expired_time_cap_reached, 2);
        while world.tick() == BUSY {}
        assert_eq!(world.engine.keyspace.len(), 0);
    }

    #[test]
    fn nothing_expires_while_writes_wait_or_data_is_imported() {
        for stop in ["DEBUG SET-ACTIVE-EXPIRE 0", "CONFIG SET import-mode yes", "CLIENT PAUSE 1000"]
        {
            let mut world = World::new();
            let client = world.connect();
            world.run(client, "SET a 1 PX 10");
            assert_eq!(world.run(client, stop), "+OK\r\n");
            world.pass_ms(20);
            world.tick();
            assert_eq!(world.engine.keyspace.len(), 1, "{stop}");
        }
    }

    #[test]
    fn due_fields_go_and_the_hash_with_the_last_one() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "HSET h a 1 b 2 c 3");
        world.run(client, "HPEXPIRE h 50 FIELDS 1 a");
        world.run(client, "HPEXPIRE h 70 FIELDS 2 b c");
        world.pass_ms(49);
        assert_eq!(world.tick(), Duration::from_millis(1));
        assert_eq!(world.run(client, "HLEN h"), ":3\r\n");
        world.pass_ms(1);
        assert_eq!(world.run(client, "HGET h a"), "$-1\r\n", "out of sight before it goes");
        assert_eq!(world.run(client, "HLEN h"), ":3\r\n");
        world.tick();
        assert_eq!(world.run(client, "HLEN h"), ":2\r\n");
        world.pass_ms(20);
        world.tick();
        assert_eq!(world.run(client, "EXISTS h"), ":0\r\n");
        assert_eq!((world.engine.stats.expired_fields, world.engine.stats.expired_keys), (3, 0));
    }

    #[test]
    fn hashes_with_volatile_fields_are_counted_whatever_becomes_of_them() {
        let mut world = World::new();
        let client = world.connect();
        let within = |world: &World| -> usize {
            world.engine.keyspace.iter().map(|(_, db)| db.volatile_within_len()).sum()
        };
        for (command, expected) in [
            ("HSETEX h EX 100 FIELDS 2 a 1 b 2", 1),
            ("COPY h copy", 2),
            ("RENAME copy other", 2),
            ("MOVE other 3", 2),
            ("HDEL h a", 2),
            ("HPERSIST h FIELDS 1 b", 1),
            ("HEXPIRE h 100 FIELDS 1 b", 2),
            ("HSET h b 3", 1),
            ("HGETEX h EX 100 FIELDS 1 b", 2),
            ("SET h text", 1),
            ("HSETEX g EX 100 FIELDS 1 a 1", 2),
            ("HGETDEL g FIELDS 1 a", 1),
            ("HSETEX g EX 100 FIELDS 1 a 1", 2),
            ("DEL g", 1),
            ("HSETEX g EX 1 FIELDS 1 a 1", 2),
            ("FLUSHDB", 1),
            ("FLUSHALL", 0),
        ] {
            world.run(client, command);
            assert_eq!(within(&world), expected, "{command}");
        }
    }

    #[test]
    fn many_due_fields_go_in_slices() {
        let mut world = World::new();
        let client = world.connect();
        for nth in 0..500 {
            let fields: Vec<String> = (0..10).map(|field| format!("f{nth}-{field} v")).collect();
            world.run(client, &format!("HSETEX h PX 10 FIELDS 10 {}", fields.join(" ")));
        }
        world.pass_ms(10);
        let time_us = Cell::new(0);
        let clock_us = || time_us.replace(time_us.get() + SLICE_US / 2);
        assert_eq!(world.engine.tick(world.now, clock_us), BUSY);
        let left = world.engine.keyspace.db(0).find(b"h").and_then(|entry| entry.collection());
        let left = left.map_or(0, |hash| hash.len());
        assert!((4_000..5_000).contains(&left), "{left}");
        while world.tick() == BUSY {}
        assert_eq!(world.engine.keyspace.len(), 0);
        assert_eq!(world.engine.stats.expired_fields, 5_000);
    }

    #[test]
    fn a_field_that_goes_breaks_a_watch() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "HSET h a 1 b 2");
        world.run(client, "HPEXPIRE h 10 FIELDS 1 a");
        world.run(client, "WATCH h");
        world.pass_ms(10);
        world.tick();
        world.run(client, "MULTI");
        world.run(client, "PING");
        assert_eq!(world.run(client, "EXEC"), "*-1\r\n");
    }
}
