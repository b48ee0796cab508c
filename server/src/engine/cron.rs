//! Background work, in slices: each call does little and says when to come again.

use std::time::Duration;

use super::{Closing, Engine};
use crate::clock::Now;

/// Keys examined per slice of active expiry; at about 0.2 µs a key, well below 250 µs.
const EXPIRE_BUDGET: usize = 500;
/// Between slices while keys are still due.
const BUSY: Duration = Duration::from_millis(1);
/// How often counters are sampled and idle clients looked for.
const SAMPLE_MS: i64 = 100;
const IDLE_CHECK_MS: i64 = 1000;

#[derive(Debug, Default)]
pub(super) struct Cron {
    sampled_ms: i64,
    idle_checked_ms: i64,
    next_db: usize,
}

impl Engine {
    /// One slice of background work; how long to wait before the next.
    pub fn tick(&mut self, now: Now) -> Duration {
        let pause =
            Duration::from_millis(1000 / u64::from(self.config.settings().hz.clamp(1, 500)));
        if self.cron_paused {
            return pause;
        }
        let now_ms = now.ms();
        if self.pause.is_over(now_ms) {
            self.pause.end();
            self.wake_paused();
        }
        if now_ms - self.cron.sampled_ms >= SAMPLE_MS {
            self.cron.sampled_ms = now_ms;
            self.stats.sample(now_ms);
            let used = crate::alloc::used_bytes() as u64;
            self.stats.peak_memory_bytes = self.stats.peak_memory_bytes.max(used);
            self.keyspace.set_initial_access(super::call::access_now(now));
        }
        if now_ms - self.cron.idle_checked_ms >= IDLE_CHECK_MS {
            self.cron.idle_checked_ms = now_ms;
            self.close_idle(now_ms);
        }
        if self.expire_slice(now_ms) { BUSY } else { pause.min(Duration::from_millis(20)) }
    }

    /// Wakes clients that CLIENT PAUSE held back.
    pub(crate) fn wake_paused(&mut self) {
        for client in self.clients.iter_mut().filter(|client| client.paused) {
            client.paused = false;
            client.bell.ring();
        }
    }

    /// Removes some due keys; whether more are due.
    fn expire_slice(&mut self, now_ms: i64) -> bool {
        let settings = self.config.settings();
        let writes_paused = self.pause.at(now_ms).is_some();
        if !self.active_expire || writes_paused || settings.import_mode {
            return false;
        }
        let databases = self.keyspace.databases();
        for _ in 0..databases {
            let index = self.cron.next_db % databases;
            self.cron.next_db = (index + 1) % databases;
            if self.keyspace.db(index).volatile_len() == 0 {
                continue;
            }
            let mut due = Vec::new();
            let watched = !self.watches.is_empty();
            let slice = self.keyspace.db_mut(index).expire_due(now_ms, EXPIRE_BUDGET, |entry| {
                if watched {
                    due.push(entry.key().to_vec());
                }
            });
            self.stats.expired_keys += slice.removed as u64;
            for key in due {
                self.touch_watchers(index, &key);
            }
            if slice.more {
                self.stats.expired_time_cap_reached += 1;
                return true;
            }
        }
        false
    }

    /// The `timeout` directive.
    fn close_idle(&mut self, now_ms: i64) {
        let limit_ms = self.config.settings().timeout.as_millis() as i64;
        if limit_ms == 0 {
            return;
        }
        for client in self.clients.iter_mut() {
            if now_ms - client.last_active_ms > limit_ms && client.closing == Closing::No {
                client.close(Closing::Now);
            }
        }
    }
}
