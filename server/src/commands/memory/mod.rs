//! MEMORY: what a key costs, and what the whole server does.

mod doctor;
mod figures;
mod stats;

use super::help;
use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::alloc;
use crate::engine::Call;
use crate::error::{self, Result};

pub(super) use figures::Figures;

pub(super) const COMMANDS: &[Command] = &[MEMORY];

const MEMORY: Command = Command {
    name: "memory",
    summary: "A container for memory diagnostics commands.",
    complexity: "Depends on subcommand.",
    since: "4.0.0",
    group: Group::Server,
    subcommands: &[DOCTOR, HELP, MALLOC_STATS, PURGE, STATS, USAGE],
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

const DIAGNOSIS: Command = Command {
    since: "4.0.0",
    group: Group::Server,
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..Command::BASE
};

const STATS: Command = Command {
    name: "stats",
    summary: "Returns details about memory usage.",
    handler: Some(stats),
    ..DIAGNOSIS
};

fn stats(call: &mut Call<'_>) -> Result {
    let figures = figures(call);
    stats::answer(&mut call.reply, &figures);
    Ok(())
}

fn figures(call: &Call<'_>) -> Figures {
    Figures::of(call.engine, call.client, &call.engine.host.process())
}

const DOCTOR: Command = Command {
    name: "doctor",
    summary: "Outputs a memory problems report.",
    handler: Some(doctor),
    ..DIAGNOSIS
};

fn doctor(call: &mut Call<'_>) -> Result {
    let report = doctor::report(&figures(call));
    call.reply.verbatim("txt", report.as_bytes());
    Ok(())
}

const MALLOC_STATS: Command = Command {
    name: "malloc-stats",
    summary: "Returns the allocator statistics.",
    complexity: "Depends on how much memory is allocated, could be slow",
    flags: Flags::LOADING,
    handler: Some(malloc_stats),
    ..DIAGNOSIS
};

fn malloc_stats(call: &mut Call<'_>) -> Result {
    match alloc::report() {
        Some(report) => call.reply.verbatim("txt", report.as_bytes()),
        None => call.reply.bulk(b"Stats not supported for the current allocator"),
    }
    Ok(())
}

const PURGE: Command = Command {
    name: "purge",
    summary: "Asks the allocator to release memory.",
    complexity: "Depends on how much memory is allocated, could be slow",
    flags: Flags::LOADING,
    handler: Some(purge),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..DIAGNOSIS
};

fn purge(call: &mut Call<'_>) -> Result {
    alloc::purge();
    call.reply.ok();
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
