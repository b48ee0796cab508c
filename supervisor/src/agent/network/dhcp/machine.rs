//! The DHCP client as a state machine: `step(event, now, chance)` gives the next state, what to
//! send and what to tell init. It reads no clock, no randomness and no socket.
//!
//! ```text
//!           LinkUp               OFFER                ACK            nobody has it
//!   Down ──────────▶ Selecting ────────▶ Requesting ───────▶ Probing ─────▶ Bound ◀──┐
//!     │                ▲ ▲ ▲ NAK, silence   │                 ▲ │             │ T1   │ ACK
//!     │ LinkUp, address│ │ └────────────────┘                 │ │ taken       ▼      │
//!     └───▶ Rebooting ─┘ │ NAK, silence                       │ │ (DECLINE) Renewing ┤
//!               │        └────────────────────────────────────┼─┘             │ T2   │
//!               └─ ACK ───────────────────────────────────────┘               ▼      │
//!                                               NAK, lease over ◀───────── Rebinding ┘
//! ```
//!
//! An address that is in force already is confirmed without being probed for.
//!
//! Source: RFC 2131, figure 5, and 4.4.1 for what is probed. Departures: a lease in force stays so while the link is down or while
//! nobody confirms it, until its time is over; after a NAK the pause doubles, so that a server that
//! offers and then refuses is asked once a minute; short leases are renewed more often than every
//! 60 s.

use std::net::Ipv4Addr;

use holdfast_supervisor::clock::Ms;

use super::super::arp::Says;
use super::super::arp::check::{ANNOUNCE_AGAIN_MS, Check, Step};
use super::lease::{Held, Lease};
use super::message::{Asks, Kind, Mac, Reply, Request};

/// Before the second DISCOVER; then twice as long each time. RFC 2131 says 4 s, of the time when
/// switches were slow; a machine that boots is waited for.
const FIRST_WAIT_MS: Ms = 2_000;
const LONGEST_WAIT_MS: Ms = 64_000;
/// REQUESTs for what was offered before somebody else is looked for.
const REQUEST_TRIES: u32 = 4;
/// REQUESTs for the address of before: in another network nobody need answer.
const REBOOT_TRIES: u32 = 3;
const FIRST_PAUSE_MS: Ms = 1_000;
/// RFC 2131, 4.4.5: between two renewals; a 60th of a lease that is shorter than an hour.
const RENEW_WAIT_MS: Ms = 60_000;
const MIN_RENEW_WAIT_MS: Ms = 1_000;
/// RFC 2131, 3.1: ten seconds at least before another address is asked for, and the second that
/// [`around`] may take from it. Who takes every address that is offered is asked for one a minute.
const DECLINE_WAIT_MS: Ms = 11_000;

#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    pub(super) state: State,
    /// The lease in force: what init was told last.
    pub(super) held: Option<Held>,
    /// Asked for again when the link comes up.
    known: Option<Ipv4Addr>,
    /// In a row, since the last lease.
    naks: u32,
    declines: u32,
    /// The lease's address is to be announced once more.
    announce_at: Option<Ms>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Down,
    Selecting(Exchange),
    Requesting(Exchange, Lease),
    Rebooting(Exchange, Ipv4Addr),
    /// Given, asked for at that time, and not used before it is known that nobody else does.
    Probing(Lease, Ms, Check),
    /// The last three are with a lease in force only.
    Bound,
    Renewing(Exchange),
    Rebinding(Exchange),
}

/// Requests with one transaction id, until one is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    xid: u32,
    since: Ms,
    tries: u32,
    asked_at: Ms,
    again_at: Ms,
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    LinkUp,
    LinkDown,
    /// The interface was taken away, and its address with it.
    Gone,
    Heard(Reply),
    /// Somebody else has the address that is probed for.
    Taken(Mac),
    Tick,
}

/// What follows from an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) send: Option<Request>,
    pub(crate) says: Option<Says>,
    pub(crate) tell: Option<Tell>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tell {
    /// New, or the same for longer.
    Lease(Lease),
    Lost(Loss),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Refused,
    Expired,
    Unplugged,
}

impl Client {
    /// After a restart: `held` is in force already, `known` is an address of an earlier boot.
    pub(crate) fn new(held: Option<Held>, known: Option<Ipv4Addr>) -> Self {
        let known = held.as_ref().map(|held| held.lease.address).or(known);
        Self { held, known, ..Self::default() }
    }

    /// A word for each state, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self.state {
            State::Down => "no link",
            State::Selecting(_) => "selecting",
            State::Requesting(..) => "requesting",
            State::Rebooting(..) => "rebooting",
            State::Probing(..) => "probing",
            State::Bound => "bound",
            State::Renewing(_) => "renewing",
            State::Rebinding(_) => "rebinding",
        }
    }

    pub(crate) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// The address that nobody else may have.
    pub(crate) fn probed(&self) -> Option<Ipv4Addr> {
        match &self.state {
            State::Probing(lease, ..) => Some(lease.address),
            _ => None,
        }
    }

    /// There is more to say by ARP.
    pub(crate) fn needs_arp(&self) -> bool {
        self.probed().is_some() || self.announce_at.is_some()
    }

    /// When `Tick` is due.
    pub(crate) fn deadline(&self) -> Option<Ms> {
        let held = self.held.as_ref();
        let of_state = match &self.state {
            State::Down => None,
            State::Bound => held.map(|held| held.renew_at),
            State::Probing(_, _, check) => Some(check.next_at),
            State::Selecting(exchange)
            | State::Requesting(exchange, _)
            | State::Rebooting(exchange, _)
            | State::Renewing(exchange)
            | State::Rebinding(exchange) => Some(exchange.again_at),
        };
        let expiry = held.and_then(|held| held.expires_at);
        of_state.into_iter().chain(expiry).chain(self.announce_at).min()
    }

    pub(crate) fn step(mut self, event: Event, now: Ms, chance: u64) -> (Self, Output) {
        let output = match event {
            Event::LinkUp if self.state == State::Down => self.begin(now, chance),
            Event::LinkUp => Output::default(),
            Event::LinkDown => {
                self.leave();
                Output::default()
            }
            Event::Gone => {
                self.leave();
                self.lose(Loss::Unplugged)
            }
            Event::Heard(reply) => self.hear(reply, now, chance),
            Event::Taken(_) => self.decline(now, chance),
            Event::Tick if self.announce_at.is_some_and(|at| at <= now) => self.announce(),
            Event::Tick => self.tick(now, chance),
        };
        (self, output)
    }

    fn leave(&mut self) {
        self.state = State::Down;
        self.announce_at = None;
    }

    fn begin(&mut self, now: Ms, chance: u64) -> Output {
        match self.known {
            Some(address) => {
                self.state = State::Rebooting(Exchange::new(now, chance), address);
                self.send(now, chance)
            }
            None => self.select(now, chance),
        }
    }

    fn select(&mut self, now: Ms, chance: u64) -> Output {
        self.state = State::Selecting(Exchange::new(now, chance));
        self.send(now, chance)
    }

    /// A server said no: the next try waits, and the one after that twice as long.
    fn pause(&mut self, now: Ms, chance: u64) {
        let pause = doubled(FIRST_PAUSE_MS, self.naks);
        self.naks = self.naks.saturating_add(1);
        self.state = State::Selecting(Exchange::new(now + around(pause, chance), chance));
    }

    fn lose(&mut self, loss: Loss) -> Output {
        self.announce_at = None;
        let tell = self.held.take().map(|_| Tell::Lost(loss));
        Output { tell, ..Output::default() }
    }

    fn hear(&mut self, reply: Reply, now: Ms, chance: u64) -> Output {
        let Some(asked_at) = self.exchange().filter(|e| e.awaits(reply.xid)).map(|e| e.asked_at)
        else {
            return Output::default();
        };
        match (&self.state, reply.kind) {
            (State::Selecting(exchange), Kind::Offer(offer)) => {
                // RFC 2131, 4.4.1: with the id and the seconds of the DISCOVER.
                self.state = State::Requesting(Exchange { tries: 0, ..*exchange }, offer);
                self.send(now, chance)
            }
            (State::Requesting(_, offer), Kind::Ack(lease)) if lease.server == offer.server => {
                self.accept(lease, asked_at, now, chance)
            }
            (State::Requesting(_, offer), Kind::Nak(from))
                if from.is_none_or(|from| from == offer.server) =>
            {
                self.pause(now, chance);
                Output::default()
            }
            (State::Rebooting(..) | State::Renewing(_) | State::Rebinding(_), kind) => match kind {
                Kind::Ack(lease) => self.accept(lease, asked_at, now, chance),
                Kind::Nak(_) => {
                    self.known = None;
                    self.pause(now, chance);
                    self.lose(Loss::Refused)
                }
                Kind::Offer(_) => Output::default(),
            },
            _ => Output::default(),
        }
    }

    /// What is in force already is ours; another address may be somebody else's.
    fn accept(&mut self, lease: Lease, asked_at: Ms, now: Ms, chance: u64) -> Output {
        self.known = Some(lease.address);
        let is_ours = self.held.as_ref().is_some_and(|held| held.lease.address == lease.address);
        if is_ours {
            return self.bind(lease, asked_at);
        }
        let check = Check::new(lease.address, now, chance);
        self.state = State::Probing(lease, asked_at, check);
        Output::default()
    }

    fn probe(&mut self, now: Ms, chance: u64) -> Output {
        let State::Probing(lease, asked_at, check) = &mut self.state else {
            return Output::default();
        };
        match check.step(now, chance) {
            Step::Wait => Output::default(),
            Step::Ask => Output { says: Some(Says::Probe(lease.address)), ..Output::default() },
            Step::Free => {
                let (lease, asked_at) = (lease.clone(), *asked_at);
                self.announce_at = Some(now + ANNOUNCE_AGAIN_MS);
                let says = Some(Says::Announce(lease.address));
                Output { says, ..self.bind(lease, asked_at) }
            }
        }
    }

    fn announce(&mut self) -> Output {
        self.announce_at = None;
        let says = self.held.as_ref().map(|held| Says::Announce(held.lease.address));
        Output { says, ..Output::default() }
    }

    /// The server is told, and asked for another one later.
    fn decline(&mut self, now: Ms, chance: u64) -> Output {
        let State::Probing(Lease { address, server, .. }, ..) = self.state else {
            return Output::default();
        };
        self.known = None;
        let wait = doubled(DECLINE_WAIT_MS, self.declines);
        self.declines = self.declines.saturating_add(1);
        let next = Exchange::new(now + around(wait, chance), chance);
        self.state = State::Selecting(next);
        let request = Request { what: Asks::Decline { address, server }, xid: next.xid, secs: 0 };
        Output { send: Some(request), ..Output::default() }
    }

    fn bind(&mut self, lease: Lease, asked_at: Ms) -> Output {
        self.known = Some(lease.address);
        (self.naks, self.declines) = (0, 0);
        self.held = Some(Held::new(lease.clone(), asked_at));
        self.state = State::Bound;
        Output { tell: Some(Tell::Lease(lease)), ..Output::default() }
    }

    fn tick(&mut self, now: Ms, chance: u64) -> Output {
        if self.held.as_ref().is_some_and(|held| held.is_over(now)) {
            return self.expire(now, chance);
        }
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Output::default();
        }
        match &self.state {
            State::Down => Output::default(),
            State::Requesting(exchange, _) if exchange.tries >= REQUEST_TRIES => {
                self.select(now, chance)
            }
            State::Rebooting(exchange, _) if exchange.tries >= REBOOT_TRIES => {
                self.select(now, chance)
            }
            State::Probing(..) => self.probe(now, chance),
            State::Bound => {
                self.state = State::Renewing(Exchange::new(now, chance));
                self.send(now, chance)
            }
            State::Renewing(exchange) if self.held.as_ref().is_some_and(|h| h.rebind_at <= now) => {
                self.state = State::Rebinding(*exchange);
                self.send(now, chance)
            }
            _ => self.send(now, chance),
        }
    }

    fn expire(&mut self, now: Ms, chance: u64) -> Output {
        self.known = None;
        let send = match self.state {
            State::Bound | State::Renewing(_) | State::Rebinding(_) => {
                self.select(now, chance).send
            }
            _ => None,
        };
        Output { send, ..self.lose(Loss::Expired) }
    }

    fn exchange(&self) -> Option<&Exchange> {
        match &self.state {
            State::Down | State::Probing(..) | State::Bound => None,
            State::Selecting(exchange)
            | State::Requesting(exchange, _)
            | State::Rebooting(exchange, _)
            | State::Renewing(exchange)
            | State::Rebinding(exchange) => Some(exchange),
        }
    }

    /// The request of the present state, and when it is repeated.
    fn send(&mut self, now: Ms, chance: u64) -> Output {
        let held = self.held.as_ref();
        let (exchange, what, again_at) = match &mut self.state {
            State::Selecting(exchange) => (exchange, Some(Asks::Discover), None),
            State::Requesting(exchange, Lease { address, server, .. }) => {
                (exchange, Some(Asks::Select { address: *address, server: *server }), None)
            }
            State::Rebooting(exchange, address) => {
                (exchange, Some(Asks::Reboot { address: *address }), None)
            }
            State::Renewing(exchange) => {
                (exchange, held.map(Held::renew), held.map(|held| held.next_renewal(now)))
            }
            State::Rebinding(exchange) => {
                (exchange, held.map(Held::rebind), held.map(|held| held.next_rebinding(now)))
            }
            State::Down | State::Probing(..) | State::Bound => return Output::default(),
        };
        exchange.asked_at = now;
        exchange.again_at =
            again_at.unwrap_or(now + around(doubled(FIRST_WAIT_MS, exchange.tries), chance));
        exchange.tries = exchange.tries.saturating_add(1);
        let secs = u16::try_from(now.saturating_sub(exchange.since) / 1000).unwrap_or(u16::MAX);
        let send = what.map(|what| Request { what, xid: exchange.xid, secs });
        Output { send, ..Output::default() }
    }
}

impl Exchange {
    /// Nothing is sent yet; something will be at `at`.
    fn new(at: Ms, chance: u64) -> Self {
        Self { xid: (chance >> 32) as u32, since: at, tries: 0, asked_at: at, again_at: at }
    }

    fn awaits(&self, xid: u32) -> bool {
        self.tries > 0 && self.xid == xid
    }
}

impl Held {
    fn is_over(&self, now: Ms) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    fn renew(&self) -> Asks {
        Asks::Renew { address: self.lease.address, server: self.lease.server }
    }

    fn rebind(&self) -> Asks {
        Asks::Rebind { address: self.lease.address }
    }

    /// Half of what is left until T2.
    fn next_renewal(&self, now: Ms) -> Ms {
        (now + self.wait(self.rebind_at, now)).min(self.rebind_at.max(now + 1))
    }

    /// Half of what is left of the lease.
    fn next_rebinding(&self, now: Ms) -> Ms {
        now + self.wait(self.expires_at.unwrap_or(Ms::MAX), now)
    }

    fn wait(&self, until: Ms, now: Ms) -> Ms {
        let lease_ms = self.lease.lease_s.map_or(Ms::MAX, |seconds| Ms::from(seconds) * 1000);
        let least = (lease_ms / 60).clamp(MIN_RENEW_WAIT_MS, RENEW_WAIT_MS);
        (until.saturating_sub(now) / 2).max(least)
    }
}

fn doubled(first: Ms, times: u32) -> Ms {
    // Six doublings take a second to the longest wait; more would push the bits out.
    (first << times.min(6)).min(LONGEST_WAIT_MS)
}

/// RFC 2131, 4.1: a second more or less (a quarter of short waits), lest all machines that one power
/// cut stopped ask at once.
fn around(wait: Ms, chance: u64) -> Ms {
    let spread = (wait / 4).min(1_000);
    wait - spread + chance % (2 * spread + 1)
}

#[cfg(test)]
mod tests;
