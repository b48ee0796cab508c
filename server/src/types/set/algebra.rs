//! Intersection, union and difference of sets where they lie. `None` is an empty set.

use super::{Limits, Set};
use crate::types::intset::Intset;
use crate::types::listpack::{Item, Listpack};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Intersection,
    Union,
    /// The first without all others.
    Difference,
}

/// Visits the members of the result, each once, until `visit` has enough.
pub fn visit(
    operation: Operation,
    sets: &[Option<&Set>],
    limits: &Limits,
    visit: impl FnMut(Item<'_>) -> bool,
) {
    match operation {
        Operation::Intersection => intersect(sets, visit),
        Operation::Union => unite(sets, limits, visit),
        Operation::Difference => subtract(sets, limits, visit),
    }
}

/// The result as a set of its own, in the encoding that Valkey gives it.
pub fn collect(operation: Operation, sets: &[Option<&Set>], limits: &Limits) -> Set {
    let smallest = sets.iter().flatten().min_by_key(|set| set.len());
    let of_integers = smallest.is_some_and(|set| set.encoding() == "intset");
    let mut result = match operation {
        Operation::Intersection if !of_integers => Set::of_listpack(Listpack::new()),
        _ => Set::of_intset(Intset::new()),
    };
    if operation == Operation::Union {
        union_into(&mut result, sets, limits);
    } else {
        visit(operation, sets, limits, |member| {
            result.insert_item(member, limits);
            true
        });
    }
    if operation == Operation::Intersection {
        result.become_intset_if_possible(limits);
    }
    result
}

/// Apart from its callers, which are compiled for each visitor: a sort is much code. Of lengths, so that
/// all that sort by a length share it.
fn smallest_first(sets: &mut [&Set]) {
    sets.sort_by_cached_key(|set| set.len());
}

/// From the smallest set, what is in all others.
fn intersect(sets: &[Option<&Set>], mut visit: impl FnMut(Item<'_>) -> bool) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<&Set>>>() else { return };
    smallest_first(&mut sets);
    let Some((smallest, others)) = sets.split_first() else { return };
    let others: Vec<&&Set> = others.iter().filter(|set| !std::ptr::eq(**set, *smallest)).collect();
    for member in smallest.iter() {
        if others.iter().all(|set| set.contains_item(member)) && !visit(member) {
            return;
        }
    }
}

fn unite(sets: &[Option<&Set>], limits: &Limits, mut visit: impl FnMut(Item<'_>) -> bool) {
    let mut full = sets.iter().flatten().filter(|set| set.len() > 0);
    match (full.next(), full.next()) {
        (Some(only), None) => _ = only.iter().all(visit),
        (Some(_), Some(_)) => {
            let mut result = Set::for_union(sets);
            union_into(&mut result, sets, limits);
            result.iter().all(&mut visit);
        }
        (None, _) => {}
    }
}

fn union_into(result: &mut Set, sets: &[Option<&Set>], limits: &Limits) {
    for member in sets.iter().flatten().flat_map(|set| set.iter()) {
        result.insert_item(member, limits);
    }
}

/// Looks each member of the first set up in all others; or, where that is more work, in their union.
fn subtract(sets: &[Option<&Set>], limits: &Limits, mut visit: impl FnMut(Item<'_>) -> bool) {
    let Some((Some(first), others)) = sets.split_first() else { return };
    let mut others: Vec<&Set> = others.iter().copied().flatten().collect();
    if others.iter().any(|set| std::ptr::eq(*set, *first)) {
        return;
    }
    let lookups = first.len().saturating_mul(others.len());
    let members: usize = others.iter().map(|set| set.len()).sum();
    let union;
    if others.len() > 1 && lookups / 2 > members.saturating_add(first.len()) {
        let all: Vec<Option<&Set>> = others.into_iter().map(Some).collect();
        let mut united = Set::for_union(&all);
        union_into(&mut united, &all, limits);
        union = united;
        others = vec![&union];
    }
    smallest_first(&mut others);
    for member in first.iter() {
        // The largest is the likeliest to have it.
        if !others.iter().rev().any(|set| set.contains_item(member)) && !visit(member) {
            return;
        }
    }
}

impl Set {
    /// An empty set that takes the members of these soon: a table, unless all are integers.
    fn for_union(sets: &[Option<&Set>]) -> Self {
        if sets.iter().flatten().all(|set| set.encoding() == "intset") {
            Self::of_intset(Intset::new())
        } else {
            Self(super::Encoding::Table(Box::default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { intset_entries: 8, listpack_entries: 12, listpack_value: 10 };

    fn sets() -> impl Strategy<Value = Vec<Option<BTreeSet<Vec<u8>>>>> {
        let member = prop_oneof![
            3 => (0u8..12).prop_map(|int| int.to_string().into_bytes()),
            1 => "[ab]{1,2}".prop_map(String::into_bytes),
        ];
        let set = proptest::option::weighted(0.9, proptest::collection::btree_set(member, 0..20));
        proptest::collection::vec(set, 1..9)
    }

    fn naive(operation: Operation, sets: &[Option<BTreeSet<Vec<u8>>>]) -> BTreeSet<Vec<u8>> {
        let mut sets = sets.iter().map(|set| set.clone().unwrap_or_default());
        let first = sets.next().unwrap_or_default();
        sets.fold(first, |result, set| match operation {
            Operation::Intersection => &result & &set,
            Operation::Union => &result | &set,
            Operation::Difference => &result - &set,
        })
    }

    proptest! {
        #[test]
        fn results_are_those_of_plain_sets(models in sets()) {
            let sets: Vec<Option<Set>> = models.iter().map(|model| {
                let model = model.as_ref()?;
                let mut set = Set::of_intset(Intset::new());
                model.iter().for_each(|member| _ = set.insert(member, &LIMITS));
                Some(set)
            }).collect();
            let sets: Vec<Option<&Set>> = sets.iter().map(Option::as_ref).collect();
            for operation in [Operation::Intersection, Operation::Union, Operation::Difference] {
                let expected = naive(operation, &models);
                let mut seen = BTreeSet::new();
                visit(operation, &sets, &LIMITS, |member| {
                    assert!(seen.insert(member.to_vec()));
                    true
                });
                prop_assert_eq!(&seen, &expected);
                let collected = collect(operation, &sets, &LIMITS);
                let members: BTreeSet<_> = collected.iter().map(Item::to_vec).collect();
                prop_assert_eq!((members.len(), members), (collected.len(), expected));
                let mut visits = 0;
                visit(operation, &sets, &LIMITS, |_| {
                    visits += 1;
                    visits < 2
                });
                prop_assert_eq!(visits, seen.len().min(2));
            }
        }
    }
}
