//! A data volume with everything in it that a server can hold: what fills it, and what is found there.
//! For tests that carry files from one server to another.

use std::fmt::Write as _;

use crate::binaries::Flavour;
use crate::client::Client;
use crate::resp::Value;

/// Small thresholds, so that few elements make a large encoding.
pub const SETTINGS: &[&str] = &[
    "--enable-debug-command",
    "yes",
    "--list-max-listpack-size",
    "4",
    "--set-max-intset-entries",
    "4",
    "--hash-max-listpack-entries",
    "4",
    "--zset-max-listpack-entries",
    "4",
    "--lfu-decay-time",
    "0",
];

/// Databases that are used.
const DATABASES: [usize; 3] = [0, 3, 15];

/// In the year 2100.
const FAR_MS: &str = "4102444800123";

/// What goes into every database; `<long>` is a text of 9,000 bytes, `<noise>` one that no compression
/// makes shorter.
const COMMANDS: &[&str] = &[
    "SET empty ''",
    "SET byte -128",
    "SET word 128",
    "SET int -2147483648",
    "SET long 9223372036854775807",
    "SET almost-int 007",
    "SET text some-text",
    "SET repeated <long>",
    "SET noise <noise>",
    "SET <long> long-key",
    "SET 12345 key-that-is-an-integer",
    "APPEND edited a",
    "APPEND edited b",
    "SETBIT bits 40000 1",
    "PFADD distinct a b c d",
    "SETRANGE sparse 3000 x",
    "RPUSH list:short a 12 -70000 b",
    "RPUSH list:long a b c d e f 1 2 3 4000000000 -5 ''",
    "RPUSH list:plain a <long> b <noise>",
    "SADD set:16 1 -2 300",
    "SADD set:32 1 -70000",
    "SADD set:64 1 5000000000",
    "SADD set:short a 12 -7",
    "SADD set:table a b c d e f 1 2 3 ''",
    "SADD set:many-ints 1 2 3 4 5 6 7",
    "ZADD zset:short 1 b 1.5 a -inf c 7 12",
    "ZADD zset:table 1 b 1.5 a -inf c +inf d 0.25 e 3 f 1048576.5 g 1 5 1267650600228229401496703205376 h -0.125 i",
    "GEOADD places 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "HSET hash:short a 1 b text c -5",
    "HSET hash:table a 1 b text c 3 d 4 e 5 f '' 7 8",
    "HSET hash:values a <long> b <noise>",
    "XADD stream 1-1 f v g 12",
    "XADD stream 2-1 f v g 13",
    "XADD stream 2-2 f <long> g 13",
    "XADD stream 3-7 other v",
    "XADD stream 4-0 other <noise>",
    "XADD stream 5-0 other v",
    "XDEL stream 2-1",
    "XGROUP CREATE stream readers 0",
    "XGROUP CREATE stream later $",
    "XREADGROUP GROUP readers alice COUNT 2 STREAMS stream >",
    "XREADGROUP GROUP readers bob COUNT 1 STREAMS stream >",
    "XREADGROUP GROUP readers bob COUNT 1 STREAMS stream 0",
    "XACK stream readers 1-1",
    "XGROUP CREATECONSUMER stream later carol",
    "XADD stream:empty 7-7 f v",
    "XDEL stream:empty 7-7",
    "XADD stream:trimmed MAXLEN 2 1-0 a 1",
    "XADD stream:trimmed MAXLEN 2 2-0 a 2",
    "XADD stream:trimmed MAXLEN 2 3-0 a 3",
    "SET text:expires text PXAT <far>",
    "SET int:expires 7 PXAT <far>",
    "RPUSH list:expires a",
    "PEXPIREAT list:expires <far>",
    "SADD set:expires a",
    "PEXPIREAT set:expires <far>",
    "SET due:1 text PX 1",
    "SET due:2 text PX 1",
];

const FIELD_TIMES: &[&str] = &[
    "HSET times:short a 1 b text c 3",
    "HPEXPIREAT times:short <far> FIELDS 2 a c",
    "HSET times:table a 1 b text c 3 d 4 e 5 f 6",
    "HPEXPIREAT times:table <far> FIELDS 1 d",
];

/// What a volume has beside what every server can hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// Fields of hashes with a time to live.
    pub field_times: bool,
    /// A library of functions.
    pub function: bool,
}

/// Fills an empty server; keys that are due are there, too.
pub fn fill(client: &mut Client, extras: Extras) {
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    for database in DATABASES {
        run(client, &format!("SELECT {database}"));
        let times = FIELD_TIMES.iter().filter(|_| extras.field_times);
        COMMANDS.iter().chain(times).for_each(|command| run(client, command));
        for nth in 0..3_000 {
            run(client, &format!("SET key:{nth} {}:{database}", nth * 7_919));
        }
        remember_accesses(client);
    }
    if extras.function {
        let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
        let reply = client.command(&["FUNCTION", "LOAD", code]).expect("an answer");
        assert!(reply.bytes().is_some(), "{reply:?}");
    }
}

/// One key that was not looked at for long, or often, as the policy goes.
fn remember_accesses(client: &mut Client) {
    let Value::Bulk(payload) = client.run("DUMP text") else { panic!("text can be dumped") };
    for option in [[&b"IDLETIME"[..], b"70000"], [b"FREQ", b"200"]] {
        let args = [&[&b"RESTORE"[..], option[0], b"0", &payload][..], &option].concat();
        let reply = client.command(&args).expect("an answer");
        assert_eq!(reply, Value::status("OK"));
    }
}

#[track_caller]
fn run(client: &mut Client, command: &str) {
    let words: Vec<Vec<u8>> = command.split(' ').map(word).collect();
    let reply = client.command(&words).expect("an answer");
    assert!(!matches!(reply, Value::Error(_)), "{command}: {reply:?}");
}

fn word(word: &str) -> Vec<u8> {
    match word {
        "''" => Vec::new(),
        "<long>" => b"long ".repeat(1_800),
        "<noise>" => noise(9_000),
        "<far>" => FAR_MS.into(),
        word => word.into(),
    }
}

/// The same bytes each time, which look like any (xorshift).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// What a server holds: a line for each key and each function, in order, so that a difference is seen
/// where it is. Keys that are due are not in it. `seer` is who is asked.
pub fn content(client: &mut Client, seer: Flavour, extras: Extras) -> Vec<String> {
    let mut lines = Vec::new();
    for database in DATABASES {
        client.run(&format!("SELECT {database}"));
        let Value::Array(mut keys) = client.run("KEYS *") else { panic!("KEYS answers keys") };
        keys.sort();
        for key in keys {
            let key = key.bytes().expect("a key").to_vec();
            let name: String = key.escape_ascii().to_string().chars().take(40).collect();
            let value = look(client, seer, extras, &key);
            if !value.is_empty() {
                lines.push(format!("{database} {name} {value}"));
            }
        }
    }
    client.run("SELECT 0");
    lines
}

/// The key's type, expiry and value; empty if it is due.
fn look(client: &mut Client, seer: Flavour, extras: Extras, key: &[u8]) -> String {
    let mut ask = |words: &[&[u8]]| client.command(words).expect("an answer");
    let kind = ask(&[b"TYPE", key]);
    let kind = String::from_utf8_lossy(kind.bytes().expect("a type")).into_owned();
    let expiry = ask(&[b"PEXPIRETIME", key]);
    let mut out = format!("{kind} {}", shown(&expiry));
    let value = match kind.as_str() {
        "none" => return String::new(),
        "string" => ask(&[b"GET", key]),
        "list" => ask(&[b"LRANGE", key, b"0", b"-1"]),
        "set" => sorted(ask(&[b"SMEMBERS", key]), 1),
        "zset" => ask(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
        "hash" => sorted(ask(&[b"HGETALL", key]), 2),
        "stream" => facts(ask(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"]), seer),
        other => panic!("no test for type {other}"),
    };
    let _ = write!(out, " {}", shown(&value));
    if kind == "hash" && extras.field_times {
        let fields: [&[u8]; 6] = [b"a", b"b", b"c", b"d", b"e", b"f"];
        let times = ask(&[&[&b"HPEXPIRETIME"[..], key, b"FIELDS", b"6"][..], &fields].concat());
        let _ = write!(out, " {}", shown(&times));
    }
    out
}

fn shown(reply: &Value) -> String {
    reply.lines().join(" ")
}

/// The elements of a reply in order, `width` at a time.
fn sorted(reply: Value, width: usize) -> Value {
    let Value::Array(items) = reply else { panic!("{reply:?} is no array") };
    let mut groups: Vec<&[Value]> = items.chunks(width).collect();
    groups.sort();
    Value::Array(groups.concat())
}

/// What XINFO STREAM FULL says of a stream, its groups and its consumers, but for what depends on how
/// a server keeps it, on who looks when, and on what Redis 7.0 does not know.
fn facts(reply: Value, seer: Flavour) -> Value {
    let dropped = |name: &[u8]| {
        let is_layout = name.starts_with(b"radix-tree") || name == b"idmp-duration";
        is_layout || (name == b"active-time" && seer == Flavour::Redis)
    };
    match reply {
        Value::Array(items) => Value::Array(match items.first() {
            Some(Value::Bulk(_)) if items.len().is_multiple_of(2) && is_record(&items) => items
                .chunks(2)
                .filter(|pair| !pair[0].bytes().is_some_and(dropped))
                .flat_map(|pair| [pair[0].clone(), facts(pair[1].clone(), seer)])
                .collect(),
            _ => items.into_iter().map(|item| facts(item, seer)).collect(),
        }),
        other => other,
    }
}

/// Whether these are names and values: `length` begins a stream, `name` a group or a consumer.
fn is_record(items: &[Value]) -> bool {
    matches!(items[0].bytes(), Some(b"length" | b"name"))
}

/// What is known of the accesses to the keys that [`fill`] made for it: `OBJECT FREQ` or `IDLETIME`.
pub fn accesses(client: &mut Client) -> Vec<Value> {
    let mut answers = Vec::new();
    for database in DATABASES {
        client.run(&format!("SELECT {database}"));
        answers.push(client.run("OBJECT FREQ FREQ"));
        answers.push(client.run("OBJECT IDLETIME IDLETIME"));
    }
    answers
}
