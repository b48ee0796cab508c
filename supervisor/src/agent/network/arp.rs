//! ARP, as far as it tells whether an address is somebody else's (RFC 5227): [`check`] knows when to
//! ask, [`packet`] how, [`socket`] carries it.
//!
//! The socket is open only while there is something to ask or to say, a few seconds at a time: what
//! the local network may send all day is not read.

pub(super) mod check;
mod packet;
mod socket;

use std::net::Ipv4Addr;

use serde::Serialize;

use super::devices::Device;
use super::dhcp::Mac;
use socket::Socket;

/// What is said about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// Who has it?
    Probe(Ipv4Addr),
    /// It is ours: whoever remembers somebody else for it shall not.
    Announce(Ipv4Addr),
}

/// Somebody else's claim to an address of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rival {
    pub(crate) address: Ipv4Addr,
    /// The hardware address, as people write it.
    pub(crate) by: String,
}

impl Rival {
    pub(super) fn new(address: Ipv4Addr, mac: Mac) -> Self {
        let [a, b, c, d, e, f] = mac;
        Self { address, by: format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}") }
    }
}

/// Speaks and hears ARP on one device.
#[derive(Debug, Default)]
pub(super) struct Arp {
    socket: Option<Socket>,
    /// That it cannot be had was said.
    is_refused: bool,
}

impl Arp {
    /// Where it cannot be said nobody is asked, and the address is used: a network that works is
    /// worth more than one that was checked.
    pub(super) fn say(&mut self, says: Says, device: &Device) {
        let socket = self.socket.take().map_or_else(|| Socket::open(&device.name), Ok);
        let sent = socket.and_then(|socket| {
            socket.send(&packet::encode(says, device.mac))?;
            self.socket = Some(socket);
            Ok(())
        });
        if let Err(error) = sent
            && !std::mem::replace(&mut self.is_refused, true)
        {
            eprintln!("holdfast-agent: {}: cannot ask who has an address: {error}", device.name);
        }
    }

    pub(super) fn close(&mut self) {
        self.socket = None;
    }

    /// Waits for somebody else who has that address, or asks for it, too.
    pub(super) async fn rival(&self, address: Option<Ipv4Addr>, device: &Device) -> Mac {
        match (&self.socket, address) {
            (Some(socket), Some(address)) => socket.rival(address, device.mac).await,
            _ => std::future::pending().await,
        }
    }
}
