//! A key's content on its way into an entry.

use super::packed::Packed;
use super::{
    COLLECTION, COLLECTION_ALIGN, EDITED, INLINE, INLINE_MAX, INT32, INT64, PACKED, VECTOR,
    VECTOR_LEN, inline_size,
};
use crate::keyspace::value::Value;
use crate::types::collection::Collection;
use crate::types::string::Str;

/// A key's content on its way into an entry.
pub(in crate::keyspace) enum Content<'a> {
    Int(i64),
    /// At most [`INLINE_MAX`] bytes.
    Inline(&'a [u8]),
    Vector(Vec<u8>),
    Collection(Collection),
    /// At most [`PACKED_MAX`] bytes.
    Packed(Packed, &'a [u8]),
}

impl<'a> Content<'a> {
    /// `bytes` in the form their length asks for.
    #[inline]
    pub(in crate::keyspace) fn bytes(bytes: &'a [u8]) -> Self {
        if bytes.len() <= INLINE_MAX { Self::Inline(bytes) } else { Self::Vector(bytes.to_vec()) }
    }

    /// An owned value's content, and whether it counts as edited. Short bytes are borrowed from
    /// `room`.
    pub(in crate::keyspace) fn of(value: Value, room: &'a mut Vec<u8>) -> (Self, bool) {
        match value {
            Value::Str(Str::Int(int)) => (Self::Int(int), false),
            Value::Str(Str::Bytes(bytes)) => (Self::of_vector(bytes, room), false),
            Value::Str(Str::Raw(bytes)) => (Self::of_vector(bytes, room), true),
            Value::Collection(collection) => (Self::Collection(collection), false),
        }
    }

    fn of_vector(bytes: Vec<u8>, room: &'a mut Vec<u8>) -> Self {
        if bytes.len() > INLINE_MAX {
            return Self::Vector(bytes);
        }
        *room = bytes;
        Self::Inline(room)
    }

    #[inline]
    pub(super) fn form(&self) -> u8 {
        match self {
            Self::Int(int) if i32::try_from(*int).is_ok() => INT32,
            Self::Int(_) => INT64,
            Self::Inline(_) => INLINE,
            Self::Vector(_) => VECTOR,
            Self::Collection(_) => COLLECTION,
            Self::Packed(packed, _) => {
                let nth = *packed as u8;
                (PACKED + nth / 2) | if nth & 1 == 0 { 0 } else { EDITED }
            }
        }
    }

    /// Where an entry ends whose content may begin at `at`.
    #[inline]
    pub(super) fn end(&self, at: usize) -> usize {
        match self {
            Self::Int(_) if self.form() == INT32 => at + 4,
            Self::Int(_) => at + 8,
            Self::Inline(bytes) => at + inline_size(bytes.len()),
            Self::Vector(_) => at + VECTOR_LEN,
            Self::Collection(_) => at.next_multiple_of(COLLECTION_ALIGN) + size_of::<Collection>(),
            Self::Packed(_, bytes) => at + bytes.len(),
        }
    }

    /// What a collection that is small enough is kept as.
    #[inline]
    pub(super) fn packed(&self) -> Option<Content<'_>> {
        let Self::Collection(collection) = self else { return None };
        Packed::of(collection).map(|(packed, bytes)| Content::Packed(packed, bytes))
    }
}

/// Whether a collection that has an allocation of its own need have none any more.
#[inline]
pub(in crate::keyspace) fn may_be_packed(collection: &Collection) -> bool {
    Packed::may_return(collection)
}
