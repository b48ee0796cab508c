//! An address for one interface: from the configuration, from DHCP, from the kernel command line.
//!
//! ```text
//!  16  device, empty: the first one      1  prefix length
//!   4  address                           4  gateway, 0.0.0.0: none
//!                                      4+4  name servers, 0.0.0.0: none
//! ```

use core::net::Ipv4Addr;

use super::Name;
use crate::bytes::{Malformed, Reader, Writer, flag};

const NETWORK_BYTES: usize = 16 + 4 + 1 + 4 + 4 + 4;

/// An address for one interface, for machines whose kernel command line has no `ip=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticNetwork {
    /// Empty: the first interface that is not loopback.
    pub device: Name,
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
    pub dns: [Option<Ipv4Addr>; 2],
}

impl StaticNetwork {
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let network = Self {
            device: reader.text()?,
            address: reader.array::<4>()?.into(),
            prefix: reader.u8()?,
            gateway: optional(reader.array::<4>()?.into()),
            dns: [optional(reader.array::<4>()?.into()), optional(reader.array::<4>()?.into())],
        };
        if network.prefix <= 32 { Ok(network) } else { Err(Malformed("not a network")) }
    }

    pub(crate) fn encode<const N: usize>(&self, writer: &mut Writer<N>) {
        writer.text(&self.device);
        writer.put(&self.address.octets());
        writer.u8(self.prefix);
        for address in [self.gateway, self.dns[0], self.dns[1]] {
            writer.put(&address.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        }
    }

    /// Behind a flag; without a network its place is there all the same.
    pub(super) fn decode_optional(reader: &mut Reader) -> Result<Option<Self>, Malformed> {
        let present = flag(reader)?;
        let bytes: [u8; NETWORK_BYTES] = reader.array()?;
        present.then(|| Self::decode(&mut Reader::new(&bytes))).transpose()
    }

    pub(super) fn encode_optional<const N: usize>(network: Option<&Self>, writer: &mut Writer<N>) {
        writer.u8(u8::from(network.is_some()));
        match network {
            Some(network) => network.encode(writer),
            None => writer.put(&[0; NETWORK_BYTES]),
        }
    }
}

fn optional(address: Ipv4Addr) -> Option<Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}
