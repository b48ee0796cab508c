//! The list: one listpack while it is small, a quicklist of them when it is big.
//!
//! What `OBJECT ENCODING` names, and where it changes, is Valkey's: a list grows into a quicklist
//! before elements are put in that would exceed `list-max-listpack-size` ([`List::make_room`]), and
//! goes back at half of it after elements were taken out ([`List::shrink`]). Elements are shown, not
//! iterated over, because those of a quicklist's inner nodes may be compressed (`list-compress-depth`).

mod limits;
mod node;
mod parts;
mod quicklist;
mod ring;
mod squeezed;

use std::fmt;
use std::ops::Range;

use super::listpack::{Cursor, Item, Listpack};
use quicklist::Quicklist;

pub use limits::Limits;
pub use node::End;
pub use parts::{Part, Saved};
pub use quicklist::{Nodes, Side};
pub use squeezed::Squeezed;

#[derive(Clone, Default)]
pub struct List {
    form: Form,
}

#[derive(Clone)]
enum Form {
    Small(Listpack),
    Large(Box<Quicklist>),
}

const _: () = assert!(size_of::<List>() == 16);

#[allow(clippy::len_without_is_empty)]
impl List {
    pub const fn new() -> Self {
        Self { form: Form::Small(Listpack::new()) }
    }

    pub(crate) fn of_listpack(listpack: Listpack) -> Self {
        Self { form: Form::Small(listpack) }
    }

    /// A list of `elements`, in the form that it would have grown into.
    pub fn of<'a>(elements: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Self {
        let mut list = Self::new();
        for element in elements {
            list.make_room([element], limits);
            list.push(End::Tail, element);
        }
        list
    }

    pub fn len(&self) -> usize {
        match &self.form {
            Form::Small(listpack) => listpack.len(),
            Form::Large(quicklist) => quicklist.len(),
        }
    }

    /// As `OBJECT ENCODING` names it.
    pub fn encoding(&self) -> &'static str {
        match self.form {
            Form::Small(_) => "listpack",
            Form::Large(_) => "quicklist",
        }
    }

    /// Bytes of memory behind the value; an estimate for big lists.
    pub fn memory_bytes(&self) -> usize {
        match &self.form {
            Form::Small(listpack) => listpack.memory_bytes(),
            Form::Large(quicklist) => quicklist.memory_bytes(),
        }
    }

    /// Allocations to be freed with it.
    pub fn free_effort(&self) -> usize {
        match &self.form {
            Form::Small(_) => 1,
            Form::Large(quicklist) => quicklist.node_count(),
        }
    }

    /// What a quicklist is made of; `None` for a listpack.
    pub fn nodes(&self) -> Option<Nodes> {
        match &self.form {
            Form::Small(_) => None,
            Form::Large(quicklist) => Some(quicklist.nodes()),
        }
    }

    /// The bytes of the listpack that a small list is.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.form {
            Form::Small(listpack) => Some(listpack),
            Form::Large(_) => None,
        }
    }

    /// Becomes a quicklist if `elements` are too much for a listpack. To be called before they are
    /// put in.
    pub fn make_room<'a>(&mut self, elements: impl IntoIterator<Item = &'a [u8]>, limits: Limits) {
        let Form::Small(listpack) = &mut self.form else { return };
        let (mut bytes, mut count) = (listpack.len_bytes(), listpack.len());
        for element in elements {
            bytes += element.len();
            count += 1;
        }
        if limits.exceeded_by(bytes, count) {
            let quicklist = Quicklist::of(std::mem::take(listpack), limits);
            self.form = Form::Large(Box::new(quicklist));
        }
    }

    /// Becomes a listpack again if little enough is left. To be called after elements were taken out
    /// or replaced.
    pub fn shrink(&mut self, limits: Limits) {
        let Form::Large(quicklist) = &mut self.form else { return };
        let Some(listpack) = quicklist.only_listpack() else { return };
        if limits.allow_listpack(listpack.len_bytes(), listpack.len()) {
            self.form = Form::Small(std::mem::take(listpack));
        }
    }

    /// Puts an element at an end. There must be room.
    pub fn push(&mut self, end: End, element: &[u8]) {
        match (&mut self.form, end) {
            (Form::Small(listpack), End::Head) => listpack.push_front(element),
            (Form::Small(listpack), End::Tail) => listpack.push_back(element),
            (Form::Large(quicklist), _) => quicklist.push(end, element),
        }
    }

    /// The element at an end.
    pub fn peek(&self, end: End) -> Option<Item<'_>> {
        match &self.form {
            Form::Small(listpack) => {
                node::end_of(listpack, end).map(|cursor| listpack.item(cursor))
            }
            Form::Large(quicklist) => quicklist.peek(end),
        }
    }

    /// Removes the element at an end; whether there was one.
    pub fn drop_end(&mut self, end: End) -> bool {
        match &mut self.form {
            Form::Small(listpack) => {
                let Some(cursor) = node::end_of(listpack, end) else { return false };
                listpack.remove(cursor);
                true
            }
            Form::Large(quicklist) => quicklist.drop_end(end),
        }
    }

    /// Removes the element at an end and gives a copy of it.
    pub fn pop(&mut self, end: End) -> Option<Vec<u8>> {
        let element = self.peek(end)?.to_vec();
        self.drop_end(end);
        Some(element)
    }

    /// What `show` makes of element `index`, if there is one.
    pub fn get<R>(&self, index: usize, show: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let (mut show, mut shown) = (Some(show), None);
        self.each_in(index..index.saturating_add(1), End::Head, |item| {
            shown = show.take().map(|show| show(item));
            false
        });
        shown
    }

    /// Puts another element in the place of one; whether there is an element `index`. There must be
    /// room.
    pub fn set(&mut self, index: usize, element: &[u8]) -> bool {
        match &mut self.form {
            Form::Small(listpack) => {
                let Some(cursor) = cursor_at(listpack, index) else { return false };
                listpack.replace(cursor, element);
            }
            Form::Large(quicklist) => {
                let Some(place) = quicklist.place_of(index) else { return false };
                quicklist.replace(place, element);
            }
        }
        true
    }

    /// Puts an element beside the first one that is `pivot`; whether there is one. There must be room.
    pub fn insert(&mut self, side: Side, pivot: &[u8], element: &[u8]) -> bool {
        match &mut self.form {
            Form::Small(listpack) => {
                let found = listpack.first().and_then(|first| listpack.find(pivot, first, 1));
                let Some(cursor) = found else { return false };
                match side {
                    Side::Before => listpack.insert_before(cursor, element),
                    Side::After => listpack.insert_after(cursor, element),
                };
            }
            Form::Large(quicklist) => {
                let Some(place) = quicklist.find(pivot) else { return false };
                quicklist.insert(place, side, element);
            }
        }
        true
    }

    /// Removes `len` elements from `start` on, as far as there are.
    pub fn remove_range(&mut self, start: usize, len: usize) {
        match &mut self.form {
            Form::Small(listpack) => {
                if let Some(from) = cursor_at(listpack, start) {
                    listpack.remove_range(from, len);
                }
            }
            Form::Large(quicklist) => quicklist.remove_range(start, len),
        }
    }

    /// Removes up to `limit` elements that are `text`, looked for from `end`; how many there were.
    pub fn remove_equal(&mut self, text: &[u8], limit: usize, end: End) -> usize {
        match &mut self.form {
            Form::Small(listpack) => node::remove_equal(listpack, text, limit, end),
            Form::Large(quicklist) => quicklist.remove_equal(text, limit, end),
        }
    }

    /// Shows the elements of a range, as far as there are, until `visit` has had enough: in order, or
    /// from the range's end back.
    #[inline]
    pub fn each_in(&self, range: Range<usize>, from: End, mut visit: impl FnMut(Item<'_>) -> bool) {
        let range = range.start..range.end.min(self.len());
        match (&self.form, from) {
            (Form::Large(quicklist), _) => quicklist.each_in(range, from, &mut visit),
            (Form::Small(listpack), End::Head) => {
                node::iter_at(listpack, range.start).take(range.len()).all(visit);
            }
            (Form::Small(listpack), End::Tail) => {
                let items = listpack.iter().rev().skip(listpack.len() - range.end);
                items.take(range.len()).all(visit);
            }
        }
    }

    /// Shows all elements in order.
    pub fn each(&self, visit: &mut dyn FnMut(Item<'_>)) {
        self.each_in(0..self.len(), End::Head, |item| {
            visit(item);
            true
        });
    }

    /// Copies of the elements of a range, in order or from its end back.
    pub fn texts_in(&self, range: Range<usize>, from: End) -> Vec<Vec<u8>> {
        let mut texts = Vec::with_capacity(range.len().min(self.len()));
        self.each_in(range, from, |item| {
            texts.push(item.to_vec());
            true
        });
        texts
    }

    /// Copies of all elements in order.
    pub fn texts(&self) -> Vec<Vec<u8>> {
        self.texts_in(0..self.len(), End::Head)
    }
}

fn cursor_at(listpack: &Listpack, index: usize) -> Option<Cursor> {
    listpack.get(isize::try_from(index).ok()?)
}

impl Default for Form {
    fn default() -> Self {
        Self::Small(Listpack::new())
    }
}

/// As content, whatever the form.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.texts() == other.texts()
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        self.each(&mut |item| _ = list.entry(&item));
        list.finish()
    }
}

#[cfg(test)]
mod tests;
