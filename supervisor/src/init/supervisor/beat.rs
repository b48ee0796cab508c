//! The machine's heart in the loop: each turn feeds the watchdog when it may be fed, and what came of
//! a write to the data disk becomes what `status` names. And its power button.

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::degraded::Degraded;
use rustix::process::Pid;

use super::Supervisor;
use crate::console::say;
use crate::finish::End;
use crate::heart::Heart;
use crate::keeper::Answer;
use crate::metal::button;

impl Supervisor {
    pub(super) fn beat(&mut self) {
        let stopping = self.is_stopping();
        let Some(heart) = &mut self.machine.heart else { return };
        if stopping {
            heart.trust_loop_only();
        }
        self.changed |= heart.turn();
    }

    pub(super) fn next_beat(&self) -> Option<Ms> {
        self.machine.heart.as_ref().map(Heart::deadline)
    }

    pub(super) fn beat_ended(&mut self, pid: Pid, code: Option<i32>) {
        let heart = self.machine.heart.as_mut();
        let Some(answer) = heart.and_then(|heart| heart.ended(pid, code)) else { return };
        match answer {
            Answer::Well => self.no_longer(Degraded::DataFull),
            Answer::Full => self.note(Degraded::DataFull),
            Answer::ReadOnly => self.read_only(),
            Answer::Failed => {}
        }
    }

    pub(super) fn read_buttons(&mut self) {
        if button::is_pressed(&self.machine.buttons) {
            say!("the power button was pressed");
            self.stop(End::PowerOff);
        }
    }

    /// Once, a new start may mend it: the check before the mount. Then it is somebody's turn to come.
    fn read_only(&mut self) {
        if self.machine.degraded.contains(Degraded::DataReadOnly) {
            return;
        }
        self.note(Degraded::DataReadOnly);
        let now = now_ms();
        if self.machine.heart.as_ref().is_some_and(|heart| heart.may_start_anew(now)) {
            say!("data: starting the machine anew, which checks the file system");
            self.stop(End::Reboot);
        }
    }

    fn note(&mut self, degraded: Degraded) {
        if !self.machine.degraded.contains(degraded) {
            self.changed = true;
            self.machine.degrade(degraded);
        }
    }

    fn no_longer(&mut self, degraded: Degraded) {
        self.changed |= self.machine.degraded.remove(degraded);
    }
}
