//! SUBSCRIBE, UNSUBSCRIBE and the same for patterns and shard channels. Each name is confirmed by a
//! message of its own, with the number of subscriptions left.

use super::{Command, Flags, PUBSUB, SHARD_CHANNELS};
use crate::engine::{Call, Topic};
use crate::error::Result;
use crate::resp::Reply;

const FLAGS: Flags = PUBSUB.flags.union(Flags::NOSCRIPT);

pub(super) const SUBSCRIBE: Command = Command {
    name: "subscribe",
    syntax: "channel [channel ...]",
    summary: "Listens for messages published to channels.",
    complexity: "O(N) where N is the number of channels to subscribe to.",
    flags: FLAGS,
    handler: Some(|call| subscribe(call, Topic::Channel)),
    ..PUBSUB
};

pub(super) const PSUBSCRIBE: Command = Command {
    name: "psubscribe",
    syntax: "pattern:pattern [pattern:pattern ...]",
    summary: "Listens for messages published to channels that match one or more patterns.",
    complexity: "O(N) where N is the number of patterns to subscribe to.",
    handler: Some(|call| subscribe(call, Topic::Pattern)),
    ..SUBSCRIBE
};

pub(super) const SSUBSCRIBE: Command = Command {
    name: "ssubscribe",
    syntax: "shardchannel [shardchannel ...]",
    summary: "Listens for messages published to shard channels.",
    complexity: "O(N) where N is the number of shard channels to subscribe to.",
    since: "7.0.0",
    keys: &[SHARD_CHANNELS],
    handler: Some(|call| subscribe(call, Topic::Shard)),
    ..SUBSCRIBE
};

pub(super) const UNSUBSCRIBE: Command = Command {
    name: "unsubscribe",
    syntax: "[channel [channel ...]]",
    summary: "Stops listening to messages posted to channels.",
    complexity: "O(N) where N is the number of channels to unsubscribe.",
    handler: Some(|call| unsubscribe(call, Topic::Channel)),
    ..SUBSCRIBE
};

pub(super) const PUNSUBSCRIBE: Command = Command {
    name: "punsubscribe",
    syntax: "[pattern:pattern [pattern:pattern ...]]",
    summary: "Stops listening to messages published to channels that match one or more patterns.",
    complexity: "O(N) where N is the number of patterns to unsubscribe.",
    handler: Some(|call| unsubscribe(call, Topic::Pattern)),
    ..SUBSCRIBE
};

pub(super) const SUNSUBSCRIBE: Command = Command {
    name: "sunsubscribe",
    syntax: "[shardchannel [shardchannel ...]]",
    summary: "Stops listening to messages posted to shard channels.",
    complexity: "O(N) where N is the number of shard channels to unsubscribe.",
    handler: Some(|call| unsubscribe(call, Topic::Shard)),
    ..SSUBSCRIBE
};

fn subscribe(call: &mut Call<'_>, topic: Topic) -> Result {
    let word = match topic {
        Topic::Channel => "subscribe",
        Topic::Pattern => "psubscribe",
        Topic::Shard => "ssubscribe",
    };
    for name in call.args() {
        call.engine.pubsub.subscribe(call.client, topic, name);
        confirm(call, topic, word, Some(name));
    }
    Ok(())
}

fn unsubscribe(call: &mut Call<'_>, topic: Topic) -> Result {
    let word = match topic {
        Topic::Channel => "unsubscribe",
        Topic::Pattern => "punsubscribe",
        Topic::Shard => "sunsubscribe",
    };
    let mut names: Vec<Box<[u8]>> = call.args().map(Box::from).collect();
    if names.is_empty() {
        names = call.client.subscriptions.names(topic);
    }
    if names.is_empty() {
        confirm(call, topic, word, None);
    }
    for name in names {
        call.engine.pubsub.unsubscribe(call.client, topic, &name);
        confirm(call, topic, word, Some(&name));
    }
    Ok(())
}

fn confirm(call: &mut Call<'_>, topic: Topic, word: &str, name: Option<&[u8]>) {
    let left = &call.client.subscriptions;
    let count = match topic {
        Topic::Shard => left.len(Topic::Shard),
        Topic::Channel | Topic::Pattern => left.len(Topic::Channel) + left.len(Topic::Pattern),
    };
    let write = |reply: &mut Reply<'_>| {
        reply.push(3);
        reply.bulk(word.as_bytes());
        reply.bulk_opt(name);
        reply.len(count);
    };
    // A message, which CLIENT REPLY OFF does not silence; but EXEC's array counts replies.
    if call.client.in_exec {
        write(&mut call.reply);
    } else {
        call.engine.clients.post(call.client.slot, write);
    }
}
