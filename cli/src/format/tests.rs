//! One reply in all forms. What is expected is what valkey-cli 9.1 prints.

use super::*;

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

fn many(kind: Kind, items: Vec<Reply>) -> Reply {
    Reply::Many(kind, items)
}

#[track_caller]
fn check(reply: &Reply, output: Output, expected: &str) {
    let delimiters = Delimiters { elements: b"\n".to_vec(), replies: b"\n".to_vec() };
    let text = format(reply, output, &delimiters);
    assert_eq!(String::from_utf8_lossy(&text), expected);
}

#[test]
fn simple_replies_have_their_types_on_a_terminal() {
    let standard = |reply: &Reply, expected| check(reply, Output::Standard, expected);
    standard(&bulk("a\"\n\u{1}é"), "\"a\\\"\\n\\x01\\xc3\\xa9\"\n");
    standard(&Reply::Status(b"OK".to_vec()), "OK\n");
    standard(&Reply::Error(b"ERR no".to_vec()), "(error) ERR no\n");
    standard(&Reply::Integer(-3), "(integer) -3\n");
    standard(&Reply::Nil, "(nil)\n");
    standard(&Reply::Bool(true), "(true)\n");
    standard(&Reply::Double(b"1.5".to_vec()), "(double) 1.5\n");
    standard(&Reply::Verbatim(b"a\nb".to_vec()), "a\nb\n");
    standard(&many(Kind::Array, vec![]), "(empty array)\n");
    standard(&many(Kind::Map, vec![]), "(empty hash)\n");
    standard(&many(Kind::Set, vec![]), "(empty set)\n");
    standard(&many(Kind::Push, vec![]), "(empty push)\n");
}

#[test]
fn nested_replies_are_indented() {
    let inner = many(Kind::Array, vec![bulk("b"), Reply::Nil]);
    let items = (0..10).map(Reply::Integer).chain([inner]).collect();
    let lines: String = (0..10).map(|n| format!("{:>2}) (integer) {n}\n", n + 1)).collect();
    let expected = format!("{lines}11) 1) \"b\"\n    2) (nil)\n");
    check(&many(Kind::Array, items), Output::Standard, &expected);
}

#[test]
fn maps_show_keys_and_values_in_a_line() {
    let list = many(Kind::Set, vec![Reply::Integer(1), Reply::Integer(2)]);
    let short = many(Kind::Array, vec![bulk("x")]);
    let map = many(Kind::Map, vec![bulk("a"), bulk("b"), bulk("c"), list, bulk("d"), short]);
    let expected = "1# \"a\" => \"b\"\n\
                    2# \"c\" => \n   1~ (integer) 1\n   2~ (integer) 2\n\
                    3# \"d\" => 1) \"x\"\n";
    check(&map, Output::Standard, expected);
    check(&map, Output::Raw, "a b\nc 1\n2\nd x\n");
    check(&map, Output::Csv, "\"a\",\"b\",\"c\",1,2,\"d\",\"x\"\n");
    check(&map, Output::Json, "{\"a\":\"b\",\"c\":[1,2],\"d\":[\"x\"]}\n");
}

#[test]
fn keys_of_json_are_strings() {
    let map = many(Kind::Map, vec![Reply::Integer(1), Reply::Nil, Reply::Bool(true), bulk("x")]);
    check(&map, Output::Json, "{\"1\":null,\"true\":\"x\"}\n");
}

#[test]
fn json_escapes_and_quoted_json_is_ascii() {
    let text = bulk("a\"\\\u{1}\n\u{e9}");
    check(&text, Output::Json, "\"a\\\"\\\\\\u0001\\n\u{e9}\"\n");
    check(&text, Output::QuotedJson, "\"a\\\\\"\\\\\\\\\\\\x01\\\\n\\\\xc3\\\\xa9\"\n");
    check(&Reply::Error(b"ERR x".to_vec()), Output::Json, "error:\"ERR x\"\n");
}

#[test]
fn raw_replies_are_joined_by_the_delimiters() {
    let delimiters = Delimiters { elements: b", ".to_vec(), replies: b"|".to_vec() };
    let nested = many(Kind::Array, vec![bulk("b"), bulk("c")]);
    let reply = many(Kind::Array, vec![bulk("a"), nested, Reply::Nil, Reply::Integer(5)]);
    assert_eq!(format(&reply, Output::Raw, &delimiters), b"a, b, c, , 5|");
}

#[test]
fn texts_are_known_by_their_commands() {
    let is = |line: &str| {
        is_text(&line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
    };
    for line in ["INFO", "info server", "client LIST", "memory doctor", "cluster info", "lolwut"] {
        assert!(is(line), "{line}");
    }
    for line in ["get info", "client id", "memory", "cluster info x", "latency graph"] {
        assert!(!is(line), "{line}");
    }
}

#[test]
fn invalidations_are_one_line() {
    let keys = many(Kind::Array, vec![bulk("a"), bulk("b")]);
    let push = many(Kind::Push, vec![bulk("invalidate"), keys]);
    assert_eq!(invalidation(&push).as_deref(), Some(&b"-> invalidate: 'a', 'b'\n"[..]));
    assert_eq!(invalidation(&many(Kind::Push, vec![bulk("invalidate"), Reply::Nil])), None);
}
