//! The machine's past and its watchdog, as the report shows them.

use holdfast_supervisor::snapshot::Snapshot;
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Boot {
    /// Of this installation; 0 where boots are not counted.
    count: u32,
    last_end: &'static str,
    /// What init missed when the watchdog ended it: "no" when its own loop had stopped, "untold" when
    /// nothing could have told.
    missed: &'static str,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Watchdog {
    /// 0: there is none.
    timeout_s: u16,
    /// Why it is not fed: the machine is about to be reset.
    starved: &'static str,
}

pub(crate) fn boot(snapshot: Option<&Snapshot>) -> Boot {
    let boot = snapshot.map(|snapshot| snapshot.boot).unwrap_or_default();
    Boot { count: boot.count, last_end: boot.last.name(), missed: boot.starved.name() }
}

pub(crate) fn watchdog(snapshot: Option<&Snapshot>) -> Watchdog {
    let starved = snapshot.map(|snapshot| snapshot.starved).unwrap_or_default();
    let timeout_s = snapshot.map_or(0, |snapshot| snapshot.watchdog_s);
    Watchdog { timeout_s, starved: starved.name() }
}
