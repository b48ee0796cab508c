//! The words that come out: written down, and beside the machine's own /bin/sh.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command as Process;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::parse::{Stream, parse};

/// Variables that tests have; whatever else is not set.
const VARIABLES: [(&str, &str); 4] =
    [("A", "one"), ("TWO", " two  words\t"), ("EMPTY", ""), ("ODD", "*'\"$A\\ ~")];

fn variable(name: &OsStr) -> Option<OsString> {
    VARIABLES.iter().find(|(known, _)| name == *known).map(|(_, value)| value.into())
}

fn expanded(text: &str, is_strict: bool) -> Result<Command, Stop> {
    let parameters = ["name", "first"].map(OsString::from);
    let options =
        Options { command: text.as_bytes(), parameters: &parameters, is_strict, is_main: false };
    expand(&parse(options.command)?, &options, &variable, read)
}

#[track_caller]
fn check(text: &str, words: &[&str]) {
    let command = expanded(text, false).unwrap_or_else(|stop| panic!("{text:?}: {stop:?}"));
    let seen: Vec<_> = command.words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    assert_eq!(seen, words, "{text:?}");
}

fn secret(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password.txt");
    fs::write(&file, text).expect("written");
    (folder, file.to_str().expect("UTF-8").to_owned())
}

#[test]
fn words_are_split_and_their_quotes_go() {
    check("redis-cli ping", &["redis-cli", "ping"]);
    check("\n  # first\n\n exec redis-cli \\\n\tping # why\n", &["exec", "redis-cli", "ping"]);
    check(r#"a 'b  c' "d 'e'" f\ g h"i"'j'k"#, &["a", "b  c", "d 'e'", "f g", "hijk"]);
    check(r#"a "" '' x"" "\$A \"q\" \\ \x""#, &["a", "", "", "x", r#"$A "q" \ \x"#]);
    check("a#b # c", &["a#b"]);
    check("a\\\nb $ \"$\" $/ a{b}", &["ab", "$", "$", "$/", "a{b}"]);
    check("", &[]);
}

#[test]
fn variables_are_split_unless_quoted() {
    check("x $A ${A}s $NONE \"$NONE\" $EMPTY", &["x", "one", "ones", ""]);
    check("x a${TWO}b \"$TWO\"", &["x", "a", "two", "words", "b", " two  words\t"]);
    check("x $ODD \"$ODD\"", &["x", "*'\"$A\\", "~", "*'\"$A\\ ~"]);
    check("x $0 \"$1\" $2 ${1}0", &["x", "name", "first", "first0"]);
    check("$NONE redis-cli", &["redis-cli"]);
}

#[test]
fn a_word_stands_for_what_is_not_set() {
    check("x ${NONE:-a b} \"${NONE:-a b}\" ${EMPTY:-c}", &["x", "a", "b", "a b", "c"]);
    check("x ${EMPTY-c} \"${EMPTY-c}\" ${NONE-d} ${A:-e}", &["x", "", "d", "one"]);
    check("x ${NONE:-${EMPTY:-$A}} \"${NONE:-\\}'$A'}\"", &["x", "one", "}'one'"]);
}

#[test]
fn a_file_is_read_without_its_last_ends_of_lines() {
    let (_folder, file) = secret("pass word\n\n");
    check(&format!("x \"$(cat {file})\""), &["x", "pass word"]);
    check(&format!("x a$( cat '{file}' )b"), &["x", "apass", "wordb"]);
    check(&format!("x \"$(cat \"${{NONE:-{file}}}\")\""), &["x", "pass word"]);
    let (_folder, empty) = secret("\n");
    check(&format!("x $(cat {empty}) \"$(cat {empty})\""), &["x", ""]);
}

#[test]
fn a_file_that_cannot_be_read_stops_the_command() {
    let (folder, long) = secret(&"x".repeat(MAX_FILE + 1));
    let (_folder, binary) = secret("a\0b");
    let folder = folder.path().to_str().expect("UTF-8");
    for file in [&long, &binary, folder, "/no/such/file"] {
        let stop = expanded(&format!("x \"$(cat {file})\""), false).expect_err(file);
        assert_eq!(stop.status, 1);
        assert!(stop.line().starts_with(b"sh: /"), "{stop:?}");
    }
    assert_eq!(expanded("x $(cat -n)", false).expect_err("an option").status, 126);
}

#[test]
fn assignments_see_those_before_them_and_words_do_not() {
    let command = expanded("A=1 B=\"$A  $A\"$TWO C= redis-cli $A", false).expect("a command");
    let pairs = [("A", "1"), ("B", "1  1 two  words\t"), ("C", "")];
    let pairs = pairs.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    assert_eq!(command.assignments, pairs);
    assert_eq!(command.words, [b"redis-cli".to_vec(), b"one".to_vec()]);
}

#[test]
fn under_u_a_variable_has_to_be_set() {
    assert_eq!(expanded("x $NONE", true).expect_err("not set").status, 2);
    assert_eq!(expanded("x ${NONE-a} $EMPTY", true).expect("set").words.len(), 2);
}

#[test]
fn what_comes_out_is_bounded() {
    let (_folder, file) = secret(&"x".repeat(MAX_FILE));
    let stop = expanded(&format!("x{}", format!(" $(cat {file})").repeat(9)), false);
    assert_eq!(stop.expect_err("9 times 128 KiB").status, 126);
    let (_folder, file) = secret(&"x ".repeat(MAX_WORDS + 1));
    assert_eq!(expanded(&format!("$(cat {file})"), false).expect_err("many words").status, 126);
}

/// A `redis-cli` that says its words, each with a NUL behind it.
fn echo(folder: &Path) {
    let file = folder.join("redis-cli");
    fs::write(&file, "#!/bin/sh\nprintf '%s\\0' \"$#\" \"$@\"\n").expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("a program");
}

/// The words that the machine's shell makes of `text`; its status where it does not take it.
fn by_shell(text: &str, folder: &Path) -> Result<Vec<Vec<u8>>, i32> {
    let mut shell = Process::new("/bin/sh");
    shell.env_clear().env("PATH", format!("{}:/usr/bin:/bin", folder.display())).envs(VARIABLES);
    let out = shell.current_dir(folder).args(["-c", text, "name", "first"]).output();
    let out = out.expect("/bin/sh");
    match out.status.code() {
        Some(0) => Ok(out.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()),
        status => Err(status.unwrap_or(-1)),
    }
}

fn by_us(text: &str) -> Result<Vec<Vec<u8>>, i32> {
    let command = expanded(text, false).map_err(|stop| i32::from(stop.status))?;
    let words = command.words.strip_prefix(&[b"exec".to_vec()][..]).unwrap_or(&command.words);
    let count = (words.len() - 1).to_string().into_bytes();
    let said = words[1..].iter().cloned().chain([Vec::new()]);
    Ok([count].into_iter().chain(said).collect())
}

/// What is taken means what it means to a shell, and what is called broken is broken there.
#[test]
fn a_shell_makes_the_same_words() {
    let starts = ["redis-cli ", "exec redis-cli ", "\n#c\n redis-cli ", "B=2 redis-cli "];
    let pieces = [
        "a",
        "b",
        " ",
        " ",
        "\t",
        "'",
        "\"",
        "\"",
        "\\",
        "\\\n",
        "\n",
        "$",
        "$A",
        "$TWO",
        "${EMPTY}",
        "$ODD",
        "${NONE:-",
        "${NONE-",
        "${EMPTY-",
        "}",
        "$1",
        "${1}",
        "#",
        "=",
        "{",
        "~x",
        ";",
        "7",
        "/",
        "%s",
        "!",
        ":",
        "(",
        ")",
        "]",
        "2",
        "2>&1",
        "2>/dev/null",
        "||exit 5 ",
        "$(cat SECRET)",
        "\"$(cat SECRET)\"",
        "$( cat 'SECRET'\n)",
    ];
    let (folder, file) = secret(" pass  word\n\n");
    echo(folder.path());
    proptest!(ProptestConfig::with_cases(400), |(
        start in proptest::sample::select(starts.to_vec()),
        pieces in proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..14),
    )| {
        let text = [start, &pieces.concat()].concat().replace("SECRET", &file);
        // What is thrown away cannot be compared.
        prop_assume!(!parse(text.as_bytes()).is_ok_and(|script| script.streams.out != Stream::Out));
        let by_shell = by_shell(&text, folder.path());
        match by_us(&text) {
            Ok(words) => prop_assert_eq!(Ok(words), by_shell, "{:?}", text),
            Err(2) => prop_assert!(by_shell.is_err(), "{:?}", text),
            Err(status) => prop_assert_eq!(status, 126),
        }
    });
}
