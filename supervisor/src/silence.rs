//! Why a service is silent: two looks at what the kernel's scheduler counts for its threads.
//!
//! Who was ready to run and got no processor is no more to blame for its silence than for anything
//! else, and a new process would starve as well. Who ran all the time is at work, or in an endless
//! loop: that is a question of patience. Everybody else could have spoken.
//!
//! Pure: init takes the looks, and decides what a cause is worth. The agent's prober, which knows each
//! thread and the cgroup too, goes by the same shares.

use crate::clock::Ms;

/// Shares of the time between two looks, in percent, that decide: ready to run without a processor
/// for this much, or on one for this much.
pub const WAITED_PERCENT: u32 = 20;
pub const RAN_PERCENT: u32 = 50;
const NS_PER_MS: u64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It could have spoken: it waits for something, is stopped, or is gone.
    Idle,
    /// It runs, or waits for a disk.
    Busy,
    /// It had no processor.
    Starved,
}

/// One look at all of a process's threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    pub at: Ms,
    ran_ns: u64,
    waited_ns: u64,
    /// Some thread is ready to run, or does.
    is_ready: bool,
    /// Some thread waits for a disk (state D).
    is_stuck: bool,
    /// Some thread is stopped by a signal or a debugger.
    is_stopped: bool,
}

impl Look {
    pub fn new(at: Ms) -> Self {
        Self { at, ..Self::default() }
    }

    /// One thread, by its `stat` and its `schedstat` in /proc. What cannot be read counts for nothing.
    pub fn add(&mut self, stat: &str, schedstat: &str) {
        match state(stat) {
            Some(b'R') => self.is_ready = true,
            Some(b'D') => self.is_stuck = true,
            Some(b'T' | b't') => self.is_stopped = true,
            _ => {}
        }
        let (ran, waited) = times(schedstat).unwrap_or_default();
        self.ran_ns = self.ran_ns.saturating_add(ran);
        self.waited_ns = self.waited_ns.saturating_add(waited);
    }

    /// What it did since `before`.
    pub fn since(&self, before: &Self) -> Cause {
        let time = self.at.saturating_sub(before.at).saturating_mul(NS_PER_MS);
        let share = |percent: u32| time / 100 * u64::from(percent);
        let ran = self.ran_ns.saturating_sub(before.ran_ns);
        let waited = self.waited_ns.saturating_sub(before.waited_ns);
        // A wait is added up when it is over: one that goes on shows as ready, then as now.
        let waits = if self.is_ready && before.is_ready { time.saturating_sub(ran) } else { 0 };
        if self.is_stopped || time == 0 {
            Cause::Idle
        } else if waited.max(waits) >= share(WAITED_PERCENT) {
            Cause::Starved
        } else if self.is_stuck || ran >= share(RAN_PERCENT) {
            Cause::Busy
        } else {
            Cause::Idle
        }
    }
}

/// A thread's state, as /proc has it in `stat`.
pub fn state(stat: &str) -> Option<u8> {
    // The name is in brackets and may hold anything, brackets too.
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.bytes().next())
}

/// Nanoseconds on a processor and waiting for one, then a count (scheduler statistics of the kernel).
pub fn times(schedstat: &str) -> Option<(u64, u64)> {
    let mut numbers = schedstat.split_ascii_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A process of one thread: its state, and the milliseconds it ran and waited so far.
    fn look(at: Ms, state: char, ran_ms: u64, waited_ms: u64) -> Look {
        let mut look = Look::new(at);
        let times = std::format!("{} {} 3\n", ran_ms * NS_PER_MS, waited_ms * NS_PER_MS);
        look.add(&std::format!("7 (na) (me) {state} 1 7"), &times);
        look
    }

    fn cause(before: (char, u64, u64), after: (char, u64, u64)) -> Cause {
        look(2_000, after.0, after.1, after.2).since(&look(1_000, before.0, before.1, before.2))
    }

    #[test]
    fn who_waits_for_something_else_is_idle() {
        assert_eq!(cause(('S', 10, 10), ('S', 12, 11)), Cause::Idle);
        assert_eq!(cause(('S', 10, 10), ('R', 12, 11)), Cause::Idle, "it has only just woken");
    }

    #[test]
    fn who_had_no_processor_starved() {
        assert_eq!(cause(('S', 10, 10), ('S', 20, 210)), Cause::Starved);
        assert_eq!(cause(('R', 10, 10), ('R', 20, 10)), Cause::Starved, "the wait is not over");
    }

    #[test]
    fn who_ran_or_waits_for_a_disk_is_busy() {
        assert_eq!(cause(('R', 10, 10), ('R', 1_000, 11)), Cause::Busy);
        assert_eq!(cause(('S', 10, 10), ('S', 600, 11)), Cause::Busy);
        assert_eq!(cause(('D', 10, 10), ('D', 10, 10)), Cause::Busy);
    }

    #[test]
    fn who_is_stopped_will_not_speak_by_itself() {
        assert_eq!(cause(('R', 10, 10), ('T', 10, 900)), Cause::Idle);
    }

    #[test]
    fn a_thread_that_starves_counts_among_those_that_sleep() {
        let with_sleeper = |at, state, waited_ms| {
            let mut look = look(at, state, 5, waited_ms);
            look.add("8 (x) S 1", "0 0 0");
            look
        };
        let cause = with_sleeper(2_000, 'S', 400).since(&with_sleeper(1_000, 'S', 5));
        assert_eq!(cause, Cause::Starved);
    }

    #[test]
    fn who_is_gone_or_cannot_be_read_is_idle() {
        assert_eq!(Look::new(2_000).since(&look(1_000, 'R', 10, 10)), Cause::Idle);
        let mut nonsense = Look::new(2_000);
        nonsense.add("nonsense", "x y");
        assert_eq!(nonsense.since(&Look::new(1_000)), Cause::Idle);
    }

    proptest! {
        #[test]
        fn no_text_panics(stat in ".*", times in ".*", at in any::<u64>(), more in any::<u64>()) {
            let mut before = Look::new(at);
            before.add(&stat, &times);
            let mut after = Look::new(more);
            after.add(&stat, &times);
            let _ = after.since(&before);
        }
    }
}
