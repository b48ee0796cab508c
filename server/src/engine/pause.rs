//! CLIENT PAUSE: for a while, commands (or only writes) wait before they are executed.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseMode {
    Write,
    All,
}

/// The pause in force, if any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pause {
    current: Option<(PauseMode, i64)>,
}

impl Pause {
    /// Starts or prolongs a pause. A stricter mode and a later end are kept.
    pub fn start(&mut self, mode: PauseMode, until_ms: i64, now_ms: i64) {
        let (mode, until_ms) = match self.at(now_ms) {
            Some((old_mode, old_until)) => (old_mode.max(mode), old_until.max(until_ms)),
            None => (mode, until_ms),
        };
        self.current = Some((mode, until_ms));
    }

    pub fn end(&mut self) {
        self.current = None;
    }

    /// The mode in force at `now_ms` and when it ends.
    pub fn at(&self, now_ms: i64) -> Option<(PauseMode, i64)> {
        self.current.filter(|(_, until_ms)| *until_ms > now_ms)
    }

    /// Whether a pause is recorded that is over: its waiting clients are to be woken.
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.current.is_some_and(|(_, until_ms)| until_ms <= now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_pause_never_weakens_the_first() {
        let mut pause = Pause::default();
        pause.start(PauseMode::All, 200, 0);
        pause.start(PauseMode::Write, 100, 50);
        assert_eq!(pause.at(150), Some((PauseMode::All, 200)));
        assert_eq!(pause.at(200), None);
        assert!(pause.is_over(200));
        pause.start(PauseMode::Write, 300, 250);
        assert_eq!(pause.at(260), Some((PauseMode::Write, 300)));
    }
}
