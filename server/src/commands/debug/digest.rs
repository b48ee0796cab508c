//! DEBUG DIGEST and DIGEST-VALUE: a dataset, or a value, as 40 hexadecimal digits that are the same
//! on every server of the family whatever the encodings. Where order means nothing, elements' digests
//! are combined so that it does not matter.

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

use crate::engine::{Args, Call};
use crate::keyspace::{Entry, ValueRef};
use crate::number::DoubleText;
use crate::types::collection::{Collection, Kind};
use crate::types::listpack::Item;
use crate::types::stream::{Stream, StreamId};
use crate::types::string::Digits;

#[derive(Clone, Copy, Default)]
struct Digest([u8; 20]);

impl Digest {
    /// Takes in what has no order.
    fn add(&mut self, bytes: &[u8]) {
        let hash: [u8; 20] = Sha1::digest(bytes).into();
        self.0.iter_mut().zip(hash).for_each(|(byte, other)| *byte ^= other);
    }

    /// Takes in what has its place in an order.
    fn append(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    fn append_item(&mut self, item: Item<'_>) {
        self.append(item.write_to(&mut Digits::new()));
    }

    /// Takes in a part with an order of its own.
    fn add_part(&mut self, part: impl FnOnce(&mut Digest)) {
        let mut digest = Self::default();
        part(&mut digest);
        self.add(&digest.0);
    }

    fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String does not fail");
            text
        })
    }
}

/// The digest of all databases.
pub(super) fn dataset(call: &mut Call<'_>) {
    let mut all = Digest::default();
    let now_ms = call.now.ms();
    for (index, db) in call.engine.keyspace.iter().filter(|(_, db)| !db.is_empty()) {
        all.append(&(index as u32).to_be_bytes());
        for entry in db.iter() {
            all.add_part(|digest| {
                digest.append(entry.key());
                append_value(digest, entry, now_ms);
            });
        }
    }
    call.reply.simple(&all.text());
}

/// The digest of each key's value; zeros where there is none.
pub(super) fn values(call: &mut Call<'_>, keys: Args<'_>) {
    call.reply.array(keys.left());
    let now_ms = call.now.ms();
    for key in keys {
        let mut digest = Digest::default();
        if let Some(entry) = call.db().find(key) {
            append_value(&mut digest, entry, now_ms);
        }
        call.reply.simple(&digest.text());
    }
}

fn append_value(digest: &mut Digest, entry: Entry<'_>, now_ms: i64) {
    digest.append(&type_number(entry.kind()).to_be_bytes());
    match entry.value().view() {
        ValueRef::Str(string) => digest.append(string.bytes(&mut Digits::new())),
        ValueRef::Collection(collection) => append_collection(digest, collection, now_ms),
    }
    if entry.expire_at().is_some() {
        digest.add(b"!!expire!!");
    }
}

/// As Redis numbers its types.
fn type_number(kind: Kind) -> u32 {
    match kind {
        Kind::String => 0,
        Kind::List => 1,
        Kind::Set => 2,
        Kind::SortedSet => 3,
        Kind::Hash => 4,
        Kind::Stream => 6,
    }
}

fn append_collection(digest: &mut Digest, collection: &Collection, now_ms: i64) {
    match collection {
        Collection::List(list) => list.each(&mut |item| digest.append_item(item)),
        Collection::Set(set) => {
            set.iter().for_each(|item| digest.add(item.write_to(&mut Digits::new())));
        }
        Collection::SortedSet(set) => set.iter().for_each(|(member, score)| {
            digest.add_part(|part| {
                part.append_item(member);
                part.append(DoubleText::shortest(score).as_bytes());
            });
        }),
        Collection::Hash(hash) => hash.iter(now_ms).for_each(|pair| {
            digest.add_part(|part| {
                part.append_item(pair.field);
                part.append_item(pair.value);
            });
        }),
        Collection::Stream(stream) => append_stream(digest, stream),
    }
}

fn append_stream(digest: &mut Digest, stream: &Stream) {
    for entry in stream.log().range(StreamId::MIN..=StreamId::MAX) {
        let StreamId { ms, seq } = entry.id;
        digest.append(format!("{ms}.{seq}").as_bytes());
        for (field, value) in entry.fields {
            digest.append_item(field);
            digest.append_item(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::World;

    /// The digest of what `commands` leave behind.
    fn digest_after(commands: &[&str]) -> String {
        let mut world = World::new();
        let client = world.connect();
        for command in commands {
            let reply = world.run(client, command);
            assert!(!reply.starts_with('-'), "{command}: {reply}");
        }
        world.run(client, "DEBUG DIGEST")
    }

    #[test]
    fn no_data_has_a_digest_of_zeros() {
        let none = "+0000000000000000000000000000000000000000\r\n";
        assert_eq!(digest_after(&[]), none);
        assert_eq!(digest_after(&["SET a 1", "DEL a"]), none);
    }

    #[test]
    fn only_order_that_means_something_counts() {
        let same = |a: &[&str], b: &[&str]| digest_after(a) == digest_after(b);
        assert!(!same(&["RPUSH l a b"], &["RPUSH l b a"]));
        assert!(same(&["SADD s a b 1"], &["SADD s 1 b", "SADD s a"]));
        assert!(same(&["HSET h a 1 b 2"], &["HSET h b 2 a 1"]));
        assert!(!same(&["HSET h a 1 b 2"], &["HSET h a 2 b 1"]));
        assert!(same(&["ZADD z 1 a 2.5 b"], &["ZADD z 2.5 b 1 a"]));
        assert!(!same(&["SET a 1"], &["SELECT 1", "SET a 1"]));
        assert!(!same(&["SET a 1"], &["SET a 1", "EXPIRE a 100"]));
    }
}
