//! The packets: our requests encoded, the server's answers read. The layout is smoltcp's business;
//! what is asked for and what is believed is ours.
//!
//! Source: RFC 2131 (table 5 for what each request carries), RFC 2132 (options).

use std::net::Ipv4Addr;

use smoltcp::wire::{
    DhcpMessageType, DhcpOpCode, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress,
};

use super::lease::Lease;

pub(crate) type Mac = [u8; 6];

/// The smallest packet that every relay passes on (RFC 1542, 2.1), and room for all we say.
const REQUEST_BYTES: usize = 300;
/// The largest answer that is read: an Ethernet frame's payload.
pub(crate) const MAX_REPLY_BYTES: usize = 1500;
/// The DHCP message that fits into it, without IP and UDP headers.
const MAX_MESSAGE_BYTES: u16 = 1472;
/// Mask, router, name servers, host name, domain, MTU, NTP, lease, server, T1, T2, routes. Classless
/// routes must come before the router (RFC 3442).
const WANTED: &[u8] = &[1, 121, 3, 6, 12, 15, 26, 42, 51, 54, 58, 59];
const HOST_NAME: u8 = 12;

/// What the client asks, apart from who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) what: Asks,
    pub(crate) xid: u32,
    /// Since the first request of this exchange.
    pub(crate) secs: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Who is there?
    Discover,
    /// What was offered, from the one who offered it.
    Select { address: Ipv4Addr, server: Ipv4Addr },
    /// The address of before, from whoever knows it.
    Reboot { address: Ipv4Addr },
    /// More time, from the one who gave the lease.
    Renew { address: Ipv4Addr, server: Ipv4Addr },
    /// More time, from anybody.
    Rebind { address: Ipv4Addr },
    /// Nothing: what this server gave is somebody else's.
    Decline { address: Ipv4Addr, server: Ipv4Addr },
}

impl Asks {
    /// Where it goes: everybody, or the one server to which we have a route.
    pub(crate) fn destination(self) -> Ipv4Addr {
        match self {
            Self::Renew { server, .. } => server,
            _ => Ipv4Addr::BROADCAST,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) xid: u32,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Offer(Lease),
    Ack(Lease),
    /// Who refuses; not every server says.
    Nak(Option<Ipv4Addr>),
}

impl Request {
    /// Answers are asked to be broadcast: until a lease is there, the kernel takes nothing else.
    pub(crate) fn encode(&self, mac: Mac, hostname: &str) -> Option<Vec<u8>> {
        let none = Ipv4Addr::UNSPECIFIED;
        let (kind, has, wants, server) = match self.what {
            Asks::Discover => (DhcpMessageType::Discover, none, None, None),
            Asks::Select { address, server } => {
                (DhcpMessageType::Request, none, Some(address), Some(server))
            }
            Asks::Reboot { address } => (DhcpMessageType::Request, none, Some(address), None),
            Asks::Renew { address, .. } | Asks::Rebind { address } => {
                (DhcpMessageType::Request, address, None, None)
            }
            Asks::Decline { address, server } => {
                (DhcpMessageType::Decline, none, Some(address), Some(server))
            }
        };
        // A DECLINE, which nobody answers, must not say how.
        let is_answered = kind != DhcpMessageType::Decline;
        let name = DhcpOption { kind: HOST_NAME, data: hostname.as_bytes() };
        let is_named = is_answered && !hostname.is_empty();
        let packet = DhcpRepr {
            message_type: kind,
            transaction_id: self.xid,
            secs: self.secs,
            client_hardware_address: EthernetAddress(mac),
            client_ip: has,
            your_ip: none,
            server_ip: none,
            relay_agent_ip: none,
            broadcast: is_answered && has.is_unspecified(),
            requested_ip: wants,
            client_identifier: Some(EthernetAddress(mac)),
            server_identifier: server,
            router: None,
            subnet_mask: None,
            parameter_request_list: is_answered.then_some(WANTED),
            dns_servers: None,
            max_size: is_answered.then_some(MAX_MESSAGE_BYTES),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: if is_named { std::slice::from_ref(&name) } else { &[] },
        };
        let mut bytes = vec![0; packet.buffer_len().max(REQUEST_BYTES)];
        packet.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).ok()?;
        Some(bytes)
    }
}

/// `None` is for everything that is not a server's answer to this machine.
pub(crate) fn read(bytes: &[u8], mac: Mac) -> Option<Reply> {
    const MAGIC: u32 = 0x6382_5363;
    let packet = DhcpPacket::new_checked(bytes).ok()?;
    let ours = packet.opcode() == DhcpOpCode::Reply
        && packet.magic_number() == MAGIC
        && usize::from(packet.hardware_len()) == mac.len()
        && packet.client_hardware_address() == EthernetAddress(mac);
    if !ours {
        return None;
    }
    let option = |kind| packet.options().find(|each| each.kind == kind).map_or(&[][..], |o| o.data);
    let lease = || Lease::read(packet.your_ip(), option);
    let kind = match option(53) {
        [2] => Kind::Offer(lease()?),
        [5] => Kind::Ack(lease()?),
        [6] => Kind::Nak(<[u8; 4]>::try_from(option(54)).ok().map(Ipv4Addr::from)),
        _ => return None,
    };
    Some(Reply { xid: packet.transaction_id(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 9];
    const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

    fn sent(what: Asks) -> Vec<u8> {
        Request { what, xid: 0xdead_beef, secs: 3 }.encode(MAC, "holdfast").expect("fits")
    }

    fn options(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let packet = DhcpPacket::new_checked(bytes).expect("long enough");
        packet.options().map(|each| (each.kind, each.data.to_vec())).collect()
    }

    /// RFC 2131, table 5, and 4.3.2's table of REQUESTs.
    #[test]
    fn each_request_carries_what_the_rfc_wants_of_it() {
        let ours = OURS.octets();
        let cases = [
            (Asks::Discover, 1, [0; 4], None, None),
            (Asks::Select { address: OURS, server: SERVER }, 3, [0; 4], Some(ours), Some(SERVER)),
            (Asks::Reboot { address: OURS }, 3, [0; 4], Some(ours), None),
            (Asks::Renew { address: OURS, server: SERVER }, 3, ours, None, None),
            (Asks::Rebind { address: OURS }, 3, ours, None, None),
            (Asks::Decline { address: OURS, server: SERVER }, 4, [0; 4], Some(ours), Some(SERVER)),
        ];
        for (asks, kind, ciaddr, requested, server) in cases {
            let bytes = sent(asks);
            assert!(bytes.len() >= REQUEST_BYTES);
            assert_eq!(bytes[12..16], ciaddr, "{asks:?}");
            let is_answered = kind != 4;
            assert_eq!(bytes[10] == 0x80, is_answered && ciaddr == [0; 4], "{asks:?}: broadcast");
            let options = options(&bytes);
            let value = |kind| options.iter().find(|(k, _)| *k == kind).map(|(_, v)| v.clone());
            assert_eq!(value(53), Some(vec![kind]), "{asks:?}");
            assert_eq!(value(50), requested.map(|address| address.to_vec()), "{asks:?}");
            assert_eq!(value(54), server.map(|server| server.octets().to_vec()), "{asks:?}");
            assert_eq!(value(12), is_answered.then(|| b"holdfast".to_vec()), "{asks:?}");
            assert_eq!(value(55), is_answered.then(|| WANTED.to_vec()), "{asks:?}");
            assert_eq!(value(57).is_some(), is_answered, "{asks:?}");
            assert_eq!(value(61), Some([&[1][..], &MAC].concat()));
        }
    }

    /// A server's answer: the request turned round, with the usual options.
    fn answer(kind: u8, extra: &[u8]) -> Vec<u8> {
        let mut bytes = sent(Asks::Discover);
        bytes.truncate(240);
        bytes[0] = 2;
        bytes[16..20].copy_from_slice(&OURS.octets());
        bytes.extend([
            53, 1, kind, 54, 4, 10, 0, 2, 2, 51, 4, 0, 1, 0x51, 0x80, 1, 4, 255, 255, 255, 0,
        ]);
        bytes.extend(extra);
        bytes.push(255);
        bytes
    }

    #[test]
    fn answers_to_this_machine_are_read() {
        let Some(Reply { xid: 0xdead_beef, kind: Kind::Offer(lease) }) = read(&answer(2, &[]), MAC)
        else {
            panic!("an offer")
        };
        assert_eq!((lease.address, lease.server, lease.lease_s), (OURS, SERVER, Some(86400)));
        assert!(matches!(read(&answer(5, &[]), MAC), Some(Reply { kind: Kind::Ack(_), .. })));
        let nak = read(&answer(6, &[]), MAC).map(|reply| reply.kind);
        assert_eq!(nak, Some(Kind::Nak(Some(SERVER))));
    }

    #[test]
    fn answers_to_others_and_half_answers_are_not() {
        let good = answer(5, &[]);
        let mut other = good.clone();
        other[33] ^= 1;
        let mut request = good.clone();
        request[0] = 1;
        let mut plain_bootp = good.clone();
        plain_bootp[236] ^= 1;
        for bad in [&other, &request, &plain_bootp, &answer(4, &[]), &answer(1, &[])] {
            assert_eq!(read(bad, MAC), None);
        }
        for len in 0..good.len() - 6 {
            // Cut before the lease time's end there is no lease; cut later the usual mask does.
            let cut = read(&good[..len], MAC);
            assert!(cut.is_none() || len >= 255, "{len}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            tail in prop::collection::vec(any::<u8>(), 0..400),
            flips in prop::collection::vec((0usize..300, any::<u8>()), 0..8),
        ) {
            let mut bytes = answer(5, &tail);
            let len = bytes.len();
            for (at, bits) in flips {
                bytes[at % len] ^= bits;
            }
            let _ = read(&bytes, MAC);
            let _ = read(&tail, MAC);
        }
    }
}
