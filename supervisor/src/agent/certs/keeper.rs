//! What is held, what is wrong with it and what is to be done next. It reads the store; the clocks,
//! the names and the work itself come from outside.

use std::io;
use std::path::Path;

use super::authority::{self, Present};
use super::clock::Clock;
use super::constraints::Constraints;
use super::files::{Prints, Watch};
use super::job::{Done, Job};
use super::names::{self, Name};
use super::schedule::{Decision, Event, Held, Now, Record, Unix};
use super::set::InUse;
use super::store::Store;
use crate::config::tls::{Files, Origin, Tls};

/// How far the last time seen may be behind on disk: a write of flash each.
const SAVE_SEEN_S: u64 = 3600;

/// What one look sees of the world.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) wall: Unix,
    pub(crate) mono: u64,
    /// NTP has set the clock since the machine started.
    pub(crate) confirmed: bool,
    pub(crate) entropy: bool,
    pub(crate) host: String,
    /// The machine's own and the configured ones.
    pub(crate) names: Vec<Name>,
    /// Of them, those that somebody has decided on.
    pub(crate) chosen: Vec<Name>,
    /// The names are what they will be: an authority can be made for them.
    pub(crate) settled: bool,
}

pub(crate) struct Keeper {
    pub(crate) tls: Tls,
    store: Store,
    clock: Clock,
    saved_seen: Unix,
    pub(crate) in_use: Option<InUse>,
    /// Of the device's own authority, while that can sign.
    pub(crate) authority: Option<Constraints>,
    /// What is in use was not signed by it.
    is_of_another: bool,
    /// What the device's own certificate should say.
    wanted: Vec<Name>,
    chosen: Vec<Name>,
    record: Record,
    watch: Watch,
    asked: bool,
    /// Of a new authority.
    anew: bool,
    /// Why the last attempt failed.
    pub(crate) trouble: Option<String>,
    pub(crate) decision: Decision,
    pub(crate) seen_wall: Unix,
}

impl Keeper {
    pub(crate) fn open(root: &Path, tls: Tls) -> io::Result<Self> {
        let store = Store::open(root)?;
        let seen = store.seen();
        let mut keeper = Self {
            tls,
            store,
            clock: Clock::new(seen),
            saved_seen: seen.unwrap_or(0),
            in_use: None,
            authority: None,
            is_of_another: false,
            wanted: Vec::new(),
            chosen: Vec::new(),
            record: Record::default(),
            watch: Watch::default(),
            asked: false,
            anew: false,
            trouble: None,
            decision: Decision::Wait,
            seen_wall: 0,
        };
        keeper.reload();
        Ok(keeper)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Another `[tls]`; what is held stays in use until there is something better.
    pub(crate) fn configure(&mut self, tls: Tls) {
        if self.tls != tls {
            (self.record, self.watch) = (Record::default(), Watch::default());
            (self.tls, self.trouble) = (tls, None);
        }
        self.reload();
    }

    /// At the next look, whatever the schedule says.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
    }

    /// The same, of a new authority: clients must be told of it.
    pub(crate) fn ask_anew(&mut self) {
        (self.asked, self.anew) = (true, true);
    }

    fn reload(&mut self) {
        match InUse::load(&self.store) {
            Ok(in_use) => self.in_use = in_use,
            Err(trouble) => (self.in_use, self.trouble) = (None, Some(trouble)),
        }
        let own = match authority::read(&self.store) {
            Ok(Present::Good(pair, _, constraints)) => Some((pair.certificate, constraints)),
            _ => None,
        };
        let signer = self.in_use.as_ref().and_then(|in_use| in_use.set.bundle.authority.as_ref());
        self.is_of_another = own
            .as_ref()
            .zip(signer)
            .is_some_and(|((own, _), signer)| *own.as_bytes() != *signer.bytes);
        self.authority = own.map(|(_, constraints)| constraints);
    }

    /// What the certificate should say, and the authority does not permit.
    pub(crate) fn left_out(&self) -> Vec<Name> {
        let own = matches!(self.tls.origin, Origin::SelfCa { .. });
        let own = self.authority.as_ref().filter(|_| own);
        own.map(|constraints| constraints.split(&self.wanted).1).unwrap_or_default()
    }

    /// Somebody must do something about what is left out.
    pub(crate) fn misses_a_choice(&self) -> bool {
        self.left_out().iter().any(|name| self.chosen.contains(name))
    }

    /// What is to be done now, if anything.
    pub(crate) fn look(&mut self, look: &Look) -> Option<Job> {
        let standing = self.clock.look(look.wall, look.mono, look.confirmed);
        self.seen_wall = look.wall;
        let (wall, mono, entropy) = (look.wall, look.mono, look.entropy);
        let now = Now { wall, mono, standing, entropy };
        let job = match self.tls.origin.clone() {
            Origin::Off => return None,
            Origin::SelfCa { life_s } => self.look_at_own(look, life_s, now),
            Origin::Files(files) => self.look_at_files(files, now),
        };
        job.or_else(|| self.remember())
    }

    fn look_at_own(&mut self, look: &Look, life_s: i64, now: Now) -> Option<Job> {
        if self.in_use.is_some() && !self.store.current().exists() {
            self.reload();
        }
        let event = if std::mem::take(&mut self.asked) { Event::Asked } else { Event::Look };
        let anew = std::mem::take(&mut self.anew);
        self.wanted.clone_from(&look.names);
        self.chosen.clone_from(&look.chosen);
        self.record = self.record.step(Event::Found(self.held(life_s)), now).0;
        (self.record, self.decision) = self.record.step(event, now);
        if self.record.is_content(now.wall) {
            self.trouble = None;
        }
        let Decision::Make(_) = self.decision else { return None };
        if self.authority.is_none() && !look.settled {
            self.decision = Decision::AwaitAddress;
            return None;
        }
        let (host, names) = (look.host.clone(), look.names.clone());
        Some(Job::Make { host, names, life_s, anew, now })
    }

    fn look_at_files(&mut self, files: Files, now: Now) -> Option<Job> {
        let prints = Prints::of(&files);
        let asked = std::mem::take(&mut self.asked);
        if !self.watch.look(prints, now.mono) && !asked {
            return None;
        }
        // A clock that is known to lag must not call a good certificate a future one.
        let now = now.wall.max(self.clock.seen());
        let in_use = self.in_use.as_ref().map(|in_use| Box::new(in_use.set.clone()));
        Some(Job::Adopt { files, prints, names: self.tls.names.clone(), now, in_use })
    }

    fn held(&self, life_s: i64) -> Option<Held> {
        let permitted = self.authority.as_ref().map(|own| own.split(&self.wanted).0);
        let names = permitted.as_ref().unwrap_or(&self.wanted);
        let in_use = self.in_use.as_ref()?;
        let mut held = Self::dates(in_use);
        // Files of an operator, from a time when they were configured, are not renewed by us.
        held.fits = in_use.set.client.is_some()
            && !self.is_of_another
            && names::missing(names, &in_use.facts.names).is_empty()
            && held.not_after - held.not_before <= life_s + super::schedule::BACKDATE_S;
        Some(held)
    }

    fn dates(in_use: &InUse) -> Held {
        let facts = &in_use.facts;
        let (not_before, not_after) = (facts.not_before, facts.not_after);
        Held { not_before, not_after, jitter: facts.jitter, fits: true }
    }

    /// After a job: true when the server must be told.
    pub(crate) fn done(&mut self, job: &Job, result: Result<Done, String>, mono: u64) -> bool {
        match job {
            Job::Adopt { prints, .. } => self.watch.judged(*prints, result.is_ok(), mono),
            Job::Remember { .. } => return false,
            Job::Make { .. } => {}
        }
        let installed = result == Ok(Done::Installed);
        self.trouble = result.err();
        if installed {
            self.reload();
        }
        let event = match self.in_use.as_ref().filter(|_| self.trouble.is_none()) {
            Some(in_use) => Event::Made(Self::dates(in_use)),
            None => Event::Failed,
        };
        self.record = self.record.after(event, mono);
        installed
    }

    /// When it will be renewed by us.
    pub(crate) fn due(&self) -> Option<Unix> {
        let own = matches!(self.tls.origin, Origin::SelfCa { .. });
        self.in_use.as_ref().filter(|_| own).map(|in_use| Self::dates(in_use).due())
    }

    /// There is none that clients accept, or it is well past the time of its renewal.
    pub(crate) fn is_late(&self) -> bool {
        let Some(in_use) = &self.in_use else { return self.tls.origin != Origin::Off };
        let held = Self::dates(in_use);
        let grace = held.not_after.saturating_sub(held.due()) / 4;
        let due = held.due().saturating_add(grace);
        self.tls.origin != Origin::Off
            && (!held.is_valid_at(self.seen_wall) || self.seen_wall > due)
    }

    fn remember(&mut self) -> Option<Job> {
        let seen = self.clock.seen();
        let due = seen.abs_diff(self.saved_seen) >= SAVE_SEEN_S;
        due.then(|| {
            self.saved_seen = seen;
            Job::Remember { seen }
        })
    }
}

#[cfg(test)]
mod tests;
