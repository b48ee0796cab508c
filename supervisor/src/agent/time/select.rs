//! Which of several answers is the time: what more than half of the servers agree on.
//!
//! Each answer is an interval that holds the true offset if its server is right. The point that most
//! intervals share is found by Marzullo's algorithm (RFC 5905, 11.2.1).

/// By how much our clock is behind, as one server sees it, and by how much it may err.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) offset_us: i64,
    pub(super) distance_us: i64,
}

/// What they agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) offset_us: i64,
    pub(crate) error_us: i64,
    /// Of so many that answered.
    pub(crate) servers: u8,
    pub(crate) answers: u8,
}

impl Sample {
    fn low(&self) -> i64 {
        self.offset_us.saturating_sub(self.distance_us)
    }

    fn high(&self) -> i64 {
        self.offset_us.saturating_add(self.distance_us)
    }

    fn holds(&self, offset_us: i64) -> bool {
        (self.low()..=self.high()).contains(&offset_us)
    }
}

/// Two that contradict each other are nobody.
pub(super) fn agree(samples: &[Sample]) -> Option<Agreed> {
    // The most shared point is the low end of some interval.
    let votes = |at: i64| samples.iter().filter(|sample| sample.holds(at)).count();
    let low = samples.iter().map(Sample::low).max_by_key(|&low| votes(low))?;
    let agreeing = samples.iter().filter(|sample| sample.holds(low));
    if 2 * votes(low) <= samples.len() {
        return None;
    }
    let high = agreeing.clone().map(Sample::high).min()?;
    // The best of those who agree, no further than where all of them do.
    let best = agreeing.min_by_key(|sample| sample.distance_us)?;
    Some(Agreed {
        offset_us: best.offset_us.clamp(low, high),
        error_us: best.distance_us,
        servers: votes(low) as u8,
        answers: samples.len() as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(offset_us: i64, distance_us: i64) -> Sample {
        Sample { offset_us, distance_us }
    }

    fn offset(samples: &[Sample]) -> Option<i64> {
        agree(samples).map(|agreed| agreed.offset_us)
    }

    #[test]
    fn a_liar_is_outvoted_and_two_who_differ_are_not_believed() {
        assert_eq!(offset(&[]), None);
        assert_eq!(offset(&[sample(5, 1)]), Some(5));
        let liar = sample(86_400_000_000, 1);
        assert_eq!(offset(&[liar, sample(100, 30), sample(120, 50)]), Some(100));
        assert_eq!(offset(&[liar, sample(100, 30)]), None);
        assert_eq!(offset(&[liar, liar, sample(100, 30), sample(120, 50)]), None);
    }

    #[test]
    fn the_best_clock_counts_within_what_all_agree_on() {
        // The exact one is at the edge of what the others say.
        assert_eq!(offset(&[sample(0, 100), sample(90, 20), sample(150, 70)]), Some(90));
        assert_eq!(offset(&[sample(0, 100), sample(95, 20), sample(170, 70)]), Some(100));
    }

    proptest! {
        /// A minority of liars never moves the clock out of what honest servers say.
        #[test]
        fn a_minority_does_not_win(
            truth in -1_000_000_000i64..1_000_000_000,
            honest in prop::collection::vec((-1000i64..1000, 0i64..5000), 2..5),
            lies in prop::collection::vec(any::<(i64, u32)>(), 0..2),
        ) {
            prop_assume!(lies.len() < honest.len());
            let mut all: Vec<_> =
                honest.iter().map(|(o, d)| sample(truth + o, o.abs() + d)).collect();
            let most = all.iter().map(|s| s.distance_us).max().unwrap_or(0);
            all.extend(lies.iter().map(|(offset, error)| sample(*offset, i64::from(*error))));
            let agreed = agree(&all).expect("the honest ones agree on the truth");
            prop_assert!((agreed.offset_us - truth).abs() <= 2 * most + 2000, "{agreed:?}");
        }
    }
}
