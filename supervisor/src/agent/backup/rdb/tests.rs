//! Files by hand: every form of value, every damage.

use super::*;
use crc::{CRC_64_REDIS, Crc};
use proptest::prelude::*;

const NOW: u64 = 1_000_000;

/// A file with its checksum.
fn whole(start: &[u8], body: &[u8]) -> Vec<u8> {
    let mut file = [start, body, &[opcode::END]].concat();
    let checksum = Crc::<u64>::new(&CRC_64_REDIS).checksum(&file);
    file.extend(checksum.to_le_bytes());
    file
}

fn check(file: &[u8]) -> Result<Contents, String> {
    read(file, NOW).map_err(|fault| fault.to_string())
}

fn keys(start: &[u8], body: &[u8]) -> Result<u64, String> {
    check(&whole(start, body)).map(|contents| contents.keys)
}

const V11: &[u8] = b"REDIS0011";
const V12: &[u8] = b"REDIS0012";
const VALKEY: &[u8] = b"VALKEY080";

/// Each a key "k" and its value.
const VALUES: &[(&[u8], &[u8])] = &[
    (V11, b"\x00\x01k\x02vv"),
    (V11, b"\x00\x01k\xc0\x07"),
    (V11, b"\x00\x01k\xc1\x07\x07"),
    (V11, b"\x00\x01k\xc2\x07\x07\x07\x07"),
    (V11, b"\x00\x01k\xc3\x03\x09abc"),
    (V11, b"\x00\x01k\x40\x03abc"),
    (V11, b"\x00\x01k\x80\x00\x00\x00\x03abc"),
    (V11, b"\x00\x01k\x81\x00\x00\x00\x00\x00\x00\x00\x03abc"),
    (V11, b"\x01\x01k\x02\x01a\x01b"),
    (V11, b"\x02\x01k\x01\x01a"),
    (V11, b"\x03\x01k\x03\x01a\x031.5\x01b\xfd\x01c\xff"),
    (V11, b"\x04\x01k\x01\x01f\x01v"),
    (V11, b"\x05\x01k\x01\x01a\x00\x00\x00\x00\x00\x00\x00\x00"),
    (V11, b"\x0b\x01k\x03abc"),
    (V11, b"\x0e\x01k\x01\x03abc"),
    (V11, b"\x12\x01k\x02\x01\x03abc\x02\x03abc"),
    (V11, b"\x14\x01k\x03abc"),
    // A stream: one node, counters, a group with one pending entry and one consumer.
    (
        V11,
        b"\x15\x01k\x01\x02id\x02lp\x01\x01\x00\x01\x00\x00\x00\x01\
          \x01\x01g\x01\x00\x01\x01IIIIIIIIIIIIIIIITTTTTTTT\x01\x01\x01cSSSSSSSSAAAAAAAA\x01IIIIIIIIIIIIIIII",
    ),
    (
        V11,
        b"\x0f\x01k\x01\x02id\x02lp\x01\x01\x00\
          \x01\x01g\x01\x00\x01IIIIIIIIIIIIIIIITTTTTTTT\x01\x01\x01cSSSSSSSS\x01IIIIIIIIIIIIIIII",
    ),
    (VALKEY, b"\x16\x01k\x01\x01f\x01vTTTTTTTT"),
    (V12, b"\x16\x01k\x01\x05\x01f\x01v"),
    (V12, b"\x18\x01kTTTTTTTT\x01\x05\x01f\x01v"),
    (V12, b"\x19\x01kTTTTTTTT\x03abc"),
];

#[test]
fn every_form_of_value_is_walked_over() {
    for (start, value) in VALUES {
        let after = b"\x00\x05after\x01x";
        let file = [*value, after].concat();
        assert_eq!(keys(start, &file), Ok(2), "{}", value.escape_ascii());
    }
}

#[test]
fn a_file_torn_anywhere_is_no_backup() {
    for (start, value) in VALUES {
        let file = whole(start, value);
        for len in 0..file.len() {
            assert!(check(&file[..len]).is_err(), "{len} of {}", file.escape_ascii());
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_seen() {
    let file = whole(V11, b"\xfa\x03ver\x013\xfe\x00\xfb\x01\x00\x00\x01k\x02vv");
    for at in 0..file.len() * 8 {
        let mut damaged = file.clone();
        damaged[at / 8] ^= 1 << (at % 8);
        assert!(check(&damaged).is_err(), "bit {at}");
    }
}

#[test]
fn expiry_is_counted() {
    let due = |ms: u64| [b"\xfc".as_slice(), &ms.to_le_bytes(), b"\x00\x01k\x01v"].concat();
    let body = [due(NOW), due(NOW + 1), due(NOW + LASTING_MS + 1), due(u64::MAX)].concat();
    let contents = check(&whole(V11, &body)).expect("good");
    assert_eq!((contents.keys, contents.expired, contents.lasting), (4, 1, 2));
    assert!(contents.checksummed);
}

#[test]
fn what_stands_around_keys_is_skipped() {
    let body = b"\xf5\x04code\xf4\x01\x02\x03\xfe\x00\xfb\x01\x00\xfd\x05\x00\x00\x00\xf8\x07\xf9\x01\x00\x01k\x01v";
    assert_eq!(keys(V11, body), Ok(1));
    assert_eq!(keys(V11, b""), Ok(0), "an empty dataset is one");
}

#[test]
fn faults_have_their_own_words() {
    let cases: &[(Vec<u8>, &str)] = &[
        (b"".to_vec(), "is no RDB file"),
        (b"GZIP and more".to_vec(), "is no RDB file"),
        (whole(b"REDIS0099", b""), "is of RDB version 99, not known here"),
        (whole(b"REDIS0013", b""), "is of RDB version 13, not known here"),
        ([whole(V11, b""), b"x".to_vec()].concat(), "goes on behind its end"),
        (
            whole(V11, b"\x07\x01k\x00"),
            "is damaged at byte 12: a module's data, which the server does not load",
        ),
        (whole(V11, b"\x63\x01k\x00"), "is damaged at byte 12: a value of an unknown form"),
    ];
    for (file, expected) in cases {
        assert_eq!(check(file).err().as_deref(), Some(*expected));
    }
}

#[test]
fn without_a_checksum_it_is_said() {
    let file = [V11, b"\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0"].concat();
    assert_eq!(check(&file).map(|contents| contents.checksummed), Ok(false));
}

/// A reader that gives one byte at a time: nothing depends on where a buffer ends.
struct Slowly<'b>(&'b [u8]);

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(1);
        (&mut self.0).read(&mut buffer[..len])
    }
}

#[test]
fn pieces_make_no_difference() {
    let file = whole(V11, &[VALUES[0].1, VALUES[17].1].concat());
    let slowly = read(Slowly(&file), NOW).expect("good");
    assert_eq!(Ok(slowly), check(&file));
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_never_hang(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes[..], NOW);
        bytes.splice(0..0, V11.iter().copied());
        let _ = read(&bytes[..], NOW);
    }
}
