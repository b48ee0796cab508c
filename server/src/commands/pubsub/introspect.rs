//! PUBSUB: who listens to what.

use super::{Command, Flags, PUBSUB as BASE};
use crate::commands::help;
use crate::engine::{Call, Topic};
use crate::error::Result;
use crate::glob;

pub(super) const PUBSUB: Command = Command {
    name: "pubsub",
    summary: "A container for Pub/Sub commands.",
    complexity: "Depends on subcommand.",
    since: "2.8.0",
    flags: Flags::empty(),
    subcommands: &[CHANNELS, HELP, NUMPAT, NUMSUB, SHARDCHANNELS, SHARDNUMSUB],
    ..BASE
};

const CHANNELS: Command = Command {
    name: "channels",
    syntax: "[pattern:pattern]",
    summary: "Returns the active channels.",
    complexity: "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)",
    since: "2.8.0",
    handler: Some(|call| channels(call, Topic::Channel)),
    ..BASE
};

const SHARDCHANNELS: Command = Command {
    name: "shardchannels",
    summary: "Returns the active shard channels.",
    complexity: "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).",
    since: "7.0.0",
    handler: Some(|call| channels(call, Topic::Shard)),
    ..CHANNELS
};

fn channels(call: &mut Call<'_>, topic: Topic) -> Result {
    let mut args = call.args();
    let pattern = args.next();
    if !args.is_empty() {
        return Err(call.wrong_arity());
    }
    let is_asked = |name: &&[u8]| pattern.is_none_or(|p| glob::matches(p, name, false));
    let names: Vec<&[u8]> = call.engine.pubsub.names(topic).filter(is_asked).collect();
    call.reply.bulks(&names);
    Ok(())
}

const NUMPAT: Command = Command {
    name: "numpat",
    summary: "Returns a count of unique pattern subscriptions.",
    since: "2.8.0",
    handler: Some(numpat),
    ..BASE
};

fn numpat(call: &mut Call<'_>) -> Result {
    call.reply.len(call.engine.pubsub.len(Topic::Pattern));
    Ok(())
}

const NUMSUB: Command = Command {
    name: "numsub",
    syntax: "[channel [channel ...]]",
    summary: "Returns a count of subscribers to channels.",
    complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
    since: "2.8.0",
    handler: Some(|call| numsub(call, Topic::Channel)),
    ..BASE
};

const SHARDNUMSUB: Command = Command {
    name: "shardnumsub",
    syntax: "[shardchannel [shardchannel ...]]",
    summary: "Returns the count of subscribers of shard channels.",
    complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
    since: "7.0.0",
    handler: Some(|call| numsub(call, Topic::Shard)),
    ..BASE
};

/// Names and numbers in turn.
fn numsub(call: &mut Call<'_>, topic: Topic) -> Result {
    let names = call.args();
    call.reply.array(names.left() * 2);
    for name in names {
        call.reply.bulk(name);
        call.reply.len(call.engine.pubsub.listeners(topic, name));
    }
    Ok(())
}

const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    since: "6.2.0",
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(help::of_container),
    ..BASE
};
