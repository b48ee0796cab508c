//! What clients of a cluster say to each node they talk to, also to one that stands alone: READONLY
//! and READWRITE. There is nothing that a replica could refuse here, so that only CLIENT LIST shows it.

use super::spec::{Command, Flags, Group};
use crate::engine::Call;
use crate::error::Result;

pub(super) const COMMANDS: &[Command] = &[READONLY, READWRITE];

const FLAGS: Flags = Flags::FAST.union(Flags::LOADING).union(Flags::STALE).union(Flags::CONNECTION);

const READONLY: Command = Command {
    name: "readonly",
    syntax: "",
    summary: "Enables read-only queries for a connection to a Valkey replica node.",
    since: "3.0.0",
    group: Group::Cluster,
    flags: FLAGS,
    handler: Some(|call| set(call, true)),
    ..Command::BASE
};

const READWRITE: Command = Command {
    name: "readwrite",
    syntax: "",
    summary: "Enables read-write queries for a connection to a Valkey replica node.",
    since: "3.0.0",
    group: Group::Cluster,
    flags: FLAGS,
    handler: Some(|call| set(call, false)),
    ..Command::BASE
};

fn set(call: &mut Call<'_>, reads_only: bool) -> Result {
    call.client.reads_only = reads_only;
    call.reply.ok();
    Ok(())
}
