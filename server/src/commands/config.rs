//! CONFIG. The directives and their rules are in [`crate::config`]; here are the replies, and what
//! happens when a change cannot be put into force.

use super::spec::{Command, Flags, Group};
use crate::config::Effect;
use crate::config::rewrite::Scope;
use crate::config::set::{Asker, Change, SetError, is_sensitive};
use crate::engine::{Call, Engine};
use crate::error::{Error, Result};
use crate::resp::Argv;

pub(super) const COMMANDS: &[Command] = &[CONFIG];

const CONFIG: Command = Command {
    name: "config",
    syntax: "",
    summary: "A container for server configuration commands.",
    complexity: "Depends on subcommand.",
    since: "2.0.0",
    group: Group::Server,
    subcommands: &[GET, HELP, RESETSTAT, REWRITE, SET],
    ..Command::BASE
};

const ADMIN: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);

const GET: Command = Command {
    name: "get",
    syntax: "parameter [parameter ...]",
    summary: "Returns the effective values of configuration parameters.",
    complexity: "O(N) when N is the number of configuration parameters provided",
    since: "2.0.0",
    group: Group::Server,
    flags: ADMIN,
    handler: Some(get),
    history: &[("7.0.0", "Added the ability to pass multiple pattern parameters in one call")],
    ..Command::BASE
};

fn get(call: &mut Call<'_>) -> Result {
    let patterns: Vec<&[u8]> = call.args().collect();
    let found = call.engine.config.get(&patterns);
    call.reply.map(found.len());
    for (name, value) in found {
        call.reply.bulk(&name);
        call.reply.bulk(&value);
    }
    Ok(())
}

const SET: Command = Command {
    name: "set",
    syntax: "parameter value [parameter value ...]",
    summary: "Sets configuration parameters in-flight.",
    complexity: "O(N) when N is the number of configuration parameters provided",
    since: "2.0.0",
    group: Group::Server,
    flags: ADMIN,
    handler: Some(set),
    secret: Some(is_secret),
    history: &[("7.0.0", "Added the ability to set multiple parameters in one call.")],
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..Command::BASE
};

/// The value of a directive that is sensitive.
fn is_secret(argv: Argv<'_>, at: usize) -> bool {
    let is_value = at >= 3 && at % 2 == 1;
    is_value && argv.get(at - 1).is_some_and(is_sensitive)
}

fn set(call: &mut Call<'_>) -> Result {
    let args: Vec<&[u8]> = call.args().collect();
    let loading = call.engine.persistence.loading.is_some();
    let asker = Asker { is_local: call.client.address.is_loopback(), loading };
    let change = call.engine.config.set(&args, asker).map_err(|error| reply(&error))?;
    put_into_force(call.engine, change).map_err(|error| reply(&error))?;
    call.engine.refresh_access(call.now);
    call.engine.follow_append_only(call.now);
    call.reply.ok();
    Ok(())
}

fn reply(error: &SetError) -> Error {
    Error::owned(error.reply())
}

/// Carries out what a change asks of the process. If one part fails, all of it is taken back.
fn put_into_force(engine: &mut Engine, change: Change) -> Result<(), SetError> {
    // A log that ends has all that came before.
    engine.hand_over_journal();
    let Engine { host, config, .. } = engine;
    let failed = change.effects().iter().enumerate().find_map(|(done, (effect, directive))| {
        let reason = host.apply(effect, config).err()?;
        Some((done, SetError::effect_failed(*effect, directive, &reason)))
    });
    let Some((done, error)) = failed else { return Ok(()) };
    crate::log::warning!(
        "Failed applying new configuration. Possibly related to new {} setting. Restoring previous settings.",
        change.effects()[done].1
    );
    // TLS that could not be built anew is as it was.
    let is_whole = change.effects()[done].0 == Effect::Tls;
    let undone = change.effects()[..done + usize::from(!is_whole)].to_vec();
    config.undo(change);
    for (effect, directive) in undone {
        if let Err(reason) = host.apply(&effect, config) {
            crate::log::warning!("Failed restoring the previous {directive}: {reason}");
        }
    }
    Err(error)
}

const RESETSTAT: Command = Command {
    name: "resetstat",
    syntax: "",
    summary: "Resets the server's statistics.",
    since: "2.0.0",
    group: Group::Server,
    flags: ADMIN,
    handler: Some(resetstat),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..Command::BASE
};

fn resetstat(call: &mut Call<'_>) -> Result {
    call.engine.stats.reset();
    call.engine.disposal.forget();
    call.reply.ok();
    Ok(())
}

const REWRITE: Command = Command {
    name: "rewrite",
    syntax: "",
    summary: "Persists the effective configuration to file.",
    since: "2.8.0",
    group: Group::Server,
    flags: ADMIN,
    handler: Some(rewrite),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..Command::BASE
};

fn rewrite(call: &mut Call<'_>) -> Result {
    rewrite_file(call, Scope::Changed)
}

/// Also for `DEBUG CONFIG-REWRITE-FORCE-ALL`.
pub(super) fn rewrite_file(call: &mut Call<'_>, scope: Scope) -> Result {
    let Engine { host, config, .. } = &mut *call.engine;
    if let Err(reason) = host.rewrite_config(config, scope) {
        crate::log::warning!("CONFIG REWRITE failed: {reason}");
        return Err(Error::owned(format!("ERR {reason}")));
    }
    crate::log::notice!("CONFIG REWRITE executed with success.");
    call.reply.ok();
    Ok(())
}

const HELP: Command = Command {
    name: "help",
    syntax: "",
    summary: "Returns helpful text about the different subcommands.",
    since: "5.0.0",
    group: Group::Server,
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(help),
    ..Command::BASE
};

fn help(call: &mut Call<'_>) -> Result {
    call.reply.help(
        "CONFIG",
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    );
    Ok(())
}
