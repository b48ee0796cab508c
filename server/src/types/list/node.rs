//! A quicklist's node: a listpack of elements, or one element that is too big for any; either may be
//! compressed.

use std::borrow::Cow;

use super::limits::Limits;
use super::parts::Part;
use super::squeezed::{LEAST_LEN, Squeezed};
use crate::types::listpack::{self, Cursor, Item, Listpack, Sought};

/// Which end of a list, or of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Head,
    Tail,
}

/// Two words. The count is kept beside the pointer, so that looking for an index does not touch
/// the listpacks.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Packed {
        count: u32,
        listpack: Listpack,
    },
    Plain(Box<Box<[u8]>>),
    /// Is opened before anything is done with its elements.
    Squeezed {
        count: u32,
        squeezed: Box<Squeezed>,
    },
}

const _: () = assert!(size_of::<Node>() == 16);

impl Node {
    pub(super) fn packed(listpack: Listpack) -> Self {
        let count = u32::try_from(listpack.len()).expect("an entry takes two bytes of 1 GiB");
        Self::Packed { count, listpack }
    }

    /// A node of one element, in the form that its length asks for.
    pub(super) fn of(element: &[u8], limits: Limits) -> Self {
        if limits.is_plain(element.len()) {
            Self::Plain(Box::new(element.into()))
        } else {
            Self::Packed { count: 1, listpack: [element].into_iter().collect() }
        }
    }

    pub(super) fn part(&self) -> Part<'_> {
        match self {
            Self::Packed { listpack, .. } => Part::Packed(listpack),
            Self::Plain(element) => Part::Plain(element),
            Self::Squeezed { squeezed, .. } => Part::Squeezed(squeezed),
        }
    }

    /// Compresses it, if that is worth it.
    pub(super) fn squeeze(&mut self) {
        if self.len_bytes() < LEAST_LEN {
            return;
        }
        let squeezed = match self {
            Self::Packed { listpack, .. } => {
                let mut bytes = Vec::new();
                listpack.write_to(&mut bytes);
                Squeezed::of(&bytes, false)
            }
            Self::Plain(element) => Squeezed::of(element, true),
            Self::Squeezed { .. } => return,
        };
        if let Some(squeezed) = squeezed {
            *self = Self::Squeezed { count: self.count() as u32, squeezed };
        }
    }

    /// Undoes it.
    pub(super) fn open(&mut self) {
        if let Cow::Owned(opened) = self.opened() {
            *self = opened;
        }
    }

    /// The node as it is when it is not compressed.
    #[inline]
    pub(super) fn opened(&self) -> Cow<'_, Self> {
        match self {
            Self::Squeezed { count, squeezed } => Cow::Owned(Self::open_of(*count, squeezed)),
            open => Cow::Borrowed(open),
        }
    }

    #[cold]
    fn open_of(count: u32, squeezed: &Squeezed) -> Self {
        let bytes = squeezed.decompressed();
        if squeezed.is_plain {
            Self::Plain(Box::new(bytes.into()))
        } else {
            Self::Packed { count, listpack: Listpack::of_written(&bytes, count as usize) }
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        match self {
            Self::Packed { .. } => false,
            Self::Plain(_) => true,
            Self::Squeezed { squeezed, .. } => squeezed.is_plain,
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Self::Packed { count, .. } | Self::Squeezed { count, .. } => *count as usize,
            Self::Plain(_) => 1,
        }
    }

    pub(super) fn len_bytes(&self) -> usize {
        match self {
            Self::Packed { listpack, .. } => listpack.len_bytes(),
            Self::Plain(element) => element.len(),
            Self::Squeezed { squeezed, .. } => squeezed.len,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::Packed { listpack, .. } => listpack.memory_bytes(),
            Self::Plain(element) => element.len() + size_of::<Box<[u8]>>(),
            Self::Squeezed { squeezed, .. } => squeezed.memory_bytes(),
        }
    }

    /// Whether an element of `len` bytes may be put in.
    pub(super) fn admits(&self, len: usize, limits: Limits) -> bool {
        match self {
            Self::Packed { listpack, count } => {
                limits.admit(listpack.len_bytes(), *count as usize, len)
            }
            Self::Plain(_) => false,
            Self::Squeezed { count, squeezed } => {
                !squeezed.is_plain && limits.admit(squeezed.len, *count as usize, len)
            }
        }
    }

    /// The listpack of a node that admits an element, which the caller puts in: it is counted here.
    pub(super) fn admit(&mut self) -> &mut Listpack {
        match self {
            Self::Packed { listpack, count } => {
                *count += 1;
                listpack
            }
            Self::Plain(_) => unreachable!("a plain node admits nothing"),
            Self::Squeezed { .. } => compressed(),
        }
    }

    pub(super) fn push(&mut self, end: End, element: &[u8]) {
        match end {
            End::Head => self.admit().push_front(element),
            End::Tail => self.admit().push_back(element),
        }
    }

    /// The element at an end; no node is empty.
    pub(super) fn peek(&self, end: End) -> Item<'_> {
        match self {
            Self::Packed { listpack, .. } => {
                let cursor = end_of(listpack, end).expect("no node is empty");
                listpack.item(cursor)
            }
            Self::Plain(element) => Item::Bytes(element),
            Self::Squeezed { .. } => compressed(),
        }
    }

    /// Removes the element at an end; whether that was the last one.
    pub(super) fn drop_end(&mut self, end: End) -> bool {
        match self {
            Self::Packed { listpack, count } => {
                let cursor = end_of(listpack, end).expect("no node is empty");
                listpack.remove(cursor);
                *count -= 1;
                *count == 0
            }
            Self::Plain(_) => true,
            Self::Squeezed { .. } => compressed(),
        }
    }

    /// Whether an element is `text`.
    pub(super) fn contains(&self, text: &[u8]) -> bool {
        match self {
            Self::Packed { listpack, .. } => {
                listpack.first().and_then(|first| listpack.find(text, first, 1)).is_some()
            }
            Self::Plain(element) => ***element == *text,
            Self::Squeezed { .. } => compressed(),
        }
    }

    /// Removes `len` elements from `start` on; the node may be empty then.
    pub(super) fn remove_range(&mut self, start: usize, len: usize) {
        match self {
            Self::Packed { listpack, count } => {
                if let Some(from) = listpack.get(isize::try_from(start).unwrap_or(isize::MAX)) {
                    listpack.remove_range(from, len);
                    *count = listpack.len() as u32;
                }
            }
            Self::Plain(_) => {
                *self = Self::packed(Listpack::new());
            }
            Self::Squeezed { .. } => compressed(),
        }
    }

    /// Removes up to `limit` elements that are `text`, looked for from `end`; how many there were.
    pub(super) fn remove_equal(&mut self, text: &[u8], limit: usize, end: End) -> usize {
        let removed = match self {
            Self::Packed { listpack, .. } => remove_equal(listpack, text, limit, end),
            Self::Plain(element) => usize::from(***element == *text),
            Self::Squeezed { .. } => compressed(),
        };
        if removed > 0 {
            match self {
                Self::Packed { count, .. } => *count -= removed as u32,
                _ => *self = Self::packed(Listpack::new()),
            }
        }
        removed
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        match self {
            Self::Packed { listpack, .. } => Iter::Packed(listpack.iter()),
            Self::Plain(element) => Iter::Plain(Some(element)),
            Self::Squeezed { .. } => compressed(),
        }
    }

    /// Elements from `index` on.
    pub(super) fn iter_at(&self, index: usize) -> Iter<'_> {
        match self {
            Self::Packed { listpack, .. } => iter_at(listpack, index),
            Self::Plain(element) => Iter::Plain(Some(&***element).filter(|_| index == 0)),
            Self::Squeezed { .. } => compressed(),
        }
    }
}

#[cold]
fn compressed() -> ! {
    unreachable!("a node is opened first")
}

/// The place of the element at an end.
pub(super) fn end_of(listpack: &Listpack, end: End) -> Option<Cursor> {
    match end {
        End::Head => listpack.first(),
        End::Tail => listpack.last(),
    }
}

/// Removes up to `limit` elements that are `text`, looked for from `end`; how many there were.
pub(super) fn remove_equal(listpack: &mut Listpack, text: &[u8], limit: usize, end: End) -> usize {
    let sought = Sought::new(text);
    let mut removed = 0;
    let mut at = end_of(listpack, end);
    while let Some(cursor) = at.filter(|_| removed < limit) {
        at = match end {
            End::Head => {
                let Some(found) = listpack.find(text, cursor, 1) else { break };
                removed += 1;
                listpack.remove(found)
            }
            End::Tail => {
                let behind = if sought.is(listpack.item(cursor)) {
                    removed += 1;
                    listpack.remove(cursor)
                } else {
                    Some(cursor)
                };
                behind.map_or(listpack.last(), |behind| listpack.prev(behind))
            }
        };
    }
    removed
}

/// Elements from `index` on.
pub(super) fn iter_at(listpack: &Listpack, index: usize) -> Iter<'_> {
    match isize::try_from(index).ok().and_then(|index| listpack.get(index)) {
        Some(cursor) => Iter::Packed(listpack.iter_from(cursor)),
        None => Iter::default(),
    }
}

/// Elements of a node.
pub(super) enum Iter<'a> {
    Packed(listpack::Iter<'a>),
    Plain(Option<&'a [u8]>),
}

/// Of nothing.
impl Default for Iter<'_> {
    fn default() -> Self {
        Self::Plain(None)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            Self::Packed(items) => items.next(),
            Self::Plain(element) => element.take().map(Item::Bytes),
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Packed(items) => items.next_back(),
            Self::Plain(element) => element.take().map(Item::Bytes),
        }
    }
}
