//! Commands whose work is small whatever the data is like: what they touch is one place of a table or
//! the end of a list, and big values are freed elsewhere. Their times need not be told apart one by one
//! (see the engine's `timing`).

pub(super) const BRIEF: &[&str] = &[
    "decr",
    "decrby",
    "del",
    "echo",
    "exists",
    "expire",
    "expireat",
    "expiretime",
    "get",
    "getdel",
    "getex",
    "getset",
    "hdel",
    "hexists",
    "hget",
    "hincrby",
    "hlen",
    "hmget",
    "hset",
    "hsetnx",
    "hstrlen",
    "incr",
    "incrby",
    "incrbyfloat",
    "llen",
    "lpop",
    "lpush",
    "lpushx",
    "mget",
    "mset",
    "multi",
    "persist",
    "pexpire",
    "pexpireat",
    "ping",
    "psetex",
    "pttl",
    "rpop",
    "rpush",
    "rpushx",
    "sadd",
    "scard",
    "set",
    "setex",
    "setnx",
    "sismember",
    "srem",
    "strlen",
    "touch",
    "ttl",
    "type",
    "unlink",
    "zadd",
    "zcard",
    "zincrby",
    "zscore",
];

#[cfg(test)]
mod tests {
    use super::super::{Names, TABLE};
    use super::*;

    #[test]
    fn each_names_a_command() {
        let names = Names::default();
        for name in BRIEF {
            assert!(names.find(name.as_bytes()).is_some_and(|id| id.entry().brief), "{name}");
        }
        assert_eq!(TABLE.all().filter(|id| id.entry().brief).count(), BRIEF.len());
    }
}
