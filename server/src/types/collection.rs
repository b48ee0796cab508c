//! Every type but strings, as one value that lies in its key's own piece of memory.
//!
//! Each variant is at most two words: what a collection holds is behind its pointer. To add a type:
//! a variant here, and [`CollectionType`] for it.

use super::parts::{Part, Ticket};
use super::{hash::Hash, list::List, set::Set, sorted_set::SortedSet, stream::Stream};

#[derive(Clone, Debug, PartialEq)]
pub enum Collection {
    List(List),
    Set(Set),
    Hash(Hash),
    SortedSet(SortedSet),
    Stream(Stream),
}

const _: () = assert!(size_of::<Collection>() <= 24 && align_of::<Collection>() <= 8);

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::String, Self::List, Self::Set, Self::SortedSet, Self::Hash, Self::Stream];

    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }
}

/// What lets a handler ask for a collection by its type.
pub trait CollectionType: Sized {
    const KIND: Kind;

    fn of(collection: &Collection) -> Option<&Self>;

    fn of_mut(collection: &mut Collection) -> Option<&mut Self>;

    fn into_collection(self) -> Collection;

    /// Whether its key goes: a collection that runs empty does, but for a stream.
    fn is_void(&self) -> bool;

    /// When the first of its elements is due, or before that; `None` for never.
    fn next_deadline(&self) -> Option<i64>;
}

macro_rules! collection_types {
    ($($variant:ident: $is_void:expr, $next_deadline:expr;)*) => {$(
        impl CollectionType for $variant {
            const KIND: Kind = Kind::$variant;

            fn of(collection: &Collection) -> Option<&Self> {
                if let Collection::$variant(value) = collection { Some(value) } else { None }
            }

            fn of_mut(collection: &mut Collection) -> Option<&mut Self> {
                if let Collection::$variant(value) = collection { Some(value) } else { None }
            }

            fn into_collection(self) -> Collection {
                Collection::$variant(self)
            }

            fn is_void(&self) -> bool {
                let is_void: fn(&Self) -> bool = $is_void;
                is_void(self)
            }

            fn next_deadline(&self) -> Option<i64> {
                let next_deadline: fn(&Self) -> Option<i64> = $next_deadline;
                next_deadline(self)
            }
        }
    )*};
}

collection_types! {
    List: |list| list.len() == 0, |_| None;
    Set: |set| set.len() == 0, |_| None;
    Hash: |hash| hash.len() == 0, Hash::next_deadline;
    SortedSet: |set| set.len() == 0, |_| None;
    Stream: |_| false, |_| None;
}

/// Calls the same method of whichever type it is.
macro_rules! each {
    ($collection:expr, $value:ident => $call:expr) => {
        match $collection {
            Collection::List($value) => $call,
            Collection::Set($value) => $call,
            Collection::Hash($value) => $call,
            Collection::SortedSet($value) => $call,
            Collection::Stream($value) => $call,
        }
    };
}

impl Collection {
    pub fn kind(&self) -> Kind {
        match self {
            Self::List(_) => Kind::List,
            Self::Set(_) => Kind::Set,
            Self::Hash(_) => Kind::Hash,
            Self::SortedSet(_) => Kind::SortedSet,
            Self::Stream(_) => Kind::Stream,
        }
    }

    /// Elements, fields, members or entries.
    pub fn len(&self) -> usize {
        each!(self, value => value.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See [`CollectionType::is_void`].
    pub fn is_void(&self) -> bool {
        each!(self, value => value.is_void())
    }

    // ── Saving in parts ─────────────────────────────────────────────────────────────────────

    /// Whether it is to be saved in parts: it has many elements, and can be.
    pub fn has_parts(&self) -> bool {
        match self {
            Self::List(list) => list.has_parts(),
            Self::Set(set) => set.has_parts(),
            Self::Hash(hash) => hash.has_parts(),
            Self::SortedSet(set) => set.has_parts(),
            Self::Stream(stream) => stream.has_parts(),
        }
    }

    /// Begins to save it in parts, as it is now. It [has some](Self::has_parts).
    pub fn begin_save(&mut self, ticket: Ticket) {
        match self {
            Self::List(list) => list.begin_save(ticket),
            Self::Set(set) => set.begin_save(ticket),
            Self::Hash(hash) => hash.begin_save(ticket),
            Self::SortedSet(set) => set.begin_save(ticket),
            Self::Stream(stream) => stream.begin_save(ticket),
        }
    }

    /// Its ticket while it is saved in parts.
    #[inline]
    pub fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::List(list) => list.ticket(),
            Self::Set(set) => set.ticket(),
            Self::Hash(hash) => hash.ticket(),
            Self::SortedSet(set) => set.ticket(),
            Self::Stream(stream) => stream.ticket(),
        }
    }

    /// It is saved, or nobody wants it any more.
    pub fn end_save(&mut self) {
        match self {
            Self::List(list) => list.end_save(),
            Self::Set(set) => set.end_save(),
            Self::Hash(hash) => hash.end_save(),
            Self::SortedSet(set) => set.end_save(),
            Self::Stream(stream) => stream.end_save(),
        }
    }

    /// Shows about `most` elements that are not saved yet. Whether there may be others.
    pub fn save_part(&mut self, most: usize, visit: &mut dyn FnMut(Part<'_>)) -> bool {
        match self {
            Self::List(list) => list.save_part(most, visit),
            Self::Set(set) => set.save_part(most, visit),
            Self::Hash(hash) => hash.save_part(most, visit),
            Self::SortedSet(set) => set.save_part(most, visit),
            Self::Stream(stream) => stream.save_part(most, visit),
        }
    }

    /// See [`CollectionType::next_deadline`].
    #[inline]
    pub fn next_deadline(&self) -> Option<i64> {
        match self {
            Self::Hash(hash) => hash.next_deadline(),
            _ => None,
        }
    }

    /// As `OBJECT ENCODING` names it.
    pub fn encoding(&self) -> &'static str {
        each!(self, value => value.encoding())
    }

    /// Bytes that the value takes beyond its place in the entry.
    pub fn memory_bytes(&self) -> usize {
        each!(self, value => value.memory_bytes())
    }

    /// Allocations to be freed with it.
    pub fn free_effort(&self) -> usize {
        each!(self, value => value.free_effort())
    }
}
