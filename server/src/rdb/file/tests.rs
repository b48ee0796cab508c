//! Whole files: what is written is read, what others wrote is understood, and no bytes do harm.

use super::*;
use crate::clock::Now;
use crate::keyspace::{Keyspace, Loaded, Value};
use crate::rdb::Writer;
use crate::rdb::crc64::Crc64;
use crate::rdb::samples::{self, NOW};

const OPTIONS: fn() -> Options = || Options {
    limits: samples::limits(),
    now: NOW,
    databases: 16,
    keeps_due: false,
    checks: true,
    any_version: false,
    len: 0,
    until: None,
};

/// Two databases with a value of every form, one of them with an expiry, and fields with one.
fn keyspace() -> Keyspace {
    let mut keyspace = Keyspace::new(16, &[7; 16]);
    for (nth, value) in samples::values().into_iter().enumerate() {
        let due = (nth % 3 == 0).then_some(NOW.ms() + 5_000);
        keyspace.db_mut(nth % 2 * 4).set(format!("key {nth}").as_bytes(), value, due);
    }
    keyspace
}

/// A file of all that, with a check after each key.
fn file(keyspace: &Keyspace) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), true, NOW);
    write_head(&mut writer, &Head { has_field_times: true, ..Head::default() });
    write_function(&mut writer, b"#!lua name=lib\n");
    for (index, db) in keyspace.iter().filter(|(_, db)| !db.is_empty()) {
        write_database(&mut writer, index, db.len(), db.volatile_len());
        for entry in db.iter() {
            write_entry(&mut writer, entry, Some(Access::Idle(9)));
            let crc = Crc64::of(writer.sink());
            write_check(writer.sink(), crc);
        }
    }
    write_end(&mut writer);
    sealed(writer.into_sink())
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(Crc64::of(&bytes).to_le_bytes());
    bytes
}

/// A file of version 12 whose items are these bytes, without an end.
fn of_redis(items: &[u8]) -> Vec<u8> {
    [b"REDIS0012", items].concat()
}

fn of_valkey(items: &[u8]) -> Vec<u8> {
    [b"VALKEY080", items].concat()
}

/// What a file makes of an empty keyspace, or why it does not.
fn loaded(bytes: &[u8], options: Options) -> Result<(Keyspace, Counts, Checked), Failure> {
    let mut keyspace = Keyspace::new(options.databases, &[9; 16]);
    let mut bytes = bytes;
    let mut reader = FileReader::new(&mut bytes, options);
    let mut batch = Batch::default();
    loop {
        let step = reader.fill(&mut batch)?;
        let applied = batch.apply(&mut keyspace, false, |_| None, |_| {});
        applied.map_err(|fault| reader.failure(fault))?;
        if let Step::End(checked) = step {
            return Ok((keyspace, reader.counts(), checked));
        }
    }
}

fn fault(bytes: &[u8]) -> Fault {
    match loaded(bytes, OPTIONS()) {
        Err(failure) => failure.fault,
        Ok((keyspace, ..)) => panic!("{} keys of {bytes:x?}", keyspace.len()),
    }
}

/// Keys of a file with the values they have, and when they are due.
fn content(keyspace: &Keyspace) -> Vec<(usize, Vec<u8>, Value, Option<i64>)> {
    let mut content = Vec::new();
    for (index, db) in keyspace.iter() {
        let keys = db.iter().map(|it| (index, it.key().to_vec(), it.to_value(), it.expire_at()));
        content.extend(keys);
    }
    content.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    content
}

#[test]
fn what_is_written_is_read() {
    let keyspace = keyspace();
    let bytes = file(&keyspace);
    let (read, counts, checked) = loaded(&bytes, OPTIONS()).expect("our own file");
    assert_eq!(checked, Checked::Whole);
    assert_eq!(counts, Counts { keys: keyspace.len() as u64, ..Counts::default() });
    // Fields that were due at once are gone.
    let mut kept = Options { keeps_due: true, ..OPTIONS() };
    let (whole, ..) = loaded(&bytes, kept).expect("our own file");
    assert_eq!(content(&whole), content(&keyspace));
    assert_eq!(content(&read).len(), content(&whole).len());
    kept.checks = false;
    let (unchecked, _, checked) = loaded(&bytes, kept).expect("our own file");
    assert_eq!((content(&unchecked), checked), (content(&whole), Checked::Skipped));
}

#[test]
fn a_batch_has_all_items_in_order() {
    let keyspace = keyspace();
    let bytes = file(&keyspace);
    let mut file = &bytes[..];
    let mut reader = FileReader::new(&mut file, OPTIONS());
    let mut batch = Batch::default();
    assert_eq!(reader.fill(&mut batch).expect("our own file"), Step::End(Checked::Whole));
    assert_eq!(reader.position(), bytes.len() as u64);
    assert_eq!(batch.keys(), keyspace.len());
    let mut names = Vec::new();
    let mut keys = 0;
    for item in batch.drain() {
        match item {
            Item::Aux { name, text } if name == b"ctime" => {
                assert_eq!(text, (NOW.unix_ms() / 1000).to_string().as_bytes());
                names.push("ctime".to_owned());
            }
            Item::Aux { name, .. } => names.push(String::from_utf8_lossy(name).into_owned()),
            Item::Function(code) => assert_eq!(code, b"#!lua name=lib\n"),
            Item::Sizes { database, keys, volatile, .. } => {
                let db = keyspace.db(database);
                assert_eq!((keys, volatile), (db.len() as u64, db.volatile_len() as u64));
            }
            Item::Database(index) => assert!(!keyspace.db(index).is_empty()),
            Item::Empty(name) => panic!("{name:?} has elements"),
            Item::Key(key) => {
                assert_eq!(key.access, Some(Access::Idle(9)));
                assert!(keyspace.db(key.database).contains(key.name));
                keys += 1;
            }
        }
    }
    let expected = ["redis-ver", "hf-ver", "redis-bits", "ctime", "used-mem", "aof-base"];
    assert_eq!(names, expected);
    assert_eq!(keys, keyspace.len());
    assert!(batch.is_empty() && batch.keys() == 0);
}

#[test]
fn attributes_belong_to_the_key_behind_them() {
    let unix_ms = NOW.unix_ms() + 70_000;
    let seconds = (unix_ms / 1000) as i32;
    let items = [
        &b"\xfe\x03\xfb\x02\x01\xf4\x01\x02\x03\xfd"[..],
        &seconds.to_le_bytes(),
        b"\xf9\x07\0\xc0\x05\x01a\xfc",
        &unix_ms.to_le_bytes(),
        b"\xf8\x41\0\0\x01b\xc0\x09\0\x01c\x0212\xfc\xff\xff\xff\xff\xff\xff\xff\xff\0\x01d\0\xff",
    ];
    let bytes = sealed(of_redis(&items.concat()));
    let mut batch = Batch::default();
    let mut file = &bytes[..];
    let mut reader = FileReader::new(&mut file, OPTIONS());
    reader.fill(&mut batch).expect("a sound file");
    let key = |name, value, expire_at, access| {
        Item::Key(Key { database: 3, name, value, expire_at, access })
    };
    let at = NOW.deadline_of_unix_ms(unix_ms);
    let in_seconds = NOW.deadline_of_unix_ms(i64::from(seconds) * 1000);
    let expected = [
        Item::Database(3),
        Item::Sizes { database: 3, keys: 2, volatile: 1, credible: 0 },
        key(b"5", Loaded::Bytes(b"a"), Some(in_seconds), Some(Access::Frequency(7))),
        key(b"b", Loaded::Int(9), Some(at), Some(Access::Idle(256))),
        key(b"c", Loaded::Int(12), None, None),
        key(b"d", Loaded::Bytes(b""), None, None),
    ];
    assert!(batch.drain().eq(expected));
    assert_eq!(reader.counts().keys, 4);
}

#[test]
fn what_is_due_is_dropped_and_counted() {
    let past = |ms: i64| (NOW.unix_ms() - ms).to_le_bytes();
    let hash = |first: i64, second: i64| {
        let times = [first, second].map(|ms| (NOW.unix_ms() + ms).to_le_bytes());
        [b"\x16\x01h\x02\x01f\x01v", &times[0][..], b"\x01g\x01v", &times[1]].concat()
    };
    let items = [
        &b"\xfc"[..],
        &past(1),
        b"\0\x01a\x01b\0\x01c\x01d\x02\x01s\x00\xfe\x01",
        &hash(-5, -1),
        b"\xfe\x02",
        &hash(-5, 100),
        b"\xff",
    ];
    let bytes = sealed(of_valkey(&items.concat()));
    let (keyspace, counts, _) = loaded(&bytes, OPTIONS()).expect("a sound file");
    assert_eq!(counts, Counts { keys: 2, due: 1, empty: 1, hashes_due: 1 });
    let names: Vec<_> = content(&keyspace).into_iter().map(|key| (key.0, key.1)).collect();
    assert_eq!(names, [(0, b"c".to_vec()), (2, b"h".to_vec())]);
    let Value::Collection(collection) = keyspace.db(2).find(b"h").expect("there").to_value() else {
        panic!("a hash is a collection");
    };
    assert_eq!(collection.len(), 1);
    let kept = Options { keeps_due: true, ..OPTIONS() };
    let (keyspace, counts, _) = loaded(&bytes, kept).expect("a sound file");
    assert_eq!(counts, Counts { keys: 4, empty: 1, ..Counts::default() });
    assert!(keyspace.db(0).contains(b"a") && keyspace.db(1).contains(b"h"));
}

#[test]
fn versions_are_those_of_redis_and_valkey() {
    let key = b"\0\x01a\x01b\xff";
    for name in ["REDIS0001", "REDIS0005", "REDIS0009", "REDIS0012", "VALKEY080"] {
        let bytes = sealed([name.as_bytes(), key].concat());
        let (keyspace, _, checked) = loaded(&bytes, OPTIONS()).expect("known");
        assert_eq!(keyspace.len(), 1);
        assert_eq!(checked == Checked::Absent, name == "REDIS0001", "{name}");
    }
    for (name, relaxed) in [
        ("REDIS0013", true),
        ("REDIS0079", true),
        ("REDIS0000", false),
        ("REDIS0080", false),
        ("VALKEY081", true),
        ("VALKEY079", false),
        ("REDIS0+11", false),
    ] {
        let bytes = sealed([name.as_bytes(), key].concat());
        assert!(matches!(fault(&bytes), Fault::Version(_)), "{name}");
        let any_version = Options { any_version: true, ..OPTIONS() };
        assert_eq!(loaded(&bytes, any_version).is_ok(), relaxed, "{name}");
    }
    for name in [&b"REDIS1011"[..], b"REDIT0011", b"*3\r\n$3\r\nSET"] {
        assert!(matches!(fault(&sealed(name.to_vec())), Fault::Signature(_)), "{name:?}");
    }
    let unsealed = [b"REDIS0011", &key[..], &[0; 8]].concat();
    let (.., checked) = loaded(&unsealed, OPTIONS()).expect("zero is none");
    assert_eq!(checked, Checked::Absent);
}

#[test]
fn what_is_not_for_us_is_refused_with_the_reason() {
    for (bytes, expected) in [
        (of_redis(b"\x1a"), "Can't handle foreign type or opcode 26 in RDB with version 12"),
        (of_redis(b"\xf3"), "Can't handle foreign type or opcode 243 in RDB with version 12"),
        (
            of_valkey(b"\x17"),
            "Unknown type or opcode when loading DB. Unrecoverable error, aborting now. (23)",
        ),
        (
            of_redis(b"\x08"),
            "Unknown type or opcode when loading DB. Unrecoverable error, aborting now. (8)",
        ),
        (of_valkey(b"\xf6\x01x"), "Pre-release function format not supported."),
        (of_valkey(b"\xf3"), "The RDB file contains slots on their way into a node of a cluster"),
        (
            of_redis(b"\xf7\x81\x08\x5e\x72\x51\x78\x6f\x24\x01\x02\x02"),
            "The RDB file contains AUX module data I can't load: no matching module 'CF5yUXhvJ'",
        ),
        (
            of_redis(b"\x07\x01k\x81\x08\x5e\x72\x51\x78\x6f\x24\x01\x02\x02"),
            "The RDB file contains module data I can't load: no matching module type 'CF5yUXhvJ'",
        ),
        (
            of_redis(b"\xfe\x10"),
            "FATAL: Data file was created with a server configured to handle more than 16 \
             databases: it has a database 16",
        ),
        (
            of_redis(b"\0\x01a\x01b\0\x01a\x01c\xff\0\0\0\0\0\0\0\0"),
            "RDB has duplicated key 'a' in DB 0",
        ),
        (
            of_redis(b"\0\x01a\x05b"),
            "Short read or OOM loading DB. Unrecoverable error, aborting now.",
        ),
        (of_redis(b"\x02\x01a\x02\x01a\x01a"), "Duplicate set members detected"),
        (
            of_redis(b"\xff\x01\0\0\0\0\0\0\0"),
            "Wrong RDB checksum expected: (d3f4be2041dbd010) but got (1)",
        ),
    ] {
        assert_eq!(fault(&bytes).to_string(), expected);
    }
    let failure = loaded(&of_redis(b"\0\x01a\x01b\x08"), OPTIONS()).err().expect("no form 8");
    assert_eq!((failure.offset, failure.proven), (15, Proven::default()));
}

#[test]
fn a_failing_disk_is_not_taken_for_the_end() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::TimedOut.into())
        }
    }
    let mut file = std::io::Read::chain(&b"REDIS0011\0\x01a"[..], Failing);
    let failure = FileReader::new(&mut file, OPTIONS()).fill(&mut Batch::default());
    let failure = failure.expect_err("it fails");
    assert!(matches!(failure.fault, Fault::Io(_)) && failure.offset == 12, "{failure}");
    assert!(!failure.fault.is_damage());
}

#[test]
fn a_file_that_is_cut_off_is_no_file() {
    let keyspace = keyspace();
    let bytes = file(&keyspace);
    for len in (0..bytes.len()).filter(|len| len % 7 == 0 || *len < 400) {
        let failure = loaded(&bytes[..len], OPTIONS()).err().expect("something is missing");
        assert!(matches!(failure.fault, Fault::Ends), "{len}: {failure}");
        assert!(failure.offset <= len as u64 && failure.proven.bytes <= failure.offset);
    }
}

/// Whatever was proved of a damaged file is what was written; how many keys that are.
fn check_proven(bytes: &[u8], whole: &Keyspace, options: Options) -> u64 {
    let failure = match loaded(bytes, options) {
        Err(failure) => failure,
        Ok((_, _, checked)) => panic!("no damage was found: {checked:?}"),
    };
    if failure.proven == Proven::default() {
        return 0;
    }
    let until = Options { until: Some(failure.proven.bytes), ..options };
    let (part, counts, checked) = loaded(bytes, until).expect("it was proved");
    assert_eq!((counts.keys, checked), (failure.proven.keys, Checked::Skipped));
    let whole = content(whole);
    content(&part).iter().for_each(|key| assert!(whole.contains(key)));
    counts.keys
}

#[test]
fn a_damaged_file_is_right_up_to_its_last_good_check() {
    let keyspace = keyspace();
    let bytes = file(&keyspace);
    let options = Options { keeps_due: true, ..OPTIONS() };
    let mut proven = 0;
    for at in (0..bytes.len()).rev().step_by(2) {
        let mut broken = bytes.clone();
        broken[at] ^= 1 << (at % 8);
        proven = proven.max(check_proven(&broken, &keyspace, options));
    }
    assert_eq!(proven, keyspace.len() as u64, "damage behind the last check costs no key");
}

#[test]
fn no_bytes_make_it_panic() {
    let keyspace = keyspace();
    let bytes = file(&keyspace);
    let blind = Options { checks: false, ..OPTIONS() };
    for at in (0..bytes.len()).step_by(3) {
        for mask in [1, 0x10, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[at] ^= mask;
            let _ = loaded(&broken, blind);
        }
    }
}

#[test]
fn keys_that_are_there_are_replaced_if_so_asked() {
    let bytes = sealed(of_redis(b"\xfc\0\0\0\0\0\0\0\x7f\0\x01a\x01b\xff"));
    let mut keyspace = Keyspace::new(1, &[9; 16]);
    keyspace.db_mut(0).set(b"a", samples::list(&[b"x"]), None);
    let mut batch = Batch::default();
    FileReader::new(&mut &bytes[..], OPTIONS()).fill(&mut batch).expect("a sound file");
    batch.apply(&mut keyspace, true, |_| None, |_| {}).expect("it replaces");
    let entry = keyspace.db(0).find(b"a").expect("there");
    assert_eq!(entry.to_value(), samples::string(b"b"));
    assert!(entry.expire_at().is_some());
    assert_eq!(keyspace.db(0).volatile_len(), 1);
}

#[test]
fn accesses_are_kept_in_the_terms_of_the_keyspace() {
    let bytes = sealed(of_redis(b"\xf8\x05\0\x01a\x01b\0\x01c\x01d\xff"));
    let mut keyspace = Keyspace::new(1, &[9; 16]);
    keyspace.set_initial_access(77, true);
    let mut batch = Batch::default();
    FileReader::new(&mut &bytes[..], OPTIONS()).fill(&mut batch).expect("a sound file");
    let access = |access| (access == Access::Idle(5)).then_some(1234);
    batch.apply(&mut keyspace, false, access, |_| {}).expect("no duplicates");
    let access = |key: &[u8]| keyspace.db(0).find(key).expect("there").access();
    assert_eq!((access(b"a"), access(b"c")), (1234, 77));
}

#[test]
fn long_strings_and_many_keys_come_through() {
    let now = Now::default();
    let mut keyspace = Keyspace::new(1, &[7; 16]);
    for nth in 0..3_000 {
        let len = if nth % 100 == 0 { 100_000 + nth } else { nth % 900 };
        let text: Vec<u8> = (0..len).map(|at| (at * 7 + nth) as u8).collect();
        keyspace.db_mut(0).set_bytes(
            format!("{nth}").as_bytes(),
            &text,
            crate::keyspace::Ttl::Keep,
        );
    }
    for compress in [false, true] {
        let mut writer = Writer::new(Vec::new(), compress, now);
        write_head(&mut writer, &Head::default());
        keyspace.db(0).iter().for_each(|entry| write_entry(&mut writer, entry, None));
        write_end(&mut writer);
        let (read, ..) = loaded(&sealed(writer.into_sink()), OPTIONS()).expect("our own file");
        assert_eq!(content(&read), content(&keyspace));
    }
}
