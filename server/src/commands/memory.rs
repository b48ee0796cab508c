//! MEMORY: what a key costs. What the whole server costs is INFO's so far.

use super::help;
use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};

pub(super) const COMMANDS: &[Command] = &[MEMORY];

const MEMORY: Command = Command {
    name: "memory",
    summary: "A container for memory diagnostics commands.",
    complexity: "Depends on subcommand.",
    since: "4.0.0",
    group: Group::Server,
    subcommands: &[HELP, USAGE],
    ..Command::BASE
};

const USAGE: Command = Command {
    name: "usage",
    syntax: "key [SAMPLES count]",
    summary: "Estimates the memory usage of a key.",
    complexity: "O(N) where N is the number of samples.",
    since: "4.0.0",
    group: Group::Server,
    flags: Flags::READONLY,
    keys: &[KeySpec::one(2, Access::ReadOnly, &[])],
    handler: Some(usage),
    ..Command::BASE
};

/// Looks at due keys too: they take memory until they are gone.
fn usage(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    while !args.is_empty() {
        // Values are counted, not sampled, so the number itself does not matter.
        if args.left() < 2 || !args.keyword("samples") || args.int()? < 0 {
            return Err(error::SYNTAX);
        }
    }
    let used = call.db().find(key).map(|entry| entry.used_bytes());
    match used {
        Some(used) => call.reply.len(used),
        None => call.reply.null(),
    }
    Ok(())
}

const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    since: "4.0.0",
    group: Group::Server,
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(help::of_container),
    ..Command::BASE
};
