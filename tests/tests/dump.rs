//! DUMP and RESTORE beside Valkey and Redis: values of every type and encoding go from one server to
//! the other, and the commands find the same there. MIGRATE ([`super::migrate`]) moves the same samples.

use std::fs;

use holdfast_tests::binaries::Flavour::{self, Holdfast, Redis, Valkey};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::valkey;
use holdfast_tests::volume::SETTINGS;

/// What Redis 7.0 does not know, but the others do.
const NOT_IN_REDIS_7: &[&str] = &["--set-max-listpack-entries", "4"];

/// One value: how it is made, how it is looked at, and whether Redis 7.0 knows its form where it is
/// dumped by a later server.
pub(super) struct Sample {
    pub(super) name: &'static str,
    make: &'static [&'static str],
    pub(super) look: &'static [&'static str],
    redis_7_reads_it: bool,
    /// The payload depends on nothing but the value: not on a hash function or a time.
    is_determined: bool,
}

const BASE: Sample =
    Sample { name: "", make: &[], look: &[], redis_7_reads_it: true, is_determined: true };

pub(super) const GET: &[&str] = &["GET k", "STRLEN k"];
const LIST: &[&str] = &["LRANGE k 0 -1", "LINDEX k -1", "LPOS k a", "RPUSH k z", "LRANGE k 0 -1"];
const SET: &[&str] = &["SCARD k", "SORT k ALPHA", "SADD k a new", "SORT k ALPHA"];
const ZSET: &[&str] =
    &["ZRANGE k 0 -1 WITHSCORES", "ZRANK k c", "ZINCRBY k 2 a", "ZRANGE k 0 -1 WITHSCORES"];
const HASH: &[&str] =
    &["HLEN k", "HMGET k a b c d e f", "HSTRLEN k b", "HSET k a 9 new 1", "HMGET k a new f"];
const TIMED_HASH: &[&str] = &["HPEXPIRETIME k FIELDS 6 a b c d e f", "HMGET k a b c d e f"];
const STREAM: &[&str] = &[
    "XRANGE k - +",
    "XREVRANGE k + -",
    "XPENDING k g",
    "XPENDING k g - + 10 alice",
    "XLEN k",
    "XADD k 9-1 f v",
    "XREADGROUP GROUP g bob STREAMS k >",
    "XACK k g 1-1",
    "XDEL k 9-1",
    "XRANGE k - +",
];

pub(super) const SAMPLES: &[Sample] = &[
    Sample { name: "string", make: &["SET k text"], look: GET, ..BASE },
    Sample { name: "byte", make: &["SET k -128"], look: GET, ..BASE },
    Sample { name: "word", make: &["SET k 128"], look: GET, ..BASE },
    Sample { name: "int", make: &["SET k 2147483647"], look: GET, ..BASE },
    Sample { name: "long", make: &["SET k -9223372036854775808"], look: GET, ..BASE },
    Sample { name: "not an int", make: &["SET k 007"], look: GET, ..BASE },
    Sample { name: "edited", make: &["SETRANGE k 1 x"], look: GET, ..BASE },
    Sample { name: "zeros", make: &["SETBIT k 40000 1", "APPEND k text"], look: GET, ..BASE },
    Sample { name: "listpack list", make: &["RPUSH k a 12 -70000 b"], look: LIST, ..BASE },
    Sample {
        name: "quicklist",
        make: &["RPUSH k a b c d e f 1 2 3 4000000000 -5", "LPUSH k head"],
        look: LIST,
        ..BASE
    },
    Sample { name: "plain node", make: &["RPUSH k a b <long> c"], look: LIST, ..BASE },
    Sample {
        name: "compressed nodes",
        make: &[
            "CONFIG SET list-compress-depth 1",
            "RPUSH k head text-text-text-text-text-text a text-text-text <long> a b <long> c 12 tail",
            "CONFIG SET list-compress-depth 0",
        ],
        look: LIST,
        is_determined: false,
        ..BASE
    },
    Sample { name: "intset", make: &["SADD k 1 -70000 5000000000"], look: SET, ..BASE },
    Sample {
        name: "listpack set",
        make: &["SADD k a 12 -7"],
        look: SET,
        redis_7_reads_it: false,
        ..BASE
    },
    Sample {
        name: "table set",
        make: &["SADD k a b c d e f 1 2 3"],
        look: SET,
        is_determined: false,
        ..BASE
    },
    Sample { name: "listpack hash", make: &["HSET k a 1 b text c -5"], look: HASH, ..BASE },
    Sample {
        name: "table hash",
        make: &["HSET k a 1 b text c 3 d 4 e 5 f 6"],
        look: HASH,
        is_determined: false,
        ..BASE
    },
    Sample {
        name: "hash with times",
        make: &[
            "HSET k a 1 b text c 3",
            "HPEXPIREAT k 99999999999999 FIELDS 1 a",
            "HPEXPIREAT k 99999999999998 FIELDS 1 c",
        ],
        look: TIMED_HASH,
        redis_7_reads_it: false,
        is_determined: false,
    },
    Sample { name: "listpack zset", make: &["ZADD k 1 b 1.5 a -inf c 7 12"], look: ZSET, ..BASE },
    Sample {
        name: "large zset",
        make: &["ZADD k 1 b 1.5 a -inf c +inf d 0.25 e 3 f 1048576.5 g 1 5"],
        look: ZSET,
        ..BASE
    },
    Sample {
        name: "stream",
        make: &[
            "XADD k 1-1 f v g 12",
            "XADD k 2-1 f v g 13",
            "XADD k 3-7 other v",
            "XADD k 4-0 other v",
            "XDEL k 2-1",
            "XGROUP CREATE k g 0",
            "XGROUP CREATE k later $",
            "XREADGROUP GROUP g alice COUNT 2 STREAMS k >",
            "XGROUP CREATECONSUMER k g bob",
        ],
        look: STREAM,
        redis_7_reads_it: false,
        is_determined: false,
    },
];

pub(super) fn start(flavour: Flavour) -> Server {
    match flavour {
        Redis => Server::start_flavour(flavour, SETTINGS),
        _ => Server::start_flavour(flavour, &[SETTINGS, NOT_IN_REDIS_7].concat()),
    }
}

pub(super) fn dump(client: &mut Client, sample: &Sample) -> Vec<u8> {
    let long = "x".repeat(9_000);
    client.run("FLUSHALL");
    for command in sample.make {
        let reply = client.run(&command.replace("<long>", &long));
        assert!(!matches!(reply, Value::Error(_)), "{}: {command}: {reply:?}", sample.name);
    }
    match client.run("DUMP k") {
        Value::Bulk(payload) => payload,
        other => panic!("{}: {other:?}", sample.name),
    }
}

fn restore(client: &mut Client, payload: &[u8]) -> Value {
    client.command(&[&b"RESTORE"[..], b"k", b"0", payload, b"REPLACE"]).expect("an answer")
}

pub(super) fn look(client: &mut Client, sample: &Sample) -> Vec<Value> {
    let commands = sample.look.iter();
    commands.map(|command| without_idle_times(command, client.run(command))).collect()
}

/// How long something has been pending is not the same a moment later.
fn without_idle_times(command: &str, mut reply: Value) -> Value {
    const IDLE: usize = 2;
    if let (true, Value::Array(entries)) = (command.starts_with("XPENDING k g -"), &mut reply) {
        for entry in entries {
            let Value::Array(fields) = entry else { panic!("{command}: {entry:?}") };
            assert!(matches!(fields.remove(IDLE), Value::Integer(0..60_000)), "{command}");
        }
    }
    reply
}

fn ok() -> Value {
    Value::Status(b"OK".to_vec())
}

/// Each sample of `from` is restored in `to`, which answers about it as `from` does.
fn check(from: Flavour, to: Flavour) {
    let (from_server, to_server) = (start(from), start(to));
    let (mut one, mut other) = (from_server.client(), to_server.client());
    let of_redis = from == Redis || to == Redis;
    for sample in SAMPLES {
        if from == Redis && sample.name == "hash with times" {
            continue;
        }
        for compress in ["yes", "no"] {
            one.run(&format!("CONFIG SET rdbcompression {compress}"));
            let payload = dump(&mut one, sample);
            if to == Redis && !sample.redis_7_reads_it {
                assert!(
                    matches!(restore(&mut other, &payload), Value::Error(_)),
                    "{}",
                    sample.name
                );
                continue;
            }
            assert_eq!(restore(&mut other, &payload), ok(), "{} {payload:x?}", sample.name);
            // Redis 7.0 has other encodings, and strings that were edited are not as fresh ones are.
            if !of_redis && sample.look != GET {
                let encoding = "OBJECT ENCODING k";
                assert_eq!(other.run(encoding), one.run(encoding), "{}", sample.name);
            }
            assert_eq!(look(&mut other, sample), look(&mut one, sample), "{}", sample.name);
        }
    }
}

#[test]
fn values_of_valkey_are_the_same_here() {
    check(Valkey, Holdfast);
}

#[test]
fn our_values_are_the_same_in_valkey() {
    check(Holdfast, Valkey);
}

#[test]
fn values_of_redis_7_are_the_same_here() {
    check(Redis, Holdfast);
}

#[test]
fn our_values_are_the_same_in_redis_7_where_it_knows_their_form() {
    check(Holdfast, Redis);
}

#[test]
fn uncompressed_payloads_are_valkeys_but_for_the_version() {
    const FOOTER: usize = 10;
    let (ours, theirs) = (start(Holdfast), start(Valkey));
    let (mut ours, mut theirs) = (ours.client(), theirs.client());
    for client in [&mut ours, &mut theirs] {
        client.run("CONFIG SET rdbcompression no");
    }
    for sample in SAMPLES.iter().filter(|sample| sample.is_determined) {
        let (one, other) = (dump(&mut ours, sample), dump(&mut theirs, sample));
        let value = |payload: &[u8]| payload[..payload.len() - FOOTER].to_vec();
        assert_eq!(value(&one), value(&other), "{}", sample.name);
    }
}

/// The form and the value of `key` in a file, where the value is one string, behind a count of one
/// for a list.
fn packed_value(file: &str, key: &str) -> Vec<u8> {
    const LIST_OF_ZIPLISTS: u8 = 14;
    let source = valkey::source().unwrap_or_else(|why| panic!("{why}"));
    let path = source.join("tests/assets").join(file);
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let name = [&[key.len() as u8], key.as_bytes()].concat();
    let at = bytes.windows(name.len()).position(|window| window == name);
    let at = at.unwrap_or_else(|| panic!("{file} has no key {key}"));
    let form = bytes[at - 1];
    let value = &bytes[at + name.len()..];
    let len_at = usize::from(form == LIST_OF_ZIPLISTS);
    let end = len_at + 1 + usize::from(value[len_at]);
    [&[form], &value[..end]].concat()
}

#[test]
fn packed_encodings_that_old_servers_wrote_are_understood() {
    let (ours, theirs) = (start(Holdfast), start(Valkey));
    let (mut ours, mut theirs) = (ours.client(), theirs.client());
    for (file, key, look) in [
        ("hash-ziplist.rdb", "hash", "HGETALL k"),
        ("hash-zipmap.rdb", "hash", "HGETALL k"),
        ("list-quicklist.rdb", "list", "LRANGE k 0 -1"),
        ("zset-ziplist.rdb", "zset", "ZRANGE k 0 -1 WITHSCORES"),
    ] {
        // Version 9, and a checksum that is not looked at.
        let payload = [&packed_value(file, key)[..], &[9, 0], &[0; 8]].concat();
        let replies = [&mut ours, &mut theirs].map(|client| {
            client.run("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
            assert_eq!(restore(client, &payload), ok(), "{file}");
            client.run(look)
        });
        assert_eq!(replies[0], replies[1], "{file}");
        assert!(
            matches!(&replies[0], Value::Array(items) if !items.is_empty()),
            "{file}: {replies:?}"
        );
    }
}
