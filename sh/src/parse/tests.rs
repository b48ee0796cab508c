//! What is understood beside words, and what is refused.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn refused(text: &str, status: u8, says: &str) {
    let stop = parse(text.as_bytes()).err().unwrap_or_else(|| panic!("{text:?} is taken"));
    let line = String::from_utf8(stop.line()).expect("ASCII");
    assert_eq!(stop.status, status, "{text:?}: {line}");
    assert!(line.contains(says), "{text:?}: {line}");
    assert_eq!(line.matches('\n').count(), 1, "{line}");
}

fn parsed(text: &str) -> Script {
    parse(text.as_bytes()).unwrap_or_else(|stop| panic!("{text:?}: {stop:?}"))
}

#[test]
fn other_constructs_are_refused_by_name() {
    for (text, says) in [
        ("redis-cli ping | grep PONG", "sh: | grep PONG: not supported"),
        ("redis-cli ping && redis-cli info", "&& redis-cli info: not supported"),
        ("redis-server &", "&: not supported"),
        ("redis-cli ping; redis-cli info", "redis-cli info: not supported"),
        ("redis-cli ping\nredis-cli info", "redis-cli info: not supported"),
        ("redis-cli ping || redis-server", "|| redis-server: not supported"),
        ("redis-cli ping || exit 1 || exit 2", "|| exit 2: not supported"),
        ("if true; then exit 1; fi", "if: not supported"),
        ("while :; do redis-cli ping; done", "while: not supported"),
        ("(redis-cli ping)", "(redis-cli ping): not supported"),
        ("f() { :; }", "() { :; }: not supported"),
        ("! redis-cli ping", "!: not supported"),
        ("redis-cli ping >/data/log", ">/data/log: not supported"),
        ("redis-cli ping >> /dev/null", ">> /dev/null: not supported"),
        ("redis-cli </data/commands", "</data/commands: not supported"),
        ("redis-cli <<E\nping\nE", "<<E?ping?E: not supported"),
        ("redis-cli 3>/dev/null", ">/dev/null: not supported"),
        ("redis-cli 2>&3", ">&3: not supported"),
        ("redis-cli keys *", "*: not supported"),
        ("redis-cli get ~", "~: not supported"),
        ("redis-cli get `hostname`", "`hostname`: not supported"),
        ("redis-cli get \"`hostname`\"", "`hostname`\": not supported"),
        ("redis-cli get $(hostname)", "$(hostname): not supported"),
        ("redis-cli get $(cat a b)", "$(cat a b): not supported"),
        ("redis-cli get $(cat a | tr x y)", "$(cat a | tr x y): not supported"),
        ("redis-cli get $((1 + 2))", "$((1 + 2)): not supported"),
        ("redis-cli get ${A:?}", "${A:?}: not supported"),
        ("redis-cli get ${#A}", "${#A}: not supported"),
        ("redis-cli \"$@\"", "$@\": not supported"),
        ("redis-cli get $'x'", "$'x': not supported"),
        ("redis-cli ping || exit $?", "$?: not supported"),
    ] {
        refused(text, 126, says);
    }
}

#[test]
fn broken_syntax_is_told_as_such() {
    for text in [
        "redis-cli 'ping",
        "redis-cli \"ping",
        "redis-cli ${A",
        "redis-cli ${A:-x",
        "redis-cli \"${A:-x",
        "redis-cli $(cat x",
        "redis-cli )",
        "; redis-cli",
        "|| exit 1",
        "redis-cli ;;",
        "redis-cli || exit x",
        "redis-cli || exit -1",
    ] {
        refused(text, 2, "");
    }
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    refused(&"a".repeat(MAX_TEXT + 1), 126, "too long");
    refused(&"a ".repeat(MAX_WORDS + 1), 126, "too long");
    refused(&"A= ".repeat(MAX_WORDS + 1), 126, "too long");
    let nested = |depth| ["redis-cli ", &"${A:-".repeat(depth), &"}".repeat(depth)].concat();
    parsed(&nested(MAX_DEPTH.into()));
    refused(&nested(usize::from(MAX_DEPTH) + 1), 126, "too deeply");
    refused(&"\"$(cat ".repeat(5_000), 126, "too deeply");
}

#[test]
fn streams_go_where_the_last_redirection_sends_them() {
    use Stream::{Err, Null, Out};
    for (text, out, err) in [
        ("redis-cli", Out, Err),
        ("redis-cli >/dev/null", Null, Err),
        ("redis-cli 2> /dev/null ping", Out, Null),
        (">/dev/null 2>&1 redis-cli", Null, Null),
        ("redis-cli 2>&1 >/dev/null", Null, Out),
        ("redis-cli 1>&2", Err, Err),
        ("redis-cli >&2 2>/dev/null||exit", Err, Null),
    ] {
        assert_eq!(parsed(text).streams, Streams { out, err }, "{text}");
    }
    assert_eq!(parsed("redis-cli get 2 '2'>/dev/null").words.len(), 4);
}

#[test]
fn the_end_may_say_what_becomes_of_a_failure() {
    for (text, exit) in [
        ("redis-cli ping", None),
        ("redis-cli ping || exit", Some(None)),
        ("redis-cli ping || exit 1", Some(Some(1))),
        ("redis-cli ping||exit 256 ; # as ever", Some(Some(0))),
        ("redis-cli ping ||\n # so\n exit 3\n", Some(Some(3))),
    ] {
        assert_eq!(parsed(text).otherwise, exit.map(Exit), "{text}");
    }
}

proptest! {
    /// Pieces that mean something are far likelier than single bytes to get anywhere.
    #[test]
    fn no_bytes_make_it_panic(
        text in proptest::collection::vec(
            prop_oneof![
                any::<u8>().prop_map(|byte| vec![byte]),
                proptest::sample::select(vec!["redis-cli ", "$(cat ", "${A:-", "}", "\"", "'", "||", "exit ",
                    "2>&1", ">/dev/null", "\\", "\n", "A=", ")"]).prop_map(|text| text.as_bytes().to_vec()),
            ], 0..40)
    ) {
        let text = text.concat();
        if let Err(stop) = parse(&text) {
            prop_assert!(stop.status == 126 || stop.status == 2);
            let line = stop.line();
            prop_assert!(line.len() < 400 && line.iter().filter(|byte| **byte == b'\n').count() == 1);
        }
    }
}
