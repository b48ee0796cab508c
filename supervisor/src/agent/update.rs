//! Updates: a whole system for the slot that does not run, tried once, kept only if it does well.
//!
//! Reading order: [`file`] reads an update and finds its faults, [`source`] is where it comes from,
//! [`slot`] writes it, [`install`] is the command, [`trial`] judges the start that follows, and
//! [`record`] is what both keep on the data partition. What the firmware is told is init's to write.

mod file;
mod install;
mod record;
mod slot;
mod source;
mod trial;

use std::fmt;

use holdfast_supervisor::clock::Ms;
use holdfast_supervisor::slots::{Obstacle, Slot, View};
use holdfast_supervisor::snapshot::{Mode, Snapshot};
use serde::Serialize;

use crate::report::Span;
use crate::run::Shared;
pub(crate) use install::install;
pub(crate) use record::{Outcome, Record};
pub(crate) use source::Source;
pub(crate) use trial::keep;

/// `[update]` of holdfast.toml.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The server must have been ready this long.
    pub(crate) stable_ms: u32,
    /// From the start on; then it goes back.
    pub(crate) deadline_ms: u32,
}

impl Settings {
    pub(crate) const STANDARD: Self = Self { stable_ms: 30_000, deadline_ms: 300_000 };
}

/// The part of the status report; nothing in a container.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    running: Option<&'static str>,
    good: Option<&'static str>,
    trial: bool,
    /// The next start is a trial of the other slot.
    armed: bool,
    /// Why this machine cannot be updated.
    obstacle: Option<&'static str>,
    last: Option<Record>,
    #[serde(skip)]
    stable_ms: u32,
}

impl Told {
    pub(crate) fn new(shared: &Shared, snapshot: Option<&Snapshot>) -> Option<Self> {
        let snapshot = snapshot.filter(|snapshot| snapshot.mode == Mode::Metal)?;
        let View { obstacle, running, good, is_trial, is_armed, .. } = snapshot.slots;
        Some(Self {
            running: running.map(Slot::name),
            good: good.map(Slot::name),
            trial: is_trial,
            armed: is_armed,
            obstacle: Some(obstacle).filter(|it| *it != Obstacle::None).map(Obstacle::text),
            last: shared.update.borrow().clone(),
            stable_ms: shared.config().update.stable_ms,
        })
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let Some(running) = self.running {
            write!(f, "slot: {running}")?;
            match self.good {
                _ if self.trial => {
                    let span = Span(Ms::from(self.stable_ms));
                    write!(f, ", on trial: kept once the server has been ready for {span}")?;
                }
                _ if self.armed => f.write_str("; the other one is tried at the next start")?,
                Some(good) if good != running => {
                    write!(f, ", though the firmware starts slot {good} first")?;
                }
                _ => {}
            }
            writeln!(f)?;
        }
        match &self.last {
            Some(last) => writeln!(f, "update: {last}"),
            None => Ok(()),
        }
    }
}
