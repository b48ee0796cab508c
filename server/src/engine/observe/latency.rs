//! When the server stalled: for each kind of event the worst stall of a second, for the last seconds
//! in which there was one. Off while `latency-monitor-threshold` is zero.

use std::collections::{BTreeMap, VecDeque};

/// Seconds remembered for each event.
const MAX_SAMPLES: usize = 160;

/// What took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    Command,
    /// A command flagged `fast`.
    FastCommand,
    /// A slice of active expiry.
    ExpireCycle,
    /// Making room under `maxmemory`.
    EvictionCycle,
}

impl Event {
    const ALL: [Event; 4] =
        [Event::Command, Event::FastCommand, Event::ExpireCycle, Event::EvictionCycle];

    pub fn name(self) -> &'static str {
        match self {
            Event::Command => "command",
            Event::FastCommand => "fast-command",
            Event::ExpireCycle => "expire-cycle",
            Event::EvictionCycle => "eviction-cycle",
        }
    }

    pub fn find(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name().as_bytes() == name)
    }

    /// RESET takes names in any case.
    pub fn find_any_case(name: &[u8]) -> Option<Self> {
        Self::find(&name.to_ascii_lowercase())
    }
}

/// Stalls of one kind.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Unix second and the longest stall in it, in milliseconds; the oldest first.
    samples: VecDeque<(i64, u64)>,
    pub max_ms: u64,
    pub sum_ms: u64,
    pub count: u64,
}

impl Series {
    fn add(&mut self, unix_s: i64, ms: u64) {
        self.max_ms = self.max_ms.max(ms);
        self.sum_ms += ms;
        self.count += 1;
        match self.samples.back_mut() {
            Some((second, longest)) if *second == unix_s => *longest = ms.max(*longest),
            _ => self.samples.push_back((unix_s, ms)),
        }
        if self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
    }

    /// The oldest first; there is always one.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = (i64, u64)> {
        self.samples.iter().copied()
    }

    pub fn latest(&self) -> (i64, u64) {
        self.samples.back().copied().unwrap_or_default()
    }

    pub fn analyse(&self, now_unix_s: i64) -> Analysis {
        let count = self.samples.len().max(1) as u64;
        let average_ms = self.samples.iter().map(|(_, ms)| ms).sum::<u64>() / count;
        let deviations = self.samples.iter().map(|(_, ms)| ms.abs_diff(average_ms));
        let first_s = self.samples.front().map_or(now_unix_s, |(second, _)| *second);
        Analysis {
            samples: self.samples.len(),
            average_ms,
            mean_deviation_ms: deviations.sum::<u64>() / count,
            period_s: (now_unix_s - first_s).max(1) as f64 / count as f64,
        }
    }
}

/// A series in a few figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analysis {
    pub samples: usize,
    pub average_ms: u64,
    pub mean_deviation_ms: u64,
    /// Seconds between two.
    pub period_s: f64,
}

#[derive(Debug, Default)]
pub struct Latency {
    series: BTreeMap<Event, Series>,
}

impl Latency {
    /// Notes what took `us`, if that is `threshold_ms` or more; a threshold of zero notes nothing.
    pub fn note(&mut self, event: Event, us: u64, threshold_ms: u64, unix_s: i64) {
        let ms = us / 1000;
        if threshold_ms > 0 && ms >= threshold_ms {
            self.series.entry(event).or_default().add(unix_s, ms);
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Event, &Series)> {
        self.series.iter().map(|(event, series)| (*event, series))
    }

    pub fn get(&self, event: Event) -> Option<&Series> {
        self.series.get(&event)
    }

    /// Whether there was anything to forget.
    pub fn forget(&mut self, event: Event) -> bool {
        self.series.remove(&event).is_some()
    }

    /// How many kinds there were.
    pub fn forget_all(&mut self) -> usize {
        std::mem::take(&mut self.series).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_worst_stall_and_the_oldest_go() {
        let mut latency = Latency::default();
        let mut note = |unix_s, ms: u64| latency.note(Event::Command, ms * 1000, 10, unix_s);
        note(100, 9);
        note(100, 20);
        note(100, 15);
        note(101, 40);
        let series = latency.get(Event::Command).unwrap();
        assert_eq!(series.samples().collect::<Vec<_>>(), [(100, 20), (101, 40)]);
        assert_eq!((series.max_ms, series.sum_ms, series.count), (40, 75, 3));
        let expected =
            Analysis { samples: 2, average_ms: 30, mean_deviation_ms: 10, period_s: 5.0 };
        assert_eq!(series.analyse(110), expected);
        (0..200).for_each(|second| latency.note(Event::Command, 10_000, 10, 200 + second));
        let series = latency.get(Event::Command).unwrap();
        assert_eq!(series.samples().len(), MAX_SAMPLES);
        assert_eq!(series.samples().next(), Some((240, 10)));
        latency.note(Event::FastCommand, 1_000_000, 0, 1);
        assert_eq!(latency.forget_all(), 1);
    }
}
