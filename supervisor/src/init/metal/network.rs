//! Loopback, and one interface with a fixed address. DHCP is not here.

use core::fmt::Write;

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::cmdline::{self, Ip};
use holdfast_supervisor::plan::StaticNetwork;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice};

use super::netlink::{self, Route};
use crate::console::say;
use crate::finish::pause;

/// Drivers that were just loaded may still be looking for their hardware.
const DEVICE_WAIT_MS: Ms = 3_000;
const LOOPBACK: u32 = 1;
const MAX_INDEX: u32 = 64;

/// Loopback always; an address when `ip=` gives one. True when the network needs nothing more.
pub(crate) fn from_cmdline(line: &str) -> bool {
    if let Err(errno) = Route::open().and_then(|route| route.ask(&netlink::link_up(LOOPBACK))) {
        say!("cannot bring up loopback: {errno}");
    }
    match cmdline::ip(line) {
        Some(Ip::Static(network)) => configure(&network, DEVICE_WAIT_MS),
        Some(Ip::Off) => true,
        Some(Ip::Unsupported) => {
            say!("ip= is not of the form ADDR::GATEWAY:MASK::DEVICE:off; there is no DHCP yet");
            false
        }
        None => false,
    }
}

/// Allocates nothing: the agent's plan may bring an address at any time, and then there is no
/// waiting for the device.
pub(crate) fn configure(network: &StaticNetwork, wait_ms: Ms) -> bool {
    match try_configure(network, wait_ms) {
        Ok(()) => {
            say!("network: {}/{}", network.address, network.prefix);
            true
        }
        Err((what, errno)) => {
            say!("network: cannot {what}: {errno}");
            false
        }
    }
}

fn try_configure(network: &StaticNetwork, wait_ms: Ms) -> Result<(), (&'static str, Errno)> {
    let at = |what| move |errno| (what, errno);
    let index = wait_for_device(&network.device, wait_ms).map_err(at("find the interface"))?;
    let route = Route::open().map_err(at("open netlink"))?;
    let ask = |what, request: netlink::Request| match route.ask(&request) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err((what, errno)),
    };
    ask("set the address", netlink::add_address(index, network.address, network.prefix))?;
    ask("bring the interface up", netlink::link_up(index))?;
    if let Some(gateway) = network.gateway {
        ask("set the default route", netlink::default_route(index, gateway))?;
    }
    write_resolv_conf(network).map_err(at("write /etc/resolv.conf"))
}

fn wait_for_device(name: &str, wait_ms: Ms) -> Result<u32, Errno> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    let until = now_ms() + wait_ms;
    loop {
        let found = match name {
            "" => (1..=MAX_INDEX)
                .filter(|&index| index != LOOPBACK)
                .find(|&index| netdevice::index_to_name_inlined(&socket, index).is_ok()),
            name => netdevice::name_to_index(&socket, name).ok(),
        };
        match found {
            Some(index) => return Ok(index),
            None if now_ms() >= until => return Err(Errno::NODEV),
            None => pause(),
        }
    }
}

fn write_resolv_conf(network: &StaticNetwork) -> Result<(), Errno> {
    let mut text = heapless::String::<64>::new();
    for server in network.dns.iter().flatten() {
        let _ = writeln!(text, "nameserver {server}");
    }
    if text.is_empty() {
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/etc/resolv.conf", flags, Mode::from(0o644))?;
    rustix::io::write(file, text.as_bytes()).map(drop)
}
