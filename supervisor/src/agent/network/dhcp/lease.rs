//! What a DHCP server gives: read from an OFFER or ACK, and believed only as far as it makes sense.
//!
//! Everything here comes from whoever answered first on the local network. Numbers are clamped or
//! refused, lists are cut, and names hold only what may stand in /etc/resolv.conf.

use std::net::Ipv4Addr;

use holdfast_supervisor::clock::Ms;
use holdfast_supervisor::plan::network::MAX_ROUTES;
use serde::{Deserialize, Serialize};

/// Shorter leases would be renewed every few seconds for ever: such an offer is ignored.
pub(crate) const MIN_LEASE_S: u32 = 10;
/// RFC 2131, 3.3: all ones is for ever.
const FOREVER: u32 = u32::MAX;
/// As many as init takes.
const MAX_DNS: usize = 2;
const MAX_NTP: usize = 4;
/// RFC 791: every host takes 576 bytes; less is a mistake or an attack.
const MIN_MTU: u16 = 576;
/// A mask that nobody sent: what small networks have.
const USUAL_PREFIX: u8 = 24;

/// One lease, times relative to the request it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) server: Ipv4Addr,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) routes: Vec<Route>,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) ntp: Vec<Ipv4Addr>,
    pub(crate) hostname: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) mtu: Option<u16>,
    /// `None` is for ever.
    pub(crate) lease_s: Option<u32>,
    pub(crate) renew_s: u32,
    pub(crate) rebind_s: u32,
}

/// A classless static route (RFC 3442).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Route {
    pub(crate) to: Ipv4Addr,
    pub(crate) prefix: u8,
    /// `None`: the destination is on the link itself.
    pub(crate) gateway: Option<Ipv4Addr>,
}

impl Lease {
    /// From the values of one message; `option` gives an option's bytes, empty when it is absent.
    pub(super) fn read<'a>(address: Ipv4Addr, option: impl Fn(u8) -> &'a [u8]) -> Option<Self> {
        if !is_host(address) {
            return None;
        }
        let (routes, default) = read_routes(option(121));
        // RFC 3442: who sends routes means them instead of the router.
        let routers = if routes.is_empty() && default.is_none() { option(3) } else { &[] };
        let gateway = default.or_else(|| addresses(routers).find(|&router| router != address));
        let (lease_s, renew_s, rebind_s) = times(number(option(51)), option(58), option(59))?;
        Some(Self {
            address,
            prefix: prefix(option(1))?,
            server: addresses(option(54)).next()?,
            gateway,
            routes,
            dns: addresses(option(6)).take(MAX_DNS).collect(),
            ntp: addresses(option(42)).take(MAX_NTP).collect(),
            hostname: name(option(12)),
            domain: name(option(15)),
            mtu: mtu(option(26)),
            lease_s,
            renew_s,
            rebind_s,
        })
    }
}

/// An address that one machine can have.
fn is_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first < 224 && !address.is_loopback()
}

/// As many as there are, without those that cannot be meant.
fn addresses(bytes: &[u8]) -> impl Iterator<Item = Ipv4Addr> {
    let (quads, _) = bytes.as_chunks::<4>();
    quads.iter().map(|quad| Ipv4Addr::from(*quad)).filter(|&address| is_host(address))
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// No mask is the usual one; a mask with holes, or one that means everything, is no mask.
fn prefix(mask: &[u8]) -> Option<u8> {
    if mask.is_empty() {
        return Some(USUAL_PREFIX);
    }
    let mask = number(mask)?;
    let ones = mask.leading_ones();
    (ones == mask.count_ones() && ones > 0).then_some(ones as u8)
}

fn mtu(bytes: &[u8]) -> Option<u16> {
    let mtu = u16::from_be_bytes(bytes.try_into().ok()?);
    (mtu >= MIN_MTU).then_some(mtu)
}

/// A host or domain name, without the NUL that some servers add. What may not stand in a name makes
/// the whole of it unusable.
fn name(bytes: &[u8]) -> Option<String> {
    const MAX_BYTES: usize = 63;
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
    let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_');
    let bounded = !text.is_empty() && text.len() <= MAX_BYTES;
    (bounded && !text.starts_with(['-', '.']) && text.chars().all(good)).then(|| text.to_owned())
}

/// Lease, T1 and T2 in seconds. T1 and T2 that are not in order are RFC 2131's: a half, 7/8.
fn times(lease_s: Option<u32>, t1: &[u8], t2: &[u8]) -> Option<(Option<u32>, u32, u32)> {
    let lease_s = lease_s?;
    if lease_s == FOREVER {
        return Some((None, FOREVER, FOREVER));
    }
    if lease_s < MIN_LEASE_S {
        return None;
    }
    let usual = (lease_s / 2, lease_s - lease_s / 8);
    let given = (number(t1).unwrap_or(usual.0), number(t2).unwrap_or(usual.1));
    let ordered = given.0 > 0 && given.0 < given.1 && given.1 < lease_s;
    let (renew_s, rebind_s) = if ordered { given } else { usual };
    Some((Some(lease_s), renew_s, rebind_s))
}

/// Width, as many bytes of the destination as are not zero, router; again and again. The route to
/// everything is returned apart. A list that ends in the middle counts up to there.
fn read_routes(mut bytes: &[u8]) -> (Vec<Route>, Option<Ipv4Addr>) {
    let (mut routes, mut default) = (Vec::new(), None);
    while let Some((&prefix @ 0..=32, rest)) = bytes.split_first() {
        let significant = usize::from(prefix.div_ceil(8));
        let Some((route, rest)) = rest.split_at_checked(significant + 4) else { break };
        bytes = rest;
        let mut to = [0; 4];
        to[..significant].copy_from_slice(&route[..significant]);
        let gateway = addresses(&route[significant..]).next();
        match prefix {
            0 => default = default.or(gateway),
            _ if routes.len() < MAX_ROUTES => routes.push(Route::new(to.into(), prefix, gateway)),
            _ => {}
        }
    }
    (routes, default)
}

impl Route {
    /// Bits behind the prefix are cleared: the kernel refuses a destination that has any.
    fn new(to: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> Self {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self { to: (u32::from(to) & mask).into(), prefix, gateway }
    }
}

/// A lease in force, its times on the monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) lease: Lease,
    pub(crate) renew_at: Ms,
    pub(crate) rebind_at: Ms,
    /// `None` is never.
    pub(crate) expires_at: Option<Ms>,
}

impl Held {
    /// RFC 2131, 4.4.1: the time counts from the request, not from the answer.
    pub(crate) fn new(lease: Lease, asked_at: Ms) -> Self {
        let after = |seconds: u32| asked_at + Ms::from(seconds) * 1000;
        Self {
            renew_at: after(lease.renew_s),
            rebind_at: after(lease.rebind_s),
            expires_at: lease.lease_s.map(after),
            lease,
        }
    }
}

#[cfg(test)]
pub(in crate::network) mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 20);

    /// What `option` answers from.
    type Options<'a> = &'a [(u8, &'a [u8])];

    const USUAL: Options = &[
        (1, &[255, 255, 255, 0]),
        (3, &[192, 168, 7, 1]),
        (6, &[192, 168, 7, 1, 9, 9, 9, 9]),
        (51, &[0, 0, 14, 16]),
        (54, &[192, 168, 7, 1]),
    ];

    fn read(address: Ipv4Addr, options: &[Options]) -> Option<Lease> {
        Lease::read(address, |kind| {
            let found = options.concat().into_iter().rfind(|(known, _)| *known == kind);
            found.map_or(&[], |(_, bytes)| bytes)
        })
    }

    /// As a small router gives it, an hour long.
    pub(in crate::network) fn usual() -> Lease {
        read(ADDRESS, &[USUAL]).expect("sane")
    }

    #[test]
    fn a_usual_lease_is_read_whole() {
        let lease = read(ADDRESS, &[USUAL, &[(12, b"box\0"), (15, b"lan"), (42, &[1, 2, 3, 4])]]);
        let lease = lease.expect("sane");
        assert_eq!((lease.prefix, lease.gateway), (24, Some(Ipv4Addr::new(192, 168, 7, 1))));
        assert_eq!(lease.dns, [Ipv4Addr::new(192, 168, 7, 1), Ipv4Addr::new(9, 9, 9, 9)]);
        assert_eq!(lease.ntp, [Ipv4Addr::new(1, 2, 3, 4)]);
        assert_eq!(
            (lease.hostname.as_deref(), lease.domain.as_deref()),
            (Some("box"), Some("lan"))
        );
        assert_eq!((lease.lease_s, lease.renew_s, lease.rebind_s), (Some(3600), 1800, 3150));
    }

    #[test]
    fn what_cannot_be_an_address_of_ours_is_no_lease() {
        for bad in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3"] {
            assert_eq!(read(bad.parse().expect("an address"), &[USUAL]), None, "{bad}");
        }
        for bad in [&[(1, &[255, 0, 255, 0][..])], &[(1, &[0, 0, 0, 0])], &[(54, &[0, 0, 0, 0])]] {
            assert_eq!(read(ADDRESS, &[USUAL, bad]), None, "{bad:?}");
        }
    }

    #[test]
    fn times_out_of_order_are_replaced_and_hasty_leases_refused() {
        let hasty = read(ADDRESS, &[USUAL, &[(51, &[0, 0, 0, 9])]]);
        assert_eq!(hasty, None);
        let odd = read(ADDRESS, &[USUAL, &[(58, &[0, 0, 15, 0]), (59, &[0, 0, 14, 0])]]);
        assert_eq!(odd.map(|lease| (lease.renew_s, lease.rebind_s)), Some((1800, 3150)));
        let own = read(ADDRESS, &[USUAL, &[(58, &[0, 0, 0, 5]), (59, &[0, 0, 0, 8])]]);
        assert_eq!(own.map(|lease| (lease.renew_s, lease.rebind_s)), Some((5, 8)));
        let forever = read(ADDRESS, &[USUAL, &[(51, &[255; 4])]]).expect("sane");
        assert_eq!(Held::new(forever, 7).expires_at, None);
    }

    #[test]
    fn names_that_could_write_a_line_of_their_own_are_dropped() {
        for bad in [&b"a\nnameserver 6.6.6.6"[..], b"a b", b"-rf", b".", b"", &[b'x'; 64], b"\xff"]
        {
            let lease = read(ADDRESS, &[USUAL, &[(12, bad), (15, bad)]]).expect("sane");
            assert_eq!((lease.hostname, lease.domain), (None, None), "{bad:?}");
        }
    }

    #[test]
    fn classless_routes_replace_the_router() {
        let routes: &[u8] = &[
            32, 10, 0, 0, 1, 0, 0, 0, 0, // 10.0.0.1 is on the link
            0, 10, 0, 0, 1, // everything else is behind it
            12, 172, 31, 192, 168, 7, 9, // 172.16/12, with a stray bit
            24, 1, 2, // cut off
        ];
        let lease = read(ADDRESS, &[USUAL, &[(121, routes)]]).expect("sane");
        assert_eq!(lease.gateway, Some(Ipv4Addr::new(10, 0, 0, 1)));
        let via = Ipv4Addr::new(192, 168, 7, 9);
        let on_link = Route { to: Ipv4Addr::new(10, 0, 0, 1), prefix: 32, gateway: None };
        let behind = Route { to: Ipv4Addr::new(172, 16, 0, 0), prefix: 12, gateway: Some(via) };
        assert_eq!(lease.routes, [on_link, behind]);
    }

    proptest! {
        #[test]
        fn any_options_give_a_bounded_lease_or_none(
            address in any::<[u8; 4]>(),
            options in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..80)), 0..12),
        ) {
            let options: Vec<_> = options.iter().map(|(kind, bytes)| (*kind, &bytes[..])).collect();
            let Some(lease) = read(address.into(), &[USUAL, &options]) else { return Ok(()) };
            let ordered = lease.renew_s > 0 && lease.renew_s < lease.rebind_s;
            prop_assert!(lease.lease_s.is_none_or(|lease_s| ordered && lease.rebind_s < lease_s));
            prop_assert!((1..=32).contains(&lease.prefix) && lease.routes.len() <= MAX_ROUTES);
            prop_assert!(lease.dns.len() <= MAX_DNS && lease.ntp.len() <= MAX_NTP);
        }
    }
}
