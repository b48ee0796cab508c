//! The frames: ours made, those of others judged. The layout is smoltcp's business.
//!
//! Source: RFC 826 for the packet, RFC 5227, 2.1.1 for what is said and what is a conflict.

use std::net::Ipv4Addr;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
};

use super::Says;
use crate::network::dhcp::Mac;

/// Ethernet's header and an ARP packet for IPv4.
pub(super) const FRAME_BYTES: usize = 14 + 28;

pub(super) fn encode(says: Says, mac: Mac) -> [u8; FRAME_BYTES] {
    let (from, about) = match says {
        // A question from nobody changes nobody's table.
        Says::Probe(address) => (Ipv4Addr::UNSPECIFIED, address),
        Says::Announce(address) => (address, address),
    };
    let mut bytes = [0; FRAME_BYTES];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_dst_addr(EthernetAddress::BROADCAST);
    frame.set_src_addr(EthernetAddress(mac));
    frame.set_ethertype(EthernetProtocol::Arp);
    let packet = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(mac),
        source_protocol_addr: from,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: about,
    };
    packet.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

/// Who else has the address, or is about to take it.
pub(super) fn rival(bytes: &[u8], address: Ipv4Addr, mac: Mac) -> Option<Mac> {
    let frame = EthernetFrame::new_checked(bytes).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let packet = ArpPacket::new_checked(frame.payload()).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: who,
        source_protocol_addr: has,
        target_protocol_addr: wants,
        ..
    } = ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    let asks_too = operation == ArpOperation::Request && has.is_unspecified() && wants == address;
    let is_other = who != EthernetAddress(mac) && who.is_unicast();
    (is_other && (has == address || asks_too)).then_some(who.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: Mac = [2, 0, 0, 0, 0, 9];
    const OTHER: Mac = [2, 0, 0, 0, 0, 0x66];
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 70);
    const ELSE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 71);

    #[test]
    fn a_probe_is_from_nobody_and_an_announcement_from_its_address() {
        let probe = encode(Says::Probe(ADDRESS), OURS);
        let head = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 6];
        assert_eq!(probe[..14], head);
        // Ethernet, IPv4, their lengths, request; who; from whom; to whom; about what.
        assert_eq!(probe[14..22], [0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(probe[22..], [2, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 77, 0, 70]);
        let said = encode(Says::Announce(ADDRESS), OURS);
        assert_eq!(said[28..32], [10, 77, 0, 70]);
        assert_eq!(said[38..], [10, 77, 0, 70]);
    }

    #[test]
    fn who_has_the_address_or_wants_it_too_is_a_rival_and_nobody_else() {
        for says in [Says::Probe(ADDRESS), Says::Announce(ADDRESS)] {
            assert_eq!(rival(&encode(says, OTHER), ADDRESS, OURS), Some(OTHER), "{says:?}");
            assert_eq!(rival(&encode(says, OURS), ADDRESS, OURS), None, "our own {says:?}");
            assert_eq!(rival(&encode(says, OTHER), ELSE, OURS), None, "{says:?} of another one");
            let mut multicast = encode(says, OTHER);
            multicast[22] = 1;
            assert_eq!(rival(&multicast, ADDRESS, OURS), None, "{says:?} from a group");
        }
        // The answer to a probe, and somebody who only asks where the address is.
        let mut answer = encode(Says::Announce(ADDRESS), OTHER);
        answer[21] = 2;
        assert_eq!(rival(&answer, ADDRESS, OURS), Some(OTHER));
        let mut asks = encode(Says::Announce(ADDRESS), OTHER);
        asks[28..32].copy_from_slice(&ELSE.octets());
        assert_eq!(rival(&asks, ADDRESS, OURS), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            cut in 0..=FRAME_BYTES,
            at in 0..FRAME_BYTES,
            bits in any::<u8>(),
        ) {
            let _ = rival(&bytes, ADDRESS, OURS);
            let mut frame = encode(Says::Announce(ADDRESS), OTHER);
            frame[at] ^= bits;
            let seen = rival(&frame[..cut], ADDRESS, OURS);
            prop_assert!(seen.is_none() || cut == FRAME_BYTES);
        }
    }
}
