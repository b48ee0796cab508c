//! Loopback, and one interface with an address: a fixed one, or the one that the agent has a lease
//! for. Nothing here allocates: plans and leases come at any time.
//!
//! Who asks DHCP servers is the agent; what came of it is applied here, and taken back here.

mod ipv6;
mod resolv;

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::cmdline;
use holdfast_supervisor::plan::network::Route as Destination;
use holdfast_supervisor::plan::{HostName, Ipv4, Lease, Plan, StaticNetwork};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice};

use super::netlink::{self, Request, Route};
use crate::console::say;
use crate::finish::pause;

/// Drivers that were just loaded may still be looking for their hardware.
const DEVICE_WAIT_MS: Ms = 3_000;
const LOOPBACK: u32 = 1;
/// Interfaces that are there at boot; later ones the agent names.
const MAX_INDEX: u32 = 64;

/// What the machine's interface has, and who says so.
pub(crate) struct Network {
    /// `ip=` was given: it beats the plan.
    by_cmdline: bool,
    hostname_by_cmdline: bool,
    wanted: Ipv4,
    has: Option<Applied>,
}

struct Applied {
    index: u32,
    lease: Lease,
}

/// A step, and why it was refused.
type Step = Result<(), (&'static str, Errno)>;

impl Network {
    /// In a container, where all this is somebody else's; and before a machine's command line is read.
    pub(crate) const fn none() -> Self {
        Self { by_cmdline: true, hostname_by_cmdline: true, wanted: Ipv4::Off, has: None }
    }

    /// Loopback always; what `ip=` gives at once.
    pub(crate) fn from_cmdline(line: &str) -> Self {
        if let Err(errno) = Route::open().and_then(|route| route.ask(&netlink::link_up(LOOPBACK))) {
            say!("cannot bring up loopback: {errno}");
        }
        let hostname = cmdline::value(line, "holdfast.hostname");
        set_hostname(hostname.unwrap_or("holdfast"));
        let ip = cmdline::ip(line);
        let mut network = Self {
            by_cmdline: matches!(ip, Some(Ok(_))),
            hostname_by_cmdline: hostname.is_some(),
            ..Self::none()
        };
        match ip {
            Some(Ok(wanted)) => network.want(wanted, DEVICE_WAIT_MS),
            Some(Err(cmdline::Unsupported)) => {
                say!("ip= is neither ADDR::GATEWAY:MASK::DEVICE:off nor dhcp nor off; ignored");
            }
            None => {}
        }
        network
    }

    /// There is an address, or nobody wants one.
    pub(crate) fn is_settled(&self) -> bool {
        self.has.is_some() || self.wanted == Ipv4::Off
    }

    pub(crate) fn waits_for_lease(&self) -> bool {
        self.has.is_none() && matches!(self.wanted, Ipv4::Dhcp { .. })
    }

    /// The plan's host name and address, where the kernel command line gave none.
    pub(crate) fn accept(&mut self, plan: &Plan) {
        let leased = self.has.as_ref().map(|has| &has.lease.hostname);
        let leased = leased.filter(|name| !name.is_empty());
        self.name_machine(leased.unwrap_or(&plan.hostname));
        ipv6::set(plan.network.ipv6, indices());
        if self.by_cmdline {
            return;
        }
        if plan.network.ipv4 != self.wanted || !self.is_settled() {
            self.want(plan.network.ipv4.clone(), 0);
        }
    }

    fn want(&mut self, wanted: Ipv4, wait_ms: Ms) {
        // A new way to find the same address leaves it alone until the address is another.
        if wanted == Ipv4::Off {
            self.release();
        }
        self.wanted = wanted;
        match self.wanted.clone() {
            Ipv4::Off => {}
            Ipv4::Static(network) => self.apply(Lease::from(network), wait_ms),
            Ipv4::Dhcp { device } => bring_up(&device),
        }
    }

    /// An interface is new: links are up before anybody asks on them, and a fixed address follows
    /// the interface it is for.
    pub(crate) fn link_up(&mut self, device: &str) {
        bring_up(device);
        if let Ipv4::Static(network) = &self.wanted
            && (network.device.is_empty() || network.device == device)
        {
            self.apply(Lease::from(network.clone()), 0);
        }
    }

    /// Ignored where nobody is to ask for one.
    pub(crate) fn lease(&mut self, lease: Lease) {
        if !matches!(self.wanted, Ipv4::Dhcp { .. }) {
            return;
        }
        if !lease.hostname.is_empty() {
            self.name_machine(&lease.hostname);
        }
        self.apply(lease, 0);
    }

    pub(crate) fn no_lease(&mut self) {
        if matches!(self.wanted, Ipv4::Dhcp { .. }) {
            self.release();
        }
    }

    fn name_machine(&self, name: &HostName) {
        if !self.hostname_by_cmdline {
            set_hostname(name);
        }
    }

    fn apply(&mut self, lease: Lease, wait_ms: Ms) {
        let at = |what| move |errno| (what, errno);
        let applied = wait_for_device(&lease.network.device, wait_ms)
            .map_err(at("find the interface"))
            .and_then(|index| {
                let route = Route::open().map_err(at("open netlink"))?;
                self.replace(&route, index, lease)
            });
        if let Err((what, errno)) = applied {
            say!("network: cannot {what}: {errno}");
        }
    }

    /// What is the same stays: connections live on while a lease is renewed.
    fn replace(&mut self, route: &Route, index: u32, lease: Lease) -> Step {
        let old = self.has.take();
        if let Some(old) = &old {
            old.take_back(route, Some((index, &lease)));
        }
        give(route, index, &lease)?;
        resolv::write(&lease).map_err(|errno| ("write /etc/resolv.conf", errno))?;
        let same = old.is_some_and(|old| old.index == index && old.lease.network == lease.network);
        if !same {
            say!("network: {}/{}", lease.network.address, lease.network.prefix);
        }
        self.has = Some(Applied { index, lease });
        Ok(())
    }

    fn release(&mut self) {
        let Some(old) = self.has.take() else { return };
        if let Ok(route) = Route::open() {
            old.take_back(&route, None);
        }
        let _ = resolv::clear();
        say!("network: {}/{} is given up", old.lease.network.address, old.lease.network.prefix);
    }
}

impl Applied {
    /// Everything that the new one does not have, too. What is gone already is no mistake.
    fn take_back(&self, route: &Route, new: Option<(u32, &Lease)>) {
        let new = new.filter(|(index, _)| *index == self.index).map(|(_, lease)| lease);
        for old in destinations(&self.lease) {
            if !new.is_some_and(|new| destinations(new).any(|kept| kept == old)) {
                let _ = route.ask(&netlink::remove_route(self.index, &old));
            }
        }
        let StaticNetwork { address, prefix, .. } = self.lease.network;
        let keeps = |new: &Lease| (new.network.address, new.network.prefix) == (address, prefix);
        if !new.is_some_and(keeps) {
            let _ = route.ask(&netlink::remove_address(self.index, address, prefix));
        }
    }
}

/// The default route comes last: its gateway may be behind one of the others.
fn destinations(lease: &Lease) -> impl Iterator<Item = Destination> {
    let default = lease.network.gateway.map(netlink::everywhere);
    lease.routes.iter().copied().chain(default)
}

fn give(route: &Route, index: u32, lease: &Lease) -> Step {
    let ask = |what, request: Request| match route.ask(&request) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err((what, errno)),
    };
    let StaticNetwork { address, prefix, .. } = lease.network;
    ask("set the address", netlink::add_address(index, address, prefix, lease.lease_s))?;
    ask("bring the interface up", netlink::link_up(index))?;
    if lease.mtu != 0
        && let Err((what, errno)) = ask("set the MTU", netlink::set_mtu(index, lease.mtu))
    {
        // The network works with the usual one, too.
        say!("network: cannot {what} {}: {errno}", lease.mtu);
    }
    for to in destinations(lease) {
        ask("set a route", netlink::add_route(index, &to))?;
    }
    Ok(())
}

/// One interface, or all that are there.
fn bring_up(device: &str) {
    let Ok(route) = Route::open() else { return };
    let up = |index| {
        if let Err(errno) = route.ask(&netlink::link_up(index)) {
            say!("network: cannot bring interface {index} up: {errno}");
        }
    };
    match device {
        "" => indices().for_each(up),
        name => index_of(name).into_iter().for_each(up),
    }
}

fn wait_for_device(name: &str, wait_ms: Ms) -> Result<u32, Errno> {
    let until = now_ms() + wait_ms;
    loop {
        let found = if name.is_empty() { indices().next() } else { index_of(name) };
        match found {
            Some(index) => return Ok(index),
            None if now_ms() >= until => return Err(Errno::NODEV),
            None => pause(),
        }
    }
}

/// Interfaces that are not loopback, by their numbers.
fn indices() -> impl Iterator<Item = u32> {
    let socket = any_socket();
    (1..=MAX_INDEX).filter(move |&index| {
        let socket = socket.as_ref().ok();
        let name = socket.map(|socket| netdevice::index_to_name_inlined(socket, index));
        index != LOOPBACK && matches!(name, Some(Ok(_)))
    })
}

fn index_of(name: &str) -> Option<u32> {
    netdevice::name_to_index(any_socket().ok()?, name).ok()
}

/// Questions about interfaces are asked of any socket.
fn any_socket() -> Result<std::os::fd::OwnedFd, Errno> {
    let (family, kind) = (AddressFamily::INET, SocketType::DGRAM);
    rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)
}

fn set_hostname(name: &str) {
    let _ = rustix::system::sethostname(name.as_bytes());
}
