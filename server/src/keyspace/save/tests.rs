//! A snapshot of a database that changes while it is taken, against a copy made at its start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use proptest::prelude::*;

use super::*;
use crate::keyspace::tests::{Chance, Modelled, Pair, Step, any_step, scaled, text};
use crate::keyspace::{Keyspace, Ttl};
use crate::types::string::{Digits, Str};

/// What was saved so far.
#[derive(Default)]
struct Saved {
    keys: HashMap<Vec<u8>, Modelled>,
    begun: HashMap<Ticket, Modelled>,
    tickets: u32,
}

impl Saved {
    fn add(&mut self, key: &[u8], value: Modelled) {
        let again = self.keys.insert(key.to_vec(), value);
        assert!(again.is_none(), "{} is saved twice", key.escape_ascii());
    }
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Saved>>);

impl Collector {
    fn lock(&self) -> MutexGuard<'_, Saved> {
        self.0.lock().expect("no test panics meanwhile")
    }
}

fn modelled(entry: Entry<'_>) -> Modelled {
    Modelled { text: text(entry), expire_at: entry.expire_at() }
}

impl Saver for Collector {
    fn save(&mut self, db: usize, entry: Entry<'_>) {
        assert_eq!(db, 7);
        self.lock().add(entry.key(), modelled(entry));
    }

    /// What the value is now, to compare it with what is given or found later.
    fn begin(&mut self, _: usize, entry: Entry<'_>) -> Ticket {
        let mut saved = self.lock();
        saved.add(entry.key(), modelled(entry));
        saved.tickets += 1;
        let ticket = Ticket(saved.tickets);
        saved.begun.insert(ticket, modelled(entry));
        ticket
    }

    fn another(&self) -> Box<dyn Saver> {
        Box::new(self.clone())
    }

    fn give(&mut self, ticket: Ticket, value: Value) {
        let Value::Str(string) = value else { panic!("only strings here") };
        let begun = self.lock().begun.remove(&ticket).expect("begun, and given once");
        assert_eq!(string.view().bytes(&mut Digits::new()), begun.text);
    }
}

/// A history and the snapshot that is taken meanwhile.
struct Taking {
    pair: Pair,
    collector: Collector,
    /// The content at its start, while it is taken.
    expected: Option<HashMap<Vec<u8>, Modelled>>,
}

impl Taking {
    fn new() -> Self {
        Self { pair: Pair::new(), collector: Collector::default(), expected: None }
    }

    fn begin(&mut self) {
        self.collector = Collector::default();
        self.pair.db.begin_save(7, Box::new(self.collector.clone()));
        self.expected = Some(self.pair.model.clone());
    }

    /// Saves at least `keys`, and finishes values that were begun. Compares at the end.
    fn walk(&mut self, keys: usize) {
        let db = &mut self.pair.db;
        assert_eq!(db.saved_as(), Some(7));
        let mut left = keys;
        let collector = self.collector.clone();
        db.save_some(move |entry| {
            collector.lock().add(entry.key(), modelled(entry));
            left = left.saturating_sub(1);
            left > 0
        });
        if !db.has_unsaved() {
            self.finish_begun(usize::MAX);
            self.pair.db.end_save();
            let saved = self.collector.lock();
            assert!(saved.begun.is_empty(), "all that was begun was given or found");
            assert_eq!(Some(&saved.keys), self.expected.take().as_ref());
        }
    }

    fn finish_begun(&mut self, most: usize) {
        let db = &mut self.pair.db;
        let begun: Vec<Ticket> = db.begun().take(most).collect();
        for ticket in begun {
            let Some(Begun::String(text)) = db.begun_mut(ticket) else {
                panic!("what has left was given, and there are only strings");
            };
            let expected = self.collector.lock().begun.remove(&ticket);
            assert_eq!(Some(text), expected.as_ref().map(|begun| &*begun.text));
            db.finish(ticket);
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Change(Step),
    Begin,
    Walk(usize),
    Finish,
    GiveUp,
}

fn any_event() -> impl Strategy<Value = Event> {
    let change =
        any_step(40).prop_filter("a flush ends a snapshot", |step| !matches!(step, Step::Flush));
    prop_oneof![
        20 => change.prop_map(Event::Change),
        2 => Just(Event::Begin),
        4 => (1..20usize).prop_map(Event::Walk),
        2 => Just(Event::Finish),
        1 => Just(Event::GiveUp),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_snapshot_is_the_content_at_its_start(
        events in prop::collection::vec(any_event(), 0..if cfg!(miri) { 40 } else { 400 }),
    ) {
        let mut taking = Taking::new();
        for event in &events {
            match event {
                Event::Change(step) => taking.pair.apply(step),
                Event::Begin if taking.expected.is_none() => taking.begin(),
                Event::Walk(keys) if taking.expected.is_some() => taking.walk(*keys),
                Event::Finish => taking.finish_begun(1),
                Event::GiveUp => {
                    taking.pair.db.end_save();
                    taking.expected = None;
                }
                Event::Begin | Event::Walk(_) => {}
            }
        }
        while taking.expected.is_some() {
            taking.walk(1);
        }
        taking.pair.check();
    }
}

/// Takes snapshot after snapshot, some of them given up, while `disturb` changes the database.
fn check_while(seed: u64, mut disturb: impl FnMut(&mut Pair, &mut Chance)) {
    let mut chance = Chance(seed);
    let mut taking = Taking::new();
    for _ in 0..scaled(20_000) {
        disturb(&mut taking.pair, &mut chance);
    }
    for round in 0..4 {
        taking.begin();
        if round % 2 == 1 {
            for _ in 0..scaled(4_000) {
                disturb(&mut taking.pair, &mut chance);
            }
            taking.walk(scaled(3_000));
            taking.begin();
        }
        while taking.expected.is_some() {
            taking.walk(1 + chance.below(300) as usize);
            for _ in 0..chance.below(200) {
                disturb(&mut taking.pair, &mut chance);
            }
        }
        taking.pair.db.table.check();
    }
}

fn key(number: u64) -> u64 {
    number * 2_654_435_761
}

fn set(pair: &mut Pair, number: u64, len: u64) {
    let text = vec![b'v'; len as usize];
    pair.apply(&Step::Set { key: key(number), text, ttl: Ttl::Clear });
}

#[test]
fn a_snapshot_holds_while_segments_split() {
    let mut next = 0;
    check_while(1, |pair, chance| {
        next += 1;
        set(pair, next, chance.below(50));
        set(pair, chance.below(next + 1), chance.below(50));
    });
}

#[test]
fn a_snapshot_holds_while_segments_split_and_merge() {
    let (mut next, mut calls) = (0, 0);
    let half = scaled(10_000) as u64;
    check_while(2, |pair, chance| {
        calls += 1;
        if (calls / half).is_multiple_of(2) {
            next += 1;
            set(pair, next, chance.below(50));
        } else {
            // The newest go, so that nearly all have gone in the end.
            for _ in 0..2 {
                pair.apply(&Step::Remove { key: key(next) });
                next = next.saturating_sub(1);
            }
        }
        set(pair, chance.below(next + 1), chance.below(700));
    });
}

#[test]
fn what_a_snapshot_left_behind_is_no_harm_after_all_its_numbers_were_used() {
    let mut taking = Taking::new();
    for number in 0..2_000 {
        set(&mut taking.pair, number, 3);
    }
    for round in 0..=u64::from(u16::MAX) + 3 {
        taking.pair.db.begin_save(7, Box::new(taking.collector.clone()));
        if round < 3 {
            for number in 0..100 {
                set(&mut taking.pair, number * 3 + round, 5);
            }
            taking.collector = Collector::default();
        }
    }
    taking.begin();
    while taking.expected.is_some() {
        taking.walk(100);
    }
}

#[test]
fn a_string_that_is_being_saved_goes_with_its_key() {
    let mut keyspace = Keyspace::new(2, b"a secret of 16 B");
    let collector = Collector::default();
    let long = vec![b'x'; BIG_STRING + 1];
    keyspace.db_mut(0).set(b"a", Value::Str(Str::new(long.clone())), None);
    for (_, db) in keyspace.iter_mut() {
        db.begin_save(7, Box::new(collector.clone()));
        db.save_some(|_| panic!("a big value is not shown"));
    }
    let taken = keyspace.db_mut(0).take(b"a").expect("set");
    keyspace.db_mut(1).put_back(b"b", taken);
    keyspace.swap(0, 1);
    let ticket = keyspace.db(0).begun().next().expect("it came with its value");
    assert!(matches!(keyspace.db_mut(0).begun_mut(ticket), Some(Begun::String(_))));
    assert_eq!(keyspace.db(1).begun().count(), 0);
    assert!(keyspace.db_mut(0).set_string(b"b", b"other", Ttl::Clear));
    let saved = collector.lock();
    assert!(saved.begun.is_empty(), "it was given when it was overwritten");
    assert_eq!(saved.keys.len(), 1);
    assert_eq!(saved.keys[&b"a"[..]].text, long);
}
