//! MONITOR: turns a connection into a listener to all that is executed.

use super::spec::{Command, Flags, Group};
use crate::engine::Call;
use crate::error::{Error, Result};

pub(super) const COMMANDS: &[Command] = &[MONITOR];

const MONITOR: Command = Command {
    name: "monitor",
    summary: "Listens for all requests received by the server in real-time.",
    complexity: "",
    group: Group::Server,
    flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
    handler: Some(monitor),
    ..Command::BASE
};

fn monitor(call: &mut Call<'_>) -> Result {
    if !call.may_block() {
        // In a transaction every command has one reply, and no more.
        return Err(Error::text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    // As in Redis, asking twice is not answered.
    if !call.client.monitors {
        call.client.monitors = true;
        call.engine.monitors.add(call.client.slot);
        call.reply.ok();
    }
    Ok(())
}
