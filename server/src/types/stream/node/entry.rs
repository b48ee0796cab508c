//! Entries where they lie in a node, read from either end. Functions that many commands end in are there
//! once, for the program's size.

use super::{CHECKED, DELETED, Node, NodeFields, SAME_FIELDS, int, skip};
use crate::types::listpack::Item;
use crate::types::listpack::decode::{element, previous};
use crate::types::listpack::encode::backlen_len;
use crate::types::stream::StreamId;

/// An entry where it lies.
#[derive(Clone)]
pub struct Entry<'a> {
    pub id: StreamId,
    pub fields: Fields<'a>,
    pub(in crate::types::stream) deleted: bool,
    /// Of its flags.
    pub(super) at: usize,
}

impl<'a> Entry<'a> {
    /// Reads an entry up to its values.
    #[inline(never)]
    fn read(bytes: &'a [u8], node: NodeFields, master: StreamId, at: usize) -> Self {
        let flags = bytes[at];
        let (id, len) = read_id(flags, &bytes[at + 1..], master);
        let mut values = &bytes[at + 1 + len..];
        let (left, names) = if flags & SAME_FIELDS != 0 {
            (node.count, Some(&bytes[node.names..]))
        } else {
            let (count, len) = int(values);
            values = &values[len..];
            (count as usize, None)
        };
        let fields = Fields { names, values, left };
        Self { id, fields, deleted: flags & DELETED != 0, at }
    }

    /// Where the next one begins.
    #[inline(never)]
    fn end(&self, bytes: &[u8]) -> usize {
        let Fields { names, values, left } = &self.fields;
        let elements = if names.is_some() { *left } else { 2 * left };
        let back = skip(bytes, bytes.len() - values.len(), elements);
        back + backlen_len(back - self.at)
    }
}

/// Bytes of an id's part, by the three bits that say so.
const WIDTHS: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 8];
const WIDTH_BITS: u32 = 3;
/// Where they are in the flags.
const MS_WIDTH: u32 = 2;
const SEQ_WIDTH: u32 = MS_WIDTH + WIDTH_BITS;

/// Flags that are `flags` otherwise, and what stands behind them: `put` gets it.
pub(super) fn write_id(flags: u8, master: StreamId, id: StreamId, mut put: impl FnMut(&[u8])) {
    let ms = id.ms.wrapping_sub(master.ms);
    let seq = id.seq.wrapping_sub(if ms == 0 { master.seq } else { 0 });
    put(&[flags | width(ms) << MS_WIDTH | width(seq) << SEQ_WIDTH]);
    for part in [ms, seq] {
        put(&part.to_le_bytes()[..WIDTHS[usize::from(width(part))]]);
    }
}

/// The place in [`WIDTHS`] of what a part of an id takes.
fn width(part: u64) -> u8 {
    let bytes = (u64::BITS - part.leading_zeros()).div_ceil(8);
    bytes.min(7) as u8
}

/// The id behind `flags`, and its length.
fn read_id(flags: u8, bytes: &[u8], master: StreamId) -> (StreamId, usize) {
    let width = |at: u32| WIDTHS[usize::from(flags >> at) % WIDTHS.len()];
    let (ms, rest) = bytes.split_at(width(MS_WIDTH));
    let seq = &rest[..width(SEQ_WIDTH)];
    let len = ms.len() + seq.len();
    let (ms, seq) = (uint(ms), uint(seq));
    let base = if ms == 0 { master.seq } else { 0 };
    (StreamId { ms: master.ms.wrapping_add(ms), seq: base.wrapping_add(seq) }, len)
}

fn uint(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The fields of an entry with their values.
#[derive(Clone)]
pub struct Fields<'a> {
    /// The node's, where the entry has the same.
    names: Option<&'a [u8]>,
    /// Values, or names and values in turn.
    values: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Item<'a>, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = take(self.names.as_mut().unwrap_or(&mut self.values));
        Some((name, take(&mut self.values)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

impl<'a> Fields<'a> {
    /// What lies in the entry: values, or names and values, and all behind them.
    pub(super) fn elements(&self) -> &'a [u8] {
        self.values
    }
}

#[inline(never)]
fn take<'a>(elements: &mut &'a [u8]) -> Item<'a> {
    let (item, len) = element(elements).expect(CHECKED);
    *elements = &elements[len..];
    item
}

/// Entries in order.
#[derive(Clone)]
pub(in crate::types::stream) struct Forward<'a> {
    bytes: &'a [u8],
    node: NodeFields,
    master: StreamId,
    /// Where the next one begins.
    at: usize,
}

impl<'a> Iterator for Forward<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.at == self.bytes.len() {
            return None;
        }
        let entry = Entry::read(self.bytes, self.node, self.master, self.at);
        self.at = entry.end(self.bytes);
        Some(entry)
    }
}

/// Entries from the last to the first.
pub(in crate::types::stream) struct Backward<'a> {
    bytes: &'a [u8],
    node: NodeFields,
    master: StreamId,
    /// Where those end that were not given out yet.
    end: usize,
}

impl<'a> Iterator for Backward<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.end == self.node.end {
            return None;
        }
        self.end = previous(self.bytes, self.end);
        Some(Entry::read(self.bytes, self.node, self.master, self.end))
    }
}

impl Node {
    /// Entries in order, deleted ones too.
    pub(in crate::types::stream) fn forward(&self, master: StreamId) -> Forward<'_> {
        let node = self.fields();
        Forward { bytes: self.bytes(), node, master, at: node.end }
    }

    /// The same from the last to the first.
    pub(in crate::types::stream) fn backward(&self, master: StreamId) -> Backward<'_> {
        let bytes = self.bytes();
        Backward { bytes, node: self.fields(), master, end: bytes.len() }
    }

    /// Entries from the first on that is there and whose id is not below `first`. Looked for from both
    /// ends in turn: who reads on from where they were is near the last.
    #[inline(never)]
    pub(in crate::types::stream) fn forward_from(
        &self,
        master: StreamId,
        first: StreamId,
    ) -> Forward<'_> {
        let (mut forward, mut backward) = (self.forward(master), self.backward(master));
        loop {
            let (start, end) = (forward.at, backward.end);
            match forward.next() {
                Some(entry) if entry.deleted || entry.id < first => {}
                _ => return Forward { at: start, ..forward },
            }
            if backward.next().is_some_and(|entry| !entry.deleted && entry.id < first) {
                return Forward { at: end, ..forward };
            }
        }
    }
}
