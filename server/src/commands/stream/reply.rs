//! Ids and entries as replies.

use crate::resp::Reply;
use crate::types::listpack::Item;
use crate::types::stream::{Entry, StreamId, TEXT_MAX};

pub(super) fn id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.write_to(&mut [0; TEXT_MAX]));
}

/// An entry: its id, then fields and values in turn. Once in the program, for its size.
#[inline(never)]
pub(super) fn entry(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply.array(2);
    id(reply, entry.id);
    reply.array(2 * entry.fields.len());
    for (name, value) in entry.fields {
        item(reply, name);
        item(reply, value);
    }
}

/// At most `count` entries; how many there were.
pub(super) fn entries<'e>(
    reply: &mut Reply<'_>,
    list: impl Iterator<Item = Entry<'e>>,
    count: Option<usize>,
) -> usize {
    counted(reply, |reply| {
        list.take(count.unwrap_or(usize::MAX)).map(|it| entry(reply, it)).count()
    })
}

/// An array whose length is known once it is written; `write` returns it.
pub(super) fn counted(reply: &mut Reply<'_>, write: impl FnOnce(&mut Reply<'_>) -> usize) -> usize {
    let start = reply.position();
    let len = write(reply);
    reply.insert(start, |reply| reply.array(len));
    len
}

fn item(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Bytes(bytes) => reply.bulk(bytes),
        Item::Int(int) => reply.bulk_int(int),
    }
}
