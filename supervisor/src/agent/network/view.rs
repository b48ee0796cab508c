//! The network as `status` shows it.

use std::fmt;
use std::net::Ipv4Addr;

use holdfast_supervisor::clock::{Ms, now_ms};
use holdfast_supervisor::plan::Ipv4;
use serde::Serialize;

use super::arp::Rival;
use super::dhcp::lease::Held;
use super::fixed::Fixed;
use super::interface::Interface;

/// Times are instants; they become spans when they are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    mode: Option<&'static str>,
    device: Option<String>,
    state: Option<&'static str>,
    fixed: Option<(Ipv4Addr, u8)>,
    lease: Option<Held>,
    rival: Option<Rival>,
}

impl View {
    pub(super) fn new(wanted: &Ipv4, interface: Option<&Interface>, fixed: Option<&Fixed>) -> Self {
        let rival = interface.and_then(Interface::rival).or(fixed.and_then(Fixed::rival));
        let device = interface.map(|it| &it.device).or(fixed.map(Fixed::device));
        let mode = match wanted {
            Ipv4::Off => "off",
            Ipv4::Static(_) => "static",
            Ipv4::Dhcp { .. } => "dhcp",
        };
        Self {
            mode: Some(mode),
            device: device.map(|device| device.name.clone()),
            state: interface.map(|it| it.client().name()).or(fixed.map(Fixed::name)),
            fixed: match wanted {
                Ipv4::Static(network) => Some((network.address, network.prefix)),
                _ => None,
            },
            lease: interface.and_then(|interface| interface.client().held()).cloned(),
            rival: rival.cloned(),
        }
    }

    /// The address that is ours, or was about to be, is somebody else's, too.
    pub(crate) fn has_rival(&self) -> bool {
        self.rival.is_some()
    }

    pub(super) fn leased(&self) -> Option<Ipv4Addr> {
        self.lease.as_ref().map(|held| held.lease.address)
    }

    /// Nothing in a container.
    pub(crate) fn report(&self) -> Option<Report> {
        let left = |at: Ms| at.saturating_sub(now_ms());
        let leased = self.lease.as_ref().map(|held| (held.lease.address, held.lease.prefix));
        let address = self.fixed.or(leased);
        Some(Report {
            mode: self.mode?,
            device: self.device.clone(),
            state: self.state,
            address: address.map(|(address, prefix)| format!("{address}/{prefix}")),
            lease: self.lease.as_ref().map(|held| Lease {
                server: held.lease.server,
                gateway: held.lease.gateway,
                dns: held.lease.dns.clone(),
                domain: held.lease.domain.clone(),
                renew_in_ms: left(held.renew_at),
                expires_in_ms: held.expires_at.map(left),
            }),
            conflict: self.rival.clone(),
        })
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// "dhcp", "static" or "off".
    mode: &'static str,
    /// Nothing where there is none yet.
    device: Option<String>,
    /// "no link", "probing", "bound", "conflict"; of DHCP also "selecting", "requesting", "rebooting",
    /// "renewing", "rebinding".
    state: Option<&'static str>,
    address: Option<String>,
    lease: Option<Lease>,
    conflict: Option<Rival>,
}

#[derive(Debug, Serialize)]
struct Lease {
    server: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
    dns: Vec<Ipv4Addr>,
    domain: Option<String>,
    renew_in_ms: Ms,
    /// `null`: never.
    expires_in_ms: Option<Ms>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "network: {}", self.mode)?;
        if let (Some(device), Some(state)) = (&self.device, self.state) {
            write!(f, " on {device}, {state}")?;
        }
        if let Some(address) = &self.address {
            write!(f, ", {address}")?;
        }
        if let Some(lease) = &self.lease {
            write!(f, " from {}", lease.server)?;
        }
        if let Some(rival) = &self.conflict {
            write!(f, "; {} is used by {}", rival.address, rival.by)?;
        }
        writeln!(f)
    }
}
