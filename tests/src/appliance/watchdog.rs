//! One fault that only a reset can mend: done to the booted appliance, timed, and looked up afterwards.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Appliance, BOOT};
use crate::starvation;

/// What dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// PID 1's loop never turns again.
    Loop,
    /// The agent is gone, and no new one can be started.
    Agent,
    /// The data disk takes requests and answers none.
    Disk,
}

impl Fault {
    pub const ALL: [Self; 3] = [Self::Loop, Self::Agent, Self::Disk];

    /// What `status` says after the reset that was missed before it. A kernel that keeps no last
    /// words (Debian's) cannot tell a dead disk from a dead loop.
    fn is_told_by(self, missed: &str) -> bool {
        match self {
            Self::Loop => matches!(missed, "no" | "untold"),
            Self::Agent => missed == "agent",
            Self::Disk => matches!(missed, "disk" | "untold"),
        }
    }

    fn inflict(self, appliance: &Appliance) {
        match self {
            Self::Loop => appliance.hurt("init", "SPIN"),
            Self::Agent => appliance.hurt("init", "NOAGENT"),
            Self::Disk => appliance.disk().silence(true),
        }
    }
}

/// A reset that came, and what the machine knew of it.
#[derive(Debug)]
pub struct Reset {
    /// From the fault on.
    pub after: Duration,
    /// The watchdog's, as the machine set it.
    pub timeout: Duration,
    /// For so long QEMU had no processor meanwhile.
    pub starved: Duration,
    /// `boot` of the status after it.
    pub told: Value,
}

impl Reset {
    /// The timeout and a tenth, which the reference asks for, and what QEMU had no processor for.
    pub fn is_in_time(&self) -> bool {
        self.after <= self.timeout + self.timeout / 10 + self.starved
    }
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (after, timeout) = (self.after.as_secs_f64(), self.timeout.as_secs());
        let starved = self.starved.as_secs_f64();
        write!(
            f,
            "reset after {after:.2} s of {timeout} s ({starved:.2} s starved); told: {}",
            self.told
        )
    }
}

/// Does it to a machine that is well, waits for the reset, and asks the machine that comes back.
pub fn reset_by(fault: Fault, appliance: &mut Appliance) -> Result<Reset, String> {
    let before = appliance.wait_for_status("ready", |status| {
        status["ready"] == true && status["watchdog"]["starved"] == "no"
    });
    let seconds = before["watchdog"]["timeout_s"].as_u64().unwrap_or(0);
    if seconds == 0 {
        return Err(format!("the machine has no watchdog: {before:#}"));
    }
    let timeout = Duration::from_secs(seconds);
    appliance.qmp().forget();
    let pid = appliance.guest.pid();
    let (begun, waited) = (Instant::now(), starvation::waited(pid));
    fault.inflict(appliance);
    let reset = appliance.qmp().wait_for("WATCHDOG", 2 * timeout + BOOT);
    // QEMU's reset waits for the disk's answers, and the machine that comes back needs them.
    appliance.disk().silence(false);
    let starved = starvation::waited(pid).saturating_sub(waited);
    let Some(at) = reset else {
        return Err(format!("no reset:\n{}", appliance.guest.console().tail()));
    };
    let boots = before["boot"]["count"].as_u64().unwrap_or(0);
    let after = appliance.wait_for_status("started anew", |status| {
        status["ready"] == true && status["boot"]["count"].as_u64() > Some(boots)
    });
    let told = after["boot"].clone();
    let reset = Reset { after: at.duration_since(begun), timeout, starved, told };
    let missed = reset.told["missed"].as_str().unwrap_or_default();
    if reset.told["last_end"] != "watchdog" || !fault.is_told_by(missed) {
        return Err(format!("{fault:?}: {reset}\n{}", appliance.guest.console().tail()));
    }
    Ok(reset)
}
