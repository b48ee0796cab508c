//! How a run keeps its scores: 4 bytes each, as integers of one decimal unit (1, 0.1, 0.01 or 0.001),
//! where all of the run's are such to the bit; else as doubles.
//!
//! A decimal is read back by one division, which rounds as reading its text does: whatever was
//! written with so few decimals is exact.

const SHORT: usize = size_of::<i32>();
const LONG: usize = size_of::<f64>();

/// Units to one, by decimals.
const UNITS: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scores {
    /// With so many decimals.
    Short(u8),
    Long,
}

impl Default for Scores {
    fn default() -> Self {
        Self::Short(0)
    }
}

impl Scores {
    /// What is as short as it can be for all of these.
    pub(super) fn for_all(scores: impl Iterator<Item = f64> + Clone) -> Self {
        let forms = (0..UNITS.len() as u8).map(Self::Short);
        let mut fitting = forms.filter(|form| scores.clone().all(|score| form.holds(score)));
        fitting.next().unwrap_or(Self::Long)
    }

    #[inline]
    pub(super) fn width(self) -> usize {
        match self {
            Self::Short(_) => SHORT,
            Self::Long => LONG,
        }
    }

    #[inline]
    pub(super) fn holds(self, score: f64) -> bool {
        match self {
            Self::Short(decimals) => short(score, decimals).is_some(),
            Self::Long => true,
        }
    }

    /// Score number `at` of those that `bytes` begin with.
    #[inline]
    pub(super) fn read(self, bytes: &[u8], at: usize) -> f64 {
        match self {
            Self::Short(0) => f64::from(i32::from_le_bytes(array(bytes, at * SHORT))),
            Self::Short(decimals) => {
                f64::from(i32::from_le_bytes(array(bytes, at * SHORT)))
                    / UNITS[usize::from(decimals)]
            }
            Self::Long => f64::from_le_bytes(array(bytes, at * LONG)),
        }
    }

    /// How many of the scores in `bytes`, which are in order, are below `score`, and how many are not
    /// above it. A run has a hundred scores at most: that all are compared, several at a time and
    /// without a branch, is sooner done than a search among them.
    #[inline]
    pub(super) fn bounds(self, bytes: &[u8], score: f64) -> (usize, usize) {
        match self {
            Self::Short(decimals) => {
                let shorts =
                    bytes.chunks_exact(SHORT).map(|short| i32::from_le_bytes(array(short, 0)));
                match least(score, decimals) {
                    None => (shorts.len(), shorts.len()),
                    Some((least, is_score)) => {
                        let below = count(shorts.clone(), |short| short < least);
                        let same = || count(shorts.clone(), |short| short <= least);
                        let has_same = is_score && shorts.clone().nth(below) == Some(least);
                        (below, if has_same { same() } else { below })
                    }
                }
            }
            Self::Long => {
                let longs = bytes.chunks_exact(LONG).map(|long| f64::from_le_bytes(array(long, 0)));
                let below = count(longs.clone(), |long| long < score);
                let has_same = longs.clone().nth(below) == Some(score);
                (below, if has_same { count(longs, |long| long <= score) } else { below })
            }
        }
    }

    /// Writes one that it [holds](Self::holds).
    #[inline]
    pub(super) fn write(self, bytes: &mut [u8], at: usize, score: f64) {
        match self {
            Self::Short(decimals) => {
                let short = short(score, decimals).expect("the run's form was made to hold it");
                bytes[at * SHORT..][..SHORT].copy_from_slice(&short.to_le_bytes());
            }
            Self::Long => bytes[at * LONG..][..LONG].copy_from_slice(&score.to_le_bytes()),
        }
    }
}

/// The score in units of so many decimals, if that is all of it.
#[inline]
fn short(score: f64, decimals: u8) -> Option<i32> {
    if decimals == 0 {
        let short = score as i32;
        return (f64::from(short).to_bits() == score.to_bits()).then_some(short);
    }
    let scaled = score * UNITS[usize::from(decimals)];
    let short = (scaled + 0.5f64.copysign(scaled)) as i32;
    let back = f64::from(short) / UNITS[usize::from(decimals)];
    (back.to_bits() == score.to_bits()).then_some(short)
}

/// The least units that are not below `score`, and whether they are the score; `None`: all are below.
#[inline]
fn least(score: f64, decimals: u8) -> Option<(i32, bool)> {
    if let Some(short) = short(score, decimals) {
        return Some((short, true));
    }
    let unit = UNITS[usize::from(decimals)];
    let value = |units: i32| f64::from(units) / unit;
    // A conversion to an integer ends at its least and greatest; a product may be off by its rounding.
    let mut units = (score * unit).ceil() as i32;
    while units > i32::MIN && value(units - 1) >= score {
        units -= 1;
    }
    while value(units) < score {
        units = units.checked_add(1)?;
    }
    Some((units, value(units) == score))
}

#[inline]
fn count<T>(scores: impl Iterator<Item = T>, holds: impl Fn(T) -> bool) -> usize {
    scores.map(|score| u32::from(holds(score))).sum::<u32>() as usize
}

#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_take_the_fewest_decimals_that_all_have() {
        for (scores, form) in [
            (&[][..], Scores::Short(0)),
            (&[1.0, -7.0, 2_147_483_647.0, -2_147_483_648.0], Scores::Short(0)),
            (&[2_147_483_648.0], Scores::Long),
            (&[1.0, 0.5], Scores::Short(1)),
            (&[9_999_999.5, -0.1], Scores::Short(1)),
            (&[0.25, 0.1], Scores::Short(2)),
            (&[-1.005], Scores::Short(3)),
            (&[0.0001], Scores::Long),
            (&[1.0 / 3.0], Scores::Long),
            (&[-0.0], Scores::Long),
            (&[f64::INFINITY], Scores::Long),
            // Each alone is short.
            (&[2_147_483_647.0, 0.5], Scores::Long),
        ] {
            assert_eq!(Scores::for_all(scores.iter().copied()), form, "{scores:?}");
        }
    }

    proptest! {
        #[test]
        fn every_short_decimal_is_exact(units in any::<i32>(), decimals in 0u8..4) {
            let text = format!("{units}e-{decimals}");
            let score: f64 = text.parse().expect("a number");
            prop_assert_eq!(short(score, decimals), Some(units));
            let mut bytes = [0; 8];
            Scores::Short(decimals).write(&mut bytes, 1, score);
            prop_assert_eq!(Scores::Short(decimals).read(&bytes, 1).to_bits(), score.to_bits());
        }

        #[test]
        fn bounds_are_where_a_search_finds_them(
            mut units in prop::collection::vec(prop_oneof![
                -20..20i32,
                any::<i32>(),
                Just(i32::MIN),
                Just(i32::MAX),
            ], 0..40),
            decimals in 0u8..4,
            other in prop_oneof![any::<u64>().prop_map(f64::from_bits), -3.0..3.0f64, Just(-0.0)],
            which in any::<prop::sample::Index>(),
        ) {
            units.sort_unstable();
            let text = |units: &i32| format!("{units}e-{decimals}");
            let values: Vec<f64> =
                units.iter().map(|units| text(units).parse().expect("a number")).collect();
            let near = values.get(which.index(values.len().max(1))).copied().unwrap_or(other);
            for form in [Scores::Short(decimals), Scores::Long] {
                let mut bytes = vec![0; values.len() * form.width()];
                for (at, value) in values.iter().enumerate() {
                    form.write(&mut bytes, at, *value);
                }
                for score in [other, near, near.next_up(), near.next_down(), f64::INFINITY] {
                    if score.is_nan() {
                        continue;
                    }
                    let expected = (
                        values.partition_point(|value| *value < score),
                        values.partition_point(|value| *value <= score),
                    );
                    prop_assert_eq!(form.bounds(&bytes, score), expected, "{:?} {}", form, score);
                }
            }
        }

        #[test]
        fn what_is_held_reads_back(bits in any::<u64>()) {
            let score = f64::from_bits(bits);
            for form in (0..4).map(Scores::Short).chain([Scores::Long]) {
                let mut bytes = [0; 16];
                if !score.is_nan() && form.holds(score) {
                    form.write(&mut bytes, 1, score);
                    prop_assert_eq!(form.read(&bytes, 1).to_bits(), bits);
                }
            }
        }
    }
}
