//! Putting elements in order: by number or by text, their own or that of the keys they name.

use std::cmp::Ordering;

use super::Query;
use super::pattern::Value;
use crate::engine::Call;
use crate::error::{self, Result};
use crate::number;

pub(super) fn sorted(
    call: &mut Call<'_>,
    elements: Vec<Vec<u8>>,
    query: &Query<'_>,
) -> Result<Vec<Vec<u8>>> {
    match &query.by {
        // A set whose order does not matter is stored in the order of its text.
        _ if !query.sorts => Ok(by_own_text(elements, query)),
        None if query.by_text => Ok(by_own_text(elements, query)),
        Some(pattern) if query.by_text => {
            let key = |element: &Vec<u8>| pattern.look_up(call, element);
            let keys: Vec<Value> = elements.iter().map(key).collect();
            let mut pairs = pairs(keys, elements);
            pairs.sort_by(|a, b| directed(a.0.cmp(&b.0), query));
            Ok(elements_of(pairs))
        }
        by => {
            let mut weight = |element: &Vec<u8>| match by {
                None => weight_of(element),
                Some(pattern) => {
                    pattern.look_up(call, element).map_or(Ok(0.0), |text| weight_of(&text))
                }
            };
            let weights = elements.iter().map(&mut weight).collect::<Result<Vec<f64>>>()?;
            let mut pairs = pairs(weights, elements);
            pairs.sort_unstable_by(|a, b| {
                directed(a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)), query)
            });
            Ok(elements_of(pairs))
        }
    }
}

fn weight_of(text: &[u8]) -> Result<f64> {
    // Zeros are the same, whatever their sign.
    number::parse_float(text).map(|weight| weight + 0.0).ok_or(error::SORT_NOT_DOUBLE)
}

fn by_own_text(mut elements: Vec<Vec<u8>>, query: &Query<'_>) -> Vec<Vec<u8>> {
    elements.sort_unstable_by(|a, b| directed(a.cmp(b), query));
    elements
}

fn pairs<K>(keys: Vec<K>, elements: Vec<Vec<u8>>) -> Vec<(K, Vec<u8>)> {
    keys.into_iter().zip(elements).collect()
}

fn elements_of<K>(pairs: Vec<(K, Vec<u8>)>) -> Vec<Vec<u8>> {
    pairs.into_iter().map(|(_, element)| element).collect()
}

fn directed(ordering: Ordering, query: &Query<'_>) -> Ordering {
    if query.descending { ordering.reverse() } else { ordering }
}
