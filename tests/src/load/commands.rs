//! The commands that are measured: the scene each one wants, its requests, and what it answers.

use super::CONNECTIONS;

/// Distinct keys, fields or members.
pub const KEYS: usize = 100_000;

/// The length of GET's and SET's values; of all others it is [`ELEMENT_BYTES`].
pub const VALUE_BYTES: usize = 32;
pub const ELEMENT_BYTES: usize = 16;

/// How many elements one command of RPOP's scene pushes.
const PUSHED_AT_ONCE: usize = 100;

/// The longest list, and the most keys of one MGET.
const ELEMENTS: usize = 100_000;
const MANY: usize = 10_000;

/// Every HGETALL finds a hash of so many fields.
const FIELDS: usize = 10;

/// A reply's first byte, and how many lines it has.
#[derive(Debug, Clone, Copy)]
pub struct Reply {
    pub first: u8,
    pub lines: usize,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    pub name: &'static str,
    /// One request for so many of GET's: what costs more is sent less often.
    pub share: usize,
    /// How many commands set the scene for that many requests, and the commands.
    pub scene_len: fn(requests: usize) -> usize,
    pub scene: fn(nth: usize) -> Vec<String>,
    pub request: fn(nth: usize) -> Vec<String>,
    pub reply: Reply,
    pub connections: usize,
}

const STATUS: Reply = Reply { first: b'+', lines: 1 };
const INTEGER: Reply = Reply { first: b':', lines: 1 };
const BULK: Reply = Reply { first: b'$', lines: 2 };

const fn array(elements: usize) -> Reply {
    Reply { first: b'*', lines: 1 + 2 * elements }
}

/// An empty keyspace.
const COMMAND: Command = Command {
    name: "",
    share: 1,
    scene_len: |_| 0,
    scene: set,
    request: set,
    reply: INTEGER,
    connections: CONNECTIONS,
};

pub const COMMANDS: [Command; 12] = [
    Command { name: "GET", scene_len: |_| KEYS, request: get, reply: BULK, ..COMMAND },
    Command { name: "SET", scene_len: |_| KEYS, reply: STATUS, ..COMMAND },
    Command { name: "INCR", request: incr, ..COMMAND },
    Command { name: "LPUSH", request: lpush, ..COMMAND },
    Command {
        name: "RPOP",
        // One more, so that the list is never empty.
        scene_len: |requests| requests.div_ceil(PUSHED_AT_ONCE) + 1,
        scene: lpush_many,
        request: |_| words("RPOP list"),
        reply: BULK,
        ..COMMAND
    },
    Command {
        name: "LRANGE_100",
        share: 10,
        scene_len: |_| KEYS / PUSHED_AT_ONCE,
        scene: lpush_many,
        request: |_| words("LRANGE list 0 99"),
        reply: array(100),
        ..COMMAND
    },
    Command { name: "HSET", scene_len: |_| KEYS, scene: hset, request: hset, ..COMMAND },
    Command {
        name: "HGETALL",
        share: 2,
        scene_len: |_| KEYS,
        scene: small_hash,
        request: |nth| words(&format!("HGETALL hash:{}", scattered(nth))),
        reply: array(2 * FIELDS),
        ..COMMAND
    },
    Command { name: "SADD", request: sadd, ..COMMAND },
    Command { name: "ZADD", share: 2, scene_len: |_| KEYS, scene: zadd, request: zadd, ..COMMAND },
    Command {
        name: "ZRANGE",
        share: 2,
        scene_len: |_| KEYS,
        scene: zadd,
        request: zrange,
        reply: array(10),
        ..COMMAND
    },
    Command { name: "XADD", request: xadd, reply: BULK, ..COMMAND },
];

/// Megabytes in one reply, from one client: measured where they are asked for.
pub const BIG_REPLIES: [Command; 3] = [
    Command {
        name: "LRANGE_100000",
        share: 3_000,
        scene_len: |_| ELEMENTS / PUSHED_AT_ONCE,
        scene: lpush_many,
        request: |_| words("LRANGE list 0 -1"),
        reply: array(ELEMENTS),
        connections: 1,
    },
    Command {
        name: "MGET_10000",
        share: 1_000,
        scene_len: |_| KEYS,
        request: mget,
        reply: array(MANY),
        connections: 1,
        ..COMMAND
    },
    Command {
        name: "KEYS_1000000",
        share: 50_000,
        scene_len: |_| 1_000_000,
        scene: |nth| words(&format!("SET key:{nth:012} v")),
        request: |_| words("KEYS *"),
        reply: array(1_000_000),
        connections: 1,
    },
];

/// The command of that name, in any case.
pub fn named(name: &str) -> Option<Command> {
    let mut all = COMMANDS.into_iter().chain(BIG_REPLIES);
    all.find(|command| command.name.eq_ignore_ascii_case(name))
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Each number below [`KEYS`] once before any comes twice, in no order.
fn scattered(nth: usize) -> usize {
    // 7919 and KEYS have no common factor.
    nth * 7919 % KEYS
}

/// `len` letters that differ from one `nth` to the next.
fn text(nth: usize, len: usize) -> String {
    format!("v{nth:0width$}", width = len - 1)
}

fn get(nth: usize) -> Vec<String> {
    words(&format!("GET key:{:012}", scattered(nth)))
}

fn mget(nth: usize) -> Vec<String> {
    let key = |at| format!("key:{:012}", scattered(nth * MANY + at));
    words("MGET").into_iter().chain((0..MANY).map(key)).collect()
}

fn set(nth: usize) -> Vec<String> {
    words(&format!("SET key:{:012} {}", scattered(nth), text(nth, VALUE_BYTES)))
}

fn incr(nth: usize) -> Vec<String> {
    words(&format!("INCR counter:{:012}", scattered(nth)))
}

fn lpush(nth: usize) -> Vec<String> {
    words(&format!("LPUSH list {}", text(nth, ELEMENT_BYTES)))
}

fn lpush_many(nth: usize) -> Vec<String> {
    let elements =
        (0..PUSHED_AT_ONCE).map(|element| text(nth * PUSHED_AT_ONCE + element, ELEMENT_BYTES));
    words("LPUSH list").into_iter().chain(elements).collect()
}

fn hset(nth: usize) -> Vec<String> {
    words(&format!("HSET hash field:{:06} {}", scattered(nth), text(nth, ELEMENT_BYTES)))
}

fn small_hash(nth: usize) -> Vec<String> {
    let pairs = (0..FIELDS).flat_map(|field| [format!("f{field}"), text(nth, ELEMENT_BYTES)]);
    words(&format!("HSET hash:{nth}")).into_iter().chain(pairs).collect()
}

fn sadd(nth: usize) -> Vec<String> {
    words(&format!("SADD set member:{:09}", scattered(nth)))
}

/// The second time round the keys, every score is another.
fn zadd(nth: usize) -> Vec<String> {
    words(&format!("ZADD zset {}.5 member:{:09}", nth * 31 % (2 * KEYS), scattered(nth)))
}

fn zrange(nth: usize) -> Vec<String> {
    let from = scattered(nth).min(KEYS - 10);
    words(&format!("ZRANGE zset {from} {}", from + 9))
}

fn xadd(nth: usize) -> Vec<String> {
    words(&format!("XADD stream * field {}", text(nth, ELEMENT_BYTES)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_round_of_zadd_moves_every_member() {
        let moved = (0..KEYS).all(|nth| {
            let [first, second] = [zadd(nth), zadd(nth + KEYS)];
            first[3] == second[3] && first[2] != second[2]
        });
        assert!(moved);
    }

    #[test]
    fn every_command_is_found_by_its_name() {
        assert_eq!(named("lrange_100").map(|command| command.name), Some("LRANGE_100"));
        assert!(named("get set").is_none());
    }
}
