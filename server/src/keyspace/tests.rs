//! The keyspace against a naive model of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::types::collection::Collection;
use crate::types::list::List;
use crate::types::string::{Digits, Str, StrRef};

const SECRET: &[u8; 16] = b"a secret of 16 B";

fn new_db() -> Db {
    Db::new(Hasher::new(SECRET))
}

/// A small generator for histories: the same every time.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood, 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn name(number: u64) -> Vec<u8> {
    format!("key:{number}").into_bytes()
}

pub(super) fn text(entry: Entry<'_>) -> Vec<u8> {
    let Held::Str(string) = entry.value() else { panic!("only strings here") };
    string.bytes(&mut Digits::new()).to_vec()
}

/// As many as the tests should do: fewer where each step is a hundred times slower.
pub(super) fn scaled(steps: usize) -> usize {
    if cfg!(miri) { steps / 100 } else { steps }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Modelled {
    pub(super) text: Vec<u8>,
    pub(super) expire_at: Option<i64>,
}

/// A database and what should be in it.
pub(super) struct Pair {
    pub(super) db: Db,
    pub(super) model: HashMap<Vec<u8>, Modelled>,
    now_ms: i64,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Set { key: u64, text: Vec<u8>, ttl: Ttl },
    SetInt { key: u64, int: i64 },
    Remove { key: u64 },
    Rename { from: u64, to: u64 },
    Append { key: u64, text: Vec<u8> },
    SetRange { key: u64, offset: usize, text: Vec<u8> },
    Increment { key: u64, by: i64 },
    Expire { key: u64, at_ms: i64 },
    Persist { key: u64 },
    Pass { ms: i64, budget: usize },
    Flush,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self { db: new_db(), model: HashMap::new(), now_ms: 1_000_000 }
    }

    pub(super) fn apply(&mut self, step: &Step) {
        let Self { db, model, now_ms } = self;
        match *step {
            Step::Set { key, ref text, ttl } => {
                let key = name(key);
                let there = model.get(&key);
                assert_eq!(db.set_string(&key, text, ttl), there.is_some());
                let expire_at = match ttl {
                    Ttl::Keep => there.and_then(|old| old.expire_at),
                    Ttl::Clear => None,
                    Ttl::At(at) => Some(at),
                };
                model.insert(key, Modelled { text: text.clone(), expire_at });
            }
            Step::SetInt { key, int } => {
                let key = name(key);
                let there = db.set_int(&key, int, Ttl::Clear);
                let text = int.to_string().into_bytes();
                let old = model.insert(key, Modelled { text, expire_at: None });
                assert_eq!(there, old.is_some());
            }
            Step::Remove { key } => {
                let key = name(key);
                assert_eq!(db.remove(&key).is_some(), model.remove(&key).is_some());
            }
            Step::Rename { from, to } => {
                let (from, to) = (name(from), name(to));
                let taken = db.take(&from);
                assert_eq!(taken.is_some(), model.contains_key(&from));
                if let Some(taken) = taken {
                    let moved = model.remove(&from).expect("seen just now");
                    assert_eq!(db.put_back(&to, taken), model.contains_key(&to));
                    model.insert(to, moved);
                }
            }
            Step::Append { key, ref text } => {
                let key = name(key);
                let found = db.find_mut(&key);
                assert_eq!(found.is_some(), model.contains_key(&key));
                if let Some(mut string) = found.and_then(EntryMut::into_str) {
                    let expected = model.get_mut(&key).expect("seen just now");
                    expected.text.extend_from_slice(text);
                    assert_eq!(string.append(text), expected.text.len());
                }
            }
            Step::SetRange { key, offset, ref text } => {
                let key = name(key);
                if let Some(mut string) = db.find_mut(&key).and_then(EntryMut::into_str) {
                    let expected = &mut model.get_mut(&key).expect("both have it").text;
                    let len = expected.len().max(offset + text.len());
                    expected.resize(len, 0);
                    expected[offset..offset + text.len()].copy_from_slice(text);
                    assert_eq!(string.set_range(offset, text), len);
                }
            }
            Step::Increment { key, by } => {
                let key = name(key);
                if let Some(mut string) = db.find_mut(&key).and_then(EntryMut::into_str)
                    && let Some(sum) = string.view().as_int().and_then(|int| int.checked_add(by))
                {
                    string.set_int(sum);
                    let expected = model.get_mut(&key).expect("both have it");
                    expected.text = sum.to_string().into_bytes();
                }
            }
            Step::Expire { key, at_ms } => {
                let key = name(key);
                let there = model.get_mut(&key);
                assert_eq!(db.set_expire(&key, at_ms), there.is_some());
                if let Some(there) = there {
                    there.expire_at = Some(at_ms);
                }
            }
            Step::Persist { key } => {
                let key = name(key);
                let had = model.get_mut(&key).is_some_and(|there| there.expire_at.take().is_some());
                assert_eq!(db.persist(&key), had);
            }
            Step::Pass { ms, budget } => {
                *now_ms += ms;
                let mut shown = Vec::new();
                let slice = db.expire_due(*now_ms, budget, |due| {
                    let Due::Key(entry) = due else { panic!("no hashes here") };
                    shown.push((entry.key().to_vec(), entry.expire_at()));
                });
                assert_eq!(shown.len(), slice.removed);
                for (key, expire_at) in shown {
                    assert!(expire_at.is_some_and(|at| at <= *now_ms), "nothing goes early");
                    assert_eq!(model.remove(&key).map(|gone| gone.expire_at), Some(expire_at));
                }
                let due = model.values().any(|m| m.expire_at.is_some_and(|at| at <= *now_ms));
                assert_eq!(slice.more, due, "says truly whether keys are left");
            }
            Step::Flush => {
                let old = db.flush();
                assert_eq!(old.len(), model.len());
                model.clear();
            }
        }
    }

    pub(super) fn check(&self) {
        let Self { db, model, .. } = self;
        db.table.check();
        assert_eq!(db.len(), model.len());
        let volatile = model.values().filter(|m| m.expire_at.is_some()).count();
        assert_eq!(db.volatile_len(), volatile);
        for (key, expected) in model {
            let entry = db.find(key).expect("in the model");
            assert_eq!(entry.key(), key);
            assert_eq!(text(entry), expected.text);
            assert_eq!(entry.expire_at(), expected.expire_at);
        }
        let nearest = model.values().filter_map(|m| m.expire_at).min();
        if let Some(nearest) = nearest.filter(|&at| at < i64::MAX) {
            assert!(db.next_deadline().is_some_and(|at| at <= nearest));
        }
        let mut seen = HashSet::new();
        let mut cursor = 0;
        loop {
            cursor = db.scan(cursor, 7, |entry| assert!(seen.insert(entry.key().to_vec())));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), model.len());
        assert_eq!(db.iter().count(), model.len());
    }
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        any::<i64>().prop_map(|int| int.to_string().into_bytes()),
        (0..500i64).prop_map(|int| int.to_string().into_bytes()),
        (any::<u8>(), 0..2000usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 999_000..1_010_000i64,
        2 => 1_000_000..40_000_000i64,
        1 => Just(i64::MAX),
        1 => any::<i64>().prop_map(|at| at.saturating_abs()),
    ]
}

fn any_ttl() -> impl Strategy<Value = Ttl> {
    prop_oneof![Just(Ttl::Keep), Just(Ttl::Clear), any_time().prop_map(Ttl::At)]
}

pub(super) fn any_step(keys: u64) -> impl Strategy<Value = Step> {
    let key = 0..keys;
    prop_oneof![
        8 => (key.clone(), any_text(), any_ttl())
            .prop_map(|(key, text, ttl)| Step::Set { key, text, ttl }),
        2 => (key.clone(), any::<i64>()).prop_map(|(key, int)| Step::SetInt { key, int }),
        4 => key.clone().prop_map(|key| Step::Remove { key }),
        2 => (key.clone(), key.clone()).prop_map(|(from, to)| Step::Rename { from, to }),
        3 => (key.clone(), any_text()).prop_map(|(key, text)| Step::Append { key, text }),
        2 => (key.clone(), 0..900usize, any_text())
            .prop_map(|(key, offset, text)| Step::SetRange { key, offset, text }),
        3 => (key.clone(), any::<i64>()).prop_map(|(key, by)| Step::Increment { key, by }),
        3 => (key.clone(), any_time()).prop_map(|(key, at_ms)| Step::Expire { key, at_ms }),
        2 => key.prop_map(|key| Step::Persist { key }),
        2 => (0..3000i64, 1..50usize).prop_map(|(ms, budget)| Step::Pass { ms, budget }),
        1 => Just(Step::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 200 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_leaves_what_the_model_says(
        steps in prop::collection::vec(any_step(30), 0..if cfg!(miri) { 40 } else { 400 }),
    ) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.apply(step);
        }
        pair.check();
    }
}

#[test]
fn a_long_history_through_growth_and_shrinking_agrees_with_the_model() {
    let mut chance = Chance(1);
    let mut pair = Pair::new();
    let peak = scaled(30_000) as u64;
    for phase in 0..4 {
        // Fills, churns, empties, fills again.
        for _ in 0..peak * 2 {
            let key = chance.below(peak);
            let len = chance.below(60) as usize;
            let ttl = match chance.below(4) {
                0 => Ttl::At(pair.now_ms + chance.below(20_000) as i64),
                1 => Ttl::Keep,
                _ => Ttl::Clear,
            };
            let set = Step::Set { key, text: vec![b'v'; len], ttl };
            let step = match (phase, chance.below(8)) {
                (2, 0..7) => Step::Remove { key },
                (_, 0) => Step::Remove { key },
                (_, 1) => Step::Append { key, text: vec![b'a'; len] },
                (_, 2) if chance.below(16) == 0 => {
                    Step::Pass { ms: chance.below(40) as i64, budget: 100_000 }
                }
                _ => set,
            };
            pair.apply(&step);
        }
        pair.check();
    }
    let all: Vec<_> = pair.model.keys().cloned().collect();
    for key in all {
        pair.db.remove(&key);
    }
    pair.db.table.check();
    assert_eq!(pair.db.heap.used_bytes(), 0, "every entry was given back");
    assert_eq!(pair.db.volatile_len(), 0);
    assert!(pair.db.used_bytes() < 64 * 1024, "the table shrank with its keys");
}

/// Walks with SCAN while other keys come and go, and checks that those that stay are seen once.
fn check_scan_while(disturb: impl Fn(&mut Db, &mut Chance, u64)) {
    let staying = scaled(4_000).max(50) as u64;
    for (seed, count) in [(1, 1), (2, 10), (3, 100), (4, 1000)] {
        let mut chance = Chance(seed);
        let mut db = new_db();
        for number in 0..staying {
            db.set_string(&name(number), b"stays", Ttl::Clear);
        }
        for number in 0..staying * 4 {
            db.set_string(&name(1_000_000 + number), b"goes", Ttl::Clear);
        }
        let mut seen: HashMap<Vec<u8>, u32> = HashMap::new();
        let (mut cursor, mut calls) = (0, 0);
        loop {
            cursor = db.scan(cursor, count, |entry| {
                *seen.entry(entry.key().to_vec()).or_default() += 1;
            });
            if cursor == 0 {
                break;
            }
            // Bounded in all, or the walk would never catch up with the growth.
            if calls < 200 {
                for _ in 0..staying / 20 {
                    disturb(&mut db, &mut chance, calls);
                }
            }
            calls += 1;
        }
        for number in 0..staying {
            assert_eq!(seen.get(&name(number)), Some(&1), "count {count}, key {number}");
        }
        db.table.check();
    }
}

#[test]
fn scan_sees_what_stays_exactly_once_while_the_table_grows() {
    check_scan_while(|db, chance, _| {
        db.set_string(&name(2_000_000 + chance.below(1 << 40)), b"new", Ttl::Clear);
    });
}

#[test]
fn scan_sees_what_stays_exactly_once_while_the_table_shrinks() {
    let going = scaled(4_000).max(50) as u64 * 4;
    check_scan_while(|db, chance, _| {
        db.remove(&name(1_000_000 + chance.below(going)));
    });
}

#[test]
fn scan_sees_what_stays_exactly_once_while_the_table_breathes() {
    let going = scaled(4_000).max(50) as u64 * 4;
    check_scan_while(|db, chance, calls| {
        let number = 1_000_000 + chance.below(going);
        if calls / 8 % 2 == 0 {
            for number in number..number + 4 {
                db.remove(&name(number));
            }
        } else {
            db.set_string(&name(number), b"comes", Ttl::Clear);
        }
    });
}

#[test]
fn scan_returns_about_as_many_as_asked_and_ends_on_any_cursor() {
    let mut db = new_db();
    assert_eq!(db.scan(0, 10, |_| panic!("there is no key")), 0);
    for number in 0..scaled(10_000) as u64 {
        db.set_string(&name(number), b"", Ttl::Clear);
    }
    let mut cursor = 0;
    loop {
        let mut seen = 0;
        cursor = db.scan(cursor, 10, |_| seen += 1);
        assert!(seen <= 20, "{seen} of 10");
        if cursor == 0 {
            break;
        }
        assert!(seen >= 10);
        assert!(cursor < 1 << 48);
    }
    let mut chance = Chance(9);
    for _ in 0..scaled(1_000) {
        let wild = chance.next() >> chance.below(64);
        db.scan(wild, 3, |_| {});
    }
}

#[test]
fn random_is_fair() {
    for keys in [1, 2, 7, 100, 3_000] {
        let mut chance = Chance(keys);
        let mut db = new_db();
        for number in 0..keys * 3 {
            db.set_string(&name(number), b"", Ttl::Clear);
        }
        // Leaves a table with holes.
        for number in keys..keys * 3 {
            db.remove(&name(number));
        }
        let per_key = scaled(400) as u64;
        let mut drawn: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for _ in 0..keys * per_key {
            let entry = db.random(|| chance.next()).expect("there are keys");
            *drawn.entry(entry.key().to_vec()).or_default() += 1;
        }
        let chi2: f64 = (0..keys)
            .map(|number| {
                let off = drawn.get(&name(number)).copied().unwrap_or(0) as f64 - per_key as f64;
                off * off / per_key as f64
            })
            .sum();
        // Mean n-1, deviation sqrt(2(n-1)); the sequence is fixed, so this does not flicker.
        let freedom = keys as f64 - 1.0;
        assert!(chi2 <= freedom + 4.0 * (2.0 * freedom).sqrt() + 1e-9, "{keys}: {chi2}");
    }
    assert!(new_db().random(|| 0).is_none());
}

#[test]
fn keys_go_when_due_and_the_oldest_first() {
    let mut db = new_db();
    let keys = scaled(20_000) as i64;
    for number in 0..keys {
        // Deadlines one to a millisecond, in an order unlike the keys'.
        let at = 10_000 + number * 7_919 % keys;
        db.set_string(&name(number as u64), b"v", Ttl::At(at));
    }
    let mut last_round = i64::MIN;
    for now in (10_000..10_000 + keys + 50).step_by(50) {
        let mut latest = last_round;
        while db
            .expire_due(now, 64, |due| {
                let Due::Key(entry) = due else { panic!("no hashes here") };
                let at = entry.expire_at().expect("volatile");
                assert!(at <= now && at > last_round, "{at} at {now}");
                latest = latest.max(at);
            })
            .more
        {}
        last_round = latest;
        assert_eq!(db.len() as i64, (keys - (now - 10_000 + 1)).max(0));
    }
    assert_eq!(db.next_deadline(), None);
}

#[test]
fn a_slice_is_bounded_however_many_keys_are_due() {
    let mut db = new_db();
    let keys = scaled(50_000);
    for number in 0..keys as u64 {
        db.set_string(&name(number), b"v", Ttl::At(5));
    }
    let mut removed = 0;
    loop {
        let slice = db.expire_due(10, 500, |_| {});
        assert!(slice.removed <= 500);
        removed += slice.removed;
        if !slice.more {
            break;
        }
    }
    assert_eq!(removed, keys);
}

#[test]
fn keys_whose_expiry_was_taken_away_or_put_off_stay() {
    let mut db = new_db();
    for number in 0..300 {
        db.set_string(&name(number), b"v", Ttl::At(1_000));
    }
    for number in 0..100 {
        assert!(db.persist(&name(number)));
        assert!(!db.persist(&name(number)));
    }
    for number in 100..200 {
        db.set_string(&name(number), b"other", Ttl::Clear);
    }
    for number in 200..290 {
        assert!(db.set_expire(&name(number), i64::MAX));
    }
    assert_eq!(
        db.expire_due(2_000, usize::MAX, |_| {}),
        Slice { removed: 10, fields: 0, more: false }
    );
    assert_eq!((db.len(), db.volatile_len()), (290, 90));
    assert_eq!(db.expire_at(&name(200)), Some(i64::MAX));
}

#[test]
fn encodings_are_named_as_valkey_names_them() {
    let mut db = new_db();
    let mut check = |text: &[u8], edit: &[u8], expected: &str| {
        db.set_string(b"key", text, Ttl::Clear);
        if !edit.is_empty() {
            let mut string = db.find_mut(b"key").and_then(EntryMut::into_str).expect("set");
            string.append(edit);
        }
        assert_eq!(db.find(b"key").expect("set").encoding().name(), expected);
    };
    check(b"12", b"", "int");
    check(b"9223372036854775807", b"", "int");
    check(b"9223372036854775808", b"", "embstr");
    check(b"012", b"", "embstr");
    check(b"", b"", "embstr");
    check(&[b'x'; 110], b"", "embstr");
    check(&[b'x'; 111], b"", "raw");
    check(b"12", b"3", "raw");
    check(b"text", b"x", "raw");
    db.set_bytes(b"key", b"12", Ttl::Clear);
    assert_eq!(db.find(b"key").expect("set").encoding().name(), "embstr");
    db.set_string(b"key", b"a", Ttl::Clear);
    db.find_mut(b"key").and_then(EntryMut::into_str).expect("set").append(b"b");
    let taken = db.take(b"key").expect("set");
    assert_eq!(taken.value, Value::Str(Str::Raw(b"ab".to_vec())));
    db.put_back(b"other", taken);
    assert_eq!(db.find(b"other").expect("moved").encoding().name(), "raw");
}

#[test]
fn an_integer_is_counted_up_in_place() {
    let mut db = new_db();
    db.set_string(b"counter1", b"41", Ttl::Clear);
    let before = db.used_bytes();
    for int in [42, -1, i64::from(i32::MAX), i64::from(i32::MAX) + 1, i64::MIN] {
        db.find_mut(b"counter1").and_then(EntryMut::into_str).expect("set").set_int(int);
        let entry = db.find(b"counter1").expect("set");
        assert_eq!(entry.value().as_str(), Some(StrRef::Int(int)));
    }
    assert_eq!(db.used_bytes(), before, "an 8-byte key leaves room for 8 bytes of integer");
}

#[test]
fn accesses_are_kept_through_overwriting() {
    let mut db = new_db();
    db.set_initial_access(9, false);
    db.set_string(b"key", b"a", Ttl::Clear);
    assert_eq!(db.find(b"key").expect("set").access(), 9);
    db.find(b"key").expect("set").set_access(0x12_3456);
    db.set_string(b"key", &[b'x'; 1000], Ttl::At(5));
    let entry = db.find(b"key").expect("set");
    assert_eq!((entry.access(), entry.expire_at()), (0x12_3456, Some(5)));
}

#[test]
fn memory_is_accounted_to_the_byte() {
    let mut db = new_db();
    db.set_string(b"a", b"1", Ttl::Clear);
    let one = db.used_bytes();
    db.set_bytes(b"b", &[1; 100_000], Ttl::Clear);
    db.set_string(&[b'k'; 3_000], b"long", Ttl::Clear);
    assert!(db.used_bytes() >= one + 103_000);
    assert!(db.remove(b"b").is_some_and(|dropped| dropped.is_big()));
    assert!(!db.remove(&[b'k'; 3_000]).expect("set").is_big());
    assert_eq!(db.used_bytes(), one);
}

#[test]
fn removed_keys_leave_room_that_counts_as_free() {
    let mut db = new_db();
    let keys = scaled(10_000) as u64;
    for number in 0..keys {
        db.set_string(&name(number), &[b'v'; 40], Ttl::Clear);
    }
    let (used, free) = (db.used_bytes(), db.free_bytes());
    for number in (0..keys).step_by(2) {
        db.remove(&name(number));
    }
    assert!(db.used_bytes() < used * 2 / 3);
    if !cfg!(miri) {
        assert!(db.free_bytes() - free >= used / 3, "slabs are half empty");
    }
}

#[test]
fn databases_swap_and_flush_alone() {
    let mut keyspace = Keyspace::new(4, SECRET);
    keyspace.db_mut(0).set_string(b"a", b"0", Ttl::Clear);
    keyspace.db_mut(3).set_string(b"b", b"3", Ttl::Clear);
    keyspace.swap(0, 3);
    assert!(keyspace.db(0).contains(b"b") && keyspace.db(3).contains(b"a"));
    let old = keyspace.db_mut(0).flush();
    assert_eq!((old.len(), keyspace.len()), (1, 1));
    std::thread::spawn(move || drop(old)).join().expect("a database can be dropped elsewhere");
}

#[test]
fn a_collection_lies_in_its_entry_and_leaves_it_whole() {
    let mut db = new_db();
    let list = || Value::Collection(Collection::List(List::new()));
    for key_len in 0..20 {
        let key = vec![b'k'; key_len];
        assert!(!db.set(&*key, list(), None));
        for expire_at in [1, i64::MAX, 5] {
            assert!(db.set_expire(&*key, expire_at));
            let entry = db.find(&*key).expect("set above");
            assert_eq!((entry.key(), entry.expire_at()), (&*key, Some(expire_at)));
            assert_eq!(entry.value().kind(), Kind::List);
        }
        let taken = db.take(&*key).expect("still there");
        assert_eq!(taken.value, list());
        db.put_back(&*key, taken);
        assert!(db.persist(&*key));
        let found = db.find_mut(&*key).expect("put back");
        assert!(found.into_str().is_none());
        assert!(db.find_mut(&*key).and_then(|found| found.edit_collection(|_| ())).is_some());
    }
    assert!(db.set_string(b"kk", b"text", Ttl::Keep));
    assert!(db.set(b"kk", list(), None));
    assert!(db.set(b"kk", list(), Some(1)));
    assert!(db.take_replaced().is_empty(), "what lies in the entry goes with it");
    assert_eq!(db.find(b"kk").expect("set above").encoding().name(), List::new().encoding());
    for key_len in 0..20 {
        assert!(db.remove(&*vec![b'k'; key_len]).is_some());
    }
    assert_eq!(db.heap.used_bytes(), 0);
}

#[test]
fn keys_that_are_few_gather_in_few_slabs() {
    let mut db = new_db();
    let mut chance = Chance(3);
    let text = |nth: u64| format!("value {nth} {}", "x".repeat(nth as usize % 90));
    for nth in 0..20_000u64 {
        db.set_bytes(&nth.to_be_bytes(), text(nth).as_bytes(), Ttl::Clear);
    }
    let mut kept = Vec::new();
    for nth in 0..20_000u64 {
        if chance.below(10) == 0 {
            let at = (nth % 3 == 0).then_some(1_000_000 + nth as i64);
            at.map(|at| db.set_expire(&nth.to_be_bytes(), at));
            kept.push((nth, at));
        } else {
            db.remove(&nth.to_be_bytes());
        }
    }
    db.set(b"list", Value::Collection(Collection::List(List::new())), None);
    let sparse = db.free_bytes();
    let mut moved = 0;
    for _ in 0..3 {
        while let Some(count) = db.gather(Scope::Values, Density::Usual) {
            moved += count;
        }
    }
    assert!(moved > 1000, "{moved} keys moved");
    assert!(db.free_bytes() < sparse / 3, "{} of {sparse} bytes are still free", db.free_bytes());
    for (nth, at) in kept {
        let entry = db.find(&nth.to_be_bytes()).expect("kept");
        assert_eq!(entry.value().as_str(), Some(StrRef::Bytes(text(nth).as_bytes())));
        assert_eq!(entry.expire_at(), at);
    }
    assert_eq!(db.find(b"list").expect("kept").value().kind(), Kind::List);
    db.table.check();
}

#[test]
fn where_memory_is_short_fuller_slabs_are_gathered_too() {
    let mut db = new_db();
    let mut chance = Chance(5);
    for nth in 0..20_000u64 {
        db.set_bytes(&nth.to_be_bytes(), b"of the same length", Ttl::Clear);
    }
    for nth in 0..20_000u64 {
        if chance.below(7) == 0 {
            db.remove(&nth.to_be_bytes());
        }
    }
    let free = db.free_bytes();
    let mut gather = |density| {
        while db.gather(Scope::Keys, density).is_some() {}
        db.free_bytes()
    };
    assert_eq!(gather(Density::Usual), free, "slabs that are six sevenths full may stay");
    assert!(gather(Density::High) < free / 2);
    db.table.check();
}

#[test]
fn a_step_of_gathering_copies_little_and_big_values_stay() {
    const KEYS: usize = 500;
    let text = vec![b'v'; 5000];
    let mut db = new_db();
    for nth in 0..KEYS {
        db.set_bytes(&nth.to_be_bytes(), &text, Ttl::Clear);
    }
    db.set_bytes(b"big", &vec![b'v'; 1 << 20], Ttl::Clear);
    let text_at = |db: &Db, key: &[u8]| match db.find(key).expect("set above").value().as_str() {
        Some(StrRef::Bytes(bytes)) => bytes.as_ptr(),
        other => panic!("{other:?}"),
    };
    let keys: Vec<[u8; 8]> = (0..KEYS).map(usize::to_be_bytes).collect();
    let before: Vec<_> = keys.iter().map(|key| text_at(&db, key)).collect();
    let big = text_at(&db, b"big");

    let mut steps = 0;
    while db.gather(Scope::Values, Density::Usual).is_some() {
        steps += 1;
    }
    assert!(steps >= KEYS * text.len() / (80 << 10), "{steps} steps");
    assert_eq!(text_at(&db, b"big"), big);
    // The memory of one may have become that of the next.
    let stayed = keys.iter().zip(before).filter(|(key, at)| text_at(&db, *key) == *at).count();
    assert!(stayed < KEYS / 10, "{stayed} stayed where they were");
    for key in &keys {
        let entry = db.find(key).expect("set above");
        assert_eq!(entry.value().as_str(), Some(StrRef::Bytes(&text)));
    }
    db.table.check();
}
