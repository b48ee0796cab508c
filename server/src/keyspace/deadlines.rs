//! Which segment has a key that comes due next, and which of its keys to look at.
//!
//! **Horizons.** Each slot keeps in three bits how far off its key's expiry was when last looked
//! at: horizon 1 is below 256 ms, and each further one reaches eight times as far, up to 7, from
//! 2.3 hours on. A segment keeps, for each horizon, a lower bound of its keys' deadlines. When a
//! bound comes due, the keys of that horizon are looked at: those that are due go, the others move
//! to the horizon that fits them by now. Keys farther off are not touched.
//!
//! Between two visits of a horizon at least its near edge passes, since nothing nearer was put into
//! it; so a key is read at most 8 times in each horizon from the second on, and in the first at
//! each call until it goes: 50 times however long it lives, in passes over 8 KiB of slots with
//! their misses overlapped.
//!
//! **Segments** stand in a tournament tree by their nearest bound: the oldest is found at once, and
//! a bound that changes costs the way up to where it no longer matters.
//!
//! PERSIST, DEL and overwriting leave bounds as they are: too early a bound costs one visit.
//!
//! Why not a timing wheel of key tokens: it costs 5 to 8 bytes per volatile key and a lookup for
//! each stage of the wheel. This costs about 90 bytes per segment, 0.13 per key, and 2 µs of CPU
//! per key that comes due, all looks included. (`--example keyspace_bytes expiry`: a million keys
//! due within 10 seconds to an hour, looked for every 20 ms, go 9 ms late in the median, 51 ms at
//! the 99th percentile of the worst case.)

/// Horizons 1 to 7; 0 is for keys without expiry.
pub(super) const HORIZONS: usize = 8;

/// No deadline. A key may really have it, which then never comes due.
pub(super) const NEVER: i64 = i64::MAX;

/// The horizon for a key whose expiry is `remaining_ms` away.
pub(super) fn horizon(remaining_ms: i64) -> usize {
    const NEAREST_BITS: u32 = 8; // 256 ms
    const STEP_BITS: u32 = 3;
    let bits = 64 - remaining_ms.max(0).leading_zeros();
    let beyond = bits.saturating_sub(NEAREST_BITS);
    (1 + beyond.div_ceil(STEP_BITS) as usize).min(HORIZONS - 1)
}

/// Lower bounds of one segment's deadlines, by horizon.
type Bounds = [i64; HORIZONS];

const NO_BOUNDS: Bounds = [NEVER; HORIZONS];

/// The bounds of every segment, by its number. Takes no memory until a key gets an expiry.
#[derive(Default)]
pub(super) struct Deadlines {
    bounds: Vec<Bounds>,
    /// A complete binary tree: node i has the children 2i and 2i+1 and holds the smaller of them;
    /// the leaves, the second half, are the nearest bounds of the segments.
    tree: Vec<i64>,
}

impl Deadlines {
    /// The nearest bound.
    #[inline]
    pub(super) fn nearest_bound(&self) -> Option<i64> {
        self.tree.get(1).copied().filter(|bound| *bound != NEVER)
    }

    /// The nearest bound and its segment.
    pub(super) fn nearest(&self) -> Option<(i64, usize)> {
        let nearest = self.nearest_bound()?;
        let leaves = self.tree.len() / 2;
        let mut node = 1;
        while node < leaves {
            node *= 2;
            node += usize::from(self.tree[node] != nearest);
        }
        Some((nearest, node - leaves))
    }

    /// A key of this segment is due at `deadline`, and was put into this horizon.
    #[inline]
    pub(super) fn add(&mut self, segment: usize, horizon: usize, deadline: i64) {
        if self.bounds.len() <= segment {
            self.grow(segment + 1);
        }
        let bound = &mut self.bounds[segment][horizon];
        if deadline < *bound {
            *bound = deadline;
            self.update(segment);
        }
    }

    /// Takes the bounds of a segment that have come due; bit h of the result says that horizon h
    /// has. The caller adds those keys again that stay.
    pub(super) fn take_due(&mut self, segment: usize, now_ms: i64) -> u8 {
        let mut due = 0;
        for (horizon, bound) in self.bounds[segment].iter_mut().enumerate() {
            if *bound <= now_ms {
                *bound = NEVER;
                due |= 1 << horizon;
            }
        }
        self.update(segment);
        due
    }

    /// Some of a segment's keys are in a new one now. What bounded all of them bounds each half.
    pub(super) fn split(&mut self, segment: usize, new: usize) {
        if let Some(&bounds) = self.bounds.get(segment)
            && bounds != NO_BOUNDS
        {
            self.set(new, bounds);
        }
    }

    pub(super) fn merge(&mut self, into: usize, from: usize) {
        let Some(&gone) = self.bounds.get(from) else { return };
        if gone != NO_BOUNDS {
            let kept = self.bounds.get(into).copied().unwrap_or(NO_BOUNDS);
            self.set(into, std::array::from_fn(|horizon| kept[horizon].min(gone[horizon])));
            self.set(from, NO_BOUNDS);
        }
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.tree.capacity() * size_of::<i64>() + self.bounds.capacity() * size_of::<Bounds>()
    }

    fn set(&mut self, segment: usize, bounds: Bounds) {
        if self.bounds.len() <= segment {
            self.grow(segment + 1);
        }
        self.bounds[segment] = bounds;
        self.update(segment);
    }

    /// Carries a segment's nearest bound up the tree.
    fn update(&mut self, segment: usize) {
        let nearest = self.bounds[segment].into_iter().fold(NEVER, i64::min);
        let mut node = self.tree.len() / 2 + segment;
        self.tree[node] = nearest;
        while node > 1 {
            node /= 2;
            let smaller = self.tree[2 * node].min(self.tree[2 * node + 1]);
            if self.tree[node] == smaller {
                break;
            }
            self.tree[node] = smaller;
        }
    }

    fn grow(&mut self, segments: usize) {
        self.bounds.resize(segments, NO_BOUNDS);
        let leaves = segments.next_power_of_two();
        if leaves <= self.tree.len() / 2 {
            return;
        }
        let mut tree = vec![NEVER; 2 * leaves];
        let old = &self.tree[self.tree.len() / 2..];
        tree[leaves..leaves + old.len()].copy_from_slice(old);
        for node in (1..leaves).rev() {
            tree[node] = tree[2 * node].min(tree[2 * node + 1]);
        }
        self.tree = tree;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_reach_eight_times_as_far_each() {
        for (remaining_ms, expected) in [
            (i64::MIN, 1),
            (0, 1),
            (255, 1),
            (256, 2),
            (2_047, 2),
            (2_048, 3),
            (16_384, 4),
            (131_072, 5),
            (1_048_576, 6),
            (8_388_607, 6),
            (8_388_608, 7),
            (i64::MAX, 7),
        ] {
            assert_eq!(horizon(remaining_ms), expected, "{remaining_ms} ms");
        }
    }

    #[test]
    fn the_tree_finds_the_nearest_as_a_plain_scan_does() {
        let mut tree = Deadlines::default();
        let mut plain = vec![NEVER; 300];
        let mut state = 1u64;
        for _ in 0..5_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let segment = (state >> 33) as usize % plain.len();
            let nearest = if state >> 40 & 3 == 0 { NEVER } else { (state >> 50) as i64 };
            plain[segment] = nearest;
            let mut bounds = NO_BOUNDS;
            bounds[3] = nearest;
            tree.set(segment, bounds);
            let expected = *plain.iter().min().expect("not empty");
            match tree.nearest() {
                None => assert_eq!(expected, NEVER),
                Some((bound, segment)) => {
                    assert_eq!(bound, expected);
                    assert_eq!(plain[segment], bound);
                }
            }
        }
    }
}
