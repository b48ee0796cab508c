//! The set beside a plain one, under limits that make it change over often.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Limits, Set};
use crate::types::listpack::Item;

const LIMITS: Limits = Limits { intset_entries: 8, listpack_entries: 12, listpack_value: 10 };

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>),
    Remove(Vec<u8>),
    Pop(usize),
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (-20i64..20).prop_map(|int| int.to_string().into_bytes()),
        1 => Just(i64::MAX.to_string().into_bytes()),
        1 => Just(b"007".to_vec()),
        2 => "[a-c]{0,2}".prop_map(String::into_bytes),
        1 => "[a-c]{12}".prop_map(String::into_bytes),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => member().prop_map(Step::Insert),
        3 => member().prop_map(Step::Remove),
        1 => (0usize..6).prop_map(Step::Pop),
    ];
    proptest::collection::vec(step, 1..80)
}

fn draw() -> impl FnMut() -> u64 {
    let mut state = 7u64;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state ^ state >> 29
    }
}

fn listed(set: &Set) -> BTreeSet<Vec<u8>> {
    let members: Vec<Vec<u8>> = set.iter().map(Item::to_vec).collect();
    let different: BTreeSet<Vec<u8>> = members.iter().cloned().collect();
    assert_eq!(different.len(), members.len(), "each member once");
    different
}

proptest! {
    #[test]
    fn behaves_as_a_plain_set(steps in steps()) {
        let mut draw = draw();
        let mut set = Set::new(b"1", 1, &LIMITS);
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Insert(member) => {
                    prop_assert_eq!(set.insert(&member, &LIMITS), model.insert(member.clone()));
                    prop_assert!(set.contains(&member));
                }
                Step::Remove(member) => {
                    prop_assert_eq!(set.remove(&member), model.remove(&member));
                    prop_assert!(!set.contains(&member));
                }
                Step::Pop(count) => {
                    let mut taken = Vec::new();
                    set.pop(count, &mut draw, |member| taken.push(member.to_vec()));
                    prop_assert_eq!(taken.len(), count.min(model.len()));
                    for member in taken {
                        prop_assert!(model.remove(&member));
                    }
                }
            }
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(listed(&set), model.clone());
        }
        let copy: Set = set.clone();
        prop_assert!(copy == set);
        for count in [1, 3, model.len(), model.len() + 1] {
            let mut seen = BTreeSet::new();
            set.random_distinct(count, &mut draw, |member| assert!(seen.insert(member.to_vec())));
            prop_assert_eq!(seen.len(), count.min(model.len()));
            prop_assert!(seen.is_subset(&model));
            let mut drawn = 0;
            set.random_many(count, &mut draw, |member| {
                drawn += 1;
                assert!(model.contains(&member.to_vec()));
            });
            prop_assert_eq!(drawn, if model.is_empty() { 0 } else { count });
        }
    }
}

fn grown(members: &[&str]) -> &'static str {
    let Some((first, rest)) = members.split_first() else { panic!("at least one member") };
    let mut set = Set::new(first.as_bytes(), 1, &LIMITS);
    for member in std::iter::once(first).chain(rest) {
        set.insert(member.as_bytes(), &LIMITS);
    }
    set.encoding()
}

#[test]
fn it_changes_over_as_valkey_does() {
    let ints: Vec<String> = (0..9).map(|int| int.to_string()).collect();
    let ints: Vec<&str> = ints.iter().map(String::as_str).collect();
    assert_eq!(grown(&ints[..8]), "intset");
    assert_eq!(grown(&ints), "hashtable");
    assert_eq!(grown(&[&ints[..8], &["x"]].concat()), "listpack");
    assert_eq!(grown(&["1", "0123456789"]), "listpack");
    assert_eq!(grown(&["1", "0123456789x"]), "hashtable");
    assert_eq!(grown(&["12345678901", "x"]), "hashtable", "an integer is too long as text");
    let texts: Vec<String> = (0..13).map(|text| format!("t{text}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(grown(&texts[..12]), "listpack");
    assert_eq!(grown(&texts), "hashtable");
}

#[test]
fn expected_members_decide_at_once() {
    assert_eq!(Set::new(b"1", 8, &LIMITS).encoding(), "intset");
    assert_eq!(Set::new(b"1", 9, &LIMITS).encoding(), "listpack");
    assert_eq!(Set::new(b"x", 1, &LIMITS).encoding(), "listpack");
    assert_eq!(Set::new(b"x", 13, &LIMITS).encoding(), "hashtable");
    let mut set = Set::new(b"1", 1, &LIMITS);
    set.expect(8, &LIMITS);
    assert_eq!(set.encoding(), "intset");
    set.expect(9, &LIMITS);
    assert_eq!(set.encoding(), "hashtable");
}

#[test]
fn a_result_of_integers_becomes_an_intset() {
    let mut set = Set::new(b"x", 1, &LIMITS);
    ["3", "1", "2"].iter().for_each(|int| _ = set.insert(int.as_bytes(), &LIMITS));
    assert_eq!(set.encoding(), "listpack");
    set.become_intset_if_possible(&LIMITS);
    assert_eq!(set.encoding(), "intset");
    set.insert(b"x", &LIMITS);
    set.become_intset_if_possible(&LIMITS);
    assert_eq!(set.encoding(), "listpack");
}
