//! Addresses for one interface: from the configuration, from DHCP, from the kernel command line.
//!
//! ```text
//!  network of the plan                       address
//!     1  0 off, 1 static, 2 DHCP               16  device, empty: the first one
//!    33  the address; DHCP: its device only     4  address
//!     1  IPv6: 0 off, 1 the kernel's own        1  prefix length
//!                                               4  gateway, 0.0.0.0: none
//!  lease                                      4+4  name servers, 0.0.0.0: none
//!    33  the address
//!     4  seconds it is good for, 0: for ever route
//!     2  MTU, 0: as it is                       4  destination
//!    64  host name, empty: as it is             1  prefix length
//!    64  domain, empty: none                    4  gateway, 0.0.0.0: on the link
//!     1  number of routes
//!     …  the routes
//! ```

use core::net::Ipv4Addr;

use heapless::Vec;

use super::{HostName, Name};
use crate::bytes::{Malformed, Reader, Writer, flag};

/// Routes beside the default one.
pub const MAX_ROUTES: usize = 8;

/// Where the machine's address comes from when its kernel command line does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub ipv4: Ipv4,
    /// The kernel configures IPv6 by router advertisements.
    pub ipv6: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ipv4 {
    Off,
    Static(StaticNetwork),
    /// The agent asks and tells; empty: on the first interface with a link.
    Dhcp {
        device: Name,
    },
}

/// An address for one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticNetwork {
    /// Empty: the first interface that is not loopback.
    pub device: Name,
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
    pub dns: [Option<Ipv4Addr>; 2],
}

/// An address for a time, and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub network: StaticNetwork,
    /// From now on; 0 is for ever. The kernel drops the address then, whatever became of the agent.
    pub lease_s: u32,
    /// 0: as it is.
    pub mtu: u16,
    /// Empty: the configured one.
    pub hostname: HostName,
    pub domain: HostName,
    pub routes: Vec<Route, MAX_ROUTES>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub to: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
}

impl Default for Network {
    fn default() -> Self {
        Self { ipv4: Ipv4::Dhcp { device: Name::new() }, ipv6: true }
    }
}

impl Network {
    pub(super) fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let kind = reader.u8()?;
        let address = StaticNetwork::decode(reader)?;
        let ipv4 = match kind {
            1 => Ipv4::Static(address),
            0 if address == StaticNetwork::nothing(Name::new()) => Ipv4::Off,
            2 if address == StaticNetwork::nothing(address.device.clone()) => {
                Ipv4::Dhcp { device: address.device }
            }
            _ => return Err(Malformed("plan: not a network")),
        };
        Ok(Self { ipv4, ipv6: flag(reader)? })
    }

    pub(super) fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        match &self.ipv4 {
            Ipv4::Off => {
                writer.u8(0);
                StaticNetwork::nothing(Name::new()).encode(writer);
            }
            Ipv4::Static(address) => {
                writer.u8(1);
                address.encode(writer);
            }
            Ipv4::Dhcp { device } => {
                writer.u8(2);
                StaticNetwork::nothing(device.clone()).encode(writer);
            }
        }
        writer.u8(u8::from(self.ipv6));
    }
}

impl StaticNetwork {
    fn nothing(device: Name) -> Self {
        let address = Ipv4Addr::UNSPECIFIED;
        Self { device, address, prefix: 0, gateway: None, dns: [None; 2] }
    }

    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            device: reader.text()?,
            address: address(reader)?,
            prefix: prefix(reader)?,
            gateway: optional(address(reader)?),
            dns: [optional(address(reader)?), optional(address(reader)?)],
        })
    }

    fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        writer.text(&self.device);
        writer.put(&self.address.octets());
        writer.u8(self.prefix);
        for address in [self.gateway, self.dns[0], self.dns[1]] {
            put_optional(address, writer);
        }
    }
}

impl From<StaticNetwork> for Lease {
    /// For ever.
    fn from(network: StaticNetwork) -> Self {
        Self {
            network,
            lease_s: 0,
            mtu: 0,
            hostname: HostName::new(),
            domain: HostName::new(),
            routes: Vec::new(),
        }
    }
}

impl Lease {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let mut lease = Self {
            network: StaticNetwork::decode(reader)?,
            lease_s: reader.u32()?,
            mtu: reader.u16()?,
            hostname: reader.text()?,
            domain: reader.text()?,
            routes: Vec::new(),
        };
        for _ in 0..reader.u8()? {
            let route = Route::decode(reader)?;
            lease.routes.push(route).map_err(|_| Malformed("lease: too many routes"))?;
        }
        Ok(lease)
    }

    pub(crate) fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        self.network.encode(writer);
        writer.u32(self.lease_s);
        writer.u16(self.mtu);
        writer.text(&self.hostname);
        writer.text(&self.domain);
        writer.u8(self.routes.len() as u8);
        for route in &self.routes {
            writer.put(&route.to.octets());
            writer.u8(route.prefix);
            put_optional(route.gateway, writer);
        }
    }
}

impl Route {
    fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            to: address(reader)?,
            prefix: prefix(reader)?,
            gateway: optional(address(reader)?),
        })
    }
}

fn address(reader: &mut Reader) -> Result<Ipv4Addr, Malformed> {
    Ok(reader.array::<4>()?.into())
}

fn prefix(reader: &mut Reader) -> Result<u8, Malformed> {
    let prefix = reader.u8()?;
    if prefix <= 32 { Ok(prefix) } else { Err(Malformed("a prefix longer than an address")) }
}

fn optional(address: Ipv4Addr) -> Option<Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}

fn put_optional<const N: usize>(address: Option<Ipv4Addr>, writer: &mut Writer<N>) {
    writer.put(&address.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
}
