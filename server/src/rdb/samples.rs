//! Values and payloads for tests: one of every form, small enough that every byte can be tried.

use crate::clock::Now;
use crate::keyspace::{Value, ValueRef};
use crate::rdb::Limits;
use crate::types::collection::CollectionType;
use crate::types::hash::{self, Hash, SHOW_DUE, Ttl};
use crate::types::list::{self, List};
use crate::types::set::{self, Set};
use crate::types::sorted_set::{self, SortedSet};
use crate::types::stream::{self, Group, Nack, Stream, StreamId};
use crate::types::string::Str;

pub(super) const NOW: Now = Now { us: 1_700_000_000_000_000, wall_offset_ms: 250 };

/// Small, so that few elements are many.
pub(super) fn limits() -> Limits {
    Limits {
        list: list::Limits::new(3, None),
        set: set::Limits { intset_entries: 4, listpack_entries: 3, listpack_value: 8 },
        hash: hash::Limits { listpack_entries: 3, listpack_value: 8 },
        sorted_set: sorted_set::Limits { max_entries: 3, max_member_len: 8 },
    }
}

pub(super) fn view(value: &Value) -> ValueRef<'_> {
    match value {
        Value::Str(string) => ValueRef::Str(string.view()),
        Value::Collection(collection) => ValueRef::Collection(collection),
    }
}

pub(super) fn string(text: &[u8]) -> Value {
    Value::Str(Str::new(text.to_vec()))
}

pub(super) fn list(elements: &[&[u8]]) -> Value {
    let list = List::of(elements.iter().copied(), limits().list);
    Value::Collection(list.into_collection())
}

pub(super) fn set(members: &[&[u8]]) -> Value {
    let mut set = Set::new(members[0], members.len(), &limits().set);
    members.iter().for_each(|member| _ = set.insert(member, &limits().set));
    Value::Collection(set.into_collection())
}

pub(super) type Pair<'a> = (&'a [u8], &'a [u8], Option<i64>);

pub(super) fn hash(pairs: &[Pair<'_>]) -> Value {
    let mut hash = Hash::new();
    for (field, value, deadline) in pairs {
        let ttl = deadline.map_or(Ttl::Clear, Ttl::At);
        hash.set(field, value, ttl, &limits().hash, SHOW_DUE);
    }
    Value::Collection(hash.into_collection())
}

pub(super) fn sorted_set(pairs: &[(&[u8], f64)]) -> Value {
    let pairs = pairs.iter().map(|(member, score)| (member.to_vec(), *score)).collect();
    let set = SortedSet::from_members(&limits().sorted_set, pairs);
    Value::Collection(set.into_collection())
}

/// Entries 1-1 to `count`-1, two to a node, the second deleted; `groups` of two consumers each, who
/// have an entry pending.
pub(super) fn stream(count: u64, groups: u8) -> Value {
    let mut stream = Stream::new();
    let parts = stream.parts_mut();
    for ms in 1..=count {
        let words: [&[u8]; 4] = [b"field", b"12", b"other", b"text"];
        let words = &words[..if ms % 3 == 0 { 2 } else { 4 }];
        let limits = stream::Limits { node_bytes: 0, node_entries: 2 };
        parts.log.add(StreamId::new(ms, 1), words.iter().copied(), limits).expect("ascending");
    }
    parts.log.delete(StreamId::new(2, 1));
    for nth in 0..groups {
        let mut group = Group::new(StreamId::new(count, 0), Some(3).filter(|_| nth == 0));
        for (name, id) in [(&b"alice"[..], 1), (b"bob", 3)] {
            let (consumer, _) = group.find_or_add_consumer(name, NOW.ms());
            group.consumer_mut(consumer).active_ms = Some(NOW.ms() - 5).filter(|_| id == 1);
            let nack = Nack { consumer, delivered_ms: NOW.ms() - 7, deliveries: id };
            group.assign(StreamId::new(id, 1), nack);
        }
        parts.groups.insert(&[b'g', nth], group);
    }
    Value::Collection(stream.into_collection())
}

/// A value of every form that is written.
pub(super) fn values() -> Vec<Value> {
    vec![
        string(b"text"),
        string(b"-70000"),
        string(b"12345678901234"),
        string(&[b'r'; 90]),
        list(&[b"a", b"12", b""]),
        list(&[b"a", b"b", b"c", b"12", b"e", &[b'p'; 9000], b"f"]),
        set(&[b"1", b"-2", b"70000"]),
        set(&[b"1", b"two", b""]),
        set(&[b"1", b"two", b"three", b"4", b"5", b""]),
        hash(&[(b"a", b"1", None), (b"b", b"", None)]),
        hash(&[(b"a", b"1", None), (b"b", b"22", None), (b"c", b"x", None), (b"", b"y", None)]),
        hash(&[(b"a", b"1", Some(NOW.ms() + 500)), (b"b", b"22", None), (b"c", b"x", Some(0))]),
        sorted_set(&[(b"a", 1.0), (b"b", -0.5), (b"c", f64::INFINITY)]),
        sorted_set(&[(b"a", 1.0), (b"b", 1.5), (b"c", 1.0), (b"7", f64::NEG_INFINITY)]),
        stream(0, 0),
        stream(5, 2),
    ]
}

/// Forms that only other servers write: the byte, the version, the value's bytes and the value.
pub(super) fn foreign() -> Vec<(u8, u16, Vec<u8>, Value)> {
    let packed = |bytes: &[u8]| [&[bytes.len() as u8][..], bytes].concat();
    let ziplist = b"\x19\0\0\0\x13\0\0\0\x04\0\0\x01a\x03\xf2\x02\x01b\x03\xfe\x07\xff";
    let ziplist_of = |tail: u8| {
        let mut ziplist = ziplist.to_vec();
        (ziplist[0], ziplist[4]) = (ziplist.len() as u8, tail);
        packed(&ziplist)
    };
    let a_1_b_7 = ziplist_of(18);
    let zipmap = packed(b"\x02\x01a\x01\x001\x01b\x01\x027xx\xff");
    let pairs = hash(&[(b"a", b"1", None), (b"b", b"7", None)]);
    let scores = sorted_set(&[(b"a", 1.0), (b"b", 7.0)]);
    let elements = list(&[b"a", b"1", b"b", b"7"]);
    let soon = NOW.deadline_of_unix_ms(1_900_000_000_000);
    let times = hash(&[(b"a", b"1", Some(soon)), (b"b", b"7", None), (b"c", b"x", Some(soon + 9))]);
    let time = 1_900_000_000_000u64;
    let number = |number: u64| [&[0x81][..], &number.to_be_bytes()].concat();
    let with_ttls = |first: Vec<u8>, second: Vec<u8>| {
        [&[3][..], &first, b"\x01a\xc0\x01\0\x01b\xc0\x07", &second, b"\x01c\x01x"].concat()
    };
    let triples = {
        let mut list = crate::types::listpack::Listpack::new();
        let texts = [("a", "1", time), ("c", "x", time + 9), ("b", "7", 0)];
        for (field, value, time) in texts {
            list.push_back(field.as_bytes());
            list.push_back(value.as_bytes());
            list.push_back_int(time as i64);
        }
        let mut bytes = Vec::new();
        list.write_to(&mut bytes);
        packed(&bytes)
    };
    let nearest = time.to_le_bytes();
    vec![
        (1, 9, b"\x04\x01a\xc0\x01\x01b\xc0\x07".to_vec(), elements.clone()),
        (3, 6, b"\x02\x01a\x011\x01b\x037.0".to_vec(), scores.clone()),
        (9, 3, zipmap, pairs.clone()),
        (10, 6, a_1_b_7.clone(), elements.clone()),
        (12, 9, a_1_b_7.clone(), scores),
        (13, 9, a_1_b_7.clone(), pairs),
        (14, 9, [&[1][..], &a_1_b_7].concat(), elements),
        (22, 12, with_ttls(number(time), number(time + 9)), times.clone()),
        (23, 12, triples.clone(), times.clone()),
        (24, 12, [&nearest[..], &with_ttls(vec![1], vec![10])].concat(), times.clone()),
        (25, 12, [&nearest[..], &triples].concat(), times),
    ]
}
