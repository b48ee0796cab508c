//! /etc/resolv.conf: always whole, whoever reads it while it is written.

use core::ffi::CStr;
use core::fmt::Write;

use heapless::String;
use holdfast_supervisor::plan::Lease;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

const FILE: &CStr = c"/etc/resolv.conf";
const NEXT: &CStr = c"/etc/resolv.conf.next";
/// Two name servers and a domain.
const MAX_BYTES: usize = 160;

/// A lease without name servers leaves the file as it is.
pub(super) fn write(lease: &Lease) -> Result<(), Errno> {
    let text = text(lease);
    if text.is_empty() { Ok(()) } else { put(&text) }
}

/// No name server is better than one in a network that we have left.
pub(super) fn clear() -> Result<(), Errno> {
    put("")
}

fn text(lease: &Lease) -> String<MAX_BYTES> {
    let mut text = String::new();
    let mut servers = lease.network.dns.iter().flatten().peekable();
    if servers.peek().is_some() && !lease.domain.is_empty() {
        let _ = writeln!(text, "search {}", lease.domain);
    }
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}

fn put(text: &str) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = rustix::fs::open(NEXT, flags, Mode::from(0o644))?;
    rustix::io::write(file, text.as_bytes())?;
    rustix::fs::rename(NEXT, FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use holdfast_supervisor::plan::{StaticNetwork, text as bounded};

    fn lease(dns: [Option<Ipv4Addr>; 2], domain: &str) -> Lease {
        let address = Ipv4Addr::new(10, 0, 2, 15);
        let device = bounded("eth0");
        let network = StaticNetwork { device, address, prefix: 24, gateway: None, dns };
        Lease { domain: bounded(domain), ..Lease::from(network) }
    }

    #[test]
    fn the_longest_lease_fits_and_an_empty_one_writes_nothing() {
        let server = Some(Ipv4Addr::new(255, 255, 255, 254));
        let full = text(&lease([server; 2], &"x".repeat(64)));
        assert!(full.starts_with("search x") && full.ends_with("nameserver 255.255.255.254\n"));
        assert_eq!(full.lines().count(), 3);
        assert_eq!(text(&lease([None; 2], "lan")), "");
    }
}
