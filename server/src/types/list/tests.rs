//! Lists of both forms against vectors, and their nodes against Valkey's rules.

use proptest::prelude::*;

use super::node::Node;
use super::{End, Form, Limits, List, Side};

const DEFAULT: i64 = -2;

fn node_count(list: &List) -> Option<usize> {
    list.nodes().map(|nodes| nodes.count)
}

fn default_limits() -> Limits {
    Limits::new(DEFAULT, None)
}

/// Few different elements of all sizes around the limits.
fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[abc]".prop_map(String::into_bytes),
        2 => (0i64..300).prop_map(|int| int.to_string().into_bytes()),
        2 => (0usize..3).prop_map(|n| vec![b'x'; 900 + n]),
        1 => Just(vec![b'y'; 4097]),
        1 => Just(vec![b'z'; 9000]),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let size = prop_oneof![Just(-1), Just(-2), Just(1), Just(2), Just(5), Just(128)];
    let plain_from = prop_oneof![3 => Just(None), 1 => Just(Some(1)), 1 => Just(Some(3))];
    let depth = prop_oneof![2 => Just(0), 2 => Just(1), 1 => Just(2), 1 => Just(1 << 30)];
    (size, plain_from, depth).prop_map(|(size, plain_from, depth)| {
        Limits::new(size, plain_from).compressed_beyond(depth)
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Head), Just(End::Tail)]
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Before), Just(Side::After)]
}

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<Vec<u8>>),
    Pop(End),
    Set(usize, Vec<u8>),
    Insert(Side, Vec<u8>, Vec<u8>),
    InsertAt(Side, usize, Vec<u8>),
    RemoveRange(usize, usize),
    RemoveEqual(Vec<u8>, usize, End),
    ReadAt(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let place = any::<usize>;
    let elements = prop::collection::vec(element(), 1..8);
    prop_oneof![
        6 => (end(), elements).prop_map(|(end, elements)| Step::Push(end, elements)),
        2 => end().prop_map(Step::Pop),
        2 => (place(), element()).prop_map(|(at, element)| Step::Set(at, element)),
        1 => (side(), element(), element()).prop_map(|(side, p, e)| Step::Insert(side, p, e)),
        3 => (side(), place(), element()).prop_map(|(side, at, e)| Step::InsertAt(side, at, e)),
        1 => (place(), 0usize..20).prop_map(|(at, len)| Step::RemoveRange(at, len)),
        1 => (element(), 1usize..5, end()).prop_map(|(e, n, end)| Step::RemoveEqual(e, n, end)),
        1 => place().prop_map(Step::ReadAt),
    ]
}

fn push(list: &mut List, model: &mut Vec<Vec<u8>>, end: End, elements: Vec<Vec<u8>>, max: Limits) {
    list.make_room(elements.iter().map(Vec::as_slice), max);
    for element in elements {
        list.push(end, &element);
        match end {
            End::Head => model.insert(0, element),
            End::Tail => model.push(element),
        }
    }
}

fn insert(
    list: &mut List,
    model: &mut Vec<Vec<u8>>,
    (side, pivot, element): (Side, &[u8], Vec<u8>),
    max: Limits,
) {
    list.make_room([&element[..]], max);
    let at = model.iter().position(|held| held == pivot);
    assert_eq!(list.insert(side, pivot, &element), at.is_some());
    if let Some(at) = at {
        model.insert(at + usize::from(side == Side::After), element);
    }
}

fn remove_equal(model: &mut Vec<Vec<u8>>, text: &[u8], limit: usize, end: End) -> usize {
    let mut removed = 0;
    let mut keep = |held: &Vec<u8>| {
        let hit = held == text && removed < limit;
        removed += usize::from(hit);
        !hit
    };
    if end == End::Tail {
        model.reverse();
    }
    model.retain(&mut keep);
    if end == End::Tail {
        model.reverse();
    }
    removed
}

fn apply(step: Step, list: &mut List, model: &mut Vec<Vec<u8>>, max: Limits) {
    let len = model.len();
    let place = |at: usize| at.checked_rem(len);
    match step {
        Step::Push(end, elements) => push(list, model, end, elements, max),
        Step::Pop(end) => {
            let expected = match end {
                End::Head if len > 0 => Some(model.remove(0)),
                End::Head => None,
                End::Tail => model.pop(),
            };
            assert_eq!(list.pop(end), expected);
            list.shrink(max);
        }
        Step::Set(at, element) => {
            list.make_room([&element[..]], max);
            let at = place(at);
            assert_eq!(list.set(at.unwrap_or(0), &element), at.is_some());
            at.into_iter().for_each(|at| model[at] = element.clone());
            list.shrink(max);
        }
        Step::Insert(side, pivot, element) => insert(list, model, (side, &pivot, element), max),
        Step::InsertAt(side, at, element) => {
            let Some(at) = place(at) else { return };
            let pivot = model[at].clone();
            insert(list, model, (side, &pivot, element), max);
        }
        Step::RemoveRange(at, count) => {
            let Some(at) = place(at) else { return };
            list.remove_range(at, count);
            model.drain(at..len.min(at + count));
            list.shrink(max);
        }
        Step::RemoveEqual(text, limit, end) => {
            let removed = remove_equal(model, &text, limit, end);
            assert_eq!(list.remove_equal(&text, limit, end), removed);
            list.shrink(max);
        }
        Step::ReadAt(at) => {
            let Some(at) = place(at) else { return };
            assert_eq!(list.get(at, |item| item.to_vec()).as_ref(), model.get(at));
            assert_eq!(list.texts_in(at..len + 3, End::Head), model[at..]);
            let backwards: Vec<_> = model[..at].iter().rev().cloned().collect();
            assert_eq!(list.texts_in(0..at, End::Tail), backwards);
        }
    }
}

/// Nodes that are near an end are open, and others are not where that is worth it.
fn check_compression(list: &List, limits: Limits) {
    let Form::Large(quicklist) = &list.form else { return };
    let count = quicklist.node_count();
    for (at, node) in quicklist.each_node().enumerate() {
        let is_squeezed = matches!(node, Node::Squeezed { .. });
        let is_inner = at.min(count - 1 - at) >= limits.depth();
        let mut copy = node.clone();
        copy.squeeze();
        let is_worth_it = matches!(copy, Node::Squeezed { .. });
        assert_eq!(is_squeezed, limits.depth() > 0 && is_inner && is_worth_it, "{at} of {count}");
    }
}

proptest! {
    #[test]
    fn a_list_does_what_a_vector_does(
        max in limits(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let (mut list, mut model) = (List::new(), Vec::new());
        for step in steps {
            apply(step, &mut list, &mut model, max);
            prop_assert_eq!(&list.texts(), &model);
            prop_assert_eq!(list.len(), model.len());
            check_compression(&list, max);
        }
        let backwards: Vec<_> = model.iter().rev().cloned().collect();
        prop_assert_eq!(list.texts_in(0..model.len(), End::Tail), backwards);
        prop_assert_eq!(list.get(model.len(), |item| item.to_vec()), None);
        prop_assert_eq!(list.peek(End::Head).map(|item| item.to_vec()), model.first().cloned());
        prop_assert_eq!(list.peek(End::Tail).map(|item| item.to_vec()), model.last().cloned());
        prop_assert_eq!(&list.clone(), &list);
        prop_assert!(node_count(&list).is_none_or(|nodes| nodes <= model.len()));
    }
}

fn list_of(count: usize, element_len: usize) -> List {
    let element = vec![b'e'; element_len];
    List::of((0..count).map(|_| &element[..]), default_limits())
}

#[test]
fn a_listpack_grows_to_the_limit_and_goes_back_at_half() {
    let mut list = list_of(8, 1000);
    assert_eq!((list.encoding(), node_count(&list)), ("listpack", None));
    list.make_room([&[b'e'; 1000][..]], default_limits());
    list.push(End::Tail, &[b'e'; 1000]);
    assert_eq!((list.encoding(), node_count(&list)), ("quicklist", Some(2)));
    list.remove_range(0, 1);
    list.shrink(default_limits());
    assert_eq!((list.encoding(), node_count(&list)), ("quicklist", Some(2)));
    list.remove_range(7, 1);
    list.shrink(default_limits());
    assert_eq!((list.encoding(), node_count(&list)), ("quicklist", Some(1)));
    list.remove_range(0, 3);
    list.shrink(default_limits());
    assert_eq!((list.encoding(), list.len()), ("listpack", 4));
}

#[test]
fn a_big_element_stands_alone() {
    let mut list = list_of(3, 10);
    let big = [b'b'; 9000];
    list.make_room([&big[..]], default_limits());
    assert!(list.insert(Side::Before, &[b'e'; 10], &big));
    assert_eq!(node_count(&list), Some(2));
    assert!(list.set(2, &big));
    assert_eq!(node_count(&list), Some(4));
    assert!(list.set(2, b"small"));
    assert_eq!(node_count(&list), Some(3));
    let lens: Vec<_> = list.texts().iter().map(Vec::len).collect();
    assert_eq!(lens, [9000, 10, 5, 10]);
}

#[test]
fn short_elements_cost_little_beyond_their_bytes() {
    const COUNT: usize = 100_000;
    let list = list_of(COUNT, 16);
    let per_element = list.memory_bytes() as f64 / COUNT as f64;
    assert!(per_element < 18.2, "{per_element}");
    assert!(list.free_effort() < COUNT / 400);
}

#[test]
fn an_element_in_the_middle_of_a_big_list_splits_one_node() {
    let mut list = list_of(10_000, 16);
    let nodes = node_count(&list).expect("big");
    assert!(list.set(5_000, b"pivot"));
    for _ in 0..3 {
        assert!(list.insert(Side::After, b"pivot", &[b'n'; 100]));
    }
    assert!(node_count(&list).expect("big") <= nodes + 2);
    assert_eq!(list.get(5_001, |item| item.to_vec()), Some(vec![b'n'; 100]));
}

#[test]
fn what_repeats_takes_less_memory_beyond_the_depth() {
    let texts: Vec<_> = (0..20_000).map(|nth| format!("a line of the log: {nth}")).collect();
    let list = |depth| {
        let limits = default_limits().compressed_beyond(depth);
        List::of(texts.iter().map(String::as_bytes), limits)
    };
    let (open, squeezed) = (list(0), list(1));
    assert_eq!(node_count(&open), node_count(&squeezed));
    assert!(squeezed.memory_bytes() * 3 < open.memory_bytes(), "{}", squeezed.memory_bytes());
    assert_eq!(squeezed, open);
    check_compression(&squeezed, default_limits().compressed_beyond(1));
    let nodes = squeezed.nodes().expect("big");
    assert!(nodes.are_compressed);
    assert_eq!(nodes.len_bytes, open.nodes().expect("big").len_bytes);
}
