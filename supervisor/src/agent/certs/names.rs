//! The names by which clients reach the server: what a certificate must say, and whether it does.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::net::if_::InterfaceFlags;

/// In one certificate. Handshakes carry them all.
pub(crate) const MAX_NAMES: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// Lower case, without a final dot.
    Dns(String),
    Ip(IpAddr),
}

impl Name {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Ip(address));
        }
        let name = text.to_ascii_lowercase();
        let label = |label: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(good)
        };
        let host = name.strip_prefix("*.").unwrap_or(&name);
        (name.len() <= 253 && host.split('.').all(label)).then_some(Self::Dns(name))
    }

    /// As a client compares: a wildcard stands for one label.
    fn is_named_by(&self, pattern: &Self) -> bool {
        let (Self::Dns(name), Self::Dns(pattern)) = (self, pattern) else { return self == pattern };
        let under = |parent: &str| name.split_once('.').is_some_and(|(_, rest)| rest == parent);
        name == pattern || pattern.strip_prefix("*.").is_some_and(under)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Those of `wanted` that none of `present` stands for.
pub(crate) fn missing(wanted: &[Name], present: &[Name]) -> Vec<Name> {
    let named = |name: &&Name| !present.iter().any(|pattern| name.is_named_by(pattern));
    wanted.iter().filter(named).cloned().collect()
}

/// What the machine's own certificate says: the configured names first, then its host name,
/// localhost and every address it has now.
pub(crate) fn of_this_machine(host: &str, configured: &[Name]) -> Vec<Name> {
    let local = [Name::Dns("localhost".into())];
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut known = BTreeSet::new();
    let all = configured.iter().cloned();
    let all = all.chain(Name::parse(host)).chain(local).chain(loopback.map(Name::Ip));
    all.chain(addresses().into_iter().map(Name::Ip))
        .filter(|name| known.insert(name.clone()))
        .take(MAX_NAMES)
        .collect()
}

/// Another machine could reach this one.
pub(crate) fn have_address() -> bool {
    !addresses().is_empty()
}

/// Of interfaces that are up; without those that mean nothing to another machine.
fn addresses() -> BTreeSet<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return BTreeSet::new() };
    let up = interfaces.filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    let addresses = up.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    addresses.filter(reaches_us).collect()
}

fn reaches_us(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::parse(text).expect("a name")).collect()
    }

    #[test]
    fn names_are_addresses_or_host_names() {
        assert_eq!(Name::parse("10.0.0.7"), Some(Name::Ip([10, 0, 0, 7].into())));
        assert_eq!(Name::parse("::1"), Some(Name::Ip(Ipv6Addr::LOCALHOST.into())));
        assert_eq!(Name::parse("Edge-7.Example"), Some(Name::Dns("edge-7.example".into())));
        for wrong in ["", ".", "a..b", "a b", "a/b", "a.*.b", "-\u{e4}", &"a".repeat(64)] {
            assert_eq!(Name::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let wanted = names(&["a.example", "b.c.example", "example", "10.0.0.1"]);
        let missing = missing(&wanted, &names(&["*.example", "10.0.0.1"]));
        assert_eq!(missing, names(&["b.c.example", "example"]));
    }

    #[test]
    fn a_machine_names_itself_once_each_and_boundedly() {
        let own = of_this_machine("edge", &names(&["localhost", "cache.example"]));
        assert_eq!(own[..3], names(&["localhost", "cache.example", "edge"]));
        assert_eq!(own.iter().filter(|name| **name == own[0]).count(), 1);
        let many: Vec<Name> = (0..99).map(|n| Name::Dns(format!("n{n}"))).collect();
        assert_eq!(of_this_machine("edge", &many).len(), MAX_NAMES);
    }
}
