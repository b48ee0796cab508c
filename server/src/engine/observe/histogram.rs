//! How often a command took how long: buckets whose width is at most 1/128 of what they hold, as a
//! high-dynamic-range histogram of two decimal digits has them. Counts up to the longest time seen.

/// Buckets for each doubling.
const PER_OCTAVE: u64 = 1 << PRECISION;
const PRECISION: u32 = 7;

#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Counts `times` executions of `ns` nanoseconds.
    #[inline]
    pub fn add(&mut self, ns: u64, times: u64) {
        let bucket = bucket_of(ns);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += times;
        self.total += times;
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The time in nanoseconds that `percent` of the executions did not exceed.
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((percent / 100.0 * self.total as f64 + 0.5) as u64).max(1);
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        self.counts.iter().position(reaches).map_or(0, highest_in)
    }

    /// Executions that took up to about 1 µs, 2 µs, 4 µs and so on: each limit in nanoseconds with the
    /// count up to it, where that grows.
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        const FIRST_LIMIT_NS: u64 = 1024;
        let mut steps = Vec::new();
        let (mut limit_ns, mut done, mut seen) = (FIRST_LIMIT_NS, 0, 0);
        while seen < self.total {
            let end = (bucket_of(limit_ns) + 1).min(self.counts.len());
            let fresh: u64 = self.counts[done..end].iter().sum();
            seen += fresh;
            if fresh > 0 {
                steps.push((highest_in(bucket_of(limit_ns)), seen));
            }
            done = end;
            limit_ns = limit_ns.saturating_mul(2);
        }
        steps
    }

    pub fn memory_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u64>()
    }
}

/// Times below two octaves have a bucket each; above, the leading bits say which.
fn bucket_of(ns: u64) -> usize {
    let exponent = (u64::BITS - ns.leading_zeros()).saturating_sub(PRECISION + 1);
    let bucket = u64::from(exponent) * PER_OCTAVE + (ns >> exponent);
    usize::try_from(bucket).expect("less than 64 octaves of buckets")
}

/// The longest time that falls into a bucket.
fn highest_in(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let exponent = (bucket / PER_OCTAVE).saturating_sub(1);
    let leading = bucket - exponent * PER_OCTAVE;
    // Of the very last bucket, the end would be one too far.
    ((u128::from(leading + 1) << exponent) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_without_gaps() {
        let mut last = 0;
        for bucket in 1..4000 {
            let highest = highest_in(bucket);
            assert_eq!(bucket_of(highest), bucket);
            assert_eq!(bucket_of(last + 1), bucket, "{last}");
            assert!((highest - last) * 128 <= highest.max(128), "bucket {bucket} is too wide");
            last = highest;
        }
        assert_eq!(highest_in(bucket_of(u64::MAX)), u64::MAX);
    }

    #[test]
    fn percentiles_are_of_all_that_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50.0), 0);
        (1..=100).for_each(|ns| histogram.add(ns, 1));
        histogram.add(1_000_000, 100);
        assert_eq!(histogram.percentile(0.0), 1);
        assert_eq!(histogram.percentile(25.0), 50);
        assert_eq!(histogram.percentile(50.0), 100);
        let top = histogram.percentile(99.9);
        assert!((1_000_000..1_008_000).contains(&top), "{top}");
    }

    #[test]
    fn counts_add_up_over_the_doublings() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.cumulative(), []);
        for us in [0, 1, 3, 3, 30, 100_000] {
            histogram.add(us * 1000, 1);
        }
        // The limits, in microseconds, are what LATENCY HISTOGRAM of Redis and Valkey shows.
        let shown: Vec<(u64, u64)> =
            histogram.cumulative().iter().map(|(ns, count)| (ns / 1000, *count)).collect();
        assert_eq!(shown, [(1, 2), (4, 4), (33, 5), (135_266, 6)]);
    }
}
