//! When the hardware watchdog is fed: only on fresh evidence, so that a fault resets the machine.
//!
//! A feed is due a sixth of the timeout after the one before. It then needs two things no older
//! than a twentieth of the timeout: a sign of life of the agent, and an answer of the data disk,
//! which is asked at that moment. What is stale costs nothing by itself; the hardware's timeout is
//! the patience. After a fault the last feed is at most a twentieth later, so the reset comes within
//! the timeout and 5 %, and no sooner than five sixths of the timeout.
//!
//! Pure: time comes in, decisions go out.

use crate::clock::Ms;
use crate::snapshot::Starved;

const FEEDS_PER_TIMEOUT: Ms = 6;
const FRESH_PART: Ms = 20;
/// From this part of the timeout on, silence is worth saying.
const SAY_PART: Ms = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do before then; an earlier sign of life may change that.
    Wait {
        until: Ms,
    },
    /// Ask the data disk, and tell what came of it.
    AskDisk,
    Feed,
}

/// The data disk as far as it has been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// None, or one that does not count.
    Absent,
    /// Begun then, and not back.
    Asked { at: Ms },
    /// Begun then, and came back well.
    Good { at: Ms },
    /// Came back with an error then.
    Bad { at: Ms },
}

#[derive(Debug, Clone, Copy)]
pub struct Gate {
    timeout: Ms,
    fed_at: Ms,
    /// Nothing: the agent does not count.
    agent_at: Option<Ms>,
    disk: Disk,
}

impl Gate {
    /// Fed now, with everything well.
    pub fn new(timeout: Ms, now: Ms, has_disk: bool) -> Self {
        let disk = if has_disk { Disk::Good { at: now } } else { Disk::Absent };
        Self { timeout, fed_at: now, agent_at: Some(now), disk }
    }

    pub fn set_timeout(&mut self, timeout: Ms) {
        self.timeout = timeout;
    }

    /// Only the loop itself counts from here on.
    pub fn trust_loop_only(&mut self) {
        self.agent_at = None;
        self.disk = Disk::Absent;
    }

    pub fn heard_agent(&mut self, now: Ms) {
        self.agent_at = self.agent_at.map(|_| now);
    }

    pub fn disk_asked(&mut self, now: Ms) {
        self.disk = Disk::Asked { at: now };
    }

    pub fn disk_answered(&mut self, well: bool, now: Ms) {
        if let Disk::Asked { at } = self.disk {
            self.disk = if well { Disk::Good { at } } else { Disk::Bad { at: now } };
        }
    }

    pub fn fed(&mut self, now: Ms) {
        self.fed_at = now;
    }

    pub fn step(&self, now: Ms) -> Step {
        let due = self.fed_at + self.timeout / FEEDS_PER_TIMEOUT;
        if now < due {
            return Step::Wait { until: due };
        }
        if !self.agent_is_fresh(now) {
            // Its next word is an event; until then only the time to complain can come.
            return Step::Wait { until: self.complain_after(now) };
        }
        match self.disk {
            Disk::Absent => Step::Feed,
            Disk::Good { at } if self.is_fresh(at, now) => Step::Feed,
            Disk::Good { .. } => Step::AskDisk,
            Disk::Bad { at } if now >= at + self.fresh() => Step::AskDisk,
            Disk::Bad { at } => Step::Wait { until: at + self.fresh() },
            Disk::Asked { .. } => Step::Wait { until: self.complain_after(now) },
        }
    }

    /// Who keeps the watchdog from being fed, once that has lasted.
    pub fn starved(&self, now: Ms) -> Starved {
        if now.saturating_sub(self.fed_at) < self.timeout / SAY_PART {
            return Starved::No;
        }
        match self.disk {
            Disk::Asked { .. } | Disk::Bad { .. } => Starved::Disk,
            _ if !self.agent_is_fresh(now) => Starved::Agent,
            _ => Starved::No,
        }
    }

    fn agent_is_fresh(&self, now: Ms) -> bool {
        self.agent_at.is_none_or(|at| self.is_fresh(at, now))
    }

    fn is_fresh(&self, at: Ms, now: Ms) -> bool {
        now.saturating_sub(at) <= self.fresh()
    }

    fn fresh(&self) -> Ms {
        self.timeout / FRESH_PART
    }

    fn complain_after(&self, now: Ms) -> Ms {
        let complain = self.fed_at + self.timeout / SAY_PART;
        if now < complain { complain } else { now + self.timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMEOUT: Ms = 30_000;

    /// Who is dead from when on.
    #[derive(Debug, Clone, Copy)]
    struct Faults {
        agent_dies: Ms,
        disk_dies: Ms,
        disk_errs: bool,
    }

    /// Runs the gate as init does, with an agent that speaks every second and a disk that takes
    /// `disk_ms`; the moments it fed, and what it complained of at the end.
    fn run(timeout: Ms, disk_ms: Ms, faults: Faults, end: Ms) -> (std::vec::Vec<Ms>, Starved) {
        let mut gate = Gate::new(timeout, 0, true);
        let mut answer: Option<(Ms, bool)> = None;
        let mut feeds = vec![0];
        for now in 1..end {
            if now % 1000 == 0 && now < faults.agent_dies {
                gate.heard_agent(now);
            }
            if let Some((at, well)) = answer
                && at <= now
            {
                gate.disk_answered(well, now);
                answer = None;
            }
            match gate.step(now) {
                Step::Feed => {
                    gate.fed(now);
                    feeds.push(now);
                }
                Step::AskDisk => {
                    gate.disk_asked(now);
                    let dead = now + disk_ms >= faults.disk_dies;
                    answer = match (dead, faults.disk_errs) {
                        (false, _) => Some((now + disk_ms, true)),
                        (true, true) => Some((now + disk_ms, false)),
                        (true, false) => None,
                    };
                }
                Step::Wait { until } => assert!(until > now, "a wait that is over would spin"),
            }
        }
        (feeds, gate.starved(end))
    }

    const WELL: Faults = Faults { agent_dies: Ms::MAX, disk_dies: Ms::MAX, disk_errs: false };

    #[test]
    fn a_healthy_machine_is_fed_well_before_the_timeout() {
        for timeout in [4_000, 10_000, TIMEOUT, 120_000] {
            let (feeds, starved) = run(timeout, 20, WELL, 10 * timeout);
            assert_eq!(starved, Starved::No);
            let longest = feeds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Ms::MAX);
            assert!(longest <= timeout / 2, "{longest} ms between two feeds of {timeout}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn after_a_fault_nothing_feeds_for_longer_than_a_twentieth(
            timeout in 4_000u64..60_000,
            at in 1_000u64..100_000,
            kind in 0..3,
        ) {
            let faults = match kind {
                0 => Faults { agent_dies: at, ..WELL },
                1 => Faults { disk_dies: at, ..WELL },
                _ => Faults { disk_dies: at, disk_errs: true, ..WELL },
            };
            let (feeds, starved) = run(timeout, 10, faults, at + 2 * timeout);
            let last = *feeds.last().unwrap_or(&0);
            prop_assert!(last <= at + timeout / 20, "fed at {last}");
            prop_assert!(last + timeout >= at + timeout / 2, "nor is it starved long before");
            let culprit = if kind == 0 { Starved::Agent } else { Starved::Disk };
            prop_assert_eq!(starved, culprit);
        }
    }

    #[test]
    fn an_agent_that_is_back_in_time_costs_nothing() {
        let mut gate = Gate::new(TIMEOUT, 0, false);
        assert_eq!(gate.step(20_000), Step::Wait { until: 20_000 + TIMEOUT });
        assert_eq!(gate.starved(20_000), Starved::Agent);
        gate.heard_agent(20_001);
        assert_eq!(gate.step(20_001), Step::Feed);
        gate.fed(20_001);
        assert_eq!(gate.starved(20_001), Starved::No);
    }

    #[test]
    fn a_machine_that_trusts_its_loop_only_needs_nobody() {
        let mut gate = Gate::new(TIMEOUT, 0, true);
        gate.trust_loop_only();
        gate.heard_agent(1);
        assert_eq!(gate.step(1_000_000), Step::Feed);
    }
}
