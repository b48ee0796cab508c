//! What keeps a machine going, or lets it be reset: ties the watchdog, the gate that decides when it
//! is fed, and the boot record, by which the disk is asked.

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::gate::{Gate, Step};
use holdfast_supervisor::snapshot::{Boot, LastEnd, Starved};
use rustix::process::Pid;

use crate::console::{self, say};
use crate::keeper::{self, Answer};
use crate::watchdog::{self, Watchdog};

/// A start that ran for so long was a good one.
const GOOD_RUN_MS: Ms = 10 * 60_000;
/// Starts in a row that ended badly, after which only the loop itself counts: a machine that serves
/// without its disk or agent is better than one that only ever starts.
pub(crate) const MAX_BAD_ENDS: u8 = 3;
/// The whole of `finish`, syncing included, before the hardware loses its patience.
const END_S: u16 = 30;
/// Between two tries when no child can be made.
const RETRY_MS: Ms = 1_000;

pub(crate) struct Heart {
    watchdog: Option<Watchdog>,
    gate: Gate,
    /// The kernel command line's word, which the plan's does not change.
    fixed_s: Option<u16>,
    /// The child that asks the disk now.
    asker: Option<Pid>,
    retry_at: Option<Ms>,
    pub boot: Boot,
    pub starved: Starved,
    /// The file system was marked with errors when it was mounted.
    data_had_errors: bool,
    started_at: Ms,
    is_good: bool,
}

impl Heart {
    /// Start-up is over: from now on evidence counts.
    pub(crate) fn new(
        watchdog: Option<Watchdog>,
        fixed_s: Option<u16>,
        has_record: bool,
        data_had_errors: bool,
        boot: Boot,
    ) -> Self {
        let now = now_ms();
        let timeout = watchdog.as_ref().map_or(watchdog::DEFAULT_S, |dog| dog.timeout_s);
        if let Some(watchdog) = &watchdog {
            watchdog.feed();
        }
        let gate = Gate::new(Ms::from(timeout) * 1000, now, has_record);
        let starved = Starved::No;
        let (asker, retry_at, is_good) = (None, None, false);
        Self {
            watchdog,
            gate,
            fixed_s,
            asker,
            retry_at,
            boot,
            starved,
            data_had_errors,
            started_at: now,
            is_good,
        }
    }

    /// Seconds until the hardware resets the machine; 0: there is none.
    pub(crate) fn timeout_s(&self) -> u16 {
        self.watchdog.as_ref().map_or(0, |watchdog| watchdog.timeout_s)
    }

    /// The plan's wish.
    pub(crate) fn set_timeout(&mut self, wanted_s: u16) {
        let seconds = self.fixed_s.unwrap_or(wanted_s);
        if seconds == 0 {
            if let Some(watchdog) = self.watchdog.take() {
                watchdog.disarm();
            }
            return;
        }
        let Some(watchdog) = self.watchdog.as_mut().filter(|dog| dog.timeout_s != seconds) else {
            return;
        };
        watchdog.set_timeout(seconds);
        self.gate.set_timeout(Ms::from(watchdog.timeout_s) * 1000);
        self.gate.fed(now_ms());
    }

    pub(crate) fn heard_agent(&mut self) {
        self.gate.heard_agent(now_ms());
    }

    /// Services are being stopped: nobody but init has to live any more.
    pub(crate) fn trust_loop_only(&mut self) {
        self.gate.trust_loop_only();
    }

    /// The last feed, long enough for what comes before the reboot.
    pub(crate) fn prepare_end(&mut self) {
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.set_timeout(watchdog.timeout_s.max(END_S));
        }
    }

    pub(crate) fn deadline(&self) -> Ms {
        match self.gate.step(now_ms()) {
            Step::Wait { until } => until,
            Step::AskDisk => self.retry_at.unwrap_or(0),
            Step::Feed => 0,
        }
    }

    /// A reboot for the file system's sake: not if this start was one already. A read-only partition
    /// cannot take that note, so that such an end looks like lost power.
    pub(crate) fn may_start_anew(&self, now: Ms) -> bool {
        let orderly = matches!(self.boot.last, LastEnd::Clean | LastEnd::Unknown);
        let long = now.saturating_sub(self.started_at) > GOOD_RUN_MS;
        !self.data_had_errors && (orderly || long)
    }

    /// Once a turn of the loop. True when something about it has changed.
    pub(crate) fn turn(&mut self) -> bool {
        let now = now_ms();
        match self.gate.step(now) {
            Step::Feed => self.feed(now),
            Step::AskDisk => self.ask_disk(now),
            Step::Wait { .. } => {}
        }
        if !self.is_good && now.saturating_sub(self.started_at) > GOOD_RUN_MS {
            self.is_good = true;
            keeper::change(|record| (record.bad_ends, record.unsound_starts) = (0, 0));
        }
        self.note_starved(now)
    }

    fn feed(&mut self, now: Ms) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.feed();
        }
        self.gate.fed(now);
    }

    fn ask_disk(&mut self, now: Ms) {
        if self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        self.retry_at = None;
        match keeper::ask_aside(self.starved) {
            Ok(pid) => {
                self.asker = Some(pid);
                self.gate.disk_asked(now);
            }
            Err(_) => self.retry_at = Some(now + RETRY_MS),
        }
    }

    /// A child has ended. If it was the asker: what it has to say.
    pub(crate) fn ended(&mut self, pid: Pid, code: Option<i32>) -> Option<Answer> {
        self.asker.take_if(|asker| *asker == pid)?;
        let answer = Answer::from_exit(code);
        if answer == Answer::Failed {
            keeper::doubt();
        }
        // Read-only is not dead: it is said elsewhere, and a reset would not mend it.
        self.gate.disk_answered(answer != Answer::Failed, now_ms());
        Some(answer)
    }

    fn note_starved(&mut self, now: Ms) -> bool {
        let starved = self.gate.starved(now);
        if starved == self.starved {
            return false;
        }
        self.starved = starved;
        if starved == Starved::No {
            say!("watchdog: all is well again; feeding it");
        } else {
            console::last_words(format_args!("{}; {}", starved.text(), self.prospect()));
        }
        // On the disk, if it is not the disk.
        if starved == Starved::Agent && self.asker.is_none() {
            self.asker = keeper::ask_aside(starved).ok();
        }
        true
    }

    fn prospect(&self) -> &'static str {
        match self.watchdog {
            Some(_) => "the watchdog is not fed and will reset the machine",
            None => "a watchdog would reset the machine now, but there is none",
        }
    }
}
