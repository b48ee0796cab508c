//! PUBLISH and SPUBLISH.

use super::{Command, Flags, PUBSUB};
use crate::commands::spec::{Access, KeySpec};
use crate::engine::{Call, Topic};
use crate::error::Result;

pub(super) const PUBLISH: Command = Command {
    name: "publish",
    syntax: "channel message",
    summary: "Posts a message to a channel.",
    complexity: "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).",
    flags: PUBSUB.flags.union(Flags::FAST).union(Flags::MAY_REPLICATE),
    handler: Some(|call| publish(call, Topic::Channel)),
    ..PUBSUB
};

pub(super) const SPUBLISH: Command = Command {
    name: "spublish",
    syntax: "shardchannel message",
    summary: "Posts a message to a shard channel.",
    complexity: "O(N) where N is the number of clients subscribed to the receiving shard channel.",
    since: "7.0.0",
    keys: &[KeySpec::one(1, Access::NotKey, &[])],
    handler: Some(|call| publish(call, Topic::Shard)),
    ..PUBLISH
};

fn publish(call: &mut Call<'_>, topic: Topic) -> Result {
    let mut args = call.args();
    let (channel, message) = (args.required()?, args.required()?);
    args.finish()?;
    let receivers = call.engine.publish(topic, channel, message);
    call.reply.len(receivers);
    Ok(())
}
