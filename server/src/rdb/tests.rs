//! Whole payloads: what is written comes back, what others wrote is understood, and no bytes do harm.

use proptest::prelude::*;

use super::payload::{Refused, Trust, dump, restore};
use super::samples::{self, NOW, limits, view};
use super::{Form, Limits};
use crate::keyspace::Value;
use crate::types::collection::{Collection, CollectionType as _};
use crate::types::hash::{Hash, SHOW_DUE};

const BLIND: Trust = Trust { any_version: false, no_checksum: true };

fn restored(payload: &[u8]) -> Result<Value, Refused> {
    restore(payload, Trust::default(), &limits(), NOW)
}

/// Bytes of a value as a payload whose checksum is not looked at.
fn unchecked(byte: u8, version: u16, body: &[u8]) -> Vec<u8> {
    [&[byte][..], body, &version.to_le_bytes(), &[0; 8]].concat()
}

fn encoding(value: &Value) -> &'static str {
    match value {
        Value::Str(_) => "string",
        Value::Collection(collection) => collection.encoding(),
    }
}

#[test]
fn every_value_comes_back_in_its_encoding() {
    for value in samples::values() {
        for compress in [false, true] {
            let payload = dump(view(&value), compress, NOW);
            let back = restored(&payload).unwrap_or_else(|why| panic!("{value:?}: {why:?}"));
            assert_eq!(back, value);
            assert_eq!(encoding(&back), encoding(&value), "{value:?}");
        }
    }
}

#[test]
fn forms_of_other_servers_are_understood() {
    for (byte, version, body, expected) in samples::foreign() {
        let value = restore(&unchecked(byte, version, &body), BLIND, &limits(), NOW);
        assert_eq!(value, Ok(expected), "form {byte} of version {version}");
    }
}

#[test]
fn older_streams_lack_what_later_ones_remember() {
    let stream = samples::stream(5, 1);
    let bytes = dump(view(&stream), false, NOW);
    let Value::Collection(Collection::Stream(stream)) = &stream else { unreachable!() };
    // One group, without consumers: what differs between the forms comes before.
    let nodes_end = bytes.len() - 10 - tail_len(&bytes);
    let nodes = &bytes[1..nodes_end];
    let first = [nodes, b"\x04\x05\x01", b"\x01\x01g\x05\0", b"\0\0"].concat();
    let value = restore(&unchecked(15, 9, &first), BLIND, &limits(), NOW).expect("a stream");
    let Value::Collection(Collection::Stream(old)) = &value else { panic!("{value:?}") };
    assert_eq!(old.log().counters().first_id, stream.log().first_id());
    assert_eq!(old.log().counters().entries_added, 4);
    assert!(old.log().all().map(|e| e.id).eq(stream.log().all().map(|e| e.id)));
    let second =
        [nodes, b"\x04\x05\x01\x01\x01\x02\x01\x05", b"\x01\x01g\x05\0\x02", b"\0\0"].concat();
    let value = restore(&unchecked(19, 10, &second), BLIND, &limits(), NOW).expect("a stream");
    let Value::Collection(Collection::Stream(old)) = &value else { panic!("{value:?}") };
    assert_eq!(old.log(), stream.log());
    assert_eq!(old.groups().group(b"g").expect("there").entries_read, Some(2));
}

/// Bytes behind the nodes of the sample stream: from the length, which is 4, on.
fn tail_len(payload: &[u8]) -> usize {
    let tail = b"\x04\x05\x01\x01\x01\x02\x01\x05\x01";
    let at = payload.windows(tail.len()).rposition(|window| window == tail).expect("there");
    payload.len() - 10 - at
}

#[test]
fn the_version_is_the_oldest_that_has_the_form() {
    for (value, version) in [
        (samples::string(b"a"), 9),
        (samples::list(&[b"a"]), 10),
        (samples::set(&[b"a"]), 11),
        (samples::hash(&[(b"a", b"b", Some(5))]), 80),
    ] {
        let payload = dump(view(&value), true, NOW);
        let footer = payload.len() - 10;
        assert_eq!(payload[footer..][..2], u16::to_le_bytes(version), "{value:?}");
    }
}

#[test]
fn a_footer_is_believed_if_it_is_right() {
    // As a server of version 222 writes it; the bytes are those of Valkey's test.
    let future = b"\x00\x03bar\xde\x00\x0fYUza\xd3\xec\xe0";
    assert_eq!(restored(future), Err(Refused::VersionOrChecksum));
    let relaxed = Trust { any_version: true, no_checksum: false };
    assert_eq!(restore(future, relaxed, &limits(), NOW), Ok(samples::string(b"bar")));
    let mut payload = dump(view(&samples::string(b"bar")), true, NOW);
    payload[2] ^= 1;
    assert_eq!(restored(&payload), Err(Refused::VersionOrChecksum));
    for version in [0u16, 13, 79, 81] {
        let payload = unchecked(0, version, b"\x03bar");
        assert_eq!(restore(&payload, BLIND, &limits(), NOW), Err(Refused::VersionOrChecksum));
    }
    for short in [&b""[..], b"123456789"] {
        assert_eq!(restored(short), Err(Refused::VersionOrChecksum));
    }
    assert!(matches!(restore(&[0; 10], BLIND, &limits(), NOW), Err(Refused::VersionOrChecksum)));
}

fn refusal(byte: u8, version: u16, body: &[u8]) -> String {
    match restore(&unchecked(byte, version, body), BLIND, &limits(), NOW) {
        Err(Refused::BadFormat(why)) => why.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_a_value_is_refused_with_the_reason() {
    let module = refusal(7, 9, b"\x81\x08\x5e\x72\x51\x78\x6f\x24\x01\0");
    assert!(module.contains("no matching module type"), "{module}");
    for (byte, version, body, why) in [
        (1, 9, &b"\0"[..], "a collection without elements"),
        (2, 9, b"\x02\x01a\x01a", "Duplicate set members detected"),
        (2, 9, b"\x02\x01a", "the value is cut off"),
        (4, 9, b"\x02\x01a\x01b\x01a\x01c", "Duplicate hash fields detected"),
        (5, 9, b"\x01\x01a\0\0\0\0\0\0\xf8\x7f", "Zset with NAN score detected"),
        (18, 10, b"\x01\x03\x01a", "Quicklist integrity check failed."),
        (20, 11, b"\x07\x07\0\0\0\0\0\xff", "a collection without elements"),
        (
            20,
            11,
            b"\x0d\x0d\0\0\0\x02\0\x81a\x02\x81a\x02\xff",
            "Set listpack integrity check failed.",
        ),
        (16, 10, b"\x0a\x0a\0\0\0\x01\0\x81a\x02\xff", "Hash listpack integrity check failed."),
        (0, 9, b"\x01ab", "bytes behind the value"),
        (8, 9, b"\0", "unknown form of a value"),
        (22, 11, b"\0", "unknown form of a value"),
    ] {
        assert_eq!(refusal(byte, version, body), why, "form {byte}");
    }
    let foreign = restore(&unchecked(26, 12, b"\0"), BLIND, &limits(), NOW);
    assert_eq!(foreign, Err(Refused::ForeignForm(26)));
}

#[test]
fn limits_in_force_decide_the_encoding() {
    let generous = Limits {
        list: crate::types::list::Limits::new(-2, None),
        set: crate::types::set::Limits {
            intset_entries: 512,
            listpack_entries: 128,
            listpack_value: 64,
        },
        hash: crate::types::hash::Limits { listpack_entries: 512, listpack_value: 64 },
        sorted_set: crate::types::sorted_set::Limits { max_entries: 128, max_member_len: 64 },
    };
    for value in samples::values() {
        let payload = dump(view(&value), true, NOW);
        let compact = restore(&payload, Trust::default(), &generous, NOW).expect("as it was");
        assert_eq!(compact, value);
        let back = restored(&dump(view(&compact), true, NOW)).expect("as it was");
        assert_eq!(back, value);
        assert_eq!(encoding(&back), encoding(&value), "{value:?}");
    }
}

#[test]
fn members_of_a_listpack_need_no_order() {
    // b 2, a 1
    let value = restore(
        &unchecked(17, 10, b"\x11\x11\0\0\0\x04\0\x81b\x02\x02\x01\x81a\x02\x01\x01\xff"),
        BLIND,
        &limits(),
        NOW,
    );
    assert_eq!(value, Ok(samples::sorted_set(&[(b"a", 1.0), (b"b", 2.0)])));
}

/// A payload that is accepted is a sound value: it is written, and that is read as the same.
fn check(payload: &[u8]) {
    let Ok(value) = restore(payload, BLIND, &limits(), NOW) else { return };
    let again = dump(view(&value), true, NOW);
    let back = restored(&again).unwrap_or_else(|why| panic!("{why:?} of {value:?}"));
    assert_eq!(back, value);
    exercise(value);
}

/// Changes that go through what was read.
fn exercise(value: Value) {
    let Value::Collection(mut collection) = value else { return };
    if let Collection::Stream(stream) = &mut collection {
        let ids: Vec<_> = stream.log().all().map(|entry| entry.id).collect();
        ids.into_iter().for_each(|id| assert!(stream.parts_mut().log.delete(id)));
        assert_eq!(stream.len(), 0);
    }
    if let Some(hash) = Hash::of_mut(&mut collection) {
        let fields: Vec<_> = hash.iter(SHOW_DUE).map(|pair| pair.field.to_vec()).collect();
        fields.iter().for_each(|field| assert!(hash.remove(field, SHOW_DUE)));
        assert_eq!(hash.len(), 0);
    }
    if let Collection::SortedSet(set) = &mut collection {
        let members: Vec<_> = set.iter().map(|(member, _)| member.to_vec()).collect();
        members.iter().for_each(|member| assert!(set.remove(member).is_some()));
        assert_eq!(set.len(), 0);
    }
    if let Collection::Set(set) = &mut collection {
        let members: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
        members.iter().for_each(|member| assert!(set.remove(member)));
        assert_eq!(set.len(), 0);
    }
}

fn payloads() -> Vec<Vec<u8>> {
    let own = samples::values();
    let own = own.iter().flat_map(|value| [true, false].map(|c| dump(view(value), c, NOW)));
    let foreign = samples::foreign();
    let foreign = foreign.iter().map(|(byte, version, body, _)| unchecked(*byte, *version, body));
    own.chain(foreign).collect()
}

#[test]
fn no_flipped_byte_does_harm() {
    for payload in payloads() {
        // A few long samples are the same byte over and over.
        for at in (0..payload.len() - 8).filter(|at| *at < 400 || at % 97 == 0) {
            for mask in [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff] {
                let mut broken = payload.clone();
                broken[at] ^= mask;
                check(&broken);
            }
        }
    }
}

#[test]
fn no_value_that_is_cut_off_is_accepted() {
    for payload in payloads() {
        let (body, version) = payload[..payload.len() - 8].split_at(payload.len() - 10);
        for len in (1..body.len()).filter(|len| *len < 400 || len % 97 == 0) {
            let version = u16::from_le_bytes([version[0], version[1]]);
            let cut = unchecked(body[0], version, &body[1..len]);
            assert!(restore(&cut, BLIND, &limits(), NOW).is_err(), "{len} of {body:x?}");
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ab]{0,3}".prop_map(String::into_bytes),
        3 => any::<i64>().prop_map(|int| (int >> (int & 63)).to_string().into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 20usize..9000).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(text(), 1..12)
}

fn any_value() -> impl Strategy<Value = Value> {
    let slices = |texts: &[Vec<u8>]| -> Vec<Vec<u8>> { texts.to_vec() };
    let time = prop::option::weighted(0.2, 0i64..1 << 42);
    let score = prop_oneof![any::<i32>().prop_map(f64::from), any::<f64>()]
        .prop_filter("a number", |score| !score.is_nan());
    prop_oneof![
        text().prop_map(|text| samples::string(&text)),
        texts().prop_map(move |texts| {
            let texts = slices(&texts);
            samples::list(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }),
        texts().prop_map(|texts| {
            samples::set(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }),
        prop::collection::vec((text(), text(), time), 1..8).prop_map(|pairs| {
            let pairs: Vec<samples::Pair<'_>> =
                pairs.iter().map(|(field, value, time)| (&**field, &**value, *time)).collect();
            samples::hash(&pairs)
        }),
        prop::collection::btree_map(text(), score, 1..8).prop_map(|pairs| {
            let pairs: Vec<_> = pairs.iter().map(|(member, score)| (&**member, *score)).collect();
            samples::sorted_set(&pairs)
        }),
        (3u64..12, 0u8..3).prop_map(|(count, groups)| samples::stream(count, groups)),
    ]
}

proptest! {
    #[test]
    fn whatever_is_dumped_is_restored(value in any_value(), compress in any::<bool>()) {
        let payload = dump(view(&value), compress, NOW);
        let back = restored(&payload);
        prop_assert_eq!(back.as_ref(), Ok(&value));
        prop_assert_eq!(payload[0], Form::of(view(&value)).byte());
    }

    #[test]
    fn no_bytes_make_it_panic(
        byte in 0u8..28,
        version in prop_oneof![Just(9u16), Just(12), Just(80)],
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        check(&unchecked(byte, version, &body));
    }
}
