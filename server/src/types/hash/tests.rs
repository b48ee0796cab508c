//! The hash beside a plain map, under limits that make it change over, and as time goes by.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Hash, Limits, Put, SHOW_DUE, Ttl};

const LIMITS: Limits = Limits { listpack_entries: 10, listpack_value: 10 };

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, Vec<u8>, i64),
    Keep(Vec<u8>, Vec<u8>),
    SetDeadline(Vec<u8>, i64),
    Persist(Vec<u8>),
    Remove(Vec<u8>),
    Pass,
    Reap,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0u8..20).prop_map(|int| int.to_string().into_bytes()),
        "[a-d]{0,2}".prop_map(String::into_bytes),
        "[ab]{12}".prop_map(String::into_bytes),
        Just(vec![b'x'; 300]),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // -1: none.
    let after = prop_oneof![4 => Just(-1i64), 1 => 1i64..20];
    let step = prop_oneof![
        6 => (text(), text(), after).prop_map(|(field, value, ttl)| Step::Set(field, value, ttl)),
        1 => (text(), text()).prop_map(|(field, value)| Step::Keep(field, value)),
        2 => (text(), 1i64..20).prop_map(|(field, ttl)| Step::SetDeadline(field, ttl)),
        1 => text().prop_map(Step::Persist),
        2 => text().prop_map(Step::Remove),
        2 => Just(Step::Pass),
        1 => Just(Step::Reap),
    ];
    proptest::collection::vec(step, 1..80)
}

struct Both {
    hash: Hash,
    model: Model,
    now: i64,
}

impl Both {
    fn is_due(&self, field: &[u8]) -> bool {
        self.model.get(field).and_then(|(_, at)| *at).is_some_and(|at| at <= self.now)
    }

    fn set(&mut self, field: Vec<u8>, value: Vec<u8>, ttl: Ttl) {
        let put = self.hash.set(&field, &value, ttl, &LIMITS, self.now);
        let due = self.is_due(&field);
        let old = self.model.get(&field).filter(|_| !due).and_then(|(_, deadline)| *deadline);
        let deadline = match ttl {
            Ttl::At(at) => Some(at),
            Ttl::Keep => old,
            Ttl::Clear => None,
        };
        let was_there = self.model.insert(field, (value, deadline)).is_some();
        let expected = match (was_there, due) {
            (false, _) => Put::New,
            (true, false) => Put::Replaced,
            (true, true) => Put::ReplacedDue,
        };
        assert_eq!(put, expected);
    }

    fn set_deadline(&mut self, field: &[u8], deadline: Option<i64>) {
        let known = self.hash.deadline(field, self.now);
        let due = self.is_due(field);
        assert_eq!(known, self.model.get(field).filter(|_| !due).map(|(_, at)| *at));
        if known.is_some() {
            self.hash.set_deadline(field, deadline);
            self.model.entry(field.to_vec()).and_modify(|(_, at)| *at = deadline);
        }
    }

    fn reap(&mut self) {
        let mut gone = BTreeSet::new();
        while self.hash.remove_due(self.now, 2, |field| assert!(gone.insert(field.to_vec()))) > 0 {}
        let due: BTreeSet<_> =
            self.model.keys().filter(|field| self.is_due(field)).cloned().collect();
        assert_eq!(gone, due);
        self.model.retain(|field, _| !due.contains(field));
        assert!(self.hash.next_deadline().is_none_or(|next| next > self.now));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Set(field, value, -1) => self.set(field, value, Ttl::Clear),
            Step::Set(field, value, ttl) => self.set(field, value, Ttl::At(self.now + ttl)),
            Step::Keep(field, value) => self.set(field, value, Ttl::Keep),
            Step::SetDeadline(field, ttl) => self.set_deadline(&field, Some(self.now + ttl)),
            Step::Persist(field) => self.set_deadline(&field, None),
            Step::Remove(field) => {
                let live = self.model.contains_key(&field) && !self.is_due(&field);
                assert_eq!(self.hash.remove(&field, self.now), live);
                if live {
                    self.model.remove(&field);
                }
            }
            Step::Pass => self.now += 5,
            Step::Reap => self.reap(),
        }
    }

    fn check(&self) {
        assert_eq!(self.hash.len(), self.model.len());
        let all: Model = self.listed(SHOW_DUE);
        assert_eq!(all, self.model);
        let live = self.listed(self.now);
        assert_eq!(live.len(), self.hash.live_len(self.now));
        for (field, (value, deadline)) in &self.model {
            let found = self.hash.get(field, self.now);
            assert_eq!(found.is_some(), !self.is_due(field));
            assert_eq!(found.is_some(), live.contains_key(field));
            assert!(found.is_none_or(|found| found.to_vec() == *value));
            let nearest = self.hash.next_deadline().unwrap_or(i64::MAX);
            assert!(deadline.is_none_or(|deadline| nearest <= deadline));
        }
        self.check_random(&live);
    }

    fn listed(&self, now: i64) -> Model {
        let pairs = self.hash.iter(now);
        pairs.map(|pair| (pair.field.to_vec(), (pair.value.to_vec(), pair.deadline))).collect()
    }

    fn check_random(&self, live: &Model) {
        let mut state = 3u64;
        let mut draw = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state ^ state >> 29
        };
        for count in [1, 2, live.len(), live.len() + 1] {
            let mut seen = BTreeSet::new();
            self.hash.random_distinct(count, self.now, &mut draw, |pair| {
                assert!(seen.insert(pair.field.to_vec()));
                assert_eq!(live[&pair.field.to_vec()].0, pair.value.to_vec());
            });
            assert_eq!(seen.len(), count.min(live.len()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_as_a_plain_map(steps in steps()) {
        let mut both = Both { hash: Hash::new(), model: Model::new(), now: 1_000 };
        for step in steps {
            both.take(step);
            both.check();
        }
        prop_assert!(both.hash.clone() == both.hash);
    }
}

#[test]
fn it_changes_over_as_valkey_does() {
    let set = |hash: &mut Hash, field: &str, value: &str| {
        hash.set(field.as_bytes(), value.as_bytes(), Ttl::Clear, &LIMITS, 0);
        hash.encoding()
    };
    let mut hash = Hash::new();
    for field in 0..10 {
        assert_eq!(set(&mut hash, &field.to_string(), "0123456789"), "listpack");
    }
    assert_eq!(set(&mut hash, "10", "v"), "hashtable");
    assert_eq!(set(&mut Hash::new(), "f", "0123456789x"), "hashtable");
    assert_eq!(set(&mut Hash::new(), "0123456789x", "v"), "hashtable");

    let mut hash = Hash::new();
    set(&mut hash, "f", "v");
    hash.set_deadline(b"missing", Some(9));
    hash.set_deadline(b"f", None);
    assert_eq!(hash.encoding(), "listpack");
    hash.set_deadline(b"f", Some(9));
    assert_eq!((hash.encoding(), hash.next_deadline()), ("hashtable", Some(9)));
}

#[test]
fn what_is_expected_decides_at_once() {
    let after = |pairs: usize, texts: &[&[u8]]| {
        let mut hash = Hash::new();
        hash.expect(pairs, texts.iter().copied(), &LIMITS);
        hash.encoding()
    };
    assert_eq!(after(10, &[b"0123456789"]), "listpack");
    assert_eq!(after(11, &[]), "hashtable");
    assert_eq!(after(1, &[b"f", b"0123456789x"]), "hashtable");
}
