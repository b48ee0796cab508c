//! Collections that grow out of their entries and back into them, against copies that never lay in one.

use proptest::prelude::*;

use super::{PACKED_MAX, RETURNS_AT};
use crate::keyspace::{Db, Density, Hasher, Scope, Value};
use crate::types::collection::{Collection, Kind};
use crate::types::hash::{self, Hash, Ttl};
use crate::types::list::{self, End, List};
use crate::types::set::{self, Set};
use crate::types::sorted_set::{self, SortedSet};

const HASH: hash::Limits = hash::Limits { listpack_entries: 40, listpack_value: 64 };
const SET: set::Limits =
    set::Limits { intset_entries: 60, listpack_entries: 40, listpack_value: 64 };
const SORTED: sorted_set::Limits = sorted_set::Limits { max_entries: 40, max_member_len: 64 };

fn list_limits() -> list::Limits {
    list::Limits::new(40, None)
}

fn new_db() -> Db {
    Db::new(Hasher::new(&[7; 16]))
}

fn empty(kind: usize) -> Collection {
    match kind {
        0 => Collection::List(List::new()),
        1 => Collection::Set(Set::new(b"1", 1, &SET)),
        2 => Collection::Hash(Hash::new()),
        _ => Collection::SortedSet(SortedSet::new()),
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Puts in an element made of a number, so long.
    Put(u16, usize),
    Remove(u16),
    Expire(Option<i64>),
    /// RENAME to itself.
    Take,
    Gather,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0u16..60, 0usize..30).prop_map(|(nth, len)| Step::Put(nth, len)),
        4 => (0u16..60).prop_map(Step::Remove),
        1 => prop_oneof![Just(None), Just(Some(5)), Just(Some(i64::MAX))].prop_map(Step::Expire),
        1 => Just(Step::Take),
        1 => Just(Step::Gather),
    ]
}

fn put(collection: &mut Collection, nth: u16, len: usize) {
    let (name, text) = (nth.to_string(), "t".repeat(len));
    match collection {
        Collection::List(list) => {
            list.make_room([text.as_bytes()], list_limits());
            list.push(End::Tail, text.as_bytes());
        }
        Collection::Set(set) => {
            // Integers for long, then a text.
            let member = if len < 28 { name } else { name + &text };
            set.insert(member.as_bytes(), &SET);
        }
        Collection::Hash(hash) => {
            // One in sixty has a deadline, which no packed hash can have.
            let ttl = if (nth, len) == (7, 7) { Ttl::At(1 << 40) } else { Ttl::Clear };
            hash.set(name.as_bytes(), text.as_bytes(), ttl, &HASH, 0);
        }
        Collection::SortedSet(set) => {
            set.insert(name.as_bytes(), len as f64 / 2.0, &SORTED);
        }
        Collection::Stream(_) => unreachable!("there is none here"),
    }
}

fn remove(collection: &mut Collection, nth: u16) {
    let name = nth.to_string();
    match collection {
        Collection::List(list) => {
            list.remove_range(usize::from(nth) / 2, 3);
            list.shrink(list_limits());
        }
        Collection::Set(set) => _ = set.remove(name.as_bytes()),
        Collection::Hash(hash) => _ = hash.remove(name.as_bytes(), 0),
        Collection::SortedSet(set) => _ = set.remove(name.as_bytes()),
        Collection::Stream(_) => unreachable!("there is none here"),
    }
}

/// As a command does it.
fn edit(db: &mut Db, key: &[u8], edit: impl FnOnce(&mut Collection)) {
    let found = db.find_mut(key).expect("the key stays");
    let deadlines = found.edit_collection(|collection| {
        let before = collection.next_deadline();
        edit(collection);
        (before, collection.next_deadline())
    });
    let (before, after) = deadlines.expect("a collection");
    if before != after {
        db.note_deadline_within(key, before.is_some());
    }
}

fn apply(step: &Step, db: &mut Db, key: &[u8], model: &mut Collection) {
    match *step {
        Step::Put(nth, len) => {
            put(model, nth, len);
            edit(db, key, |collection| put(collection, nth, len));
        }
        Step::Remove(nth) => {
            remove(model, nth);
            edit(db, key, |collection| remove(collection, nth));
        }
        Step::Expire(Some(at)) => assert!(db.set_expire(key, at)),
        Step::Expire(None) => _ = db.persist(key),
        Step::Take => {
            let taken = db.take(key).expect("the key stays");
            db.put_back(key, taken);
        }
        Step::Gather => while db.gather(Scope::Values, Density::High).is_some() {},
    }
}

fn check(db: &Db, key: &[u8], model: &Collection) {
    let entry = db.find(key).expect("the key stays");
    let collection = entry.collection().expect("a collection");
    assert_eq!(&*collection, model);
    assert_eq!((entry.kind(), entry.value().kind()), (model.kind(), model.kind()));
    assert_eq!(collection.encoding(), model.encoding());
    assert_eq!(collection.next_deadline(), model.next_deadline());
    let one_block = super::Packed::whole(model).map(|(_, bytes)| bytes.len());
    match one_block {
        Some(len) if len <= RETURNS_AT => assert!(entry.large_collection().is_none()),
        Some(len) if len <= PACKED_MAX => {}
        _ => assert!(entry.large_collection().is_some()),
    }
    assert_eq!(db.owners, usize::from(entry.owns_memory()));
    assert_eq!(db.volatile_within_len(), usize::from(model.next_deadline().is_some()));
    let kept_apart = entry.large_collection().map_or(0, Collection::memory_bytes);
    assert_eq!(entry.used_bytes(), db.heap.used_bytes() + kept_apart + 9);
}

proptest! {
    #[test]
    fn a_collection_in_its_entry_does_what_one_outside_does(
        kind in 0usize..4,
        key_len in prop_oneof![0usize..20, 90usize..300],
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let (mut db, mut model, key) = (new_db(), empty(kind), vec![b'k'; key_len]);
        db.set(&*key, Value::Collection(model.clone()), None);
        for step in &steps {
            apply(step, &mut db, &key, &mut model);
            check(&db, &key, &model);
        }
        let taken = db.take(&*key).expect("the key stays");
        prop_assert_eq!(taken.value, Value::Collection(model));
        prop_assert_eq!((db.heap.used_bytes(), db.owners), (0, 0));
    }
}

#[test]
fn ten_short_fields_cost_little_more_than_their_bytes() {
    let mut db = new_db();
    let mut hash = Hash::new();
    for nth in 0..10 {
        let (field, value) = (format!("f{nth}"), format!("value {nth:04}"));
        hash.set(field.as_bytes(), value.as_bytes(), Ttl::Clear, &HASH, 0);
    }
    db.set(b"k:0000000000000", Value::Collection(Collection::Hash(hash)), None);
    // 20 before the value, 4 of header, 16 a field.
    assert_eq!(db.heap.used_bytes(), 184);
    let entry = db.find(b"k:0000000000000").expect("set above");
    assert_eq!((entry.value().kind(), entry.encoding().name()), (Kind::Hash, "listpack"));
}
