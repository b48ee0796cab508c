//! The 24 bits in which each key remembers its accesses, for eviction: when it was last read or
//! written, or how often lately.
//!
//! Recency is the server's clock in seconds; it goes round once in 194 days. Frequency is Redis'
//! Morris counter: 16 bits of minutes and 8 bits that grow ever more rarely, from 5 for a new key.

use std::time::Duration;

use crate::clock::Now;
use crate::config::eviction::{Order, Scope};
use crate::config::settings::Settings;
use crate::keyspace::Entry;
use crate::rdb::file::Access;

const CLOCK: u32 = 0xff_ffff;
/// Where a new key starts, so that it is not the first to go (`LFU_INIT_VAL`).
const FIRST_COUNT: u32 = 5;
const MAX_COUNT: u32 = 255;

/// An access about to be noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Time(u32),
    Count(Counting),
}

/// How a frequency grows and fades.
#[derive(Clone, Copy, Debug)]
struct Counting {
    minutes: u32,
    /// `lfu-log-factor`.
    log_factor: u64,
    /// `lfu-decay-time`: minutes for one step down; zero never fades.
    decay_minutes: u32,
    /// Decides whether the counter grows.
    draw: u64,
}

impl Note {
    /// For an access at `now`; `draw` is a random number.
    #[inline]
    pub(super) fn new(settings: &Settings, now: Now, draw: impl FnOnce() -> u64) -> Self {
        let kind = match settings.eviction.order {
            Order::Lfu => Kind::Count(Counting { draw: draw(), ..Counting::new(settings, now) }),
            _ => Kind::Time(seconds(now)),
        };
        Self { kind }
    }

    #[inline]
    pub(super) fn on(self, entry: Entry<'_>) {
        let access = match self.kind {
            Kind::Time(clock) => clock,
            Kind::Count(counting) => counting.counted(entry.access()),
        };
        entry.set_access(access);
    }
}

impl Counting {
    fn new(settings: &Settings, now: Now) -> Self {
        Self {
            minutes: minutes(now),
            log_factor: settings.lfu_log_factor,
            decay_minutes: settings.lfu_decay_minutes,
            draw: 0,
        }
    }

    /// The counter as it has faded since it was last looked at.
    fn faded(self, access: u32) -> u32 {
        let idle = self.minutes.wrapping_sub(access >> 8) & 0xffff;
        let steps = idle.checked_div(self.decay_minutes).unwrap_or(0);
        (access & 0xff).saturating_sub(steps)
    }

    fn counted(self, access: u32) -> u32 {
        let count = self.faded(access);
        let above = u64::from(count.saturating_sub(FIRST_COUNT));
        let one_in = above.saturating_mul(self.log_factor).saturating_add(1);
        let grows = count < MAX_COUNT && self.draw < u64::MAX / one_in;
        self.minutes << 8 | (count + u32::from(grows))
    }
}

/// What a new key starts with.
pub(super) fn initial(settings: &Settings, now: Now) -> u32 {
    match settings.eviction.order {
        Order::Lfu => minutes(now) << 8 | FIRST_COUNT,
        _ => seconds(now),
    }
}

/// How long that stays the same.
pub(super) fn changes_in(now: Now) -> Duration {
    Duration::from_millis(1000 - now.ms().rem_euclid(1000).unsigned_abs())
}

/// What is known about the accesses of a key that comes from elsewhere, in this server's bits;
/// `None` if it is not what is noted here.
pub fn import(access: Access, settings: &Settings, now: Now) -> Option<u32> {
    let counts = settings.eviction.order == Order::Lfu;
    match access {
        Access::Frequency(count) if counts => Some(minutes(now) << 8 | u32::from(count)),
        Access::Idle(idle) if !counts => {
            let idle = idle.min(CLOCK.into()) as u32;
            Some(seconds(now).wrapping_sub(idle) & CLOCK)
        }
        _ => None,
    }
}

/// Tells a file of keys' accesses, if they are evicted by that.
#[derive(Clone, Copy, Debug)]
pub struct Export(Option<(Kind, Now)>);

impl Export {
    pub fn new(settings: &Settings, now: Now) -> Self {
        let kind = match (settings.eviction.scope, settings.eviction.order) {
            (Scope::Nothing, _) | (_, Order::Random | Order::Ttl) => None,
            (_, Order::Lru | Order::Lrm) => Some(Kind::Time(seconds(now))),
            (_, Order::Lfu) => Some(Kind::Count(Counting::new(settings, now))),
        };
        Self(kind.map(|kind| (kind, now)))
    }

    pub fn of(self, entry: Entry<'_>) -> Option<Access> {
        self.0.map(|(kind, now)| match kind {
            Kind::Time(_) => Access::Idle(idle_seconds(entry, now).into()),
            Kind::Count(counting) => Access::Frequency(counting.faded(entry.access()) as u8),
        })
    }
}

/// What a file is told of a key's accesses, if its keys are evicted by that.
pub fn export(entry: Entry<'_>, settings: &Settings, now: Now) -> Option<Access> {
    Export::new(settings, now).of(entry)
}

/// Seconds since the last access noted.
pub fn idle_seconds(entry: Entry<'_>, now: Now) -> u32 {
    seconds(now).wrapping_sub(entry.access()) & CLOCK
}

/// How often the key was accessed lately, on the logarithmic scale from 0 to 255.
pub fn frequency(entry: Entry<'_>, settings: &Settings, now: Now) -> u32 {
    Counting::new(settings, now).faded(entry.access())
}

fn seconds(now: Now) -> u32 {
    (now.ms() / 1000) as u32 & CLOCK
}

fn minutes(now: Now) -> u32 {
    (now.ms() / 60_000) as u32 & 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::World;

    #[test]
    fn the_first_key_of_a_server_is_not_old() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "SET a 1");
        assert_eq!(world.run(client, "OBJECT IDLETIME a"), ":0\r\n");
    }

    #[test]
    fn what_a_file_is_told_comes_back() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "SET a 1");
        world.pass_ms(7_000);
        for (policy, told) in [
            ("allkeys-lru", Some(Access::Idle(7))),
            ("noeviction", None),
            ("volatile-ttl", None),
            ("allkeys-random", None),
            ("volatile-lrm", Some(Access::Idle(7))),
        ] {
            world.run(client, &format!("CONFIG SET maxmemory-policy {policy}"));
            let (settings, entry) =
                (world.engine.config.settings(), world.engine.keyspace.db(0).find(b"a"));
            let access = export(entry.expect("set"), settings, world.now);
            assert_eq!(access, told, "{policy}");
        }
        world.run(client, "CONFIG SET maxmemory-policy allkeys-lfu");
        world.run(client, "SET b 1");
        let (settings, entry) =
            (world.engine.config.settings(), world.engine.keyspace.db(0).find(b"b"));
        let entry = entry.expect("set");
        assert_eq!(export(entry, settings, world.now), Some(Access::Frequency(5)));
        entry.set_access(import(Access::Frequency(9), settings, world.now).expect("counts"));
        assert_eq!(import(Access::Idle(9), settings, world.now), None);
        assert_eq!(export(entry, settings, world.now), Some(Access::Frequency(9)));
    }

    fn counting(minutes: u32, draw: u64) -> Counting {
        Counting { minutes, log_factor: 10, decay_minutes: 1, draw }
    }

    #[test]
    fn a_counter_grows_ever_more_rarely() {
        assert_eq!(counting(7, 0).counted(7 << 8 | 5), 7 << 8 | 6);
        // At 15 it is one access in 101.
        assert_eq!(counting(7, u64::MAX / 102).counted(7 << 8 | 15) & 0xff, 16);
        assert_eq!(counting(7, u64::MAX / 100).counted(7 << 8 | 15) & 0xff, 15);
        assert_eq!(counting(7, 0).counted(7 << 8 | 255) & 0xff, 255);
    }

    #[test]
    fn a_counter_fades_by_the_minute_and_round_the_clock() {
        assert_eq!(counting(10, 0).faded(7 << 8 | 5), 2);
        assert_eq!(counting(100, 0).faded(7 << 8 | 5), 0);
        assert_eq!(counting(1, 0).faded(0xffff << 8 | 5), 3);
        let never = Counting { decay_minutes: 0, ..counting(100, 0) };
        assert_eq!(never.faded(5), 5);
    }
}
