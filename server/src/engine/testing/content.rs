//! All that a keyspace holds, as text that can be compared and read: deadlines and what is pending in
//! groups among it, encodings and accesses not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::keyspace::{Entry, Keyspace, ValueRef};
use crate::types::collection::Collection;
use crate::types::hash::SHOW_DUE;
use crate::types::listpack::Item;
use crate::types::stream::{Group, Stream, StreamId};

/// By database and key.
pub(crate) type Content = BTreeMap<(usize, String), String>;

pub(crate) fn content(keyspace: &Keyspace) -> Content {
    let of_db = |(index, db): (usize, &crate::keyspace::Db)| {
        let each = db.iter().map(|entry| ((index, text(entry.key())), shown(entry)));
        each.collect::<Vec<_>>()
    };
    keyspace.iter().flat_map(of_db).collect()
}

fn shown(entry: Entry<'_>) -> String {
    let value = match entry.value().view() {
        ValueRef::Str(string) => text(&string.to_cow()),
        ValueRef::Collection(Collection::List(list)) => {
            let mut texts = Vec::new();
            list.each(&mut |element| texts.push(item(element)));
            texts.join(" ")
        }
        ValueRef::Collection(Collection::Set(set)) => sorted(set.iter().map(item)),
        ValueRef::Collection(Collection::SortedSet(set)) => {
            sorted(set.iter().map(|(member, score)| format!("{}={score:?}", item(member))))
        }
        ValueRef::Collection(Collection::Hash(hash)) => {
            sorted(hash.iter(SHOW_DUE).map(|pair| {
                format!("{}={}@{:?}", item(pair.field), item(pair.value), pair.deadline)
            }))
        }
        ValueRef::Collection(Collection::Stream(stream)) => shown_stream(stream),
    };
    format!("{:?} {value} expires {:?}", entry.kind(), entry.expire_at())
}

fn shown_stream(stream: &Stream) -> String {
    let log = stream.log();
    let mut shown = String::new();
    for entry in log.range(StreamId::MIN..=StreamId::MAX) {
        let fields = entry.fields.map(|(name, value)| format!(" {}={}", item(name), item(value)));
        write!(shown, "{}{}; ", entry.id, fields.collect::<String>()).expect("into a String");
    }
    let (last, deleted) = (log.last_id(), log.max_deleted_id());
    let added = log.entries_added();
    write!(shown, "last {last} deleted {deleted} added {added}").expect("into a String");
    stream.groups().iter().for_each(|(name, group)| {
        write!(shown, " group {} {}", text(name), shown_group(group)).expect("into a String");
    });
    shown
}

/// Not when its consumers last asked for something: that is not logged.
fn shown_group(group: &Group) -> String {
    let consumers = sorted(group.consumers().iter().map(|consumer| text(consumer.name())));
    let pending = group.pending(..).map(|(id, nack)| {
        let consumer = text(group.consumers().consumer(nack.consumer).name());
        format!("{id} {consumer} at {} for {}", nack.delivered_ms, nack.deliveries)
    });
    let pending = pending.collect::<Vec<_>>().join(", ");
    format!("{} read {:?} of {consumers}: {pending}", group.last_id, group.entries_read)
}

fn item(item: Item<'_>) -> String {
    text(&item.to_vec())
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn sorted(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    items.sort_unstable();
    items.join(" ")
}
