//! Round trips, and bytes that are no plan.

use core::net::Ipv4Addr;

use super::*;
use proptest::prelude::*;

fn full_plan() -> Plan {
    let mut plan = Plan::built_in();
    plan.network.ipv4 = Ipv4::Static(StaticNetwork {
        device: text("eth0"),
        address: Ipv4Addr::new(10, 0, 2, 15),
        prefix: 24,
        gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
        dns: [Some(Ipv4Addr::new(1, 1, 1, 1)), None],
    });
    let mut service = Service::server();
    service.args.push(&[b'x'; MAX_ARGS_BYTES - 1]).expect("fills the field exactly");
    service.limits.memory_high = Memory::Bytes(1 << 30);
    plan.services.clear();
    for _ in 0..MAX_SERVICES {
        plan.services.push(service.clone()).expect("within the limit");
    }
    plan
}

#[test]
fn plans_survive_the_wire() {
    for plan in [Plan::built_in(), full_plan()] {
        let bytes = plan.encode().expect("the largest plan fits");
        assert_eq!(Plan::decode(&bytes), Ok(plan));
    }
}

#[test]
fn arguments_keep_their_words() {
    let mut args = Args::new();
    for word in [&b"--port"[..], b"", b"7000"] {
        args.push(word).expect("short");
    }
    assert!(args.iter().eq([&b"--port"[..], b"", b"7000"]));
    assert!(args.push(b"a\0b").is_err());
    assert!(args.push(&[b'x'; MAX_ARGS_BYTES]).is_err());
}

#[test]
fn percentages_are_of_this_machine() {
    assert_eq!(Memory::Percent(85).bytes(1000), Some(850));
    assert_eq!(Memory::Unlimited.bytes(1000), None);
}

#[test]
fn a_flip_of_any_bit_is_refused() {
    let good = Plan::built_in().encode().expect("fits");
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(Plan::decode(&bad).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_plan_cut_anywhere_is_refused() {
    let good = full_plan().encode().expect("fits");
    for len in 0..good.len() {
        assert!(Plan::decode(&good[..len]).is_err(), "{len} bytes");
    }
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(Plan::decode(&bytes).is_err());
    }

    /// With a correct checksum the fields themselves must hold: decoded plans encode to the same bytes.
    #[test]
    fn damage_under_a_valid_checksum_is_refused_or_a_plan(
        at in 0usize..500,
        with in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let good = full_plan().encode().expect("fits");
        let mut bad = good[..good.len() - CRC_BYTES].to_vec();
        for (slot, byte) in bad.iter_mut().skip(at).zip(with) {
            *slot = byte;
        }
        let crc = crc32fast::hash(&bad).to_le_bytes();
        bad.extend_from_slice(&crc);
        if let Ok(plan) = Plan::decode(&bad) {
            let again = plan.encode().expect("a decoded plan fits");
            prop_assert_eq!(Plan::decode(&again), Ok(plan));
        }
    }
}
