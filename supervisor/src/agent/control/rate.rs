//! How many requests are read: a bucket of them, filled by time.

use holdfast_supervisor::clock::Ms;

/// At once, after a quiet time.
const BURST: u64 = 400;
/// In the long run. A script that asks all the time stays below; a flood does not.
const PER_SECOND: u64 = 200;

/// In thousandths of a request.
#[derive(Debug)]
pub(crate) struct Rate {
    left: u64,
    at: Ms,
}

impl Rate {
    pub(crate) fn new(now: Ms) -> Self {
        Self { left: BURST * 1000, at: now }
    }

    /// Whether one more is read.
    pub(crate) fn take(&mut self, now: Ms) -> bool {
        let gained = now.saturating_sub(self.at).saturating_mul(PER_SECOND);
        self.left = self.left.saturating_add(gained).min(BURST * 1000);
        self.at = now;
        let rest = self.left.checked_sub(1000);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rate: &mut Rate, now: Ms) -> u64 {
        (0..).take_while(|_| rate.take(now)).count() as u64
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut rate = Rate::new(5);
        assert_eq!(taken(&mut rate, 5), BURST);
        assert_eq!(taken(&mut rate, 5), 0);
        assert_eq!(taken(&mut rate, 505), PER_SECOND / 2);
        assert_eq!(taken(&mut rate, 1_000_000), BURST, "a long pause is no more than a burst");
    }
}
