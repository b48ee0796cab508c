//! A node: up to some hundred entries in one listpack, which is what RDB stores.
//!
//! ```text
//!   live  dead  n  field-1 … field-n  0        how many entries; fields that most of them have
//!   flags  ms  seq  [n  field-1]  value-1 … value-n  count        an entry, and so on
//! ```
//!
//! `ms` and `seq` are what is to be added to the node's master id. An entry whose fields are the
//! node's has [`SAME_FIELDS`] and leaves `n` and the fields out. `count` is the number of elements
//! before it in its entry: the way back. A deleted entry stays, as [`DELETED`].

use std::ops::RangeInclusive;

use super::StreamId;
use crate::types::listpack::{Cursor, Entries, Item, Listpack};

pub use crate::types::listpack::Corrupt;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node(Listpack);

impl Node {
    /// A node without entries.
    pub(super) fn new<'w>(fields: impl Iterator<Item = &'w [u8]> + Clone) -> Self {
        let mut list = Listpack::new();
        list.push_back_int(0);
        list.push_back_int(0);
        list.push_back_int(fields.clone().count() as i64);
        fields.for_each(|field| list.push_back(field));
        list.push_back_int(0);
        Self(list)
    }

    /// Checks everything that the rest of this file takes for granted.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let node = Self(Listpack::from_bytes(bytes)?);
        check(&node.0).ok_or(Corrupt)?;
        Ok(node)
    }

    pub(super) fn as_listpack(&self) -> &Listpack {
        &self.0
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.0.len_bytes()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }

    /// Entries that are there.
    pub(super) fn live(&self) -> u64 {
        self.head().live
    }

    /// Entries that were deleted.
    pub(super) fn dead(&self) -> u64 {
        self.head().dead
    }

    fn head(&self) -> Head<'_> {
        let mut names = self.0.entries();
        let mut count = || int(&mut names).unsigned_abs();
        let (live, dead, fields) = (count(), count(), count() as usize);
        Head { live, dead, fields, names }
    }

    /// Whether `bytes` more may be put into the listpack.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.0.fits(bytes)
    }

    /// Appends an entry behind all others; `words` are its fields and values in turn.
    pub(super) fn push<'w>(
        &mut self,
        master: StreamId,
        id: StreamId,
        words: impl Iterator<Item = &'w [u8]> + Clone,
    ) {
        let head = self.head();
        let pairs = words.clone().count() / 2;
        let same = head.fields == pairs && head.has_fields(words.clone().step_by(2));
        let live = head.live;
        let list = &mut self.0;
        set_count(list, LIVE, live + 1);
        list.push_back_int(if same { SAME_FIELDS } else { 0 });
        list.push_back_int(id.ms.wrapping_sub(master.ms) as i64);
        list.push_back_int(id.seq.wrapping_sub(master.seq) as i64);
        if same {
            words.skip(1).step_by(2).for_each(|value| list.push_back(value));
        } else {
            list.push_back_int(pairs as i64);
            words.for_each(|word| list.push_back(word));
        }
        list.push_back_int(elements_before_count(same, pairs) as i64);
    }

    /// Marks up to `most` entries with these ids as deleted; how many there were.
    pub(super) fn kill(
        &mut self,
        master: StreamId,
        ids: RangeInclusive<StreamId>,
        most: u64,
    ) -> u64 {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let doomed: Vec<Cursor> = self
            .forward(master)
            .take_while(|entry| entry.id <= *ids.end())
            .filter(|entry| entry.id >= *ids.start() && !entry.deleted)
            .take(most)
            .map(|entry| entry.flags_at)
            .collect();
        for &at in &doomed {
            let flags = self.0.item(at).as_int().unwrap_or_default();
            self.0.replace_int(at, flags | DELETED);
        }
        let Head { live, dead, .. } = self.head();
        let killed = doomed.len() as u64;
        set_count(&mut self.0, LIVE, live - killed);
        set_count(&mut self.0, DEAD, dead + killed);
        killed
    }

    /// The id of the last entry, deleted or not.
    pub(super) fn last_id(&self, master: StreamId) -> StreamId {
        self.backward(master).next().map_or(master, |entry| entry.id)
    }

    /// Entries in order, deleted ones too.
    pub(super) fn forward(&self, master: StreamId) -> Forward<'_> {
        let head = self.head();
        let mut rest = head.names.clone();
        // The fields and the zero behind them.
        rest.nth(head.fields);
        Forward { master, head, rest }
    }

    /// The same from the last to the first.
    pub(super) fn backward(&self, master: StreamId) -> Backward<'_> {
        Backward { master, head: self.head(), list: &self.0, rest: self.0.entries() }
    }
}

/// Places of the counts at the front.
const LIVE: isize = 0;
const DEAD: isize = 1;

fn set_count(list: &mut Listpack, place: isize, count: u64) {
    let at = list.get(place).expect(CHECKED);
    list.replace_int(at, count as i64);
}

fn elements_before_count(same_fields: bool, pairs: usize) -> usize {
    const FLAGS_MS_SEQ: usize = 3;
    if same_fields { FLAGS_MS_SEQ + pairs } else { FLAGS_MS_SEQ + 1 + 2 * pairs }
}

const CHECKED: &str = "a node was made here, or checked when it was loaded";

fn int(elements: &mut Entries<'_>) -> i64 {
    elements.next().and_then(|(_, item)| item.as_int()).expect(CHECKED)
}

/// The front of a node, read.
#[derive(Clone)]
struct Head<'a> {
    live: u64,
    dead: u64,
    fields: usize,
    /// The fields, and all that follows.
    names: Entries<'a>,
}

impl Head<'_> {
    fn has_fields<'w>(&self, mut names: impl Iterator<Item = &'w [u8]>) -> bool {
        self.names
            .clone()
            .take(self.fields)
            .all(|(_, own)| names.next().is_some_and(|name| own == *name))
    }
}

/// An entry where it lies.
#[derive(Clone)]
pub struct Entry<'a> {
    pub id: StreamId,
    pub fields: Fields<'a>,
    pub(super) deleted: bool,
    flags_at: Cursor,
}

impl<'a> Entry<'a> {
    /// Reads an entry up to its values.
    fn read(master: StreamId, head: &Head<'a>, elements: &mut Entries<'a>) -> Option<Self> {
        let (flags_at, flags) = elements.next()?;
        let flags = flags.as_int().expect(CHECKED);
        let id = StreamId {
            ms: master.ms.wrapping_add(int(elements) as u64),
            seq: master.seq.wrapping_add(int(elements) as u64),
        };
        let same = flags & SAME_FIELDS != 0;
        let left = if same { head.fields } else { int(elements) as usize };
        let names = same.then(|| head.names.clone());
        let fields = Fields { names, values: elements.clone(), left };
        Some(Self { id, fields, deleted: flags & DELETED != 0, flags_at })
    }
}

/// The fields of an entry with their values.
#[derive(Clone)]
pub struct Fields<'a> {
    /// The node's, where the entry has the same.
    names: Option<Entries<'a>>,
    /// Values, or names and values in turn.
    values: Entries<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Item<'a>, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (_, name) = self.names.as_mut().unwrap_or(&mut self.values).next()?;
        let (_, value) = self.values.next()?;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

pub(super) struct Forward<'a> {
    master: StreamId,
    head: Head<'a>,
    rest: Entries<'a>,
}

impl<'a> Iterator for Forward<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let entry = Entry::read(self.master, &self.head, &mut self.rest)?;
        // The values and the count behind them.
        let Fields { names, left, .. } = &entry.fields;
        self.rest.nth(if names.is_some() { *left } else { 2 * left });
        Some(entry)
    }
}

pub(super) struct Backward<'a> {
    master: StreamId,
    head: Head<'a>,
    list: &'a Listpack,
    /// What lies before the entries given out.
    rest: Entries<'a>,
}

impl<'a> Iterator for Backward<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (_, count) = self.rest.next_back()?;
        // Zero is the end of the node's own front.
        let before_flags = (count.as_int().expect(CHECKED) as usize).checked_sub(1)?;
        let (at, _) = self.rest.nth_back(before_flags)?;
        Entry::read(self.master, &self.head, &mut self.list.entries_from(at))
    }
}

/// Whether a listpack is a node, every entry of it.
fn check(list: &Listpack) -> Option<()> {
    let mut elements = list.entries();
    let mut int = || elements.next()?.1.as_int();
    let count = |int: Option<i64>| usize::try_from(int?).ok();
    let (live, dead, fields) = (count(int())?, count(int())?, count(int())?);
    skip(&mut elements, fields)?;
    if elements.next()?.1.as_int()? != 0 {
        return None;
    }
    let (mut seen_live, mut seen_dead) = (0, 0);
    while let Some((_, flags)) = elements.next() {
        let flags = flags.as_int()?;
        *(if flags & DELETED != 0 { &mut seen_dead } else { &mut seen_live }) += 1;
        check_entry(&mut elements, flags, fields)?;
    }
    (seen_live == live && seen_dead == dead).then_some(())
}

/// The rest of an entry, behind its flags.
fn check_entry(elements: &mut Entries<'_>, flags: i64, master_fields: usize) -> Option<()> {
    let int = |elements: &mut Entries<'_>| elements.next()?.1.as_int();
    int(elements)?;
    int(elements)?;
    let same = flags & SAME_FIELDS != 0;
    let pairs = if same { master_fields } else { usize::try_from(int(elements)?).ok()? };
    skip(elements, if same { pairs } else { pairs.checked_mul(2)? })?;
    let count = usize::try_from(int(elements)?).ok()?;
    (count == elements_before_count(same, pairs)).then_some(())
}

fn skip(elements: &mut Entries<'_>, count: usize) -> Option<()> {
    match count.checked_sub(1) {
        Some(before_last) => elements.nth(before_last).map(|_| ()),
        None => Some(()),
    }
}
