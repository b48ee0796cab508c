//! What becomes of the clock, and when to ask again: pure.
//!
//! The first answer sets the clock, by a step if it is off. Later ones only steer it, so that time
//! never jumps under a running server; a clock that is suddenly far off is stepped only when three
//! rounds in a row have said so.

use holdfast_supervisor::channel::MAX_SLEW_US;

use super::select::Agreed;

/// At first a difference that a person or a certificate could notice is not worth the wait.
const FIRST_STEP_US: i64 = 10_000;
/// Between the first questions that nobody answers.
const FIRST_RETRY_S: u32 = 2;
/// Public servers ask for no more often than this.
const MIN_POLL_S: u32 = 64;
const MAX_POLL_S: u32 = 1_024;
/// To see again what cannot be true.
const CONFIRM_S: u32 = 16;
const CONFIRMATIONS: u8 = 3;
/// Two rounds that agree.
const SAME_US: i64 = 500_000;
/// Below, the clock runs well and is asked about more rarely; above four of it, more often.
const STEADY_US: i64 = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discipline {
    /// In this boot, from outside.
    set: bool,
    far_off: Option<FarOff>,
    /// Rounds in a row without an answer.
    silent: u32,
    poll_s: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FarOff {
    offset_us: i64,
    times: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adjust {
    Step,
    Slew,
}

impl Discipline {
    pub(super) fn new(set: bool) -> Self {
        Self { set, far_off: None, silent: 0, poll_s: MIN_POLL_S }
    }

    pub(super) fn step(self, agreed: Option<Agreed>) -> (Self, Option<Adjust>) {
        let Some(agreed) = agreed else {
            return (Self { silent: self.silent.saturating_add(1), ..self }, None);
        };
        let heard = Self { silent: 0, ..self };
        let off_us = agreed.offset_us.saturating_abs();
        if !heard.set {
            let adjust = if off_us > FIRST_STEP_US { Adjust::Step } else { Adjust::Slew };
            return (Self { set: true, ..heard }, Some(adjust));
        }
        if off_us > MAX_SLEW_US { heard.doubt(agreed.offset_us) } else { heard.steer(off_us) }
    }

    /// There is a network, or another one: who was silent may answer there.
    pub(super) fn listen_again(self) -> Self {
        Self { silent: 0, ..self }
    }

    /// Until the next round.
    pub(super) fn wait_s(&self) -> u32 {
        let retry_s = FIRST_RETRY_S << self.silent.saturating_sub(1).min(8);
        match (self.silent, self.set) {
            (0, _) if self.far_off.is_some() => CONFIRM_S,
            (0, _) => self.poll_s,
            (_, false) => retry_s.min(MAX_POLL_S),
            (_, true) => retry_s.clamp(self.poll_s, MAX_POLL_S),
        }
    }

    fn steer(self, off_us: i64) -> (Self, Option<Adjust>) {
        let poll_s = match off_us {
            ..STEADY_US => self.poll_s * 2,
            _ if off_us > 4 * STEADY_US => self.poll_s / 2,
            _ => self.poll_s,
        };
        let poll_s = poll_s.clamp(MIN_POLL_S, MAX_POLL_S);
        (Self { far_off: None, poll_s, ..self }, Some(Adjust::Slew))
    }

    fn doubt(self, offset_us: i64) -> (Self, Option<Adjust>) {
        let same = |far: &FarOff| far.offset_us.abs_diff(offset_us) <= SAME_US.unsigned_abs();
        let times = self.far_off.filter(same).map_or(1, |far| far.times + 1);
        if times < CONFIRMATIONS {
            return (Self { far_off: Some(FarOff { offset_us, times }), ..self }, None);
        }
        (Self { far_off: None, poll_s: MIN_POLL_S, ..self }, Some(Adjust::Step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn agreed(offset_us: i64) -> Option<Agreed> {
        Some(Agreed { offset_us, error_us: 1_000, servers: 3, answers: 3 })
    }

    /// What is done, and the wait after it, round by round.
    fn run(mut clock: Discipline, rounds: &[Option<Agreed>]) -> Vec<(Option<Adjust>, u32)> {
        let mut done = Vec::new();
        for round in rounds {
            let (next, adjust) = clock.step(*round);
            done.push((adjust, next.wait_s()));
            clock = next;
        }
        done
    }

    #[test]
    fn the_first_answer_sets_the_clock_and_later_ones_steer_it() {
        let rounds = [agreed(50 * HOUR_US), agreed(300_000), agreed(1_000), agreed(-1_000)];
        let slew = Some(Adjust::Slew);
        let expected = [(Some(Adjust::Step), 64), (slew, 64), (slew, 128), (slew, 256)];
        assert_eq!(run(Discipline::new(false), &rounds), expected);
        assert_eq!(run(Discipline::new(false), &[agreed(9_000)]), [(slew, 64)]);
        assert_eq!(run(Discipline::new(true), &[agreed(400_000)]), [(slew, 64)]);
    }

    #[test]
    fn a_jump_is_believed_the_third_time() {
        let far = agreed(HOUR_US);
        let rounds = run(Discipline::new(true), &[far, far, far]);
        assert_eq!(rounds, [(None, 16), (None, 16), (Some(Adjust::Step), 64)]);
        let wavering = [far, agreed(-HOUR_US), far, agreed(-HOUR_US), agreed(0), far];
        assert!(
            run(Discipline::new(true), &wavering).iter().all(|(a, _)| *a != Some(Adjust::Step))
        );
    }

    #[test]
    fn silence_is_asked_into_ever_more_rarely() {
        let waits: Vec<u32> =
            run(Discipline::new(false), &[None; 12]).iter().map(|(_, wait)| *wait).collect();
        assert_eq!(waits[..5], [2, 4, 8, 16, 32]);
        assert_eq!(waits[11], 512);
        let waits = run(Discipline::new(true), &[agreed(0), None, None]);
        assert_eq!(waits[1..], [(None, 128), (None, 128)]);
    }

    proptest! {
        #[test]
        fn no_round_asks_too_often_or_slews_too_far(
            set in any::<bool>(),
            rounds in prop::collection::vec(prop::option::of(any::<i64>()), 0..40),
        ) {
            let mut clock = Discipline::new(set);
            for offset in rounds {
                let (next, adjust) = clock.step(offset.and_then(agreed));
                let off_us = offset.unwrap_or(0).saturating_abs();
                prop_assert!(adjust != Some(Adjust::Slew) || off_us <= MAX_SLEW_US);
                prop_assert!((2..=1_024).contains(&next.wait_s()));
                prop_assert!(offset.is_none() || next.wait_s() >= 16);
                clock = next;
            }
        }
    }
}
