//! The sorted set beside a naive one: a vector kept in order.

use std::ops::Bound;

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Model(Vec<(f64, Vec<u8>)>);

impl Model {
    fn insert(&mut self, member: &[u8], score: f64) {
        self.remove(member);
        let before = |(s, m): &(f64, Vec<u8>)| *s < score || (*s == score && m.as_slice() < member);
        let at = self.0.partition_point(before);
        self.0.insert(at, (score, member.to_vec()));
    }

    fn rank(&self, member: &[u8]) -> Option<usize> {
        self.0.iter().position(|(_, m)| m == member)
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        self.rank(member).map(|at| self.0.remove(at).0)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, f64, usize),
    /// Adds to the score, if the member is there.
    Increment(u16, f64),
    Remove(u16),
    RemoveRange(usize, usize),
    /// Many new members in order, or in reverse.
    Fill(u16, bool),
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (-20i32..20).prop_map(f64::from),
        2 => -1e6..1e6f64,
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(-0.0),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let long = prop_oneof![20 => 0usize..20, 2 => 400usize..1200, 1 => Just(70_000usize)];
    let member = 0u16..900;
    let step = prop_oneof![
        8 => (member.clone(), score(), long).prop_map(|(m, s, l)| Step::Insert(m, s, l)),
        4 => (member.clone(), score()).prop_map(|(m, s)| Step::Increment(m, s)),
        4 => member.clone().prop_map(Step::Remove),
        1 => (any::<usize>(), 0usize..300).prop_map(|(a, n)| Step::RemoveRange(a, n)),
        1 => (member, any::<bool>()).prop_map(|(m, up)| Step::Fill(m, up)),
    ];
    prop::collection::vec(step, 1..120)
}

/// Some are integers, some begin alike, some are long.
fn name(member: u16, len: usize) -> Vec<u8> {
    let mut name = match member % 3 {
        0 => member.to_string().into_bytes(),
        1 => format!("member:with:a:long:common:prefix:{member}").into_bytes(),
        _ => format!("{member}:").into_bytes(),
    };
    if member.is_multiple_of(7) {
        name.resize(name.len() + len, b'x');
    }
    name
}

const SMALL: Limits = Limits { max_entries: 128, max_member_len: 64 };
const LARGE: Limits = Limits { max_entries: 0, max_member_len: 64 };

fn apply(set: &mut SortedSet, model: &mut Model, step: &Step, limits: &Limits) {
    match *step {
        Step::Insert(member, score, len) => {
            let member = name(member, len);
            let old = model.rank(&member).map(|rank| model.0[rank].0);
            let change = set.insert(&member, score, limits);
            assert_eq!(
                change,
                match old {
                    None => Change::Added(score),
                    Some(old) if old == score => Change::Same(score),
                    Some(_) => Change::Updated(score),
                }
            );
            if old != Some(score) {
                model.insert(&member, score);
            }
        }
        Step::Increment(member, by) => {
            let member = name(member, 0);
            let sum = |old: Option<f64>| Ok(old.map(|old| old + by).filter(|sum| !sum.is_nan()));
            let Ok::<_, std::convert::Infallible>(change) = set.change(&member, limits, sum);
            if let Change::Updated(score) = change {
                model.insert(&member, score);
            }
        }
        Step::Remove(member) => {
            let member = name(member, 0);
            assert_eq!(set.remove(&member), model.remove(&member));
        }
        Step::RemoveRange(from, count) => {
            let from = from % (model.0.len() + 1);
            let to = (from + count).min(model.0.len());
            set.remove_range(from..from + count);
            model.0.drain(from..to);
        }
        Step::Fill(from, up) => {
            for nth in 0..100u16 {
                let nth = if up { nth } else { 100 - nth };
                let member = format!("fill:{:05}", from + nth).into_bytes();
                set.insert(&member, 1.0, limits);
                model.insert(&member, 1.0);
            }
        }
    }
}

fn check(set: &SortedSet, model: &Model) {
    assert_eq!(set.len(), model.0.len());
    let pair = |(member, score): (Item<'_>, f64)| (score, member.to_vec());
    assert!(set.iter().map(pair).eq(model.0.iter().cloned()));
    assert!(set.iter().rev().map(pair).eq(model.0.iter().rev().cloned()));
    for (rank, (score, member)) in model.0.iter().enumerate() {
        assert_eq!(set.score(member), Some(*score));
        assert_eq!(set.rank(member), Some((rank, *score)));
        assert_eq!(set.get(rank).map(pair), Some((*score, member.clone())));
    }
    assert_eq!(set.get(model.0.len()), None);
    assert_eq!(set.score(b"not there"), None);
    if let Encoding::Large(large) = &set.0 {
        large.check();
    }
}

fn check_score_range(set: &SortedSet, model: &Model, range: ScoreRange) {
    let is_in = |(score, _): &&(f64, Vec<u8>)| (range.min, range.max).contains(score);
    let expected: Vec<_> = model.0.iter().filter(is_in).cloned().collect();
    let ranks = set.ranks_by_score(&range);
    assert_eq!(ranks.len(), expected.len());
    let found = set.range(ranks).map(|(member, score)| (score, member.to_vec()));
    assert!(found.eq(expected));
}

use std::ops::RangeBounds as _;

fn bound(score: f64, kind: u8) -> Bound<f64> {
    match kind % 3 {
        0 => Bound::Included(score),
        1 => Bound::Excluded(score),
        _ => Bound::Unbounded,
    }
}

fn walk(set: &SortedSet, count: usize) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = set.scan(cursor, count, |member, score| {
            assert_eq!(set.score(member), Some(score));
            seen.push(member.to_vec());
        });
        if cursor == 0 {
            return seen;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn it_is_a_list_in_order(
        steps in steps(),
        is_small: bool,
        scores in prop::collection::vec((score(), score(), any::<u8>()), 4),
    ) {
        let limits = if is_small { SMALL } else { LARGE };
        let mut set = SortedSet::new();
        let mut model = Model::default();
        for (nth, step) in steps.iter().enumerate() {
            apply(&mut set, &mut model, step, &limits);
            if nth % 16 == 0 {
                check(&set, &model);
            }
        }
        check(&set, &model);
        for (min, max, kind) in scores {
            let range = ScoreRange { min: bound(min, kind), max: bound(max, kind / 3) };
            check_score_range(&set, &model, range);
        }
        prop_assert_eq!(&set.clone(), &set);
        let mut walked = walk(&set, 7);
        let mut expected: Vec<_> = model.0.iter().map(|(_, member)| member.clone()).collect();
        walked.sort();
        expected.sort();
        prop_assert_eq!(walked, expected);
        let pairs = model.0.iter().map(|(score, member)| (member.clone(), *score)).collect();
        prop_assert_eq!(&SortedSet::from_members(&limits, pairs), &set);
    }

    #[test]
    fn members_of_one_score_are_found_by_their_bytes(
        members in prop::collection::btree_set("[ab]{0,12}", 0..400),
        min in "[ab]{0,12}",
        max in "[ab]{0,12}",
        kind: u8,
        is_small: bool,
    ) {
        let limits = if is_small { SMALL } else { LARGE };
        let pairs = members.iter().map(|member| (member.clone().into_bytes(), 3.0)).collect();
        let set = SortedSet::from_members(&limits, pairs);
        let bound = |text: &'static str, kind: u8| match kind % 4 {
            0 => LexBound::Included(text.as_bytes()),
            1 => LexBound::Excluded(text.as_bytes()),
            2 => LexBound::Least,
            _ => LexBound::Greatest,
        };
        let (min, max) = (&*min.leak(), &*max.leak());
        let range = LexRange { min: bound(min, kind), max: bound(max, kind / 4) };
        let above = |member: &str| match kind % 4 {
            0 => member >= min,
            1 => member > min,
            kind => kind == 2,
        };
        let below = |member: &str| match kind / 4 % 4 {
            0 => member <= max,
            1 => member < max,
            kind => kind == 3,
        };
        let expected: Vec<&String> = members.iter().filter(|m| above(m) && below(m)).collect();
        let ranks = set.ranks_by_lex(&range);
        prop_assert_eq!(ranks.len(), expected.len());
        let found = set.range(ranks).map(|(member, _)| member.to_vec());
        prop_assert!(found.eq(expected.iter().map(|member| member.as_bytes())));
    }
}

#[test]
fn a_member_that_stays_is_scanned_once_while_others_come_and_go() {
    let mut set = SortedSet::new();
    let staying = |n: u32| format!("stays:{n}").into_bytes();
    let passing = |n: u32| format!("passes:{n}").into_bytes();
    for n in 0..5000 {
        set.insert(&staying(n), f64::from(n), &LARGE);
    }
    let mut seen = Vec::new();
    let (mut cursor, mut turn) = (0, 0);
    loop {
        cursor = set.scan(cursor, 10, |member, _| seen.push(member.to_vec()));
        if cursor == 0 {
            break;
        }
        turn += 1;
        for n in 0..100 {
            if turn % 40 < 20 {
                set.insert(&passing(turn % 40 * 100 + n), f64::from(n * turn), &LARGE);
            } else {
                set.remove(&passing((turn % 40 - 20) * 100 + n));
            }
        }
    }
    seen.retain(|member| member.starts_with(b"stays"));
    seen.sort();
    let mut expected: Vec<_> = (0..5000).map(staying).collect();
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn a_large_one_that_shrinks_gives_its_memory_back() {
    let mut set = SortedSet::new();
    for n in 0..200_000u32 {
        let member = format!("member:{:012}", n.wrapping_mul(2_654_435_761));
        set.insert(member.as_bytes(), f64::from(n.wrapping_mul(40_503) % 100_003), &LARGE);
    }
    let full = set.memory_bytes();
    set.remove_range(50..199_950);
    check(&set, &Model(set.iter().map(|(member, score)| (score, member.to_vec())).collect()));
    assert!(set.memory_bytes() < full / 50, "{} of {full}", set.memory_bytes());
}

#[test]
fn members_that_come_at_random_take_little_more_than_their_bytes() {
    let mut set = SortedSet::new();
    let (mut state, members) = (5u32, 100_000);
    for n in 0..members {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let score = f64::from(state >> 8) / 2.0;
        set.insert(format!("member:{n:013}").as_bytes(), score, &LARGE);
    }
    // Of 46: the member's 20, 4 of its score, 2 of its end, 9 of the index; leaves are four fifths full.
    let each = set.memory_bytes() as f64 / f64::from(members);
    assert!((36.0..46.0).contains(&each), "{each} bytes a member");
}

#[test]
fn members_longer_than_leaves_lie_among_short_ones() {
    let (mut set, mut model) = (SortedSet::new(), Model::default());
    let mut state = 3u32;
    for n in 0..3_000u32 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let long = if state >> 28 < 6 { 300 * (state >> 28) as usize } else { 0 };
        let mut member = format!("{:04}", (state >> 8) % 2_000).into_bytes();
        member.resize(member.len() + long, b'.');
        let score = f64::from((state >> 16) % 50) / 4.0;
        if n % 4 == 3 {
            let removed = model.0.get((state >> 4) as usize % model.0.len().max(1)).cloned();
            if let Some((_, member)) = removed {
                assert_eq!(set.remove(&member), model.remove(&member));
            }
        } else {
            set.insert(&member, score, &LARGE);
            model.insert(&member, score);
        }
        if n % 250 == 0 {
            check(&set, &model);
        }
    }
    check(&set, &model);
}

#[test]
fn small_ones_grow_at_the_limits() {
    let limits = Limits { max_entries: 3, max_member_len: 5 };
    let mut set = SortedSet::new();
    for (nth, member) in [b"a", b"b", b"c"].iter().enumerate() {
        set.insert(*member, nth as f64, &limits);
        assert_eq!(set.encoding(), "listpack");
    }
    set.insert(b"b", 9.5, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"d", 1.0, &limits);
    assert_eq!(set.encoding(), "skiplist");
    let mut set = SortedSet::new();
    set.insert(b"12345", 1.0, &limits);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"123456", 1.0, &limits);
    assert_eq!(set.encoding(), "skiplist");
}
