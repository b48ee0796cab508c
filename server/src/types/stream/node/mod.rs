//! A node: up to some hundred entries in one block. Their elements are encoded as in a listpack, which
//! is what RDB stores; all around them is shorter than there. Saving and loading are in `rdb`.
//!
//! ```text
//!   total  live  dead          three u32: all bytes; how many entries
//!   n  field-1 … field-n       fields that most of them have
//!   flags  ms  seq  [n  field-1]  value-1 … value-n  back        an entry, and so on
//! ```
//!
//! An entry whose fields are the node's has [`SAME_FIELDS`] and leaves `n` and the fields out. A deleted
//! one stays, as [`DELETED`]. `back` is the length of all that before it, as behind a listpack's element:
//! the way back.
//!
//! `ms` is what is to be added to the node's master id; if that is nothing, so is `seq`, which otherwise
//! begins at zero. Each takes as many bytes as its three bits of the flags say in [`entry::WIDTHS`]: none if
//! nobody adds two entries within a millisecond, one for `seq` where they do.

mod entry;
mod rdb;
mod scratch;

use std::fmt;
use std::ops::RangeInclusive;

use super::StreamId;
use crate::types::block::{Block, Format};
use crate::types::listpack::Item;
use crate::types::listpack::decode::{element, element_len};
use crate::types::listpack::encode::{Element, backlen};
use scratch::Scratch;

pub use crate::types::listpack::Corrupt;
pub use entry::Entry;
pub(super) use entry::{Backward, Forward};

const DELETED: u8 = 1;
const SAME_FIELDS: u8 = 2;

/// Bytes of the total, which the block looks at.
const TOTAL: usize = 4;
const LIVE: usize = TOTAL;
const DEAD: usize = LIVE + 4;
/// Where the fields begin.
const FRONT: usize = DEAD + 4;

/// No entry is added to a node that would be over this: its listpack takes up to four times as much, and
/// none of those is over 1 GiB.
const MAX_BYTES: usize = 1 << 28;

#[derive(Clone)]
pub struct Node(Block<Layout, TOTAL>);

struct Layout;

impl Format<TOTAL> for Layout {
    const EMPTY: &'static [u8] = &[TOTAL as u8, 0, 0, 0];

    #[inline]
    fn total(header: [u8; TOTAL]) -> usize {
        u32::from_le_bytes(header) as usize
    }
}

const CHECKED: &str = "a node was made here, or checked when it was loaded";

impl Node {
    /// A node with one entry, whose id is the master id.
    pub(super) fn new<'w>(words: impl Iterator<Item = &'w [u8]> + Clone) -> Self {
        let mut bytes = Scratch::new();
        let names = words.clone().step_by(2);
        bytes.put(&[0; FRONT - TOTAL]);
        bytes.put_element(Element::int(names.clone().count() as i64));
        names.for_each(|name| bytes.put_element(Element::of(name)));
        let mut node = Self(Block::empty());
        node.append(&bytes);
        node.push(StreamId::MIN, StreamId::MIN, words);
        node
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.0.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }

    /// Entries that are there.
    pub(super) fn live(&self) -> u64 {
        count(self.bytes(), LIVE).into()
    }

    /// Entries that were deleted.
    pub(super) fn dead(&self) -> u64 {
        count(self.bytes(), DEAD).into()
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    fn fields(&self) -> NodeFields {
        NodeFields::read(self.bytes())
    }

    /// Whether an entry may be added that takes up to `bytes`.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.len_bytes().saturating_add(bytes) <= MAX_BYTES
    }

    /// Appends an entry behind all others; `words` are its fields and values in turn.
    pub(super) fn push<'w>(
        &mut self,
        master: StreamId,
        id: StreamId,
        words: impl Iterator<Item = &'w [u8]> + Clone,
    ) {
        let same = self.fields().are(self.bytes(), words.clone().step_by(2));
        let mut entry = Scratch::new();
        entry.put_id(if same { SAME_FIELDS } else { 0 }, master, id);
        if same {
            words.skip(1).step_by(2).for_each(|value| entry.put_element(Element::of(value)));
        } else {
            entry.put_element(Element::int(words.clone().count() as i64 / 2));
            words.for_each(|word| entry.put_element(Element::of(word)));
        }
        entry.put(backlen(entry.len()).as_slice());
        self.append(&entry);
        self.set_count(LIVE, self.live() + 1);
    }

    fn append(&mut self, more: &[u8]) {
        let len = self.len_bytes();
        let total = u32::try_from(len + more.len()).expect("callers ask `fits` first");
        self.0.splice(len, 0, [more, &[], &[]], total.to_le_bytes());
    }

    /// Marks up to `most` entries with these ids as deleted; how many there were.
    pub(super) fn kill(
        &mut self,
        master: StreamId,
        ids: RangeInclusive<StreamId>,
        most: u64,
    ) -> u64 {
        let doomed: Vec<usize> = self
            .forward(master)
            .take_while(|entry| entry.id <= *ids.end())
            .filter(|entry| entry.id >= *ids.start() && !entry.deleted)
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .map(|entry| entry.at)
            .collect();
        for at in &doomed {
            self.0.body_mut()[at - TOTAL] |= DELETED;
        }
        let killed = doomed.len() as u64;
        self.set_count(LIVE, self.live() - killed);
        self.set_count(DEAD, self.dead() + killed);
        killed
    }

    fn set_count(&mut self, place: usize, count: u64) {
        let count = u32::try_from(count).expect("an entry takes a byte");
        self.0.body_mut()[place - TOTAL..][..4].copy_from_slice(&count.to_le_bytes());
    }

    /// The id of the last entry, deleted or not.
    pub(super) fn last_id(&self, master: StreamId) -> StreamId {
        self.backward(master).next().map_or(master, |entry| entry.id)
    }
}

fn count(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(*bytes[place..].first_chunk().expect(CHECKED))
}

/// The fields of a node: how many, and where.
#[derive(Clone, Copy)]
struct NodeFields {
    count: usize,
    names: usize,
    /// Where they end and entries begin.
    end: usize,
}

impl NodeFields {
    #[inline(never)]
    fn read(bytes: &[u8]) -> Self {
        let (count, len) = int(&bytes[FRONT..]);
        let (count, names) = (count as usize, FRONT + len);
        Self { count, names, end: skip(bytes, names, count) }
    }

    /// Whether these are they.
    fn are<'w>(self, bytes: &[u8], mut names: impl Iterator<Item = &'w [u8]>) -> bool {
        let mut own = &bytes[self.names..self.end];
        while !own.is_empty() {
            let (name, len) = element(own).expect(CHECKED);
            if names.next().is_none_or(|other| name != *other) {
                return false;
            }
            own = &own[len..];
        }
        names.next().is_none()
    }
}

/// The integer at the front and its length.
fn int(bytes: &[u8]) -> (i64, usize) {
    match element(bytes) {
        Some((Item::Int(value), len)) => (value, len),
        _ => unreachable!("{CHECKED}"),
    }
}

/// Where the `count` elements that begin at `at` end.
fn skip(bytes: &[u8], mut at: usize, count: usize) -> usize {
    for _ in 0..count {
        at += element_len(&bytes[at..]);
    }
    at
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests;
