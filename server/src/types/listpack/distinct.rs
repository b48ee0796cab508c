//! Whether elements are all different, as members and fields from outside must be.

use super::Item;

/// Compared as text, in O(n log n) whatever they are.
pub fn are_distinct<'a>(elements: impl Iterator<Item = Item<'a>>) -> bool {
    let mut keys: Vec<_> = elements.map(key).collect();
    keys.sort_unstable();
    keys.is_sorted_by(|a, b| a < b)
}

/// The same for the same text: one that is an integer's may be kept either way.
fn key(element: Item<'_>) -> (Option<i64>, &[u8]) {
    match (element.as_int(), element) {
        (None, Item::Bytes(text)) => (None, text),
        (int, _) => (int, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_found_in_either_form() {
        let (one, two, text, empty) =
            (Item::Int(1), Item::Int(2), Item::Bytes(b"01"), Item::Bytes(b""));
        assert!(are_distinct([two, one, text, empty].into_iter()));
        assert!(!are_distinct([two, one, text, Item::Bytes(b"1")].into_iter()));
        assert!(!are_distinct([empty, two, empty].into_iter()));
        assert!(are_distinct([].into_iter()));
    }
}
