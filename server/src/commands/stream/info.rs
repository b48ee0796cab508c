//! XINFO: streams, groups and consumers told about.

use super::{STREAM, no_group, reply};
use crate::clock::Now;
use crate::commands::help;
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::{Args, Call, Typed};
use crate::error::{self, Result};
use crate::resp::Reply;
use crate::types::stream::{Consumer, Group, Log, Stream, StreamId, progress};

pub(super) const XINFO: Command = Command {
    name: "xinfo",
    summary: "A container for stream introspection commands.",
    complexity: "Depends on subcommand.",
    subcommands: &[CONSUMERS, GROUPS, HELP, STREAM_INFO],
    ..STREAM
};

const READS: KeySpec = KeySpec::one(2, Access::ReadOnly, &["access"]);

const CONSUMERS: Command = Command {
    name: "consumers",
    syntax: "key group",
    summary: "Returns a list of the consumers in a consumer group.",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(consumers),
    history: &[("7.2.0", "Added the `inactive` field, and changed the meaning of `idle`.")],
    tips: &["nondeterministic_output"],
    ..STREAM
};

fn consumers(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, name) = (args.required()?, args.required()?);
    args.finish()?;
    let now_ms = call.now.ms();
    let (stream, reply) = stream(call, key)?;
    let group = stream.groups().group(name).ok_or_else(|| no_group(key, name))?;
    reply.array(group.consumers().len());
    for consumer in group.consumers().iter() {
        reply.map(4);
        label(reply, b"name");
        reply.bulk(consumer.name());
        label(reply, b"pending");
        reply.len(consumer.pending().len());
        label(reply, b"idle");
        reply.int((now_ms - consumer.seen_ms).max(0));
        label(reply, b"inactive");
        reply.int(consumer.active_ms.map_or(-1, |active_ms| now_ms - active_ms));
    }
    Ok(())
}

/// The stream at `key`, which must be there.
fn stream<'c, 'a>(
    call: &'c mut Call<'a>,
    key: &[u8],
) -> Result<(Typed<'c, Stream>, &'c mut Reply<'a>)> {
    let (found, reply) = call.read_as_and_reply::<Stream>(key)?;
    Ok((found.ok_or(error::NO_SUCH_KEY)?, reply))
}

const GROUPS: Command = Command {
    name: "groups",
    syntax: "key",
    summary: "Returns a list of the consumer groups of a stream.",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(groups),
    history: &[("7.0.0", "Added the `entries-read` and `lag` fields")],
    ..STREAM
};

fn groups(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    args.finish()?;
    let (stream, reply) = stream(call, key)?;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        reply.map(6);
        label(reply, b"name");
        reply.bulk(name);
        label(reply, b"consumers");
        reply.len(group.consumers().len());
        label(reply, b"pending");
        reply.len(group.pending_len());
        progress_of(reply, stream.log(), group);
    }
    Ok(())
}

/// How far a group has read, as three fields.
fn progress_of(reply: &mut Reply<'_>, log: &Log, group: &Group) {
    label(reply, b"last-delivered-id");
    reply::id(reply, group.last_id);
    label(reply, b"entries-read");
    int_or_null(reply, group.entries_read);
    label(reply, b"lag");
    int_or_null(reply, progress::lag(log, group));
}

fn int_or_null(reply: &mut Reply<'_>, int: Option<i64>) {
    match int {
        Some(int) => reply.int(int),
        None => reply.null(),
    }
}

const STREAM_INFO: Command = Command {
    name: "stream",
    syntax: "key [FULL [COUNT count]]",
    summary: "Returns information about a stream.",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(stream_info),
    history: &[
        ("6.0.0", "Added the `FULL` modifier."),
        (
            "7.0.0",
            "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields",
        ),
        ("7.2.0", "Added the `active-time` field, and changed the meaning of `seen-time`."),
    ],
    ..STREAM
};

fn stream_info(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let full = full_count(args, call);
    let now = call.now;
    let (stream, reply) = stream(call, key)?;
    match full? {
        Some(count) => full_info(reply, &stream, count, now),
        None => short_info(reply, &stream),
    }
    Ok(())
}

/// How much `FULL` is to show; `None` without it.
fn full_count(mut args: Args<'_>, call: &Call<'_>) -> Result<Option<usize>> {
    /// Entries, and pending ones of each kind, unless COUNT says otherwise.
    const USUAL: usize = 10;
    let misused = || {
        let subcommand = call.argv.get(1).unwrap_or_default();
        error::unknown_subcommand_or_arity(subcommand, "xinfo")
    };
    match args.left() {
        0 => Ok(None),
        1 if args.keyword("full") => Ok(Some(USUAL)),
        3 if args.keyword("full") && args.keyword("count") => {
            Ok(Some(match usize::try_from(args.int()?) {
                Ok(0) => usize::MAX,
                Ok(count) => count,
                Err(_) => USUAL,
            }))
        }
        _ => Err(misused()),
    }
}

/// The name of what follows. Once in the program, for its size.
#[inline(never)]
fn label(reply: &mut Reply<'_>, name: &[u8]) {
    reply.bulk(name);
}

fn head(reply: &mut Reply<'_>, log: &Log) {
    let nodes = log.nodes().len();
    for (name, count) in [
        ("length", log.len()),
        ("radix-tree-keys", nodes as u64),
        // Redis counts the inner nodes of its tree, too: with one key there are two.
        ("radix-tree-nodes", nodes as u64 + 1),
    ] {
        label(reply, name.as_bytes());
        reply.int(count as i64);
    }
    label(reply, b"last-generated-id");
    reply::id(reply, log.last_id());
    label(reply, b"max-deleted-entry-id");
    reply::id(reply, log.max_deleted_id());
    label(reply, b"entries-added");
    reply.int(log.entries_added() as i64);
    label(reply, b"recorded-first-entry-id");
    reply::id(reply, log.first_id());
}

fn short_info(reply: &mut Reply<'_>, stream: &Stream) {
    reply.map(10);
    head(reply, stream.log());
    label(reply, b"groups");
    reply.len(stream.groups().len());
    let everything = StreamId::MIN..=StreamId::MAX;
    let first = stream.log().all().next();
    let last = stream.log().range_back(everything).next();
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        label(reply, name.as_bytes());
        match entry {
            Some(entry) => reply::entry(reply, entry),
            None => reply.null(),
        }
    }
}

fn full_info(reply: &mut Reply<'_>, stream: &Stream, count: usize, now: Now) {
    reply.map(9);
    head(reply, stream.log());
    label(reply, b"entries");
    reply::entries(reply, stream.log().all(), Some(count));
    label(reply, b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        reply.map(7);
        label(reply, b"name");
        reply.bulk(name);
        progress_of(reply, stream.log(), group);
        label(reply, b"pel-count");
        reply.len(group.pending_len());
        label(reply, b"pending");
        reply.array(group.pending_len().min(count));
        for (id, nack) in group.pending(..).take(count) {
            reply.array(4);
            reply::id(reply, id);
            reply.bulk(group.consumers().consumer(nack.consumer).name());
            reply.int(now.unix_ms_of_deadline(nack.delivered_ms));
            reply.int(nack.deliveries as i64);
        }
        label(reply, b"consumers");
        reply.array(group.consumers().len());
        for consumer in group.consumers().iter() {
            full_consumer(reply, group, consumer, count, now);
        }
    }
}

fn full_consumer(
    reply: &mut Reply<'_>,
    group: &Group,
    consumer: &Consumer,
    count: usize,
    now: Now,
) {
    reply.map(5);
    label(reply, b"name");
    reply.bulk(consumer.name());
    label(reply, b"seen-time");
    reply.int(now.unix_ms_of_deadline(consumer.seen_ms));
    label(reply, b"active-time");
    reply.int(consumer.active_ms.map_or(-1, |active_ms| now.unix_ms_of_deadline(active_ms)));
    label(reply, b"pel-count");
    reply.len(consumer.pending().len());
    label(reply, b"pending");
    reply.array(consumer.pending().len().min(count));
    for id in consumer.pending().iter().take(count) {
        let nack = group.nack(*id).expect("what a consumer has is pending in its group");
        reply.array(3);
        reply::id(reply, *id);
        reply.int(now.unix_ms_of_deadline(nack.delivered_ms));
        reply.int(nack.deliveries as i64);
    }
}

const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(help::of_container),
    ..STREAM
};
