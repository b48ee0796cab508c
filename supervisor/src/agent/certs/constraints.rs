//! What the machine's own authority may sign for: name constraints (RFC 5280, 4.2.1.10). Its key,
//! stolen, speaks for this machine, and for nobody else whom clients reach over the Internet.
//!
//! Permitted are the names of the first certificate, with what is below them, and what nobody has on
//! the public Internet. Addresses are constrained as well: where only DNS names are, the RFC leaves
//! every address permitted, and public resolvers, for one, are reached by theirs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{CidrSubnet, CustomExtension};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{self, GeneralName};
use yasna::{DERWriter, Tag};

use super::names::Name;

/// RFC 6761, 6762 and 8375, and what ICANN has reserved or promised not to delegate.
const NOBODYS_NAMES: [&str; 6] = ["localhost", "local", "lan", "home", "internal", "home.arpa"];

/// RFC 6890: loopback, link-local, private, and what providers share out behind their own NAT.
const NOBODYS_NETWORKS: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];

/// id-ce-nameConstraints.
const NAME_CONSTRAINTS: [u64; 4] = [2, 5, 29, 30];
/// GeneralName's tags, of its context.
const DNS_NAME: u64 = 2;
const IP_ADDRESS: u64 = 7;

/// A name with all that is below it, or a network.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subtree {
    Dns(String),
    Network(CidrSubnet),
}

/// `None`: none at all, as with authorities of older releases, which stay in use: clients know them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Constraints(Option<Vec<Subtree>>);

impl Constraints {
    /// Of a new authority that begins with these names.
    pub(crate) fn of(names: &[Name]) -> Self {
        let dns = NOBODYS_NAMES.map(|name| Subtree::Dns(name.to_owned()));
        let networks = NOBODYS_NETWORKS.map(|(address, prefix)| network(address, prefix));
        let mut trees: Vec<_> = dns.into_iter().chain(networks).collect();
        for name in names.iter().filter(|name| is_strict(name)) {
            if !permit(&trees, name) {
                trees.push(subtree(name));
            }
        }
        Self(Some(trees))
    }

    /// What is permitted; ours exclude nothing.
    pub(crate) fn read(authority: &X509Certificate) -> Self {
        let extension = authority.name_constraints().ok().flatten();
        let permitted = extension.and_then(|found| found.value.permitted_subtrees.as_ref());
        let trees = |trees: &Vec<extensions::GeneralSubtree>| {
            trees.iter().filter_map(|tree| read(&tree.base)).collect()
        };
        Self(permitted.map(trees))
    }

    /// Not critical, although the RFC asks for it: whoever knows the extension applies it all the same,
    /// and Mbed TLS, which many small clients have, refuses critical ones that it does not know.
    pub(crate) fn extension(&self) -> Option<CustomExtension> {
        let trees = self.0.as_ref()?;
        let content = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_tagged_implicit(Tag::context(0), |writer| {
                    writer.write_sequence(|writer| {
                        trees.iter().for_each(|tree| write(writer.next(), tree));
                    });
                });
            });
        });
        Some(CustomExtension::from_oid_content(&NAME_CONSTRAINTS, content))
    }

    pub(crate) fn are_any(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn permit(&self, name: &Name) -> bool {
        self.0.as_ref().is_none_or(|trees| is_strict(name) && permit(trees, name))
    }

    /// Those that are permitted, and the others.
    pub(crate) fn split(&self, names: &[Name]) -> (Vec<Name>, Vec<Name>) {
        names.iter().cloned().partition(|name| self.permit(name))
    }
}

/// A kind of name that no subtree is of is not constrained.
fn permit(trees: &[Subtree], name: &Name) -> bool {
    let mut judged = trees.iter().filter_map(|tree| covers(tree, name)).peekable();
    judged.peek().is_none() || judged.any(|covered| covered)
}

/// As webpki reads names: under constraints, one that it calls malformed has it refuse the whole
/// certificate.
fn is_strict(name: &Name) -> bool {
    let Name::Dns(name) = name else { return true };
    let (host, is_wildcard) = match name.strip_prefix("*.") {
        Some(host) => (host, true),
        None => (name.as_str(), false),
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.split('.').all(|label| !label.starts_with('-') && !label.ends_with('-'))
        && !last.bytes().all(|byte| byte.is_ascii_digit())
        && (!is_wildcard || host.contains('.'))
}

/// A wildcard's is what it stands for.
fn subtree(name: &Name) -> Subtree {
    match name {
        Name::Dns(name) => Subtree::Dns(name.strip_prefix("*.").unwrap_or(name).to_owned()),
        Name::Ip(address) => network(*address, if address.is_ipv4() { 32 } else { 128 }),
    }
}

fn network(address: IpAddr, prefix: u8) -> Subtree {
    Subtree::Network(CidrSubnet::from_addr_prefix(address, prefix))
}

/// GeneralSubtree: its least and most distance are what they are when they are absent.
fn write(writer: DERWriter<'_>, tree: &Subtree) {
    writer.write_sequence(|writer| {
        let writer = writer.next();
        match tree {
            Subtree::Dns(name) => {
                writer.write_tagged_implicit(Tag::context(DNS_NAME), |writer| {
                    writer.write_ia5_string(name)
                });
            }
            Subtree::Network(network) => {
                let bytes = match network {
                    CidrSubnet::V4(address, mask) => [&address[..], mask].concat(),
                    CidrSubnet::V6(address, mask) => [&address[..], mask].concat(),
                };
                writer.write_tagged_implicit(Tag::context(IP_ADDRESS), |writer| {
                    writer.write_bytes(&bytes)
                });
            }
        }
    });
}

fn read(base: &GeneralName) -> Option<Subtree> {
    match base {
        GeneralName::DNSName(name) => Some(Subtree::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => {
            let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
            let v4 = || Some(CidrSubnet::V4(address.try_into().ok()?, mask.try_into().ok()?));
            let v6 = || Some(CidrSubnet::V6(address.try_into().ok()?, mask.try_into().ok()?));
            v4().or_else(v6).map(Subtree::Network)
        }
        _ => None,
    }
}

/// `None`: they are of different kinds.
fn covers(tree: &Subtree, name: &Name) -> Option<bool> {
    match (tree, name) {
        (Subtree::Dns(base), Name::Dns(name)) => {
            let name = name.strip_prefix("*.").unwrap_or(name);
            let above = name.strip_suffix(base.as_str());
            Some(above.is_some_and(|above| above.is_empty() || above.ends_with('.')))
        }
        (Subtree::Network(network), Name::Ip(address)) => Some(holds(network, address)),
        _ => None,
    }
}

fn holds(network: &CidrSubnet, address: &IpAddr) -> bool {
    let within = |address: &[u8], base: &[u8], mask: &[u8]| {
        address.iter().zip(base).zip(mask).all(|((byte, base), mask)| byte & mask == base & mask)
    };
    match (network, address) {
        (CidrSubnet::V4(base, mask), IpAddr::V4(address)) => within(&address.octets(), base, mask),
        (CidrSubnet::V6(base, mask), IpAddr::V6(address)) => within(&address.octets(), base, mask),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::bundle;
    use crate::certs::issue;
    use crate::certs::pem::Source;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::parse(text).expect("a name")).collect()
    }

    #[track_caller]
    fn check(constraints: &Constraints, permitted: &[&str], refused: &[&str]) {
        for (texts, expected) in [(permitted, true), (refused, false)] {
            for name in names(texts) {
                assert_eq!(constraints.permit(&name), expected, "{name}");
            }
        }
    }

    #[test]
    fn its_own_names_and_nobodys_are_permitted_and_the_rest_of_the_internet_is_not() {
        let own = ["cache.example.org", "*.shop.example", "edge", "203.0.113.7", "2001:db8::7"];
        let constraints = Constraints::of(&names(&own));
        let nobodys = ["localhost", "edge.local", "a.b.lan", "x.home.arpa", "db.internal"];
        let networks = ["127.0.0.1", "10.9.8.7", "172.31.0.1", "192.168.1.1", "100.127.0.1"];
        check(&constraints, &own, &[]);
        check(&constraints, &nobodys, &["example.com", "org", "example.org", "arpa"]);
        check(&constraints, &networks, &["1.1.1.1", "172.32.0.1", "100.128.0.1", "203.0.113.8"]);
        check(&constraints, &["::1", "fe80::1", "fd00::1"], &["2606:4700::1111", "2001:db8::8"]);
        check(&constraints, &["a.cache.example.org"], &["mycache.example.org", "*.example.org"]);
        check(&constraints, &["shop.example", "a.shop.example"], &["example", "*.example"]);
    }

    #[test]
    fn names_that_strict_clients_call_malformed_are_left_out_not_permitted() {
        let odd = ["edge-", "-edge.local", "123456789012", "a.7", "*.local"];
        let constraints = Constraints::of(&names(&odd));
        assert_eq!(constraints, Constraints::of(&[]));
        assert_eq!(constraints, Constraints::of(&names(&["a.local", "127.0.0.1", "::1"])));
        check(&constraints, &["7.local", "a_b.local", "*.a.local"], &odd);
    }

    #[test]
    fn none_permit_everything() {
        check(&Constraints::default(), &["example.com", "1.1.1.1", "edge-"], &[]);
        assert!(Constraints::default().extension().is_none());
    }

    #[test]
    fn a_kind_of_name_without_a_subtree_is_not_constrained() {
        let dns = Constraints(Some(vec![subtree(&names(&["a.example"])[0])]));
        check(&dns, &["1.1.1.1", "b.a.example"], &["b.example"]);
    }

    #[test]
    fn what_is_written_into_a_certificate_is_read_back() {
        let own = names(&["cache.example.org", "10.0.0.7", "203.0.113.7", "2001:db8::7"]);
        for constraints in [Constraints::of(&own), Constraints::default()] {
            let pair = issue::authority("edge", &constraints, 1_800_000_000).expect("made");
            let source = Source { name: String::new(), bytes: pair.certificate.into_bytes() };
            let ders = bundle::certificates(&source, "certificate").expect("one");
            let read = bundle::parse(&source, &ders, |parsed| Constraints::read(&parsed[0]));
            assert_eq!(read, Ok(constraints));
        }
    }
}
