//! Whether an address is free: when to ask, and when silence is the answer.
//!
//! Source: RFC 5227, 2.1.1 and 2.3. Departure: its waits are for switches of 2008 that slept at first
//! and add up to seven seconds, for which a machine would be away longer after each loss of power.
//! Here they add up to a second and a half at most: who has an address answers within milliseconds.

use std::net::Ipv4Addr;

use holdfast_supervisor::clock::Ms;

const PROBES: u32 = 3;
/// Up to this before the first, lest all machines that one power cut stopped ask at once.
const FIRST_WAIT_MS: Ms = 200;
const SHORTEST_WAIT_MS: Ms = 200;
const LONGEST_WAIT_MS: Ms = 400;
/// After the last.
const LAST_WAIT_MS: Ms = 400;
/// Between the two announcements (ANNOUNCE_INTERVAL).
pub(in crate::network) const ANNOUNCE_AGAIN_MS: Ms = 2_000;

/// The questions about one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) struct Check {
    pub(in crate::network) address: Ipv4Addr,
    asked: u32,
    /// When [`Check::step`] is due.
    pub(in crate::network) next_at: Ms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Step {
    Wait,
    Ask,
    /// Nobody has said that it is theirs.
    Free,
}

impl Check {
    pub(in crate::network) fn new(address: Ipv4Addr, now: Ms, chance: u64) -> Self {
        Self { address, asked: 0, next_at: now + chance % (FIRST_WAIT_MS + 1) }
    }

    pub(in crate::network) fn step(&mut self, now: Ms, chance: u64) -> Step {
        if now < self.next_at {
            return Step::Wait;
        }
        if self.asked == PROBES {
            return Step::Free;
        }
        self.asked += 1;
        let between = SHORTEST_WAIT_MS + chance % (LONGEST_WAIT_MS - SHORTEST_WAIT_MS + 1);
        self.next_at = now + if self.asked == PROBES { LAST_WAIT_MS } else { between };
        Step::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn three_questions_and_silence_make_it_free_within_a_second_and_a_half(
            chances in prop::array::uniform5(any::<u64>()),
            start in 0u64..1 << 40,
        ) {
            let mut check = Check::new(Ipv4Addr::new(10, 0, 0, 9), start, chances[0]);
            let mut now = start;
            for chance in &chances[1..4] {
                if check.next_at > now {
                    prop_assert_eq!(check.step(now, *chance), Step::Wait);
                }
                now = check.next_at;
                prop_assert_eq!(check.step(now, *chance), Step::Ask);
            }
            prop_assert_eq!(check.step(now, chances[4]), Step::Wait);
            now = check.next_at;
            prop_assert_eq!(check.step(now, chances[4]), Step::Free);
            prop_assert!((800..=1_500).contains(&(now - start)), "{} ms", now - start);
        }
    }
}
