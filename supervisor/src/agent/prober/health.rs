//! The thresholds, in the kubelet's words: a pure count of failures in a row.

use holdfast_supervisor::channel::Verdict;

use super::vitals::Cause;
use crate::config::Probe;
use crate::ping::Answer;

/// What came of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answer(Answer),
    /// None in time, and why.
    Silence(Cause),
}

#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(super) started: bool,
    /// Failures in a row that count against it.
    failures: u32,
    /// Those during which it was at work.
    busy: u32,
    /// Questions in a row without an answer, for whatever reason.
    unanswered: u32,
    /// What init was told last.
    last: Option<Verdict>,
}

impl Health {
    /// A verdict that init does not know yet.
    pub(super) fn judge(&mut self, outcome: Outcome, probe: &Probe) -> Option<Verdict> {
        self.count(outcome);
        self.started |= outcome == Outcome::Answer(Answer::Ready);
        let limit = if self.started { probe.liveness_failures } else { probe.startup_failures };
        let is_hung = self.failures >= limit || self.busy >= probe.busy_failures.max(limit);
        let verdict = match outcome {
            Outcome::Answer(Answer::Ready) => Verdict::Ready,
            Outcome::Answer(Answer::Busy) => Verdict::NotReady,
            Outcome::Silence(Cause::Starved { .. }) if !self.is_overdue(probe) => return None,
            Outcome::Silence(Cause::Starved { .. }) => Verdict::NotReady,
            Outcome::Silence(_) if is_hung => Verdict::Hung,
            Outcome::Silence(_) if self.is_overdue(probe) => Verdict::NotReady,
            Outcome::Silence(_) => return None,
        };
        let news = self.last != Some(verdict) && (self.started || verdict == Verdict::Hung);
        news.then_some(verdict)
    }

    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Answer(_) => (self.failures, self.busy, self.unanswered) = (0, 0, 0),
            Outcome::Silence(cause) => {
                self.unanswered = self.unanswered.saturating_add(1);
                match cause {
                    Cause::Idle | Cause::Stopped => self.failures = self.failures.saturating_add(1),
                    Cause::Busy => self.busy = self.busy.saturating_add(1),
                    Cause::Starved { .. } => {}
                }
            }
        }
    }

    fn is_overdue(&self, probe: &Probe) -> bool {
        self.unanswered >= probe.readiness_failures
    }

    pub(super) fn told(&mut self, verdict: Verdict) {
        self.last = Some(verdict);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    fn verdicts(outcomes: &[Outcome]) -> Vec<Option<Verdict>> {
        let probe = Probe {
            startup_failures: 4,
            readiness_failures: 1,
            liveness_failures: 3,
            busy_failures: 5,
            ..Config::default().probe
        };
        let mut health = Health::default();
        let mut judge = |outcome: &Outcome| {
            let verdict = health.judge(*outcome, &probe);
            verdict.inspect(|verdict| health.told(*verdict))
        };
        outcomes.iter().map(&mut judge).collect()
    }

    const ANSWERS: Outcome = Outcome::Answer(Answer::Ready);
    const LOADS: Outcome = Outcome::Answer(Answer::Busy);
    const IDLE: Outcome = Outcome::Silence(Cause::Idle);
    const STOPPED: Outcome = Outcome::Silence(Cause::Stopped);
    const WORKS: Outcome = Outcome::Silence(Cause::Busy);
    const STARVES: Outcome = Outcome::Silence(Cause::Starved { waited: Duration::from_secs(1) });
    const READY: Option<Verdict> = Some(Verdict::Ready);
    const NOT_READY: Option<Verdict> = Some(Verdict::NotReady);
    const HUNG: Option<Verdict> = Some(Verdict::Hung);

    #[test]
    fn before_the_first_answer_only_the_startup_threshold_counts() {
        assert_eq!(verdicts(&[IDLE, IDLE, IDLE, ANSWERS]), [None, None, None, READY]);
        assert_eq!(verdicts(&[IDLE; 4]), [None, None, None, HUNG]);
    }

    #[test]
    fn loading_is_neither_ready_nor_a_failure() {
        assert_eq!(verdicts(&[LOADS; 20]), [None; 20]);
    }

    #[test]
    fn a_ready_server_is_unready_at_once_and_hung_after_three() {
        assert_eq!(verdicts(&[ANSWERS, IDLE, IDLE, STOPPED]), [READY, NOT_READY, None, HUNG]);
        assert_eq!(verdicts(&[ANSWERS, IDLE, ANSWERS, ANSWERS]), [READY, NOT_READY, READY, None]);
    }

    #[test]
    fn a_busy_server_is_never_called_hung() {
        let outcomes: Vec<_> = std::iter::once(ANSWERS).chain([LOADS; 50]).collect();
        assert!(!verdicts(&outcomes).contains(&HUNG));
    }

    #[test]
    fn a_starved_server_is_not_ready_and_never_hung() {
        let outcomes: Vec<_> = std::iter::once(ANSWERS).chain([STARVES; 1_000]).collect();
        let told = verdicts(&outcomes);
        assert_eq!(told[..3], [READY, NOT_READY, None]);
        assert!(!told.contains(&HUNG));
    }

    #[test]
    fn starving_neither_counts_nor_forgives() {
        let expected = [READY, NOT_READY, None, None, None, HUNG];
        assert_eq!(verdicts(&[ANSWERS, IDLE, STARVES, IDLE, STARVES, IDLE]), expected);
    }

    #[test]
    fn who_is_at_work_has_longer() {
        let outcomes: Vec<_> = std::iter::once(ANSWERS).chain([WORKS; 5]).collect();
        assert_eq!(verdicts(&outcomes), [READY, NOT_READY, None, None, None, HUNG]);
        let ends: Vec<_> = std::iter::once(ANSWERS).chain([WORKS; 4]).chain([ANSWERS]).collect();
        assert_eq!(verdicts(&ends), [READY, NOT_READY, None, None, None, READY]);
    }
}
