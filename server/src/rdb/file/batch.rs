//! Items of a file between whoever reads them and whoever takes them: a reader can be at work on the
//! next ones without anybody's lock, in memory that is used again and again.

use std::ops::Range;

use super::fault::Fault;
use super::write::Access;
use crate::keyspace::{Duplicate, Keyspace, Loaded, NewKey, Value};
use crate::number::parse_int;
use crate::rdb::read::Text;
use crate::types::string::Str;

/// Bytes for names and short strings that stay allocated.
const ROOM: usize = 1 << 20;
/// Longer strings have memory of their own, which goes into the keyspace with them.
const SHORT: usize = 384;

/// What a file consists of.
#[derive(Debug, PartialEq)]
pub enum Item<'a> {
    /// What the file says of itself.
    Aux {
        name: &'a [u8],
        text: &'a [u8],
    },
    /// The code of a library.
    Function(&'a [u8]),
    /// Keys of another database follow.
    Database(usize),
    /// How many keys the database is about to get; `credible` is how many the file has room for.
    Sizes {
        database: usize,
        keys: u64,
        volatile: u64,
        credible: usize,
    },
    Key(Key<'a>),
    /// The name of a key without elements, which is skipped; of the first few.
    Empty(&'a [u8]),
}

#[derive(Debug, PartialEq)]
pub struct Key<'a> {
    pub database: usize,
    pub name: &'a [u8],
    pub value: Loaded<'a>,
    /// On the server's timeline.
    pub expire_at: Option<i64>,
    pub access: Option<Access>,
}

#[derive(Default)]
pub struct Batch {
    held: Vec<Held>,
    /// Names and short strings.
    bytes: Vec<u8>,
    keys: usize,
}

/// An item whose texts are in a batch's bytes.
pub(super) enum Held {
    Aux { name: Range<usize>, text: Range<usize> },
    Function(Range<usize>),
    Database(usize),
    Sizes { database: usize, keys: u64, volatile: u64, credible: usize },
    Key(HeldKey),
    Empty(Range<usize>),
}

pub(super) struct HeldKey {
    pub(super) database: usize,
    pub(super) name: Range<usize>,
    pub(super) value: HeldValue,
    pub(super) expire_at: Option<i64>,
    pub(super) access: Option<Access>,
}

pub(super) enum HeldValue {
    Int(i64),
    Text(Range<usize>),
    Owned(Value),
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn keys(&self) -> usize {
        self.keys
    }

    /// All items, in order; they are gone then.
    pub fn drain(&mut self) -> impl Iterator<Item = Item<'_>> {
        self.keys = 0;
        let bytes = &self.bytes;
        self.held.drain(..).map(move |held| match held {
            Held::Aux { name, text } => Item::Aux { name: &bytes[name], text: &bytes[text] },
            Held::Function(code) => Item::Function(&bytes[code]),
            Held::Database(index) => Item::Database(index),
            Held::Empty(name) => Item::Empty(&bytes[name]),
            Held::Sizes { database, keys, volatile, credible } => {
                Item::Sizes { database, keys, volatile, credible }
            }
            Held::Key(key) => Item::Key(Key {
                database: key.database,
                name: &bytes[key.name],
                value: match key.value {
                    HeldValue::Int(int) => Loaded::Int(int),
                    HeldValue::Text(text) => Loaded::Bytes(&bytes[text]),
                    HeldValue::Owned(value) => Loaded::Owned(value),
                },
                expire_at: key.expire_at,
                access: key.access,
            }),
        })
    }

    pub fn clear(&mut self) {
        self.keys = 0;
        self.held.clear();
        self.bytes.clear();
        self.bytes.shrink_to(ROOM);
    }

    pub(super) fn push(&mut self, held: Held) {
        self.keys += usize::from(matches!(held, Held::Key(_)));
        self.held.push(held);
    }

    /// Keeps a text until the batch is cleared.
    pub(super) fn keep(&mut self, text: Text<'_>) -> Range<usize> {
        let start = self.bytes.len();
        match text {
            Text::Int(int) => {
                self.bytes.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
            }
            Text::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
            Text::Long(bytes) => self.bytes.extend_from_slice(&bytes),
        }
        start..self.bytes.len()
    }

    /// A text that is held; see [`Doing`](super::Doing).
    pub(super) fn text(&self, text: &Range<usize>) -> &[u8] {
        &self.bytes[text.clone()]
    }

    /// Forgets a text that was kept last, and what came after it.
    pub(super) fn forget(&mut self, text: &Range<usize>) {
        self.bytes.truncate(text.start);
    }

    /// The value that a string of a file becomes.
    pub(super) fn string(&mut self, text: Text<'_>) -> HeldValue {
        match text {
            Text::Int(int) => HeldValue::Int(int),
            Text::Long(bytes) => HeldValue::Owned(Value::Str(Str::Bytes(bytes))),
            Text::Bytes(bytes) if bytes.len() > SHORT => {
                HeldValue::Owned(Value::Str(Str::Bytes(bytes.to_vec())))
            }
            Text::Bytes(bytes) => match parse_int(bytes) {
                Some(int) => HeldValue::Int(int),
                None => HeldValue::Text(self.keep(text)),
            },
        }
    }
}

impl Batch {
    /// Puts all keys into the keyspace, in place of those that are there if it `replaces` them;
    /// `access` says what a key's accesses are in the keyspace's own terms. Other items go to `other`.
    pub fn apply(
        &mut self,
        keyspace: &mut Keyspace,
        replaces: bool,
        access: impl Fn(Access) -> Option<u32>,
        mut other: impl FnMut(Item<'_>),
    ) -> Result<(), Fault> {
        for held in &self.held {
            if let Held::Sizes { database, credible, .. } = held {
                keyspace.db_mut(*database).expect(*credible);
            }
        }
        let keys = self.drain().filter_map(|item| match item {
            Item::Key(key) => Some(NewKey {
                database: key.database,
                name: key.name,
                value: key.value,
                expire_at: key.expire_at,
                access: key.access.and_then(&access),
            }),
            item => {
                other(item);
                None
            }
        });
        let loaded = keyspace.load(keys, replaces);
        self.clear();
        loaded.map_err(|Duplicate { database, name }| Fault::Duplicate { database, key: name })
    }
}
