//! DEBUG: what test suites and tools ask of a server. `enable-debug-command` guards it.
//!
//! One command without declared subcommands, as in Redis: COMMAND does not list them.

mod digest;
mod reload;

use std::fmt::Write as _;
use std::time::Duration;

use rand_pcg::rand_core::Rng as _;

use super::spec::{Command, Flags, Group};
use super::{config, dump};
use crate::config::{rewrite::Scope, units};
use crate::engine::{Args, Call, idle_seconds};
use crate::error::{self, Error, Result};
use crate::keyspace::{Ttl, ValueRef};
use crate::number;
use crate::resp::{Protocol, Reply};
use crate::types::collection::Collection;
use crate::types::list::{List, Nodes};

pub(super) const COMMANDS: &[Command] = &[DEBUG];

/// Hexadecimal digits that name a history of changes.
const ID_LEN: usize = 40;

const DEBUG: Command = Command {
    name: "debug",
    syntax: "subcommand [argument ...]",
    summary: "A container for debugging commands.",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    flags: Flags::PROTECTED
        .union(Flags::ADMIN)
        .union(Flags::NOSCRIPT)
        .union(Flags::LOADING)
        .union(Flags::STALE),
    handler: Some(debug),
    ..Command::BASE
};

fn debug(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let subcommand = args.required()?;
    match (&*subcommand.to_ascii_lowercase(), args.left()) {
        (b"help", 0) => help(call),
        (b"segfault" | b"panic" | b"assert", _) => crash(call, subcommand),
        (b"sleep", 1) => return sleep(call, args),
        (b"set-active-expire", 1) => call.engine.active_expire = switch(call, args)?,
        (b"set-skip-checksum-validation", 1) => {
            call.engine.checksums_are_skipped = switch(call, args)?;
        }
        (b"pause-cron", 1) => call.engine.cron_paused = switch(call, args)?,
        // Tables grow and shrink a piece at a time, whatever anybody wants: nothing is seen of it.
        (b"dict-resizing", 1) => _ = switch(call, args)?,
        (b"aof-flush-sleep", 1) => slow_log(call, args)?,
        (b"change-repl-id", 0) => change_replication_id(call),
        // Replies have one buffer here, so there is nothing to choose.
        (b"client-enforce-reply-list", 1) => _ = switch(call, args)?,
        (b"replybuffer", 2) => return reply_buffer(call, args),
        (b"reload", _) => return reload::reload(call, args),
        (b"loadaof", 0) => return reload::load_log(call),
        (b"object", 1 | 2) => return object(call, args),
        (b"digest", 0) => digest::dataset(call),
        (b"digest-value", _) => digest::values(call, args),
        (b"htstats", 1..) => return table_stats(call, args),
        (b"htstats-key", 1..) => return key_stats(call, args),
        (b"populate", 1..=3) => return populate(call, args),
        (b"config-rewrite-force-all", 0) => return config::rewrite_file(call, Scope::All),
        (b"quicklist-packed-threshold", 1) => return packed_threshold(call, args),
        (b"protocol", 1) => return protocol(&mut call.reply, args),
        (b"log", 1) => {
            let text = String::from_utf8_lossy(args.required()?);
            crate::log::warning!("DEBUG LOG: {text}");
            call.reply.ok();
        }
        (b"error", 1) => call.reply.error(&Error::owned(error::printable(args.required()?))),
        _ => return Err(error::unknown_subcommand_or_arity(subcommand, "debug")),
    }
    Ok(())
}

fn crash(call: &mut Call<'_>, how: &[u8]) {
    crate::log::warning!("DEBUG {} called: the server aborts", error::printable(how));
    call.engine.host.crash();
}

fn sleep(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    let seconds = number::parse_float(args.required()?).unwrap_or(0.0);
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    call.engine.host.sleep(time);
    call.reply.ok();
    Ok(())
}

/// `0 | 1`, read as C's `atoi` does; answers OK.
fn switch(call: &mut Call<'_>, mut args: Args<'_>) -> Result<bool> {
    let on = number::parse_int(args.required()?).unwrap_or(0) != 0;
    call.reply.ok();
    Ok(on)
}

/// The server stands still for so many microseconds before each write to the log.
fn slow_log(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    let us = number::parse_int(args.required()?).and_then(|us| u32::try_from(us).ok());
    call.engine.host.sleep_before_log(Duration::from_micros(us.unwrap_or(0).into()));
    call.reply.ok();
    Ok(())
}

fn change_replication_id(call: &mut Call<'_>) {
    crate::log::notice!("Changing replication IDs after receiving DEBUG change-repl-id");
    let rng = &mut call.engine.rng;
    let digits =
        [rng.next_u64(), rng.next_u64(), rng.next_u64()].map(|part| format!("{part:016x}"));
    call.engine.replication_id = digits.concat()[..ID_LEN].to_owned();
    call.reply.ok();
}

/// `PEAK-RESET-TIME ms | RESIZING 0|1`: when an idle client's buffer shrinks. Ours is given back at
/// once, so there is nothing to tell anybody.
fn reply_buffer(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    if args.keyword("peak-reset-time") {
        if !args.keyword("never") && !args.keyword("reset") {
            args.int()?;
        }
        call.reply.ok();
    } else if args.keyword("resizing") {
        switch(call, args)?;
    } else {
        return Err(error::unknown_subcommand_or_arity(b"replybuffer", "debug"));
    }
    Ok(())
}

/// From which length on list elements get a node of their own; 0 leaves it to the configuration.
fn packed_threshold(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    const MAX: u64 = (4 << 30) - (1 << 20);
    let size = units::memory(args.required()?).filter(|&size| size <= MAX);
    let size = size.ok_or(error::WRONG_PACKED_THRESHOLD)?;
    call.engine.list_plain_from = usize::try_from(size).ok().filter(|&size| size > 0);
    call.reply.ok();
    Ok(())
}

/// Shows due keys as well.
fn object(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    let key = args.required()?;
    let fast = args.keyword("fast");
    let serialized_len = if fast { None } else { dump::serialized_len(call, key) };
    let entry = call.db().find(key).ok_or(error::NO_SUCH_KEY)?;
    // An entry is one allocation with its key inside.
    let address = entry.key().as_ptr();
    let encoding = entry.encoding().name();
    let mut text = format!("Value at:{address:p} refcount:1 encoding:{encoding}");
    if let Some(len) = serialized_len {
        write!(text, " serializedlength:{len}").expect("into a String");
    }
    let (lru, idle) = (entry.access(), idle_seconds(entry, call.now));
    write!(text, " lru:{lru} lru_seconds_idle:{idle}").expect("into a String");
    if let ValueRef::Collection(Collection::List(list)) = entry.value().view() {
        text.push_str(&quicklist_facts(list, fast));
    }
    call.reply.simple(&text);
    Ok(())
}

fn quicklist_facts(list: &List, fast: bool) -> String {
    let Some(Nodes { count, len_bytes, max_size, are_compressed }) = list.nodes() else {
        return String::new();
    };
    let average = list.len() as f64 / count as f64;
    let facts = format!(
        " ql_nodes:{count} ql_avg_node:{average:.2} ql_listpack_max:{max_size} ql_compressed:{}",
        u8::from(are_compressed)
    );
    if fast { facts } else { format!("{facts} ql_uncompressed_size:{len_bytes}") }
}

/// In the words of a hash table, since tools read them: ours has no buckets and never rehashes.
fn table_stats(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    let index = args.int()?;
    // `full` adds chains, of which there are none.
    let index =
        super::connection::database(call, index).map_err(|_| error::OUT_OF_RANGE_DATABASE)?;
    let db = call.engine.keyspace.db(index);
    let table = main_table(db.slots(), db.len());
    // Expiries are kept with the keys, not in a table of their own.
    let expires = format!("[Expires HT]\n number of entries: {}\n", db.volatile_len());
    call.reply.verbatim("txt", format!("[Dictionary HT]\n{table}{expires}").as_bytes());
    Ok(())
}

/// The same for a value.
fn key_stats(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    let key = args.required()?;
    let entry = call.inspect(key).ok_or(error::NO_SUCH_KEY)?;
    let value = entry.value();
    let ValueRef::Collection(collection) = value.view() else { return Err(error::NO_HASH_TABLE) };
    let (slots, len) = match collection {
        Collection::Set(set) => (set.table_slots(), set.len()),
        Collection::Hash(hash) => (hash.table_slots(), hash.len()),
        Collection::SortedSet(set) => (set.table_slots(), set.len()),
        Collection::List(_) | Collection::Stream(_) => (None, 0),
    };
    let stats = main_table(slots.ok_or(error::NO_HASH_TABLE)?, len);
    call.reply.verbatim("txt", stats.as_bytes());
    Ok(())
}

fn main_table(slots: usize, entries: usize) -> String {
    format!(
        "Hash table 0 stats (main hash table):\n table size: {slots}\n number of entries: {entries}\n rehashing index: -1\n"
    )
}

fn populate(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    let count = not_negative(&mut args)?;
    let prefix = args.next().unwrap_or(b"key");
    let len = match args.peek() {
        Some(_) => Some(not_negative(&mut args)?).filter(|&len| len > 0),
        None => None,
    };
    let limit = call.engine.config.settings().max_bulk_len as u64;
    if len.is_some_and(|len| len > limit) {
        return Err(error::STRING_TOO_LONG);
    }
    let mut any = false;
    for nth in 0..count {
        let key = [prefix, format!(":{nth}").as_bytes()].concat();
        if call.entry_mut(&key).is_some() {
            continue;
        }
        let mut value = format!("value:{nth}").into_bytes();
        if let Some(len) = len {
            value.resize(len as usize, 0);
        }
        call.db_mut().set_string(&key, &value, Ttl::Clear);
        let db = call.client.db;
        call.engine.touch_watchers(db, &key);
        any = true;
    }
    if any {
        let words = call.argv;
        call.log(words.len(), |line| line.words(words.iter()).done());
    }
    call.reply.ok();
    Ok(())
}

fn not_negative(args: &mut Args<'_>) -> Result<u64> {
    let number = args.int_or(error::must_be_positive())?;
    u64::try_from(number).map_err(|_| error::must_be_positive())
}

/// A sample of each type of reply, for tests of clients.
#[expect(clippy::approx_constant, reason = "3.141 is what Redis answers")]
fn protocol(reply: &mut Reply<'_>, mut args: Args<'_>) -> Result {
    let resp3 = reply.protocol() == Protocol::Resp3;
    match &*args.required()?.to_ascii_lowercase() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        b"double" => reply.double(3.141),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.int(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.int(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.int(number);
                reply.bool(number == 1);
            }
        }
        b"attrib" => {
            if resp3 {
                reply.attribute(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            // An attribute is no reply: one has to follow.
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if !resp3 {
                return Err(Error::text("ERR RESP2 is not supported by this command"));
            }
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
            // Nor is a push.
            reply.bulk(b"Some real reply following the push reply");
        }
        b"true" => reply.bool(true),
        b"false" => reply.bool(false),
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        _ => {
            return Err(Error::text(
                "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

fn help(call: &mut Call<'_>) {
    call.reply.help(
        "DEBUG",
        &[
            "AOF-FLUSH-SLEEP <microsec>",
            "    Server will sleep before flushing the AOF, this is used for testing.",
            "ASSERT",
            "    Crash by assertion failed.",
            "CHANGE-REPL-ID",
            "    Change the replication IDs of the instance (INFO's master_replid).",
            "CLIENT-ENFORCE-REPLY-LIST <0|1>",
            "    Accepted for test suites: replies have one kind of buffer here.",
            "CONFIG-REWRITE-FORCE-ALL",
            "    Like CONFIG REWRITE but writes all configuration options, including",
            "    keywords not listed in original configuration file or default values.",
            "DICT-RESIZING <0|1>",
            "    Accepted for test suites: tables grow and shrink a piece at a time here.",
            "DIGEST",
            "    Output a hex signature representing the current DB content.",
            "DIGEST-VALUE <key> [<key> ...]",
            "    Output a hex signature of the values of all the specified keys.",
            "ERROR <string>",
            "    Return a RESP protocol error with <string> as message. Useful for clients",
            "    unit tests to simulate error replies.",
            "HTSTATS <dbid> [full]",
            "    Return hash table statistics of the specified database.",
            "HTSTATS-KEY <key> [full]",
            "    Like HTSTATS but for the hash table stored at <key>'s value.",
            "LOG <message>",
            "    Write <message> to the server log.",
            "OBJECT <key> [fast]",
            "    Show low level info about `key` and associated value.",
            "    Some fields of the default behavior may be time consuming to fetch,",
            "    and `fast` can be passed to avoid fetching them.",
            "PANIC",
            "    Crash the server simulating a panic.",
            "PAUSE-CRON <0|1>",
            "    Stop periodic cron job processing.",
            "POPULATE <count> [<prefix>] [<size>]",
            "    Create <count> string keys named key:<num>. If <prefix> is specified then",
            "    it is used instead of the 'key' prefix.",
            "PROTOCOL <type>",
            "    Reply with a test value of the specified type. <type> can be: string,",
            "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
            "    true, false.",
            "QUICKLIST-PACKED-THRESHOLD <size>",
            "    Sets the threshold for elements to be inserted as plain vs packed nodes",
            "    Default value is 1GB, allows values up to 4GB. Setting to 0 restores to default.",
            "REPLYBUFFER PEAK-RESET-TIME <NEVER|RESET|time>",
            "REPLYBUFFER RESIZING <0|1>",
            "    Accepted for test suites: an idle client has no reply buffer here.",
            "SEGFAULT",
            "    Crash the server (it aborts, with SIGABRT).",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Setting it to 0 disables expiring keys in background when they are not",
            "    accessed (otherwise the behavior). Setting it to 1 reenables back the",
            "    default.",
            "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
            "    Enables or disables checksum checks for RDB files and RESTORE's payload.",
            "SLEEP <seconds>",
            "    Stop the server for <seconds>. Decimals allowed.",
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::World;

    #[test]
    fn a_changed_replication_id_is_another_of_the_same_shape() {
        let mut world = World::new();
        let client = world.connect();
        let id = |world: &mut World| {
            let info = world.run(client, "INFO replication");
            let line = info.lines().find_map(|line| line.strip_prefix("master_replid:"));
            line.expect("such a field").to_owned()
        };
        let (before, run_id) = (id(&mut world), world.engine.run_id.clone());
        assert_eq!(world.run(client, "DEBUG CHANGE-REPL-ID"), "+OK\r\n");
        let after = id(&mut world);
        assert!(after != before && after.len() == ID_LEN, "{after}");
        assert!(after.bytes().all(|digit| digit.is_ascii_hexdigit()), "{after}");
        assert_eq!(world.engine.run_id, run_id, "the process is the same");
    }

    #[test]
    fn writes_to_the_log_are_delayed_by_microseconds() {
        let mut world = World::new();
        let client = world.connect();
        for (text, us) in [("500000", 500_000), ("-1", 0), ("7", 7), ("x", 0)] {
            assert_eq!(world.run(client, &format!("DEBUG AOF-FLUSH-SLEEP {text}")), "+OK\r\n");
            let delay = world.record.lock().expect("not poisoned").log_delay;
            assert_eq!(delay, Duration::from_micros(us), "{text}");
        }
    }

    #[test]
    fn the_table_of_a_value_has_room_for_what_is_in_it() {
        let mut world = World::new();
        let client = world.connect();
        for nth in 0..1000 {
            world.run(client, &format!("SADD set m{nth}"));
            world.run(client, &format!("HSET hash m{nth} v"));
            world.run(client, &format!("ZADD zset {nth} m{nth}"));
        }
        for key in ["set", "hash", "zset"] {
            let stats = world.run(client, &format!("DEBUG HTSTATS-KEY {key} full"));
            assert!(
                stats.contains("\n number of entries: 1000\n rehashing index: -1\n"),
                "{stats}"
            );
            let size = stats.lines().find_map(|line| line.strip_prefix(" table size: "));
            let size: usize = size.and_then(|size| size.parse().ok()).expect("a number");
            assert!((700..3000).contains(&size), "{key}: {size}");
        }
    }
}
