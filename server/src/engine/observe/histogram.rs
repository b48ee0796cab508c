//! How often a command took how long: buckets whose width is at most 1/128 of what they hold, as a
//! high-dynamic-range histogram of two decimal digits has them. Memory is taken for the times that
//! occur: a command's lie close together, and with its slowest one all below would cost 20 KB.

/// Buckets for each doubling.
const PER_OCTAVE: u64 = 1 << PRECISION;
const PRECISION: u32 = 7;

/// Buckets that are allocated together: half a doubling.
const PER_BLOCK: usize = 64;

type Block = [u64; PER_BLOCK];

#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Up to the longest time seen; `None` where no time fell.
    blocks: Vec<Option<Box<Block>>>,
    total: u64,
}

impl Histogram {
    /// Counts `times` executions of `ns` nanoseconds.
    #[inline]
    pub fn add(&mut self, ns: u64, times: u64) {
        let bucket = bucket_of(ns);
        let (block, at) = (bucket / PER_BLOCK, bucket % PER_BLOCK);
        match self.blocks.get_mut(block) {
            Some(Some(block)) => block[at] += times,
            _ => self.allocated(block)[at] += times,
        }
        self.total += times;
    }

    #[cold]
    fn allocated(&mut self, block: usize) -> &mut Block {
        if block >= self.blocks.len() {
            self.blocks.reserve_exact(block + 1 - self.blocks.len());
            self.blocks.resize(block + 1, None);
        }
        self.blocks[block].get_or_insert_with(|| Box::new([0; PER_BLOCK]))
    }

    /// The buckets that hold anything, with their counts, in order.
    fn counted(&self) -> impl Iterator<Item = (usize, u64)> {
        let blocks = self.blocks.iter().enumerate();
        let blocks = blocks.filter_map(|(nth, block)| Some((nth, block.as_deref()?)));
        let counts = blocks.flat_map(|(nth, block)| {
            block.iter().enumerate().map(move |(at, &count)| (nth * PER_BLOCK + at, count))
        });
        counts.filter(|(_, count)| *count > 0)
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
        let mut reaches = |(bucket, count)| {
            seen += count;
            (seen >= wanted).then(|| highest_in(bucket))
        };
        self.counted().find_map(&mut reaches).unwrap_or(0)
    }

    /// Executions that took up to about 1 µs, 2 µs, 4 µs and so on: each limit in nanoseconds with the
    /// count up to it, where that grows.
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        const FIRST_LIMIT_NS: u64 = 1024;
        let mut steps: Vec<(u64, u64)> = Vec::new();
        let (mut limit_ns, mut seen) = (FIRST_LIMIT_NS, 0);
        for (bucket, count) in self.counted() {
            while bucket > bucket_of(limit_ns) {
                limit_ns = limit_ns.saturating_mul(2);
            }
            seen += count;
            let limit = highest_in(bucket_of(limit_ns));
            match steps.last_mut().filter(|(earlier, _)| *earlier == limit) {
                Some((_, up_to)) => *up_to = seen,
                None => steps.push((limit, seen)),
            }
        }
        steps
    }

    pub fn memory_bytes(&self) -> usize {
        let blocks = self.blocks.iter().flatten().count();
        self.blocks.capacity() * size_of::<Option<Box<Block>>>() + blocks * size_of::<Block>()
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
    fn a_slow_one_among_many_costs_little_memory() {
        let mut histogram = Histogram::default();
        (0..1000).for_each(|nth| histogram.add(800 + nth, 1));
        histogram.add(1_000_000_000, 1);
        assert!(histogram.memory_bytes() < 3000, "{}", histogram.memory_bytes());
        assert_eq!(histogram.total(), 1001);
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
