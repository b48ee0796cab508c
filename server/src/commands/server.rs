//! Commands about the server as a whole: DBSIZE, FLUSHALL, FLUSHDB, SWAPDB, TIME, SHUTDOWN.

use super::connection::database;
use super::spec::{Command, Flags, Group};
use crate::engine::{Args, Call, Closing};
use crate::error::{self, Error, Result};

pub(super) const COMMANDS: &[Command] = &[DBSIZE, FLUSHALL, FLUSHDB, SHUTDOWN, SWAPDB, TIME];

const DBSIZE: Command = Command {
    name: "dbsize",
    syntax: "",
    summary: "Returns the number of keys in the database.",
    group: Group::Server,
    flags: Flags::READONLY.union(Flags::FAST).union(Flags::KEYSPACE),
    handler: Some(dbsize),
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    ..Command::BASE
};

fn dbsize(call: &mut Call<'_>) -> Result {
    let len = call.db().len();
    call.reply.len(len);
    Ok(())
}

const FLUSHALL: Command = Command {
    name: "flushall",
    syntax: "[ASYNC | SYNC]",
    summary: "Removes all keys from all databases.",
    complexity: "O(N) where N is the total number of keys in all databases",
    group: Group::Server,
    flags: Flags::WRITE.union(Flags::KEYSPACE).union(Flags::DANGEROUS),
    handler: Some(flushall),
    history: &[
        ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
        ("6.2.0", "Added the `SYNC` flushing mode modifier."),
    ],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..Command::BASE
};

fn flushall(call: &mut Call<'_>) -> Result {
    flush_mode(call.args())?;
    call.flush(|_| true);
    call.engine.follow_flush(call.now);
    call.reply.ok();
    Ok(())
}

const FLUSHDB: Command = Command {
    name: "flushdb",
    syntax: "[ASYNC | SYNC]",
    summary: "Removes all keys from the current database.",
    complexity: "O(N) where N is the number of keys in the selected database",
    handler: Some(flushdb),
    ..FLUSHALL
};

fn flushdb(call: &mut Call<'_>) -> Result {
    flush_mode(call.args())?;
    let db = call.client.db;
    call.flush(|index| index == db);
    call.reply.ok();
    Ok(())
}

/// Memory is always freed outside the lock, so both modes are the same here.
fn flush_mode(mut args: Args<'_>) -> Result {
    let _ = args.keyword("async") || args.keyword("sync");
    args.finish()
}

const SWAPDB: Command = Command {
    name: "swapdb",
    syntax: "index1 index2",
    summary: "Swaps two databases.",
    complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
    since: "4.0.0",
    group: Group::Server,
    flags: Flags::WRITE.union(Flags::FAST).union(Flags::KEYSPACE).union(Flags::DANGEROUS),
    handler: Some(swapdb),
    ..Command::BASE
};

fn swapdb(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let first = args.int32_or(error::INVALID_FIRST_DB_INDEX)?;
    let second = args.int32_or(error::INVALID_SECOND_DB_INDEX)?;
    let (first, second) = (database(call, first)?, database(call, second)?);
    call.swap_databases(first, second);
    call.reply.ok();
    Ok(())
}

const TIME: Command = Command {
    name: "time",
    syntax: "",
    summary: "Returns the server time.",
    since: "2.6.0",
    group: Group::Server,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
    handler: Some(time),
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

fn time(call: &mut Call<'_>) -> Result {
    let wall_us = call.engine.host.wall_us();
    call.reply.array(2);
    call.reply.bulk_int(wall_us / 1_000_000);
    call.reply.bulk_int(wall_us % 1_000_000);
    Ok(())
}

const SHUTDOWN: Command = Command {
    name: "shutdown",
    syntax: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    summary: "Synchronously saves the database(s) to disk and shuts down the server.",
    complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
    group: Group::Server,
    flags: Flags::ADMIN
        .union(Flags::NOSCRIPT)
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::NO_MULTI)
        .union(Flags::ALLOW_BUSY),
    handler: Some(shutdown),
    history: &[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")],
    ..Command::BASE
};

fn shutdown(call: &mut Call<'_>) -> Result {
    let (mut save, mut nosave, mut abort) = (false, false, false);
    let (mut now, mut force) = (false, false);
    let mut args = call.args();
    while !args.is_empty() {
        if args.keyword("nosave") {
            nosave = true;
        } else if args.keyword("save") {
            save = true;
        } else if args.keyword("abort") {
            abort = true;
        } else if args.keyword("now") {
            // Nothing is waited for in any case: there are no replicas.
            now = true;
        } else if args.keyword("force") {
            force = true;
        } else {
            return Err(error::SYNTAX);
        }
    }
    if (abort && (save || nosave || now || force)) || (save && nosave) {
        return Err(error::SYNTAX);
    }
    if abort {
        // A shutdown here never waits, so there is none to call off.
        return Err(Error::text("ERR No shutdown in progress."));
    }
    let save = if save || nosave { Some(save) } else { None };
    call.engine.shut_down(save, force, call.now).map_err(|_| error::SHUTDOWN_FAILED)?;
    call.engine.host.exit(0);
    call.client.closing = Closing::Now;
    Ok(())
}
