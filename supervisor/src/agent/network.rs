//! A machine's network, as far as the agent has a part in it: it sees interfaces come and go, asks
//! DHCP servers, and tells init what came of it. init applies it.
//!
//! A container's network is its runtime's; there this does nothing.

mod arp;
mod devices;
mod dhcp;
mod fixed;
mod interface;
mod store;
mod view;

use std::net::Ipv4Addr;
use std::rc::Rc;

use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::cmdline;
use holdfast_supervisor::plan::{Ipv4, text};

use crate::run::{Shared, kernel_words};
use devices::{Device, Links};
use fixed::Fixed;
use interface::Interface;

#[cfg(feature = "fuzz")]
pub(crate) use interface::told;
pub(crate) use view::{Report, View};

/// What other parts of the agent want to know of the network.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) view: std::cell::RefCell<View>,
    /// Time servers that DHCP named. Also told when they are the same, at another address.
    pub(crate) time_servers: tokio::sync::watch::Sender<Vec<Ipv4Addr>>,
}

pub(crate) async fn manage(shared: &Rc<Shared>) {
    let Some(line) = kernel_words(shared).await else { return std::future::pending().await };
    let mut manager = Manager {
        shared,
        by_cmdline: cmdline::ip(&line).and_then(Result::ok),
        known: Vec::new(),
        interface: None,
        fixed: None,
    };
    manager.run().await;
}

struct Manager<'a> {
    shared: &'a Shared,
    /// `ip=` beats the file.
    by_cmdline: Option<Ipv4>,
    known: Vec<Device>,
    /// The one that DHCP is for.
    interface: Option<Interface>,
    /// Or the one with the address that is fixed.
    fixed: Option<Fixed>,
}

impl Manager<'_> {
    async fn run(&mut self) {
        let mut links = Links::open();
        let mut loaded = self.shared.loaded.subscribe();
        self.look_around().await;
        loop {
            let (interface, fixed) = (&mut self.interface, &self.fixed);
            let of_interface = async {
                match interface {
                    Some(interface) => interface.next().await,
                    None => std::future::pending().await,
                }
            };
            let of_fixed = async {
                match fixed {
                    Some(fixed) => fixed.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = of_interface => self.feed(event),
                event = of_fixed => self.feed_fixed(event),
                () = links.changed() => self.look_around().await,
                reloaded = loaded.changed() => match reloaded {
                    Ok(()) => self.configure_anew().await,
                    Err(_) => return,
                },
            }
        }
    }

    fn wanted(&self) -> Ipv4 {
        let configured = || self.shared.config().plan.network.ipv4.clone();
        self.by_cmdline.clone().unwrap_or_else(configured)
    }

    fn feed(&mut self, event: dhcp::machine::Event) {
        if let Some(interface) = &mut self.interface {
            interface.feed(event, self.shared);
        }
        self.show();
    }

    fn feed_fixed(&mut self, event: fixed::Event) {
        if let Some(fixed) = &mut self.fixed {
            fixed.feed(event);
        }
        self.show();
    }

    /// Interfaces that came are told to init, which brings them up; the one in use may be gone, have
    /// lost its link or got it back.
    async fn look_around(&mut self) {
        let found = devices::scan();
        for device in &found {
            if !self.known.iter().any(|known| known.index == device.index) {
                self.tell(&ToInit::LinkUp { device: text(&device.name) });
            }
        }
        self.known = found;
        self.choose().await;
        if let Some(interface) = &mut self.interface {
            interface.see(&self.known, self.shared);
        }
        self.fix();
        self.show();
    }

    /// Leases are told anew: the plan has just reset what they said.
    async fn configure_anew(&mut self) {
        let wanted = self.wanted();
        let stays = |interface: &Interface| match &wanted {
            Ipv4::Dhcp { device } => device.is_empty() || *device == interface.device.name.as_str(),
            Ipv4::Off | Ipv4::Static(_) => false,
        };
        if !self.interface.as_ref().is_some_and(stays) {
            self.interface = None;
        }
        self.choose().await;
        if let Some(interface) = self.interface.as_mut().filter(|interface| interface.has_lease()) {
            interface.tell(self.shared);
        }
        self.fix();
        self.show();
    }

    /// A fixed address is on the named interface, or on the first, as init has it.
    fn fix(&mut self) {
        let Ipv4::Static(wanted) = self.wanted() else {
            self.fixed = None;
            return;
        };
        let name = wanted.device.as_str();
        let device = self.known.iter().find(|device| name.is_empty() || name == device.name);
        let Some(device) = device else {
            self.fixed = None;
            return;
        };
        if !self.fixed.as_ref().is_some_and(|fixed| fixed.is_for(wanted.address, device)) {
            self.fixed = Some(Fixed::new(wanted.address, device.clone()));
        }
        if let Some(fixed) = &mut self.fixed {
            fixed.see(device);
        }
    }

    /// The named interface, else the first one with a link. One that has a lease is kept while it
    /// is there; one that waits is left for one with a link.
    async fn choose(&mut self) {
        let Ipv4::Dhcp { device: name } = self.wanted() else { return };
        let here =
            |interface: &Interface| self.known.iter().any(|d| d.index == interface.device.index);
        if let Some(interface) = self.interface.take_if(|interface| !here(interface)) {
            interface.gone(self.shared);
        }
        let named = |device: &&Device| name.is_empty() || name == device.name.as_str();
        let candidates = || self.known.iter().filter(named);
        let best = candidates().find(|device| device.carrier).or_else(|| candidates().next());
        let stays = self.interface.as_ref().is_some_and(|interface| {
            interface.has_lease() || interface.has_link() || best.is_none_or(|best| !best.carrier)
        });
        if let (false, Some(best)) = (stays, best) {
            let best = best.clone();
            self.interface = Some(Interface::new(best).await);
        }
    }

    fn tell(&self, message: &ToInit) {
        if let Err(error) = self.shared.link.send(message) {
            eprintln!("holdfast-agent: cannot tell init of the network: {error}");
        }
    }

    fn show(&self) {
        let view = View::new(&self.wanted(), self.interface.as_ref(), self.fixed.as_ref());
        let servers = self.interface.as_ref().map(Interface::time_servers).unwrap_or_default();
        let address = view.leased();
        let moved = self.shared.network.view.replace(view).leased() != address;
        self.shared.network.time_servers.send_if_modified(|known| {
            let differs = *known != servers;
            *known = servers;
            differs || moved
        });
    }
}
