//! Commands: nothing that a client sends makes the engine panic, what it answers is RESP, and what it
//! then holds is written to a file that holds as much.

use std::io::BufRead as _;

use holdfast_server::clock::Clock;
use holdfast_server::engine::{Address, Engine, Progress, Slot, Turn};
use holdfast_server::resp::{Batch, Decoder};

use super::world::engine;
use super::{Random, mutate, rdb_file};

/// Clients of one run: who waits is followed by another, who may be what it waits for.
const MAX_CLIENTS: usize = 8;

/// What came of an input.
#[derive(Debug)]
pub struct Ran {
    pub replies: Vec<u8>,
    /// Keys that the engine holds, and all of them as an RDB file.
    pub keys: usize,
    pub file: Vec<u8>,
}

/// What executes requests as they come from a connection.
pub type Execute = fn(&[u8]) -> Ran;

/// What is wrong with what `execute` makes of `input`.
pub fn check(execute: Execute, input: &[u8]) -> Result<(), String> {
    let shown = input.escape_ascii();
    let Ran { replies, keys, file } = execute(input);
    let mut rest = &replies[..];
    while rest.fill_buf().is_ok_and(|rest| !rest.is_empty()) {
        if let Err(why) = crate::resp::read_value(&mut rest) {
            return Err(format!("{why} in {}, which answers {shown}", replies.escape_ascii()));
        }
    }
    let loaded = rdb_file::holdfast(&file).map(|keyspace| keyspace.len());
    if loaded == Some(keys) {
        return Ok(());
    }
    Err(format!("{keys} keys of {shown} are {loaded:?} of {}", file.escape_ascii()))
}

/// The server's engine.
pub fn holdfast(input: &[u8]) -> Ran {
    let clock = Clock::start();
    let mut engine = engine(&clock);
    let mut replies = Vec::new();
    let mut rest = input;
    for _ in 0..MAX_CLIENTS {
        let slot = connect(&mut engine, &clock);
        rest = converse(&mut engine, slot, rest, &mut replies, &clock);
    }
    engine.tick(clock.now(), || 0);
    let keys = engine.keyspace.len();
    Ran { replies, keys, file: rdb_file::written(&engine.keyspace) }
}

fn connect(engine: &mut Engine, clock: &Clock) -> Slot {
    let address = Address::Tcp(([127, 0, 0, 1], 50_000).into());
    engine.connect(address.clone(), address, 7, clock.now()).expect("fewer than maxclients")
}

/// What is left when the client waits or is gone.
fn converse<'i>(
    engine: &mut Engine,
    slot: Slot,
    mut rest: &'i [u8],
    replies: &mut Vec<u8>,
    clock: &Clock,
) -> &'i [u8] {
    let mut decoder = Decoder::default();
    let mut batch = Batch::default();
    loop {
        let limits = engine.limits(slot).decode;
        let (consumed, decoded) = decoder.decode(rest, limits, &mut batch);
        if (0..batch.len()).any(|at| is_left_out(batch.command(rest, at).get(0))) {
            return b"";
        }
        let step = match engine.execute(slot, &batch, rest, replies, clock, &mut Turn::default()) {
            Progress::Done => consumed,
            Progress::Full { at } => {
                decoder = Decoder::default();
                batch.bytes_of(at)
            }
            Progress::Waiting { at } => return &rest[batch.bytes_of(at)..],
            Progress::Closing(_) => return &rest[consumed..],
        };
        rest = &rest[step..];
        if decoded.is_err() || step == 0 {
            return b"";
        }
    }
}

/// CONFIG may allow values of half a gigabyte.
fn is_left_out(name: Option<&[u8]>) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"config"))
}

const WORDS: [&[u8]; 36] = [
    b"k",
    b"l",
    b"s",
    b"h",
    b"z",
    b"x",
    b"0",
    b"1",
    b"-1",
    b"2",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"1.5",
    b"inf",
    b"nan",
    b"(1",
    b"[a",
    b"+",
    b"-",
    b"*",
    b"$",
    b">",
    b"1-1",
    b"a",
    b"\"\\xff\\x00\"",
    b"COUNT",
    b"MATCH",
    b"EX",
    b"NX",
    b"XX",
    b"GET",
    b"WITHSCORES",
    b"LIMIT",
    b"STORE",
    b"LEFT",
    b"FIELDS",
];

/// Commands by their names with words behind them, or a seed, changed in a few places.
pub fn generate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<&str> = NAMES.split_ascii_whitespace().collect();
    let mut text = Vec::new();
    if random.below(2) == 0 {
        text.extend(&seeds[random.below(seeds.len())]);
    }
    for _ in 0..random.below(6) {
        text.extend(random.one_of(&names).as_bytes());
        for _ in 0..random.below(6) {
            text.push(b' ');
            text.extend(random.one_of(&WORDS));
        }
        text.extend(b"\r\n");
    }
    mutate(random, text, &WORDS)
}

const NAMES: &str = "append bitcount bitfield bitop bitpos blmove blmpop blpop bzmpop bzpopmin copy decrby del \
    discard dump exec expire expiretime flushdb geoadd geodist geohash geopos geosearch geosearchstore get \
    getbit getdel getex getrange getset hdel hello hexpire hgetall hgetdel hgetex hincrby hincrbyfloat hmget \
    hpersist hpexpire hrandfield hscan hset hsetex hsetnx httl incr incrbyfloat keys lcs lindex linsert lmove \
    lmpop lpop lpos lpush lrange lrem lset ltrim mget mset msetex msetnx multi object persist pfadd pfcount \
    pfdebug pfmerge psetex psubscribe publish randomkey rename reset rpush sadd scan sdiff sdiffstore select \
    set setbit setex setrange sinter sintercard sinterstore sismember smismember smove sort spop srandmember \
    srem sscan sscan subscribe substr sunion sunionstore swapdb touch ttl type unlink unwatch watch xack \
    xackdel xadd xautoclaim xclaim xdel xdelex xgroup xinfo xpending xrange xread xreadgroup xrevrange xsetid \
    xtrim zadd zcount zdiff zdiffstore zincrby zinter zinterstore zlexcount zmpop zmscore zpopmax zpopmin \
    zrandmember zrange zrangestore zrangebylex zrangebyscore zrank zrem zremrangebylex zremrangebyrank \
    zremrangebyscore zrevrange zrevrank zscan zscore zunion zunionstore client command debug info latency \
    memory restore slowlog commandlog";
