//! A node as RDB keeps it: a listpack.
//!
//! ```text
//!   live  dead  n  field-1 … field-n  0        how many entries; fields that most of them have
//!   flags  ms  seq  [n  field-1]  value-1 … value-n  count        an entry, and so on
//! ```
//!
//! `ms` and `seq` are what is to be added to the node's master id. `count` is the number of elements
//! before it in its entry. The layout is Redis'.

use super::entry::write_id;
use super::{Corrupt, DEAD, DELETED, FRONT, Item, LIVE, Node, SAME_FIELDS, element, skip};
use crate::types::block::Block;
use crate::types::listpack::encode::{Element, backlen};
use crate::types::listpack::rdb::{Elements, Writer, elements};
use crate::types::stream::StreamId;

impl Node {
    /// A node from bytes from outside, everything in which is checked.
    pub(in crate::types::stream) fn from_listpack(
        master: StreamId,
        bytes: &[u8],
    ) -> Result<Self, Corrupt> {
        let node = read(master, elements(bytes)?, bytes.len()).ok_or(Corrupt)?;
        Ok(Self(Block::from_slice(&node)))
    }

    /// RDB's form.
    pub fn write_listpack(&self, master: StreamId, out: &mut Vec<u8>) {
        let (bytes, fields) = (self.bytes(), self.fields());
        let mut list = Writer::new(out);
        list.int(self.live() as i64);
        list.int(self.dead() as i64);
        list.int(fields.count as i64);
        write_elements(&mut list, &bytes[fields.names..], fields.count);
        list.int(0);
        for entry in self.forward(master) {
            let flags = bytes[entry.at] & (DELETED | SAME_FIELDS);
            let same = flags & SAME_FIELDS != 0;
            let pairs = entry.fields.len();
            list.int(flags.into());
            list.int(entry.id.ms.wrapping_sub(master.ms) as i64);
            list.int(entry.id.seq.wrapping_sub(master.seq) as i64);
            if !same {
                list.int(pairs as i64);
            }
            write_elements(
                &mut list,
                entry.fields.elements(),
                if same { pairs } else { 2 * pairs },
            );
            list.int(elements_before_count(same, pairs) as i64);
        }
        list.finish();
    }
}

fn write_elements(list: &mut Writer<'_>, elements: &[u8], count: usize) {
    let mut at = 0;
    for _ in 0..count {
        let end = skip(elements, at, 1);
        list.encoded(&elements[at..end]);
        at = end;
    }
}

fn elements_before_count(same_fields: bool, pairs: usize) -> usize {
    const FLAGS_MS_SEQ: usize = 3;
    if same_fields { FLAGS_MS_SEQ + pairs } else { FLAGS_MS_SEQ + 1 + 2 * pairs }
}

/// The bytes of the node that the elements are, if they are one. Those of the listpack are about as many.
fn read(master: StreamId, mut list: Elements<'_>, capacity: usize) -> Option<Vec<u8>> {
    let mut node = Vec::with_capacity(capacity);
    node.resize(FRONT, 0);
    let (live, dead, fields) = (count(&mut list)?, count(&mut list)?, count(&mut list)?);
    put_int(&mut node, fields);
    copy(&mut list, fields, &mut node)?;
    if int(&mut list)? != 0 {
        return None;
    }
    let mut seen = [0; 2];
    while let Some(flags) = list.next() {
        let flags = as_int(flags)?;
        seen[usize::from(flags & i64::from(DELETED) != 0)] += 1;
        read_entry(master, flags as u8 & (DELETED | SAME_FIELDS), fields, &mut list, &mut node)?;
    }
    if seen != [live, dead] {
        return None;
    }
    for (place, count) in [(0, node.len()), (LIVE, live), (DEAD, dead)] {
        node[place..][..4].copy_from_slice(&u32::try_from(count).ok()?.to_le_bytes());
    }
    Some(node)
}

/// The rest of an entry, behind its flags.
fn read_entry(
    master: StreamId,
    flags: u8,
    fields: usize,
    list: &mut Elements<'_>,
    node: &mut Vec<u8>,
) -> Option<()> {
    let start = node.len();
    let (ms, seq) = (int(list)? as u64, int(list)? as u64);
    let id = StreamId::new(master.ms.wrapping_add(ms), master.seq.wrapping_add(seq));
    write_id(flags, master, id, |bytes| node.extend_from_slice(bytes));
    let same = flags & SAME_FIELDS != 0;
    let pairs = if same { fields } else { count(list)? };
    if !same {
        put_int(node, pairs);
    }
    copy(list, if same { pairs } else { pairs.checked_mul(2)? }, node)?;
    node.extend_from_slice(backlen(node.len() - start).as_slice());
    (count(list)? == elements_before_count(same, pairs)).then_some(())
}

fn put_int(node: &mut Vec<u8>, count: usize) {
    let count = Element::int(count as i64);
    node.extend_from_slice(count.pieces()[0]);
}

fn copy(list: &mut Elements<'_>, count: usize, node: &mut Vec<u8>) -> Option<()> {
    for _ in 0..count {
        node.extend_from_slice(list.next()?);
    }
    Some(())
}

fn as_int(encoded: &[u8]) -> Option<i64> {
    let (item, _): (Item<'_>, _) = element(encoded)?;
    item.as_int()
}

fn int(list: &mut Elements<'_>) -> Option<i64> {
    as_int(list.next()?)
}

fn count(list: &mut Elements<'_>) -> Option<usize> {
    usize::try_from(int(list)?).ok()
}
