//! A fixed address: init uses it as soon as there is an interface for it. Here it is announced, and
//! whoever else has it is found and told.
//!
//! Departure from RFC 5227, 2.1, by which it were not used then: nobody is on site to give the machine
//! another one, and a single forged packet would take the machine off its network for good.

use std::net::Ipv4Addr;
use std::time::Duration;

use holdfast_supervisor::clock::{Ms, now_ms};

use super::arp::check::{ANNOUNCE_AGAIN_MS, Check, Step};
use super::arp::{Arp, Rival, Says};
use super::devices::Device;
use super::dhcp::Mac;
use super::interface::chance;

/// After a rival was found.
const LOOK_AGAIN_MS: Ms = 60_000;

pub(super) struct Fixed {
    address: Ipv4Addr,
    device: Device,
    phase: Phase,
    arp: Arp,
    rival: Option<Rival>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing to do before the link is up.
    Idle,
    Checking(Check),
    /// Announced, and to be announced once more then.
    Announced(Ms),
    /// Somebody else has it: looked at again then.
    Contested(Ms),
}

pub(super) enum Event {
    Taken(Mac),
    Tick,
}

impl Fixed {
    pub(super) fn new(address: Ipv4Addr, device: Device) -> Self {
        let device = Device { carrier: false, ..device };
        Self { address, device, phase: Phase::Idle, arp: Arp::default(), rival: None }
    }

    pub(super) fn is_for(&self, address: Ipv4Addr, device: &Device) -> bool {
        (self.address, self.device.index) == (address, device.index)
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// A word for each state, for people.
    pub(super) fn name(&self) -> &'static str {
        match self.phase {
            Phase::Idle if !self.device.carrier => "no link",
            Phase::Checking(_) => "probing",
            Phase::Contested(_) => "conflict",
            Phase::Idle | Phase::Announced(_) => "bound",
        }
    }

    pub(super) fn rival(&self) -> Option<&Rival> {
        self.rival.as_ref()
    }

    /// Its link as it is now.
    pub(super) fn see(&mut self, device: &Device) {
        let had_link = std::mem::replace(&mut self.device, device.clone()).carrier;
        match (had_link, device.carrier) {
            (false, true) => self.begin(),
            (true, false) => self.rest(Phase::Idle),
            _ => {}
        }
    }

    pub(super) async fn next(&self) -> Event {
        let (due, checked) = match self.phase {
            Phase::Idle => (None, None),
            Phase::Checking(check) => (Some(check.next_at), Some(self.address)),
            Phase::Announced(at) | Phase::Contested(at) => (Some(at), None),
        };
        let tick = async {
            match due {
                Some(at) => {
                    let left = Duration::from_millis(at.saturating_sub(now_ms()));
                    tokio::time::sleep(left).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            by = self.arp.rival(checked, &self.device) => Event::Taken(by),
            () = tick => Event::Tick,
        }
    }

    pub(super) fn feed(&mut self, event: Event) {
        match event {
            Event::Taken(by) => self.contested(by),
            Event::Tick => self.tick(),
        }
    }

    fn begin(&mut self) {
        self.phase = Phase::Checking(Check::new(self.address, now_ms(), chance()));
    }

    fn rest(&mut self, phase: Phase) {
        self.arp.close();
        self.phase = phase;
    }

    fn tick(&mut self) {
        let now = now_ms();
        match &mut self.phase {
            Phase::Idle => {}
            Phase::Checking(check) => match check.step(now, chance()) {
                Step::Wait => {}
                Step::Ask => self.arp.say(Says::Probe(self.address), &self.device),
                Step::Free => self.is_free(now),
            },
            Phase::Announced(_) => {
                self.arp.say(Says::Announce(self.address), &self.device);
                self.rest(Phase::Idle);
            }
            Phase::Contested(_) => self.begin(),
        }
    }

    fn is_free(&mut self, now: Ms) {
        if self.rival.take().is_some() {
            eprintln!("holdfast-agent: {}: nobody else has it any more", self.address);
        }
        self.arp.say(Says::Announce(self.address), &self.device);
        self.phase = Phase::Announced(now + ANNOUNCE_AGAIN_MS);
    }

    fn contested(&mut self, by: Mac) {
        let rival = Rival::new(self.address, by);
        if self.rival.as_ref() != Some(&rival) {
            let name = &self.device.name;
            eprintln!("holdfast-agent: {name}: {} has {}, too", rival.by, self.address);
        }
        self.rival = Some(rival);
        self.rest(Phase::Contested(now_ms() + LOOK_AGAIN_MS));
    }
}
