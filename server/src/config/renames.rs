//! `rename-command`: which command answers to which name.
//!
//! Old files rename commands that are not built yet (`rename-command DEBUG ""`), so the names that
//! count are those of all Redis and Valkey commands.

/// A command under another name, or under none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// As Redis calls it, lower case.
    pub command: &'static str,
    /// `None`: nobody can call it.
    pub name: Option<Vec<u8>>,
}

/// Carries out one `rename-command` line after those before it.
pub(super) fn apply(renames: &mut Vec<Rename>, from: &[u8], to: &[u8]) -> Result<(), &'static str> {
    let command = current(renames, from).ok_or("No such command in rename-command")?;
    renames.retain(|rename| rename.command != command);
    renames.push(Rename { command, name: None });
    if to.is_empty() {
        return Ok(());
    }
    if current(renames, to).is_some() {
        return Err("Target command name already exists");
    }
    let last = renames.last_mut().expect("pushed above");
    if to.eq_ignore_ascii_case(command.as_bytes()) {
        renames.pop();
    } else {
        last.name = Some(to.to_vec());
    }
    Ok(())
}

/// The command that answers to `name` now.
fn current(renames: &[Rename], name: &[u8]) -> Option<&'static str> {
    let by_rename = renames
        .iter()
        .find(|rename| rename.name.as_deref().is_some_and(|new| new.eq_ignore_ascii_case(name)));
    if let Some(rename) = by_rename {
        return Some(rename.command);
    }
    let command = COMMANDS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
    let renamed = renames.iter().any(|rename| rename.command == *command);
    (!renamed).then_some(*command)
}

/// Every command of Valkey 9.1 and Redis 8.0, containers only once.
#[rustfmt::skip]
pub(super) const COMMANDS: [&str; 258] = [
    "acl", "append", "asking", "auth", "bgrewriteaof", "bgsave", "bitcount", "bitfield",
    "bitfield_ro", "bitop", "bitpos", "blmove", "blmpop", "blpop", "brpop", "brpoplpush", "bzmpop",
    "bzpopmax", "bzpopmin", "client", "cluster", "clusterscan", "command", "commandlog", "config",
    "copy", "dbsize", "debug", "decr", "decrby", "del", "delifeq", "discard", "dump", "echo",
    "eval", "eval_ro", "evalsha", "evalsha_ro", "exec", "exists", "expire", "expireat",
    "expiretime", "failover", "fcall", "fcall_ro", "flushall", "flushdb", "function", "geoadd",
    "geodist", "geohash", "geopos", "georadius", "georadius_ro", "georadiusbymember",
    "georadiusbymember_ro", "geosearch", "geosearchstore", "get", "getbit", "getdel", "getex",
    "getrange", "getset", "hdel", "hello", "hexists", "hexpire", "hexpireat", "hexpiretime", "hget",
    "hgetall", "hgetdel", "hgetex", "hincrby", "hincrbyfloat", "hkeys", "hlen", "hmget", "hmset",
    "hpersist", "hpexpire", "hpexpireat", "hpexpiretime", "hpttl", "hrandfield", "hscan", "hset",
    "hsetex", "hsetnx", "hstrlen", "httl", "hvals", "incr", "incrby", "incrbyfloat", "info", "keys",
    "lastsave", "latency", "lcs", "lindex", "linsert", "llen", "lmove", "lmpop", "lolwut", "lpop",
    "lpos", "lpush", "lpushx", "lrange", "lrem", "lset", "ltrim", "memory", "mget", "migrate",
    "module", "monitor", "move", "mset", "msetex", "msetnx", "multi", "object", "persist",
    "pexpire", "pexpireat", "pexpiretime", "pfadd", "pfcount", "pfdebug", "pfmerge", "pfselftest",
    "ping", "psetex", "psubscribe", "psync", "pttl", "publish", "pubsub", "punsubscribe", "quit",
    "randomkey", "readonly", "readwrite", "rename", "renamenx", "replconf", "replicaof", "reset",
    "restore", "restore-asking", "role", "rpop", "rpoplpush", "rpush", "rpushx", "sadd", "save",
    "scan", "scard", "script", "sdiff", "sdiffstore", "select", "set", "setbit", "setex", "setnx",
    "setrange", "sflush", "shutdown", "sinter", "sintercard", "sinterstore", "sismember", "slaveof",
    "slowlog", "smembers", "smismember", "smove", "sort", "sort_ro", "spop", "spublish",
    "srandmember", "srem", "sscan", "ssubscribe", "strlen", "subscribe", "substr", "sunion",
    "sunionstore", "sunsubscribe", "swapdb", "sync", "time", "touch", "ttl", "type", "unlink",
    "unsubscribe", "unwatch", "wait", "waitaof", "watch", "xack", "xadd", "xautoclaim", "xclaim",
    "xdel", "xgroup", "xinfo", "xlen", "xpending", "xrange", "xread", "xreadgroup", "xrevrange",
    "xsetid", "xtrim", "zadd", "zcard", "zcount", "zdiff", "zdiffstore", "zincrby", "zinter",
    "zintercard", "zinterstore", "zlexcount", "zmpop", "zmscore", "zpopmax", "zpopmin",
    "zrandmember", "zrange", "zrangebylex", "zrangebyscore", "zrangestore", "zrank", "zrem",
    "zremrangebylex", "zremrangebyrank", "zremrangebyscore", "zrevrange", "zrevrangebylex",
    "zrevrangebyscore", "zrevrank", "zscan", "zscore", "zunion", "zunionstore",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `lines` are pairs of names; `expected` the renames they leave, or the error of the last.
    #[track_caller]
    fn check(lines: &[[&str; 2]], expected: Result<&[(&'static str, Option<&str>)], &'static str>) {
        let mut renames = Vec::new();
        let result = lines
            .iter()
            .try_for_each(|[from, to]| apply(&mut renames, from.as_bytes(), to.as_bytes()));
        let expected = expected.map(|expected| {
            let rename = |(command, name): &(&'static str, Option<&str>)| Rename {
                command,
                name: name.map(|name| name.as_bytes().to_vec()),
            };
            expected.iter().map(rename).collect::<Vec<_>>()
        });
        assert_eq!(result.map(|()| renames), expected);
    }

    #[test]
    fn commands_are_renamed_one_line_after_the_other() {
        check(&[["CONFIG", "Secret"]], Ok(&[("config", Some("Secret"))]));
        check(&[["flushall", ""]], Ok(&[("flushall", None)]));
        check(&[["get", "a"], ["A", "b"]], Ok(&[("get", Some("b"))]));
        check(&[["get", "a"], ["a", "get"]], Ok(&[]));
        check(&[["get", ""], ["set", "get"]], Ok(&[("get", None), ("set", Some("get"))]));
        check(
            &[["get", "x"], ["set", "get"], ["x", "set"]],
            Ok(&[("set", Some("get")), ("get", Some("set"))]),
        );
    }

    #[test]
    fn every_command_can_be_renamed() {
        for id in crate::commands::TABLE.top_level() {
            let name = id.entry().command.name;
            assert!(COMMANDS.contains(&name), "{name}");
        }
    }

    #[test]
    fn wrong_renames_are_refused() {
        check(&[["nosuch", "x"]], Err("No such command in rename-command"));
        check(&[["get", "a"], ["get", "b"]], Err("No such command in rename-command"));
        check(&[["get", "SET"]], Err("Target command name already exists"));
        check(&[["get", "x"], ["set", "X"]], Err("Target command name already exists"));
    }
}
