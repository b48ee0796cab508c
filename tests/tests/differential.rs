//! The same random commands to our server and to Valkey: every reply must be the same.
//!
//! Commands come from templates, so that most of them do something and some are refused. Times are
//! absolute and far away, or long past: nothing here depends on when a command arrives.

use holdfast_tests::binaries::Flavour::{Holdfast, Valkey};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;

const COMMANDS_PER_RUN: usize = 4_000;
/// Shown when a reply differs.
const HISTORY: usize = 25;

/// Well beyond what is `embstr` under any key: near the limit Valkey's name depends on how the value
/// came there.
const LONG_VALUE: &str = "a value of some length, which a server keeps elsewhere than a short one: it has grown beyond two cache lines, whatever its key and whether or not it has an expiry";

/// `<x>` is drawn from [`POOLS`]; what stands between brackets is left out every other time.
const TEMPLATES: &[&str] = &[
    "SET <key> <value> [ <condition> ] [ GET ] [ <when> <time> ]",
    "SET <key> <value>",
    "SET <key> <value> IFEQ <value>",
    "SETNX <key> <value>",
    "SETRANGE <key> <small> <value>",
    "GETSET <key> <value>",
    "GETDEL <key>",
    "GETEX <key> [ <when> <time> ] [ PERSIST ]",
    "GET <key>",
    "GETRANGE <key> <number> <number>",
    "GETBIT <key> <small>",
    "SETBIT <key> <small> <bit>",
    "STRLEN <key>",
    "APPEND <key> <value>",
    "INCR <key>",
    "DECRBY <key> <number>",
    "INCRBY <key> <number>",
    "MSET <key> <value> <key> <value>",
    "MSETNX <key> <value> [ <key> <value> ]",
    "MSETEX <bit> <key> <value> [ <key> <value> ] [ <condition> ] [ EXAT <future> ]",
    "MGET <key> <key>",
    "LCS <key> <key> [ LEN ] [ IDX ] [ WITHMATCHLEN ]",
    "DELIFEQ <key> <value>",
    "DEL <key> [ <key> ]",
    "UNLINK <key> [ <key> ]",
    "EXISTS <key> [ <key> <key> ]",
    "TYPE <key>",
    "TOUCH <key> <key>",
    "RENAME <key> <key>",
    "RENAMENX <key> <key>",
    "COPY <key> <key> [ DB <database> ] [ REPLACE ]",
    "MOVE <key> <database>",
    "PERSIST <key>",
    "EXPIREAT <key> <time> [ <comparison> ] [ <comparison> ]",
    "PEXPIREAT <key> <time> [ <comparison> ] [ <comparison> ]",
    "EXPIRE <key> <overflow>",
    "PEXPIRE <key> <overflow> [ <comparison> ]",
    "EXPIRETIME <key>",
    "PEXPIRETIME <key>",
    "OBJECT ENCODING <key>",
    "KEYS <pattern>",
    "SCAN 0 COUNT 1000 [ MATCH <pattern> ] [ TYPE <type> ]",
    "SCAN <number> [ COUNT <number> ] WHAT",
    "DBSIZE",
    "SELECT <database>",
    "SWAPDB <database> <database>",
    "FLUSHDB",
    "WATCH <key> [ <key> ]",
    "UNWATCH",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "MEMORY USAGE missing [ SAMPLES <number> ]",
    "NOSUCHCOMMAND <key>",
];

const POOLS: &[(&str, &[&str])] = &[
    ("key", &["a", "b", "c", "key:1", "with space", "", "a\r\nb", "long-long-long-long-long-key"]),
    ("value", &["1", "-7", "text", "", "12345678901234567890", "007", "1.5", LONG_VALUE]),
    ("condition", &["NX", "XX", "nx", "WHAT"]),
    ("when", &["EXAT", "PXAT", "KEEPTTL"]),
    (
        "time",
        &[
            "9999999999",
            "9999999998",
            "9999999999999",
            "1",
            "0",
            "-1",
            "9223372036854775807",
            "x",
            "1.0",
        ],
    ),
    // MSETEX leaves keys of the past to active expiry, whenever that comes.
    ("future", &["9999999999", "9999999998", "x", "9223372036854775807"]),
    ("overflow", &["9223372036854775807", "-9223372036854775808", "x", "-1"]),
    ("comparison", &["NX", "XX", "GT", "LT", "gt", "WHAT"]),
    ("database", &["0", "1", "2", "0", "1", "16", "-1", "x", "99999999999"]),
    (
        "number",
        &[
            "0",
            "1",
            "-1",
            "5",
            "100",
            "x",
            "",
            "9223372036854775807",
            "-9223372036854775808",
            "01",
            "1.5",
        ],
    ),
    ("small", &["0", "1", "7", "100", "-1", "x", "4294967296"]),
    ("bit", &["0", "1", "1", "2", "x"]),
    ("pattern", &["*", "a*", "?", "[ab]", "[^a]*", "*:*", "\\*", "", "*\r*"]),
    ("type", &["string", "STRING", "list", "hash", "nosuch"]),
];

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn command(&mut self) -> Vec<&'static str> {
        let mut command = Vec::new();
        let mut left_out = false;
        for word in self.pick(TEMPLATES).split(' ') {
            match word {
                "[" => left_out = self.below(2) == 0,
                "]" => left_out = false,
                _ if left_out => {}
                _ => command.push(self.word(word)),
            }
        }
        command
    }

    fn word(&mut self, word: &'static str) -> &'static str {
        let Some(name) = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) else {
            return word;
        };
        let (_, pool) = POOLS.iter().find(|(known, _)| *known == name).expect("the pool exists");
        self.pick(pool)
    }
}

/// A reply whose order is a server's own business, in one order.
fn in_order(command: &[&str], reply: Value) -> Value {
    match (command[0], reply) {
        ("KEYS", Value::Array(keys)) => Value::Array(sorted(keys)),
        // The cursor is a server's own as well.
        ("SCAN", Value::Array(mut parts)) => match parts.pop() {
            Some(Value::Array(keys)) => Value::Array(sorted(keys)),
            other => panic!("SCAN answered {other:?}"),
        },
        (_, reply) => reply,
    }
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(|value| format!("{value:?}"));
    values
}

/// One server, and what was queued in the transaction that is open on it.
struct Side {
    client: Client,
    queue: Vec<Vec<&'static str>>,
}

impl Side {
    fn new(server: &Server) -> Self {
        Self { client: server.client(), queue: Vec::new() }
    }

    fn answer(&mut self, command: &[&'static str]) -> Value {
        let reply = self.client.command(command).unwrap_or_else(|e| panic!("{command:?}: {e}"));
        match (command[0], reply) {
            ("MULTI", reply) => {
                if matches!(reply, Value::Status(_)) {
                    self.queue.clear();
                }
                reply
            }
            ("EXEC", Value::Array(replies)) => {
                let queued = self.queue.drain(..).zip(replies);
                Value::Array(queued.map(|(command, reply)| in_order(&command, reply)).collect())
            }
            (_, Value::Status(text)) if text == b"QUEUED" => {
                self.queue.push(command.to_vec());
                Value::Status(text)
            }
            (_, reply) => in_order(command, reply),
        }
    }
}

/// Sends the same commands to both; tells the first reply that differs, and what went before it.
fn first_difference(ours: &mut Side, reference: &mut Side, seed: u64) -> Option<String> {
    let mut dice = Dice(seed);
    let mut history = Vec::new();
    for _ in 0..COMMANDS_PER_RUN {
        let command = dice.command();
        history.push(command.clone());
        let (got, expected) = (ours.answer(&command), reference.answer(&command));
        if got != expected {
            let recent = &history[history.len().saturating_sub(HISTORY)..];
            return Some(format!(
                "seed {seed}: {command:?}\n  ours   {got:?}\n  Valkey {expected:?}\nafter {recent:#?}"
            ));
        }
    }
    None
}

#[track_caller]
fn check(seed: u64, protocol: &str) {
    let servers = [Holdfast, Valkey].map(|flavour| Server::start_flavour(flavour, &[]));
    let [mut ours, mut reference] = servers.each_ref().map(Side::new);
    ours.client.run(protocol);
    reference.client.run(protocol);
    let difference = first_difference(&mut ours, &mut reference, seed);
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
}

#[test]
fn random_commands_are_answered_as_by_valkey_in_resp2() {
    check(1, "HELLO 2");
}

#[test]
fn random_commands_are_answered_as_by_valkey_in_resp3() {
    check(2, "HELLO 3");
}

/// The canary: one key that only one side has is found out.
#[test]
fn a_key_too_many_is_noticed() {
    let servers = [Holdfast, Holdfast].map(|flavour| Server::start_flavour(flavour, &[]));
    let [mut ours, mut reference] = servers.each_ref().map(Side::new);
    ours.client.run("SET a surplus");
    assert!(first_difference(&mut ours, &mut reference, 1).is_some());
}
