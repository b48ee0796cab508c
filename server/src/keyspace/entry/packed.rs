//! Small collections without a word beside them: an entry that says what they are, and the bytes of
//! the one block that each is made of. They are read where they lie, through a collection made for the
//! purpose that owns nothing, and taken out to be changed.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use crate::types::block::Block;
use crate::types::collection::{Collection, Kind};
use crate::types::intset::{self, Intset};
use crate::types::listpack::{self, Listpack};
use crate::types::{hash, set};
use crate::types::{hash::Hash, list::List, set::Set, sorted_set::SortedSet};

/// A larger collection has an allocation of its own. With a key of up to 100 bytes it shares a slab's
/// piece with it.
pub(super) const PACKED_MAX: usize = 400;
/// One that has its own already returns at this, so that it does not go to and fro.
const RETURNS_AT: usize = PACKED_MAX / 4 * 3;

/// What a block is, and of which type the collection that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keyspace) enum Packed {
    List,
    Set,
    Intset,
    Hash,
    SortedSet,
}

impl Packed {
    pub(super) const ALL: [Self; 5] =
        [Self::List, Self::Set, Self::Intset, Self::Hash, Self::SortedSet];

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::List => Kind::List,
            Self::Set | Self::Intset => Kind::Set,
            Self::Hash => Kind::Hash,
            Self::SortedSet => Kind::SortedSet,
        }
    }

    /// A collection's one block; `None` if it is more than one, or too large.
    pub(super) fn of(collection: &Collection) -> Option<(Self, &[u8])> {
        Self::whole(collection).filter(|(_, bytes)| bytes.len() <= PACKED_MAX)
    }

    /// See [`super::may_be_packed`].
    #[inline]
    pub(super) fn may_return(collection: &Collection) -> bool {
        Self::whole(collection).is_some_and(|(_, bytes)| bytes.len() <= RETURNS_AT)
    }

    #[inline]
    fn whole(collection: &Collection) -> Option<(Self, &[u8])> {
        let (packed, listpack) = match collection {
            Collection::List(list) => (Self::List, list.as_listpack()?),
            Collection::Hash(hash) => match hash.view() {
                hash::View::Listpack(listpack) => (Self::Hash, listpack),
                hash::View::Table(_) => return None,
            },
            Collection::SortedSet(set) => (Self::SortedSet, set.as_listpack()?),
            Collection::Set(set) => match set.view() {
                set::View::Listpack(listpack) => (Self::Set, listpack),
                set::View::Intset(ints) => return Some((Self::Intset, ints.as_bytes())),
                set::View::Table(_) => return None,
            },
            Collection::Stream(_) => return None,
        };
        Some((packed, listpack.as_block().as_slice()))
    }

    /// Bytes of the block at `start`.
    ///
    /// # Safety
    /// Such a block's bytes begin at `start`.
    #[inline]
    pub(super) unsafe fn len_at(self, start: NonNull<u8>) -> usize {
        if self == Self::Intset {
            // SAFETY: the caller's. It is looked at, and owns nothing that could be dropped.
            return ManuallyDrop::new(unsafe { intset::Bytes::lying_at(start) }).len();
        }
        // SAFETY: the same.
        ManuallyDrop::new(unsafe { listpack::Bytes::lying_at(start) }).len()
    }

    /// The collection whose block's bytes begin at `start`.
    ///
    /// # Safety
    /// Such a block's bytes begin at `start`, and nobody changes them during `'a`.
    #[inline]
    pub(super) unsafe fn show_at<'a>(self, start: NonNull<u8>) -> CollectionRef<'a> {
        let ints = || {
            // SAFETY: the caller's; it is neither changed nor dropped, as a `CollectionRef` gives
            // shared references only.
            Intset::of_block(unsafe { Block::lying_at(start) })
        };
        let listpack = || {
            // SAFETY: the same.
            Listpack::of_block(unsafe { Block::lying_at(start) })
        };
        let collection = match self {
            Self::List => Collection::List(List::of_listpack(listpack())),
            Self::Set => Collection::Set(Set::of_listpack(listpack())),
            Self::Intset => Collection::Set(Set::of_intset(ints())),
            Self::Hash => Collection::Hash(Hash::of_listpack(listpack())),
            Self::SortedSet => Collection::SortedSet(SortedSet::of_pairs(listpack())),
        };
        CollectionRef::Packed(ManuallyDrop::new(collection), PhantomData)
    }
}

/// A collection where it lies in its key's entry.
pub enum CollectionRef<'a> {
    There(&'a Collection),
    /// Made for as long as it is looked at; its block is the entry's.
    Packed(ManuallyDrop<Collection>, PhantomData<&'a [u8]>),
}

impl Deref for CollectionRef<'_> {
    type Target = Collection;

    #[inline]
    fn deref(&self) -> &Collection {
        match self {
            Self::There(collection) => collection,
            Self::Packed(collection, _) => collection,
        }
    }
}

#[cfg(test)]
mod tests;
