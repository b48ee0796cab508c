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
            Ok(by_keys(elements, keys, query, |a, b| a.0.cmp(&b.0)))
        }
        by => {
            let mut weight = |element: &Vec<u8>| match by {
                None => weight_of(element),
                Some(pattern) => {
                    pattern.look_up(call, element).map_or(Ok(0.0), |text| weight_of(&text))
                }
            };
            let weights = elements.iter().map(&mut weight).collect::<Result<Vec<f64>>>()?;
            Ok(by_keys(elements, weights, query, |a, b| {
                a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1))
            }))
        }
    }
}

fn weight_of(text: &[u8]) -> Result<f64> {
    // Zeros are the same, whatever their sign.
    number::parse_float(text).map(|weight| weight + 0.0).ok_or(error::SORT_NOT_DOUBLE)
}

fn by_own_text(mut elements: Vec<Vec<u8>>, query: &Query<'_>) -> Vec<Vec<u8>> {
    elements.sort_by(|a, b| directed(a.cmp(b), query));
    elements
}

fn by_keys<K>(
    elements: Vec<Vec<u8>>,
    keys: Vec<K>,
    query: &Query<'_>,
    compare: impl Fn(&(K, Vec<u8>), &(K, Vec<u8>)) -> Ordering,
) -> Vec<Vec<u8>> {
    let mut pairs: Vec<(K, Vec<u8>)> = keys.into_iter().zip(elements).collect();
    pairs.sort_by(|a, b| directed(compare(a, b), query));
    pairs.into_iter().map(|(_, element)| element).collect()
}

fn directed(ordering: Ordering, query: &Query<'_>) -> Ordering {
    if query.descending { ordering.reverse() } else { ordering }
}
