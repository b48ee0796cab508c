//! Publish and subscribe, of channels, patterns and shard channels.

mod introspect;
mod publish;
mod subscribe;

use super::spec::{Access, Command, Flags, Group, KeySpec};

pub(super) const COMMANDS: &[Command] = &[
    subscribe::PSUBSCRIBE,
    subscribe::PUNSUBSCRIBE,
    subscribe::SSUBSCRIBE,
    subscribe::SUBSCRIBE,
    subscribe::SUNSUBSCRIBE,
    subscribe::UNSUBSCRIBE,
    publish::PUBLISH,
    publish::SPUBLISH,
    introspect::PUBSUB,
];

const PUBSUB: Command = Command {
    since: "2.0.0",
    group: Group::PubSub,
    flags: Flags::PUBSUB.union(Flags::LOADING).union(Flags::STALE),
    ..Command::BASE
};

/// Shard channels are looked for where keys are, but are none.
const SHARD_CHANNELS: KeySpec = KeySpec::rest(1, Access::NotKey, &[]);
