//! COMMAND and its subcommands: the table, told to clients.

mod docs;
mod info;
pub(super) mod syntax;

use super::spec::{Command, Flags, Group, categories};
use super::{Id, subcommand};
use crate::engine::{Args, Call};
use crate::error::{self, Error, Result};
use crate::glob;

pub(super) const COMMANDS: &[Command] = &[COMMAND];

const COMMAND: Command = Command {
    name: "command",
    summary: "Returns detailed information about all commands.",
    complexity: "O(N) where N is the total number of commands",
    since: "2.8.13",
    group: Group::Server,
    flags: OPEN.union(Flags::CONNECTION),
    handler: Some(command),
    subcommands: &[COUNT, DOCS, GETKEYS, GETKEYSANDFLAGS, HELP, INFO, LIST],
    tips: &["nondeterministic_output_order"],
    syntax: "[subcommand]",
    ..Command::BASE
};

const OPEN: Flags = Flags::LOADING.union(Flags::STALE);

const SUBCOMMAND: Command = Command {
    group: Group::Server,
    flags: OPEN.union(Flags::CONNECTION),
    since: "2.8.13",
    ..Command::BASE
};

/// The commands clients can call, containers but not subcommands.
fn known(call: &Call<'_>) -> Vec<Id> {
    call.engine.names.known()
}

/// `get`, `client|kill`, in any case.
fn find(call: &Call<'_>, name: &[u8]) -> Option<Id> {
    let mut words = name.splitn(2, |&byte| byte == b'|');
    let id = call.engine.names.find(words.next()?)?;
    match words.next() {
        Some(word) => subcommand(id, word),
        None => Some(id),
    }
}

fn command(call: &mut Call<'_>) -> Result {
    let ids = known(call);
    call.reply.array(ids.len());
    ids.into_iter().for_each(|id| info::write(&mut call.reply, id));
    Ok(())
}

const COUNT: Command = Command {
    name: "count",
    summary: "Returns a count of commands.",
    handler: Some(count),
    ..SUBCOMMAND
};

fn count(call: &mut Call<'_>) -> Result {
    let count = known(call).len();
    call.reply.len(count);
    Ok(())
}

const INFO: Command = Command {
    name: "info",
    syntax: "[command-name [command-name ...]]",
    summary: "Returns information about one, multiple or all commands.",
    complexity: "O(N) where N is the number of commands to look up",
    handler: Some(info),
    history: &[("7.0.0", "Allowed to be called with no argument to get info on all commands.")],
    tips: &["nondeterministic_output_order"],
    ..SUBCOMMAND
};

fn info(call: &mut Call<'_>) -> Result {
    let names = call.args();
    if names.is_empty() {
        return command(call);
    }
    call.reply.array(names.left());
    for name in names {
        match find(call, name) {
            Some(id) => info::write(&mut call.reply, id),
            None => call.reply.null(),
        }
    }
    Ok(())
}

const DOCS: Command = Command {
    name: "docs",
    syntax: "[command-name [command-name ...]]",
    summary: "Returns documentary information about one, multiple or all commands.",
    complexity: "O(N) where N is the number of commands to look up",
    since: "7.0.0",
    handler: Some(docs),
    tips: &["nondeterministic_output_order"],
    ..SUBCOMMAND
};

fn docs(call: &mut Call<'_>) -> Result {
    let names = call.args();
    let ids = match names.is_empty() {
        true => known(call),
        false => names.filter_map(|name| find(call, name)).collect(),
    };
    docs::write_map(&mut call.reply, &ids);
    Ok(())
}

const LIST: Command = Command {
    name: "list",
    syntax: "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    summary: "Returns a list of command names.",
    complexity: "O(N) where N is the total number of commands",
    since: "7.0.0",
    handler: Some(list),
    tips: &["nondeterministic_output_order"],
    ..SUBCOMMAND
};

fn list(call: &mut Call<'_>) -> Result {
    let keep = list_filter(call.args())?;
    let all = known(call)
        .into_iter()
        .flat_map(|id| std::iter::once(id).chain(id.entry().subcommands.iter().copied()));
    let names: Vec<&str> = all.filter(|id| keep(*id)).map(|id| &*id.entry().full_name).collect();
    call.reply.bulks(&names);
    Ok(())
}

fn list_filter<'a>(mut args: Args<'a>) -> Result<Box<dyn Fn(Id) -> bool + 'a>> {
    if args.is_empty() {
        return Ok(Box::new(|_| true));
    }
    if !args.keyword("filterby") || args.left() != 2 {
        return Err(error::SYNTAX);
    }
    let (kind, value) = (args.required()?, args.required()?);
    match kind.to_ascii_lowercase().as_slice() {
        // There are no modules, so no command is of one.
        b"module" => Ok(Box::new(|_| false)),
        b"aclcat" => Ok(Box::new(move |id| {
            let is_asked = |name: &str| {
                name.as_bytes().get(1..).is_some_and(|n| n.eq_ignore_ascii_case(value))
            };
            categories(id.entry().command).into_iter().any(is_asked)
        })),
        b"pattern" => {
            Ok(Box::new(move |id| glob::matches(value, id.entry().full_name.as_bytes(), true)))
        }
        _ => Err(error::SYNTAX),
    }
}

const GETKEYS: Command = Command {
    name: "getkeys",
    syntax: "command [arg ...]",
    summary: "Extracts the key names from an arbitrary command.",
    complexity: "O(N) where N is the number of arguments to the command",
    handler: Some(getkeys),
    ..SUBCOMMAND
};

fn getkeys(call: &mut Call<'_>) -> Result {
    let found = info::keys_of(call)?;
    call.reply.array(found.len());
    found.iter().for_each(|found| call.reply.bulk(found.key));
    Ok(())
}

const GETKEYSANDFLAGS: Command = Command {
    name: "getkeysandflags",
    summary: "Extracts the key names and access flags for an arbitrary command.",
    since: "7.0.0",
    handler: Some(getkeysandflags),
    ..GETKEYS
};

fn getkeysandflags(call: &mut Call<'_>) -> Result {
    let found = info::keys_of(call)?;
    call.reply.array(found.len());
    for found in &found {
        call.reply.array(2);
        call.reply.bulk(found.key);
        info::write_key_flags(&mut call.reply, found.spec);
    }
    Ok(())
}

const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    since: "5.0.0",
    handler: Some(super::help::of_container),
    ..SUBCOMMAND
};

const NOT_A_COMMAND: Error = Error::text("ERR Invalid command specified");
const NO_KEYS: Error = Error::text("ERR The command has no key arguments");
const BAD_ARITY: Error = Error::text("ERR Invalid number of arguments specified for command");
const BAD_ARGUMENTS: Error = Error::text("ERR Invalid arguments specified for command");
