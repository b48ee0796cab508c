//! Command lines and what they come to.

use super::*;
use crate::name::About;
use crate::tls::TlsFailure;

static ABOUT: About = About {
    redis: "7.2.4",
    valkey: "9.1.2",
    holdfast: "0.1.0",
    help: |_| String::new(),
    tls: |_, _, _| Err(TlsFailure::Options("nobody is called here")),
};

fn name(called: &str) -> Name {
    Name::of(called, &ABOUT)
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

#[track_caller]
fn good(line: &str) -> (Options, Vec<Vec<u8>>) {
    let args = words(line);
    let (options, rest) = parse(name("redis-cli"), &args, false).expect("a good line");
    (options, rest.to_vec())
}

#[track_caller]
fn wrong(line: &str, expected: &str) {
    let end = parse(name("redis-cli"), &words(line), false).map(|_| ());
    assert_eq!(end, Err(End::Wrong(expected.to_owned())), "{line}");
}

#[test]
fn options_end_where_the_command_begins() {
    let (options, rest) = good("-h db -p 7000 -n 3 -r -1 -i 0.5 --raw set -p 1");
    assert_eq!((options.host.as_slice(), options.port, options.db), (&b"db"[..], 7000, 3));
    assert_eq!((options.repeat, options.interval), (-1, Duration::from_millis(500)));
    assert_eq!(rest, words("set -p 1"));
}

#[test]
fn mistakes_are_named_as_valkey_names_them() {
    wrong("--nope get", "Unrecognized option or bad number of args for: '--nope'");
    wrong("-p", "Unrecognized option or bad number of args for: '-p'");
    for port in ["x", "70000", "-1", "00"] {
        wrong(&format!("-p {port}"), "Invalid server port.");
    }
    wrong("-t x", "Invalid connection timeout for -t.");
    wrong("-t -1", "Invalid connection timeout for -t.");
    wrong("-x -X a", "Options -x and -X are mutually exclusive.");
    wrong("-X a -x", "Options -x and -X are mutually exclusive.");
    wrong("-2 -3", "Options -2 and -3 are mutually exclusive.");
    wrong("--quoted-pattern \"a", "Invalid quoted string specified for --quoted-pattern.");
    wrong("-u http://x", "Invalid URI scheme");
    wrong("-u redis://%4@db", "Incomplete URI encoding");
    wrong("-u redis://%zz@db", "Illegal character in URI encoding");
    wrong("-u redis://db:99999", "Invalid server port.");
    wrong("--tls --sni", "Unrecognized option or bad number of args for: '--sni'");
}

#[test]
fn what_is_not_built_says_so() {
    for option in ["--cluster", "--rdb", "--eval", "--bigkeys", "--stat"] {
        let end = parse(name("valkey-cli"), &words(option), false).map(|_| ());
        let Err(End::Wrong(text)) = end else { panic!("{option}: {end:?}") };
        let start = format!("{option} is not built into this valkey-cli: ");
        assert!(text.starts_with(&start) && text.ends_with('.'), "{text}");
    }
}

#[test]
fn passwords_are_warned_of_and_never_shown() {
    let warned = |line: &str| good(line).0.warnings;
    assert_eq!(warned("-a secret ping"), [UNSAFE_PASSWORD]);
    assert_eq!(warned("--pass secret ping"), [UNSAFE_PASSWORD]);
    assert_eq!(warned("-u redis://secret@db ping"), [UNSAFE_PASSWORD]);
    assert_eq!(warned("-a secret --no-auth-warning ping"), [""; 0]);
    assert_eq!(warned("ping"), [""; 0]);
}

#[test]
fn the_environment_has_a_password_where_the_arguments_have_none() {
    let environment = |name: &str| (name == "REDISCLI_AUTH").then(|| b"env".to_vec());
    let (mut options, _) = good("ping");
    options.take_password(&environment);
    assert_eq!(options.password.as_deref(), Some(&b"env"[..]));
    let (mut options, _) = good("-a arg ping");
    options.take_password(&environment);
    assert_eq!(options.password.as_deref(), Some(&b"arg"[..]));
}

#[test]
fn json_wants_resp3_unless_told_otherwise() {
    assert_eq!(good("--json ping").0.resp3, Resp3::Implied);
    assert_eq!(good("--json -3 ping").0.resp3, Resp3::Asked);
    assert_eq!(good("--json -2 ping").0.resp3, Resp3::No);
    assert_eq!(good("ping").0.resp3, Resp3::No);
}

#[test]
fn a_uri_has_everything() {
    let (options, _) = good("-u redis://al%41n:p%3aw@db.example:7001/4 ping");
    assert_eq!(options.user.as_deref(), Some(&b"alAn"[..]));
    assert_eq!(options.password.as_deref(), Some(&b"p:w"[..]));
    assert_eq!((options.host.as_slice(), options.port), (&b"db.example"[..], 7001));
    assert_eq!(options.db, 4);
    let (options, _) = good("-u valkey://[::1]:7002 ping");
    assert_eq!((options.host.as_slice(), options.port), (&b"::1"[..], 7002));
    let (options, _) = good("-u redis:///2 ping");
    assert_eq!((options.host.as_slice(), options.db), (&b"127.0.0.1"[..], 2));
    let (options, _) = good("-u unix:///run/redis.sock ping");
    assert_eq!(options.socket.as_deref(), Some(&b"/run/redis.sock"[..]));
}

#[test]
fn tls_is_asked_for_by_option_or_uri() {
    for line in ["--tls ping", "-u rediss://db:1 ping", "-u VALKEYS://u:p@db ping"] {
        assert!(good(line).0.tls.is_on, "{line}");
    }
    let (options, rest) = good("-u rediss://u:p@[::1]:7/3 --insecure --sni db --cacert /c ping");
    assert_eq!((options.host.as_slice(), options.port, options.db), (&b"::1"[..], 7, 3));
    assert!(options.tls.is_insecure);
    assert_eq!(options.tls.sni.as_deref(), Some("db"));
    assert_eq!(options.tls.ca_file, Some(PathBuf::from("/c")));
    assert_eq!(rest, words("ping"));
    assert!(!good("--cacert /c --key /k -u redis://db ping").0.tls.is_on);
}

#[test]
fn the_last_word_h_asks_for_help() {
    for line in ["-h", "--help", "-p 1 -h"] {
        let end = parse(name("redis-cli"), &words(line), false).map(|_| ());
        assert!(matches!(&end, Err(End::Said(text)) if text.starts_with("redis-cli 7.")));
    }
}
