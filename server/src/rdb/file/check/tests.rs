//! The checker's words, and that it looks at everything.

use super::*;
use crate::rdb::crc64::Crc64;

const NOW: Now = Now { us: 1_700_000_000_000_000, wall_offset_ms: 0 };

fn checked(bytes: &[u8], options: &[&str]) -> (u8, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dump.rdb");
    std::fs::write(&path, bytes).expect("it can be written");
    let words = [&["redis-check-rdb", path.to_str().expect("a name")][..], options].concat();
    let args: Vec<OsString> = words.iter().map(OsString::from).collect();
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let status = run(&args, NOW, &mut out, &mut errors);
    let text = String::from_utf8_lossy(&out).replace(&*path.to_string_lossy(), "FILE");
    (status, text + &String::from_utf8_lossy(&errors))
}

fn sealed(items: &[u8]) -> Vec<u8> {
    let mut bytes = [b"REDIS0011", items].concat();
    bytes.extend(Crc64::of(&bytes).to_le_bytes());
    bytes
}

#[test]
fn a_sound_file_is_told_in_valkeys_words() {
    let items = [
        &b"\xfa\x03lua\x04code\xf5\x01x\xfe\x00\0\x01a\x01b\xfc"[..],
        &1i64.to_le_bytes(),
        b"\0\x01c\x01d\xff",
    ];
    let (status, text) = checked(&sealed(&items.concat()), &[]);
    assert_eq!(
        text,
        "[offset 0] Checking RDB file FILE\n\
         [offset 19] AUX FIELD lua = 'code'\n\
         [offset 24] Selecting DB ID 0\n\
         [offset 52] Checksum OK\n\
         [offset 52] Check RDB returned error code 0 (0 means success)\n\
         [offset 52] \\o/ RDB looks OK! \\o/\n\
         [info] 2 keys read\n\
         [info] 1 expires\n\
         [info] 1 already expired\n\
         [info] 1 functions\n\
         [info] 1 lua scripts read\n"
    );
    assert_eq!(status, GOOD);
}

#[test]
fn an_error_says_where_and_while_doing_what() {
    for (items, expected) in [
        (
            &b"\0\x01a\x01b\x02\x01s\x02\x01m"[..],
            "Unexpected EOF reading RDB file\n\
             [additional info] While doing: read-object-value\n\
             [additional info] Reading key 's'\n\
             [additional info] Reading type 2 (set-hashtable)\n\
             [info] 1 keys read\n",
        ),
        (b"\x09", "Unexpected EOF reading RDB file\n[additional info] While doing: read-key\n"),
        (b"\x08", "Invalid object type: 8\n[additional info] While doing: read-type\n"),
        (
            b"\x02\x01s\x02\x01m\x01m",
            "Internal error in RDB reading offset 17 -> Duplicate set members detected\n",
        ),
        (b"\xff\x01\0\0\0\0\0\0\0", "RDB CRC error\n[additional info] While doing: check-sum\n"),
    ] {
        let (status, text) = checked(&[b"REDIS0011", items].concat(), &[]);
        let start = text.find("--- RDB ERROR DETECTED ---\n[offset ").expect("an error");
        assert!(text[start..].contains(expected), "{text}");
        assert!(text.contains("Check RDB returned error code 1 (0 means success)"), "{text}");
        assert_eq!(status, BAD);
    }
    let (status, text) = checked(b"*1\r\n$4\r\nPING\r\n", &[]);
    assert!(text.contains("Wrong signature trying to load DB from file"), "{text}");
    assert!(text.contains("While doing: start") && status == BAD, "{text}");
}

#[test]
fn versions_of_others_are_named() {
    for (name, told, verdict) in [
        ("REDIS0012", "[offset 9] Foreign RDB version 12 detected", "'rdb-version-check relaxed'"),
        ("REDIS0075", "[offset 9] Foreign RDB version 75 detected", "'rdb-version-check relaxed'"),
        ("VALKEY987", "[offset 9] Future RDB version 987 detected", "'rdb-version-check relaxed'"),
        ("VALKEY080", "", r"\o/ RDB looks OK! \o/"),
        ("REDIS0001", "", r"\o/ RDB looks OK! \o/"),
    ] {
        let (status, text) = checked(&[name.as_bytes(), b"\xff\0\0\0\0\0\0\0\0"].concat(), &[]);
        assert!(text.contains(told) && text.contains(verdict), "{text}");
        assert_eq!((status, text.contains("detected")), (GOOD, !told.is_empty()), "{text}");
    }
    let (_, text) = checked(b"VALKEY987\x96", &[]);
    assert!(text.contains("Unknown object type 150 in RDB file with future version 987"), "{text}");
    let (_, text) = checked(b"REDIS0075\x96", &[]);
    assert!(text.contains("Unknown object type 150 in RDB file with foreign version 75"), "{text}");
    let (_, text) = checked(b"REDIS0000\x96", &[]);
    assert!(text.contains("Can't handle RDB format version 0"), "{text}");
}

#[test]
fn what_was_proved_is_told() {
    let mut bytes = b"REDIS0011\0\x01a\x01b".to_vec();
    let checksum = Crc64::of(&bytes);
    super::super::write_check(&mut bytes, checksum);
    bytes.extend(b"\x08");
    let (_, text) = checked(&bytes, &[]);
    assert!(text.contains("[info] 1 keys in the first 41 bytes are proved by checksums"), "{text}");
    assert!(!text.contains("AUX FIELD"), "{text}");
}

#[test]
fn sizes_are_counted_by_type() {
    let items = b"\xfe\x02\0\x01a\x03xyz\x02\x02ss\x02\x01m\x03two\x05\x01z\x01\x01m\0\0\0\0\0\0\xf8\x3f\xff";
    let (status, text) = checked(&sealed(items), &["--stats", "--format", "info"]);
    assert_eq!(status, GOOD, "{text}");
    for line in [
        "[info] db.0.type.string.keys.total:0",
        "[info] db.2.type.string.keys.total:1",
        "[info] db.2.type.string.elements.size.max:3",
        "[info] db.2.type.set.keys.size:2",
        "[info] db.2.type.set.elements.total:2",
        "[info] db.2.type.set.elements.size.avg:2.00",
        "[info] db.2.type.zset.keys.value_size:4",
        "[info] db.2.type.module.keys.total:0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    let (_, text) = checked(&sealed(items), &["--stats", "--format", "csv"]);
    assert!(text.contains("db.2.keys.total,1,0,1,1,0,0,0\n"), "{text}");
    let (_, text) = checked(&sealed(items), &["--stats"]);
    assert!(text.contains("db.2.keys.total               \t1    \t0    \t1    \t"), "{text}");
}

#[test]
fn wrong_arguments_are_told_how_it_goes() {
    for options in [&["--format"][..], &["--format", "xml"], &["--what"], &["--output"]] {
        let (status, text) = checked(b"", options);
        assert!(
            status == BAD && text.starts_with("Usage: redis-check-rdb <rdb-file-name>"),
            "{text}"
        );
    }
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let args = ["valkey-check-rdb", "--version"].map(OsString::from);
    assert_eq!(run(&args, NOW, &mut out, &mut errors), GOOD);
    assert!(String::from_utf8_lossy(&out).contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&args[..1], NOW, &mut out, &mut errors), BAD);
    let missing = ["valkey-check-rdb", "/nonexistent/file.rdb"].map(OsString::from);
    assert_eq!(run(&missing, NOW, &mut out, &mut errors), BAD);
}

#[test]
fn what_follows_the_rdb_part_is_not_looked_at() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let part = sealed(b"\0\x01a\x01b\xff");
    for (tail, expected) in [(&b"*1\r\n"[..], Some(part.len() as u64)), (b"", None)] {
        let whole = if tail.is_empty() { &part[..part.len() - 1] } else { &part };
        std::fs::write(file.path(), [whole, tail].concat()).expect("it can be written");
        assert_eq!(check(file.path(), NOW, &mut Vec::new()), expected);
    }
}
