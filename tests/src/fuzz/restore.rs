//! RESTORE's payloads: no bytes make the reader panic, and what it accepts is a sound value, which is
//! written and read again as the same.

use holdfast_server::clock::Now;
use holdfast_server::keyspace::{Value, ValueRef};
use holdfast_server::rdb::Limits;
use holdfast_server::rdb::payload::{self, Trust};
use holdfast_server::types::collection::CollectionType;
use holdfast_server::types::hash::{self, Hash, SHOW_DUE, Ttl};
use holdfast_server::types::list::{self, List};
use holdfast_server::types::set::{self, Set};
use holdfast_server::types::sorted_set::{self, SortedSet};
use holdfast_server::types::stream::{self, Group, Nack, Stream, StreamId};
use holdfast_server::types::string::Str;

use super::{Random, mutate};

const NOW: Now = Now { us: 1_700_000_000_000_000, wall_offset_ms: 0 };

/// The value of a payload; `None` if the bytes are none.
pub type Restore = fn(&[u8]) -> Option<Value>;

/// What is wrong with what `restore` makes of `bytes`.
pub fn check(restore: Restore, bytes: &[u8]) -> Result<(), String> {
    let Some(value) = restore(bytes) else { return Ok(()) };
    let again = dump(&value);
    match restore(&again) {
        Some(back) if back == value => Ok(()),
        back => Err(format!("{bytes:x?} is {value:?}, written as {again:x?}, which is {back:?}")),
    }
}

/// The server's reader; checksums are not looked at, or none would be right.
pub fn holdfast(bytes: &[u8]) -> Option<Value> {
    let trust = Trust { any_version: true, no_checksum: true };
    payload::restore(bytes, trust, &limits(), NOW).ok()
}

/// Small, so that few elements are many.
pub(super) fn limits() -> Limits {
    Limits {
        list: list::Limits::new(3, None),
        set: set::Limits { intset_entries: 4, listpack_entries: 3, listpack_value: 8 },
        hash: hash::Limits { listpack_entries: 3, listpack_value: 8 },
        sorted_set: sorted_set::Limits { max_entries: 3, max_member_len: 8 },
    }
}

pub(super) fn dump(value: &Value) -> Vec<u8> {
    let value = match value {
        Value::Str(string) => ValueRef::Str(string.view()),
        Value::Collection(collection) => ValueRef::Collection(collection),
    };
    payload::dump(value, true, NOW)
}

/// A payload of some value, or a seed, changed in a few places; sometimes in another form.
pub fn generate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = match random.below(3) {
        0 if !seeds.is_empty() => seeds[random.below(seeds.len())].clone(),
        _ => dump(&any_value(random)),
    };
    bytes = mutate(random, bytes, &[b"\0", b"\xff", b"\x81", b"\xc3\x02\x05\0a", b"\xc0\x07"]);
    if random.below(4) == 0
        && let Some(form) = bytes.first_mut()
    {
        *form = random.below(28) as u8;
    }
    bytes
}

pub(super) fn any_value(random: &mut Random) -> Value {
    let texts: Vec<Vec<u8>> = (0..=random.below(6)).map(|_| any_text(random)).collect();
    let collection = match random.below(6) {
        0 => return Value::Str(Str::new(any_text(random))),
        1 => List::of(texts.iter().map(Vec::as_slice), limits().list).into_collection(),
        2 => {
            let mut set = Set::new(&texts[0], texts.len(), &limits().set);
            texts.iter().for_each(|text| _ = set.insert(text, &limits().set));
            set.into_collection()
        }
        3 => {
            let mut hash = Hash::new();
            for text in &texts {
                let due = Ttl::At(NOW.ms() + random.below(100) as i64);
                let ttl = if random.below(4) == 0 { due } else { Ttl::Clear };
                hash.set(text, text, ttl, &limits().hash, SHOW_DUE);
            }
            hash.into_collection()
        }
        4 => {
            let mut set = SortedSet::new();
            for text in &texts {
                set.insert(text, random.below(50) as f64 / 4.0, &limits().sorted_set);
            }
            set.into_collection()
        }
        _ => any_stream(random, &texts).into_collection(),
    };
    Value::Collection(collection)
}

fn any_text(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => (random.number() as i64 >> random.below(64)).to_string().into_bytes(),
        1 => vec![b'x'; random.below(60)],
        _ => vec![b'a' + random.below(3) as u8; random.below(4)],
    }
}

fn any_stream(random: &mut Random, words: &[Vec<u8>]) -> Stream {
    let mut stream = Stream::new();
    let parts = stream.parts_mut();
    let mut group = Group::new(StreamId::MIN, None);
    let (consumer, _) = group.find_or_add_consumer(b"consumer", NOW.ms());
    for ms in 1..=random.below(5) as u64 {
        let id = StreamId::new(ms, 1);
        let pair = [&words[0][..], &words[words.len() - 1]];
        let limits = stream::Limits { node_bytes: 0, node_entries: 2 };
        parts.log.add(id, pair.into_iter(), limits).expect("ids ascend");
        if random.below(2) == 0 {
            group.assign(id, Nack { consumer, delivered_ms: NOW.ms(), deliveries: ms });
        }
    }
    parts.groups.insert(b"group", group);
    stream
}
