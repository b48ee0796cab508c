//! What the kernel says of a process that does not answer: whether it is stopped, idle, at work, or
//! waits for a processor that others have.
//!
//! Killing a starved server makes nothing better, and it is back to starve again. So a probe's failure
//! is looked at before it counts: who was ready to run and could not is no more to blame than we are
//! when we could not.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use holdfast_supervisor::silence::{self, RAN_PERCENT, WAITED_PERCENT};

/// Threads looked at. The server has one for each CPU and few more.
const MAX_THREADS: usize = 256;
/// We were woken so much later than asked for: somebody else had the processor.
const LATE: Duration = Duration::from_millis(200);

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It could have answered. Also when the kernel tells nothing.
    Idle,
    /// Stopped by a signal or a debugger; it will not go on by itself.
    Stopped,
    /// It runs, or waits for a disk: a long command, or an endless one.
    Busy,
    /// It, or we, did not get a processor in time. Nothing is said about its health.
    Starved { waited: Duration },
}

/// One reading.
#[derive(Debug)]
pub(crate) struct Vitals {
    at: Instant,
    threads: Vec<Thread>,
    /// How long its cgroup was not allowed to run.
    throttled: Duration,
    /// How long our own thread waited for a processor.
    own_wait: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Thread {
    id: u32,
    state: u8,
    ran: Duration,
    waited: Duration,
}

impl Vitals {
    pub(crate) fn read(pid: u32) -> Self {
        Self {
            at: Instant::now(),
            threads: threads(pid),
            throttled: throttled(pid).unwrap_or_default(),
            own_wait: fs::read_to_string("/proc/thread-self/schedstat")
                .ok()
                .and_then(|text| schedstat(&text))
                .map_or(Duration::ZERO, |(_, waited)| waited),
        }
    }

    /// What happened since `before`, while we waited and were woken `late`.
    pub(crate) fn since(&self, before: &Self, late: Duration) -> Cause {
        let time = self.at.saturating_duration_since(before.at);
        let share = |percent: u32| time * percent / 100;
        if self.threads.iter().any(|thread| matches!(thread.state, b'T' | b't')) {
            return Cause::Stopped;
        }
        let own_wait = self.own_wait.saturating_sub(before.own_wait).max(late);
        let throttled = self.throttled.saturating_sub(before.throttled);
        let waits = self.threads.iter().map(|thread| thread.wait_since(before, time));
        let waited = waits.max().unwrap_or_default().max(throttled);
        if own_wait >= LATE || (waited >= share(WAITED_PERCENT) && !waited.is_zero()) {
            return Cause::Starved { waited: waited.max(own_wait) };
        }
        let is_at_work = |thread: &Thread| {
            thread.state == b'D' || thread.ran_since(before) >= share(RAN_PERCENT)
        };
        match self.threads.iter().any(is_at_work) {
            true => Cause::Busy,
            false => Cause::Idle,
        }
    }
}

impl Thread {
    fn before(&self, before: &Vitals) -> Option<Self> {
        before.threads.iter().find(|thread| thread.id == self.id).copied()
    }

    fn ran_since(&self, before: &Vitals) -> Duration {
        let ran = self.before(before).map_or(Duration::ZERO, |thread| thread.ran);
        self.ran.saturating_sub(ran)
    }

    /// The kernel adds a wait up when it is over. One that goes on shows as a thread that is ready to
    /// run, now as before, and did not.
    fn wait_since(&self, before: &Vitals, time: Duration) -> Duration {
        let Some(earlier) = self.before(before) else { return Duration::ZERO };
        let waited = self.waited.saturating_sub(earlier.waited);
        let is_waiting = self.state == b'R' && earlier.state == b'R';
        let rest = time.saturating_sub(self.ran.saturating_sub(earlier.ran));
        if is_waiting { waited.max(rest) } else { waited }
    }
}

fn threads(pid: u32) -> Vec<Thread> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let tasks = tasks.flatten().take(MAX_THREADS);
    tasks.filter_map(|task| thread(&task.path()).ok()?).collect()
}

fn thread(task: &std::path::Path) -> io::Result<Option<Thread>> {
    let stat = fs::read_to_string(task.join("stat"))?;
    let times = fs::read_to_string(task.join("schedstat"))?;
    let id = task.file_name().and_then(|name| name.to_str()?.parse().ok());
    Ok((|| {
        let (ran, waited) = schedstat(&times)?;
        Some(Thread { id: id?, state: silence::state(&stat)?, ran, waited })
    })())
}

/// Time on a processor, and waiting for one.
fn schedstat(text: &str) -> Option<(Duration, Duration)> {
    let (ran, waited) = silence::times(text)?;
    Some((Duration::from_nanos(ran), Duration::from_nanos(waited)))
}

/// `throttled_usec` of its cgroup, version 2.
fn throttled(pid: u32) -> Option<Duration> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let stat = PathBuf::from("/sys/fs/cgroup").join(group).join("cpu.stat");
    let stat = fs::read_to_string(stat).ok()?;
    let us = stat.lines().find_map(|line| line.strip_prefix("throttled_usec "))?;
    us.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Readings a second apart, from (state, ms run, ms waited) of one thread.
    fn cause(before: (u8, u64, u64), after: (u8, u64, u64)) -> Cause {
        cause_of(reading(before), reading(after), Duration::ZERO)
    }

    fn cause_of(before: Vitals, mut after: Vitals, late: Duration) -> Cause {
        after.at = before.at + SECOND;
        after.since(&before, late)
    }

    fn reading((state, ran, waited): (u8, u64, u64)) -> Vitals {
        let [ran, waited] = [ran, waited].map(Duration::from_millis);
        Vitals {
            at: Instant::now(),
            threads: vec![Thread { id: 7, state, ran, waited }],
            throttled: Duration::ZERO,
            own_wait: Duration::ZERO,
        }
    }

    fn starved(ms: u64) -> Cause {
        Cause::Starved { waited: Duration::from_millis(ms) }
    }

    #[test]
    fn a_sleeper_is_idle_and_a_runner_is_busy() {
        assert_eq!(cause((b'S', 10, 10), (b'S', 20, 12)), Cause::Idle);
        assert_eq!(cause((b'R', 10, 10), (b'R', 990, 30)), Cause::Busy);
        assert_eq!(cause((b'S', 10, 10), (b'R', 690, 30)), Cause::Busy);
        assert_eq!(cause((b'D', 10, 10), (b'D', 10, 10)), Cause::Busy);
    }

    #[test]
    fn who_waited_for_a_processor_is_starved() {
        assert_eq!(cause((b'S', 10, 100), (b'S', 20, 400)), starved(300));
        // A wait that is not over is in no sum yet.
        assert_eq!(cause((b'R', 10, 100), (b'R', 20, 100)), starved(990));
    }

    #[test]
    fn who_is_stopped_is_not_starved() {
        assert_eq!(cause((b'R', 10, 100), (b'T', 20, 900)), Cause::Stopped);
    }

    #[test]
    fn a_throttled_cgroup_is_starved() {
        let mut after = reading((b'S', 10, 10));
        after.throttled = SECOND / 2;
        assert_eq!(cause_of(reading((b'S', 10, 10)), after, Duration::ZERO), starved(500));
    }

    #[test]
    fn when_we_are_late_ourselves_nothing_is_known() {
        let idle = || reading((b'S', 10, 10));
        assert_eq!(cause_of(idle(), idle(), SECOND / 2), starved(500));
        let mut after = idle();
        after.own_wait = SECOND / 4;
        assert_eq!(cause_of(idle(), after, Duration::ZERO), starved(250));
    }

    #[test]
    fn a_process_that_is_gone_could_have_answered() {
        let nobody = Vitals { threads: Vec::new(), ..reading((b'S', 0, 0)) };
        assert_eq!(cause_of(reading((b'S', 10, 10)), nobody, Duration::ZERO), Cause::Idle);
    }

    #[test]
    fn the_kernel_tells_of_this_very_process() {
        let vitals = Vitals::read(std::process::id());
        assert!(!vitals.threads.is_empty());
        let running = vitals.threads.iter().filter(|thread| thread.state == b'R');
        assert!(running.count() >= 1, "this thread runs: {vitals:?}");
        assert!(vitals.threads.iter().any(|thread| !thread.ran.is_zero()), "{vitals:?}");
    }

    #[test]
    fn schedstat_is_read_or_left() {
        let times = (Duration::from_nanos(5), Duration::from_nanos(6));
        assert_eq!(schedstat("5 6 7\n"), Some(times));
        for nonsense in ["", "5", "x 6", "-1 2"] {
            assert_eq!(schedstat(nonsense), None, "{nonsense:?}");
        }
    }
}
