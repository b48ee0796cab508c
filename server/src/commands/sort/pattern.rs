//! Keys named after elements: `weight_*`, or `object_*->field` for a field of a hash.

use crate::engine::{Call, Typed};
use crate::types::hash::Hash;
use crate::types::string::Digits;

pub(super) struct Pattern<'a> {
    before: &'a [u8],
    after: &'a [u8],
    field: Option<&'a [u8]>,
}

pub(super) type Value = Option<Vec<u8>>;

impl<'a> Pattern<'a> {
    /// `None` without a `*`, which stands for the element.
    pub(super) fn new(text: &'a [u8]) -> Option<Self> {
        let star = text.iter().position(|&byte| byte == b'*')?;
        let (before, after) = (&text[..star], &text[star + 1..]);
        let arrow = after.windows(2).position(|pair| pair == b"->");
        // With nothing behind it, an arrow is part of the key.
        let (after, field) = match arrow {
            Some(arrow) if arrow + 2 < after.len() => (&after[..arrow], Some(&after[arrow + 2..])),
            _ => (after, None),
        };
        Some(Self { before, after, field })
    }

    /// The string or field that the pattern names for `element`.
    pub(super) fn look_up(&self, call: &mut Call<'_>, element: &[u8]) -> Value {
        let key = [self.before, element, self.after].concat();
        let now_ms = call.now.ms();
        let entry = call.read(&key)?;
        match self.field {
            Some(field) => {
                let hash = Typed::<Hash>::of(entry)?;
                hash.get(field, now_ms).map(|value| value.to_vec())
            }
            None => Some(entry.value().as_str()?.bytes(&mut Digits::new()).to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_keys_and_fields() {
        for (text, expected) in [
            ("w_*", Some(("w_", "", None))),
            ("w_*_x", Some(("w_", "_x", None))),
            ("o:*->name", Some(("o:", "", Some("name")))),
            ("o:*->", Some(("o:", "->", None))),
            ("a->b*c->d->e", Some(("a->b", "c", Some("d->e")))),
            ("fixed", None),
            ("", None),
        ] {
            let found = Pattern::new(text.as_bytes());
            let found = found.map(|pattern| (pattern.before, pattern.after, pattern.field));
            let bytes =
                |(before, after, field): (&'static str, &'static str, Option<&'static str>)| {
                    (before.as_bytes(), after.as_bytes(), field.map(str::as_bytes))
                };
            assert_eq!(found, expected.map(bytes), "{text}");
        }
    }
}
