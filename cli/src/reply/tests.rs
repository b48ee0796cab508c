//! What servers send, whole, in pieces, broken and hostile.

use std::io::{Cursor, Read as _};

use proptest::prelude::*;

use super::*;

/// Gives its bytes a few at a time.
fn reader(bytes: &[u8], at_once: usize) -> Reader {
    let mut bytes = Cursor::new(bytes.to_vec());
    Reader::new(Box::new(move |into| {
        let room = into.len().min(at_once);
        bytes.read(&mut into[..room])
    }))
}

#[track_caller]
fn check(bytes: &[u8], expected: &Reply) {
    for at_once in [1, 2, 7, usize::MAX] {
        let mut reader = reader(bytes, at_once);
        assert_eq!(&reader.reply().expect("a reply"), expected, "{at_once} at once");
        assert!(!reader.has_more());
        assert!(matches!(reader.reply(), Err(Failure::Closed)));
    }
}

#[track_caller]
fn check_wrong(bytes: &[u8], expected: &str) {
    match reader(bytes, usize::MAX).reply() {
        Err(Failure::Protocol(text)) => assert_eq!(text, expected),
        other => panic!("{other:?}"),
    }
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

#[test]
fn every_type_is_read() {
    check(b"+OK\r\n", &Reply::Status(b"OK".to_vec()));
    check(b"-ERR no\r\n", &Reply::Error(b"ERR no".to_vec()));
    check(b":-7\r\n", &Reply::Integer(-7));
    check(b"$5\r\na\r\nbc\r\n", &bulk("a\r\nbc"));
    check(b"$0\r\n\r\n", &bulk(""));
    check(b"$-1\r\n", &Reply::Nil);
    check(b"*-1\r\n", &Reply::Nil);
    check(b"_\r\n", &Reply::Nil);
    check(b"#t\r\n", &Reply::Bool(true));
    check(b",3.25\r\n", &Reply::Double(b"3.25".to_vec()));
    check(b",-inf\r\n", &Reply::Double(b"-inf".to_vec()));
    check(b"(123456789012345678901\r\n", &Reply::Double(b"123456789012345678901".to_vec()));
    check(b"=7\r\ntxt:abc\r\n", &Reply::Verbatim(b"abc".to_vec()));
    check(b"*2\r\n:1\r\n*0\r\n", &array(vec![Reply::Integer(1), array(vec![])]));
    check(b"%1\r\n$1\r\na\r\n:1\r\n", &Reply::Many(Kind::Map, vec![bulk("a"), Reply::Integer(1)]));
    check(b"~1\r\n:1\r\n", &Reply::Many(Kind::Set, vec![Reply::Integer(1)]));
    check(b">1\r\n:1\r\n", &Reply::Many(Kind::Push, vec![Reply::Integer(1)]));
}

fn array(items: Vec<Reply>) -> Reply {
    Reply::Many(Kind::Array, items)
}

#[test]
fn attributes_are_left_out() {
    check(b"|1\r\n+ttl\r\n:5\r\n:9\r\n", &Reply::Integer(9));
    check(b"*1\r\n|1\r\n+a\r\n:1\r\n:2\r\n", &array(vec![Reply::Integer(2)]));
}

#[test]
fn nonsense_is_named_as_libvalkey_names_it() {
    check_wrong(b"HTTP/1.1 400\r\n", "Protocol error, got \"H\" as reply type byte");
    check_wrong(b"\x00", "Protocol error, got \"\\x00\" as reply type byte");
    check_wrong(b":1a\r\n", "Bad integer value");
    check_wrong(b"$x\r\n", "Bad bulk string length");
    check_wrong(b"$-2\r\n", "Bulk string length out of range");
    check_wrong(b"*-2\r\n", "Multi-bulk length out of range");
    check_wrong(b"*4294967296\r\n", "Multi-bulk length out of range");
    check_wrong(b"#y\r\n", "Bad bool value");
    check_wrong(b"_x\r\n", "Bad nil value");
    check_wrong(b",1,5\r\n", "Bad double value");
    check_wrong(
        b"=3\r\ntxt\r\n",
        "Verbatim string 4 bytes of content type are missing or incorrectly encoded.",
    );
    check_wrong(b"$1\r\nabc", "Bad bulk string end");
}

#[test]
fn what_is_announced_is_not_believed() {
    check_wrong(b"$9223372036854775807\r\n", "Bulk string length out of range");
    check_wrong(&b"*1\r\n".repeat(100_000), "Reply is nested too deeply");
    let endless = b"+".iter().chain(&vec![b'x'; MAX_LINE + CHUNK]).copied().collect::<Vec<u8>>();
    check_wrong(&endless, "Line is too long");
    // Four thousand million elements, of which none comes.
    assert!(matches!(reader(b"*4294967295\r\n", 1).reply(), Err(Failure::Closed)));
    assert!(matches!(reader(b"$536870912\r\nab", 1).reply(), Err(Failure::Closed)));
}

fn any_reply() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-z]{0,9}";
    let leaf = prop_oneof![
        text.prop_map(|text| format!("+{text}\r\n").into_bytes()),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
            [format!("${}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
        }),
        Just(b"_\r\n".to_vec()),
        Just(b"#f\r\n".to_vec()),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        (proptest::sample::select(&b"*~>"[..]), proptest::collection::vec(inner, 0..6)).prop_map(
            |(sign, items)| {
                let head = format!("{}{}\r\n", char::from(sign), items.len()).into_bytes();
                [head, items.concat()].concat()
            },
        )
    })
}

proptest! {
    #[test]
    fn pieces_change_nothing(bytes in any_reply(), at_once in 1_usize..9) {
        let whole = reader(&bytes, usize::MAX).reply().expect("a reply");
        prop_assert_eq!(reader(&bytes, at_once).reply().expect("a reply"), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), proptest::sample::select(&b"\r\n*$:%=1-9txt"[..])], 0..200),
    ) {
        let mut reader = reader(&bytes, 3);
        while reader.reply().is_ok() {}
    }

    #[test]
    fn a_reply_with_a_wrong_byte_is_read_or_refused(
        bytes in any_reply(), at in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = bytes;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut reader = reader(&bytes, usize::MAX);
        while let Ok(reply) = reader.reply() {
            let delimiters = crate::format::Delimiters {
                elements: b"\n".to_vec(),
                replies: b"\n".to_vec(),
            };
            use crate::format::{Output, format};
            for output in [Output::Standard, Output::Raw, Output::Csv, Output::QuotedJson] {
                format(&reply, output, &delimiters);
            }
        }
    }
}
