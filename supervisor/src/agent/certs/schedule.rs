//! When a certificate is made: `step(record, event, now) -> (record, decision)`, without I/O.
//!
//! Validity is a matter of the wall clock, so what is due is judged anew at every look: a clock that
//! jumps only changes the next answer. Pauses (after a failure, between two certificates) are counted
//! by the monotonic clock, which does not jump.

use holdfast_supervisor::clock::Ms;

/// Seconds since 1970, negative before.
pub(crate) type Unix = i64;

pub(crate) const DAY_S: i64 = 86_400;

/// A leaf is valid from this long before it is made: clients' clocks lag.
pub(crate) const BACKDATE_S: i64 = DAY_S;

/// After the first failure; twice that after each further one.
const FIRST_RETRY_MS: Ms = 10_000;
const LONGEST_RETRY_MS: Ms = 3_600_000;

/// Between two certificates nobody asked for: a clock or an address that flaps must not wear out
/// the flash.
pub(crate) const PAUSE_MS: Ms = 60_000;

/// The certificate that is being served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) not_before: Unix,
    pub(crate) not_after: Unix,
    /// Of its serial number: machines made alike must not renew in step.
    pub(crate) jitter: u8,
    /// It names everything that it should and its authority is the present one.
    pub(crate) fits: bool,
}

impl Held {
    /// Two thirds into its life, less up to a twentieth of it.
    pub(crate) fn due(&self) -> Unix {
        let made = self.not_before.saturating_add(BACKDATE_S).min(self.not_after);
        let life = self.not_after.saturating_sub(made);
        made + life / 3 * 2 - life / (20 * 256) * i64::from(self.jitter)
    }

    pub(crate) fn is_valid_at(&self, now: Unix) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// What the wall clock is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Plausible,
    /// Before the build, or before a time that was seen already.
    BelowFloor,
    /// Years past the last time seen, with nobody to confirm it.
    Leapt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) wall: Unix,
    pub(crate) mono: Ms,
    pub(crate) standing: Standing,
    /// The kernel hands out randomness without waiting.
    pub(crate) entropy: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) held: Option<Held>,
    pub(crate) failures: u32,
    asked: bool,
    /// Not before this instant, unless asked.
    quiet_until: Ms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A look at the clocks.
    Look,
    /// What is on disk, after a start or a change of the configuration; `None`: nothing usable.
    Found(Option<Held>),
    Made(Held),
    Failed,
    /// An operator wants a new one now.
    Asked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Missing,
    Expired,
    NotYetValid,
    Unfit,
    Due,
    Asked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Wait,
    Make(Reason),
    /// It should be made, but keys need randomness.
    AwaitEntropy,
    /// It should be made, but would carry wrong dates.
    AwaitClock,
    /// It should be made, with an authority for an address that is not there yet.
    AwaitAddress,
}

impl Record {
    pub(crate) fn step(self, event: Event, now: Now) -> (Self, Decision) {
        let record = self.after(event, now.mono);
        (record, record.decide(now))
    }

    pub(crate) fn after(self, event: Event, mono: Ms) -> Self {
        match event {
            Event::Look => self,
            Event::Found(held) => Self { held, ..self },
            Event::Made(held) => {
                Self { held: Some(held), quiet_until: mono + PAUSE_MS, ..Self::default() }
            }
            Event::Failed => Self {
                failures: self.failures.saturating_add(1),
                asked: false,
                quiet_until: mono + retry_ms(self.failures),
                ..self
            },
            Event::Asked => Self { asked: true, ..self },
        }
    }

    fn decide(&self, now: Now) -> Decision {
        let Some(reason) = self.reason(now.wall) else { return Decision::Wait };
        if !self.asked && now.mono < self.quiet_until {
            return Decision::Wait;
        }
        match (now.standing, now.entropy) {
            (Standing::BelowFloor, _) => Decision::AwaitClock,
            (_, false) => Decision::AwaitEntropy,
            (_, true) => Decision::Make(reason),
        }
    }

    /// Nothing is wanted by this clock, whatever failed before.
    pub(crate) fn is_content(&self, wall: Unix) -> bool {
        self.reason(wall).is_none()
    }

    fn reason(&self, wall: Unix) -> Option<Reason> {
        let Some(held) = self.held else { return Some(Reason::Missing) };
        match () {
            () if self.asked => Some(Reason::Asked),
            () if wall > held.not_after => Some(Reason::Expired),
            () if wall < held.not_before => Some(Reason::NotYetValid),
            () if !held.fits => Some(Reason::Unfit),
            () if wall >= held.due() => Some(Reason::Due),
            () => None,
        }
    }
}

fn retry_ms(failures: u32) -> Ms {
    (FIRST_RETRY_MS << failures.min(16)).min(LONGEST_RETRY_MS)
}

/// What signs the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) not_before: Unix,
    pub(crate) not_after: Unix,
}

/// What to do for an authority before a leaf that lives until `leaf_end` is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Use,
    Create,
    /// There should be another one, but the clock may be wrong, and every client would have to be
    /// told of it.
    Hold,
}

/// `anew`: the owner wants another one.
pub(crate) fn anchor(authority: Option<Authority>, leaf_end: Unix, anew: bool, now: Now) -> Anchor {
    let Some(authority) = authority else { return Anchor::Create };
    let signs = !anew && authority.not_before <= now.wall && leaf_end <= authority.not_after;
    match (signs, now.standing) {
        (true, _) => Anchor::Use,
        (false, Standing::Plausible) => Anchor::Create,
        (false, _) => Anchor::Hold,
    }
}

#[cfg(test)]
mod tests;
