//! The parts of a file, written. Whoever puts them together writes the checksum behind the end, and
//! checks in between where it likes.

use super::opcode;
use crate::config::cli::REDIS_VERSION;
use crate::keyspace::Entry;
use crate::rdb::{Form, Sink, Writer, write_value};

/// What stands at the start of a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    /// Bytes in use, for whoever wonders whether all this will fit.
    pub used_memory: u64,
    /// Whether the file is the base of a log.
    pub aof_base: bool,
    /// Whether any hash has fields with a time to live: such a file is Valkey's alone.
    pub has_field_times: bool,
}

/// What is told of a key's last accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Seconds since the last one.
    Idle(u64),
    /// How often, on the logarithmic scale.
    Frequency(u8),
}

pub fn write_head(writer: &mut Writer<impl Sink>, head: &Head) {
    writer.raw(if head.has_field_times { b"VALKEY080" } else { b"REDIS0011" });
    write_aux(writer, "redis-ver", REDIS_VERSION.as_bytes());
    write_aux(writer, "hf-ver", env!("CARGO_PKG_VERSION").as_bytes());
    let created = writer.now().unix_ms() / 1000;
    for (name, number) in [
        ("redis-bits", i64::from(usize::BITS)),
        ("ctime", created),
        ("used-mem", i64::try_from(head.used_memory).unwrap_or(i64::MAX)),
        ("aof-base", head.aof_base.into()),
    ] {
        write_aux(writer, name, number.to_string().as_bytes());
    }
}

fn write_aux(writer: &mut Writer<impl Sink>, name: &str, text: &[u8]) {
    writer.raw(&[opcode::AUX]);
    writer.string(name.as_bytes());
    writer.string(text);
}

/// Keys of database `index` follow.
pub fn write_select(writer: &mut Writer<impl Sink>, index: usize) {
    writer.raw(&[opcode::DATABASE]);
    writer.count(index);
}

/// Keys of database `index` follow: `keys` of them, of which `volatile` have an expiry.
pub fn write_database(writer: &mut Writer<impl Sink>, index: usize, keys: usize, volatile: usize) {
    write_select(writer, index);
    writer.raw(&[opcode::SIZES]);
    writer.count(keys);
    writer.count(volatile);
}

pub fn write_entry(writer: &mut Writer<impl Sink>, entry: Entry<'_>, access: Option<Access>) {
    write_entry_head(writer, entry, access);
    write_value(writer, entry.value().view());
}

/// What stands in front of an entry's value.
pub fn write_entry_head(writer: &mut Writer<impl Sink>, entry: Entry<'_>, access: Option<Access>) {
    if let Some(at) = entry.expire_at() {
        writer.raw(&[opcode::EXPIRY_MS]);
        writer.time(Some(at));
    }
    match access {
        None => {}
        Some(Access::Idle(seconds)) => {
            writer.raw(&[opcode::IDLE]);
            writer.number(seconds);
        }
        Some(Access::Frequency(count)) => writer.raw(&[opcode::FREQUENCY, count]),
    }
    writer.raw(&[Form::of(entry.value().view()).byte()]);
    writer.string(entry.key());
}

/// A library of functions, before all databases.
pub fn write_function(writer: &mut Writer<impl Sink>, code: &[u8]) {
    writer.raw(&[opcode::FUNCTION]);
    writer.string(code);
}

/// The end; the 8 bytes of the checksum, little-endian, are to follow.
pub fn write_end(writer: &mut Writer<impl Sink>) {
    writer.raw(&[opcode::END]);
}

/// The name of the aux field that a check is.
pub const CHECK: &str = "hf-crc64";
/// Bytes that a check takes.
pub const CHECK_LEN: usize = 1 + (1 + CHECK.len()) + (1 + 16);

/// A check, to be put between keys: that `checksum` is that of all bytes in front of it.
pub fn write_check(out: &mut Vec<u8>, checksum: u64) {
    let start = out.len();
    let mut writer = Writer::new(std::mem::take(out), false, crate::clock::Now::default());
    write_aux(&mut writer, CHECK, format!("{checksum:016x}").as_bytes());
    *out = writer.into_sink();
    debug_assert_eq!(out.len() - start, CHECK_LEN);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::keyspace::{Db, Hasher, Value};
    use crate::rdb::crc64::Crc64;
    use crate::types::collection::CollectionType as _;
    use crate::types::hash::{Hash, Limits, SHOW_DUE, Ttl};

    const NOW: Now = Now { us: 1_700_000_000_000_000, wall_offset_ms: 250 };

    fn written(write: impl FnOnce(&mut Writer<Vec<u8>>)) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), true, NOW);
        write(&mut writer);
        writer.into_sink()
    }

    #[test]
    fn a_head_names_the_version_that_all_load() {
        let head = Head { used_memory: 1000, aof_base: true, has_field_times: false };
        let bytes = written(|w| write_head(w, &head));
        let version = env!("CARGO_PKG_VERSION");
        let expected = [
            b"REDIS0011\xfa\x09redis-ver\x057.2.4\xfa\x06hf-ver",
            &[version.len() as u8][..],
            version.as_bytes(),
            b"\xfa\x0aredis-bits\xc0\x40\xfa\x05ctime\xc2\0\xf1\x53\x65",
            b"\xfa\x08used-mem\xc1\xe8\x03\xfa\x08aof-base\xc0\x01",
        ];
        assert_eq!(bytes, expected.concat());
        let bytes = written(|w| write_head(w, &Head { has_field_times: true, ..head }));
        assert!(bytes.starts_with(b"VALKEY080"));
    }

    #[test]
    fn a_key_has_what_is_known_of_it_in_front() {
        let mut db = Db::new(Hasher::new(&[7; 16]));
        let text = |text: &[u8]| Value::Str(crate::types::string::Str::new(text.to_vec()));
        db.set(b"key", text(b"12"), Some(NOW.ms() + 6));
        db.set(b"7", text(b"text"), None);
        let entry = |key: &[u8]| db.find(key).expect("set");
        let time = (NOW.ms() + 256).to_le_bytes();
        for (key, access, expected) in [
            (&b"key"[..], None, [b"\xfc", &time[..], b"\0\x03key\xc0\x0c"].concat()),
            (b"7", Some(Access::Idle(70)), b"\xf8\x40\x46\0\xc0\x07\x04text".to_vec()),
            (b"7", Some(Access::Frequency(200)), b"\xf9\xc8\0\xc0\x07\x04text".to_vec()),
        ] {
            assert_eq!(written(|w| write_entry(w, entry(key), access)), expected);
        }
    }

    #[test]
    fn only_files_of_valkeys_version_have_valkeys_forms() {
        let mut hash = Hash::new();
        let limits = Limits { listpack_entries: 3, listpack_value: 8 };
        hash.set(b"f", b"v", Ttl::At(NOW.ms()), &limits, SHOW_DUE);
        let mut db = Db::new(Hasher::new(&[7; 16]));
        db.set(b"h", Value::Collection(hash.into_collection()), None);
        assert_eq!(db.volatile_within_len(), 1);
        let bytes = written(|w| write_entry(w, db.find(b"h").expect("set"), None));
        assert_eq!(bytes[0], Form::HashWithTimes.byte());
    }

    #[test]
    fn the_rest_is_short() {
        assert_eq!(written(|w| write_database(w, 3, 300, 2)), b"\xfe\x03\xfb\x41\x2c\x02");
        assert_eq!(written(|w| write_function(w, b"#!lua")), b"\xf5\x05#!lua");
        assert_eq!(written(write_end), b"\xff");
        let mut bytes = b"123456789".to_vec();
        let checksum = Crc64::of(&bytes);
        write_check(&mut bytes, checksum);
        assert_eq!(bytes, b"123456789\xfa\x08hf-crc64\x10e9c6d914c4b8d9ca");
        assert_eq!(bytes.len(), 9 + CHECK_LEN);
    }
}
