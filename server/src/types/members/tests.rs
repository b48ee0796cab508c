//! The table beside a plain map, under random changes.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::{Record, Table, hash};

/// A key's length, the key, a value; where the value begins with `@`, a deadline follows.
struct Pair;

impl Record for Pair {
    fn key(record: &[u8]) -> &[u8] {
        &record[1..1 + usize::from(record[0])]
    }

    fn deadline(record: &[u8]) -> Option<i64> {
        let value = value(record).strip_prefix(b"@")?;
        Some(i64::from_le_bytes(*value.first_chunk()?))
    }

    fn has_deadline(parts: &[&[u8]]) -> bool {
        Self::deadline(&parts.concat()).is_some()
    }
}

fn value(record: &[u8]) -> &[u8] {
    &record[1 + usize::from(record[0])..]
}

fn set(table: &mut Table<Pair>, key: &[u8], value: &[u8]) {
    let parts = [&[key.len() as u8][..], key, value];
    match table.find(hash(key), key) {
        Some((place, _)) => table.replace(place, &parts),
        None => table.insert(hash(key), &parts),
    }
}

fn remove(table: &mut Table<Pair>, key: &[u8]) -> bool {
    let found = table.find(hash(key), key).map(|(place, _)| place);
    found.inspect(|place| table.remove(*place)).is_some()
}

#[derive(Clone, Debug)]
enum Step {
    Set(u16, usize),
    SetDue(u16, i64),
    Remove(u16),
    Grow(u16),
    Clear(u16),
    Due(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Lengths around those that decide whether a record lies inside.
    let len = prop_oneof![0usize..40, 110usize..135, Just(1000)];
    let step = prop_oneof![
        4 => (0u16..600, len).prop_map(|(key, len)| Step::Set(key, len)),
        2 => (0u16..600, 0i64..100).prop_map(|(key, at)| Step::SetDue(key, at)),
        3 => (0u16..600).prop_map(Step::Remove),
        1 => (0u16..400).prop_map(Step::Grow),
        1 => (0u16..400).prop_map(Step::Clear),
        1 => (0i64..100).prop_map(Step::Due),
    ];
    proptest::collection::vec(step, 1..120)
}

#[derive(Default)]
struct Both {
    table: Table<Pair>,
    model: HashMap<Vec<u8>, Vec<u8>>,
}

impl Both {
    fn set(&mut self, key: u16, value: Vec<u8>) {
        let key = key.to_string().into_bytes();
        set(&mut self.table, &key, &value);
        self.model.insert(key, value);
    }

    fn remove(&mut self, key: u16) {
        let key = key.to_string().into_bytes();
        assert_eq!(remove(&mut self.table, &key), self.model.remove(&key).is_some());
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Set(key, len) => self.set(key, vec![b'a' + (len % 26) as u8; len]),
            Step::SetDue(key, at) => self.set(key, [b"@", &at.to_le_bytes()[..]].concat()),
            Step::Remove(key) => self.remove(key),
            Step::Grow(from) => (from..from + 200).for_each(|key| self.set(key, vec![b'g'; 9])),
            Step::Clear(from) => (from..from + 200).for_each(|key| self.remove(key)),
            Step::Due(now) => self.remove_due(now),
        }
    }

    fn remove_due(&mut self, now: i64) {
        let mut seen = HashSet::new();
        loop {
            let limit = 3;
            let removed = self.table.remove_due(now, limit, |record| {
                assert!(seen.insert(Pair::key(record).to_vec()));
            });
            if removed == 0 {
                break;
            }
        }
        let is_due =
            |value: &[u8]| Pair::deadline(&[&[0], value].concat()).is_some_and(|at| at <= now);
        let due: HashSet<_> = self
            .model
            .iter()
            .filter(|(_, value)| is_due(value))
            .map(|(key, _)| key.clone())
            .collect();
        assert_eq!(seen, due);
        self.model.retain(|key, _| !due.contains(key));
        assert!(self.table.next_deadline().is_none_or(|next| next > now));
    }

    fn check(&self) {
        self.table.check();
        assert_eq!(self.table.len(), self.model.len());
        for (key, expected) in &self.model {
            assert_eq!(self.table.get(key).map(value), Some(expected.as_slice()));
        }
        let listed: HashSet<&[u8]> = self.table.iter().map(Pair::key).collect();
        assert_eq!(listed.len(), self.model.len());
        assert!(self.table.get(b"missing").is_none());
        let is_volatile = |record: &[u8]| Pair::deadline(record).is_some();
        assert_eq!(self.table.next_deadline().is_some(), self.table.iter().any(is_volatile));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_as_a_plain_map(steps in steps()) {
        let mut both = Both::default();
        for step in steps {
            both.take(step);
            both.table.check();
        }
        both.check();
    }

    /// What stays is visited exactly once, whatever comes and goes between two steps of a walk.
    #[test]
    fn a_walk_visits_what_stays_exactly_once(
        first in 0u16..1500,
        changes in proptest::collection::vec((0u16..3000, 0u16..500, any::<bool>()), 1..30),
        count in 1usize..40,
    ) {
        let mut both = Both::default();
        (0..first).for_each(|key| both.set(key, b"v".to_vec()));
        let mut stay: HashSet<Vec<u8>> = both.model.keys().cloned().collect();
        let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut changes = changes.into_iter();
        let mut cursor = 0;
        loop {
            cursor = both.table.scan(cursor, count, |record| {
                *seen.entry(Pair::key(record).to_vec()).or_default() += 1;
            });
            if cursor == 0 {
                break;
            }
            if let Some((from, many, grow)) = changes.next() {
                for key in from..from + many {
                    if grow {
                        both.set(key, b"new".to_vec());
                    } else {
                        both.remove(key);
                        stay.remove(key.to_string().as_bytes());
                    }
                }
            }
        }
        for key in &stay {
            prop_assert_eq!(seen.get(key), Some(&1));
        }
    }
}

#[test]
fn a_cursor_from_elsewhere_ends_the_walk_or_goes_on() {
    let mut both = Both::default();
    (0..1000).for_each(|key| both.set(key, Vec::new()));
    for cursor in [1, 77, 1 << 47, (1 << 48) - 1, 1 << 48, u64::MAX] {
        let mut at = cursor;
        for _ in 0..2000 {
            at = both.table.scan(at, 10, |_| {});
            if at == 0 {
                break;
            }
        }
        assert_eq!(at, 0);
    }
}

#[test]
fn each_record_is_drawn_as_often_as_any_other() {
    const KEYS: u16 = 100;
    const DRAWS: usize = 100_000;
    let mut both = Both::default();
    (0..KEYS).for_each(|key| both.set(key, Vec::new()));
    let mut state = 1u64;
    let mut drawn: HashMap<Vec<u8>, usize> = HashMap::new();
    for _ in 0..DRAWS {
        let place = both.table.random(|| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        });
        let key = Pair::key(both.table.record(place.expect("not empty")));
        *drawn.entry(key.to_vec()).or_default() += 1;
    }
    assert_eq!(drawn.len(), usize::from(KEYS));
    // A thousand each, give or take five standard deviations.
    assert!(drawn.values().all(|count| (840..1160).contains(count)), "{drawn:?}");
}

#[test]
fn memory_is_counted_about_right() {
    let mut both = Both::default();
    (0..5000).for_each(|key| both.set(key, vec![b'v'; 200]));
    let bytes = both.table.memory_bytes();
    assert!((5000 * 205..5000 * 260).contains(&bytes), "{bytes}");
    assert!((5000..6000).contains(&both.table.free_effort()));
    (0..5000).for_each(|key| both.remove(key));
    assert!(both.table.memory_bytes() < 1000, "what is empty gives its memory back");
}
