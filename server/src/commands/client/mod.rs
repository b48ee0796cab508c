//! CLIENT and its subcommands.

mod filter;
mod line;
mod tracking;

use super::spec::{Command, Flags, Group};
use crate::engine::{Call, Client, Closing, Engine, PauseMode, Release, ReplyMode};
use crate::error::{self, Error, Result};
use filter::{Asker, Filter};

pub(super) const COMMANDS: &[Command] = &[CLIENT];

const CLIENT: Command = Command {
    name: "client",
    summary: "A container for client connection commands.",
    complexity: "Depends on subcommand.",
    since: "2.4.0",
    group: Group::Connection,
    subcommands: &[
        tracking::CACHING,
        CAPA,
        GETNAME,
        tracking::GETREDIR,
        HELP,
        ID,
        IMPORT_SOURCE,
        INFO,
        KILL,
        LIST,
        NO_EVICT,
        NO_TOUCH,
        PAUSE,
        REPLY,
        SETINFO,
        SETNAME,
        tracking::TRACKING,
        tracking::TRACKINGINFO,
        UNBLOCK,
        UNPAUSE,
    ],
    ..Command::BASE
};

const ANYTIME: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const ALWAYS: Flags = ANYTIME.union(Flags::ALLOW_BUSY);
const ADMIN: Flags = ANYTIME.union(Flags::ADMIN);

const SUBCOMMAND: Command = Command { group: Group::Connection, flags: ALWAYS, ..Command::BASE };

const FILTERS: &str = "[ID client-id [client-id ...]] [TYPE <NORMAL | MASTER | PRIMARY | SLAVE | REPLICA | PUBSUB>] [ADDR ip:port] [LADDR ip:port] [USER username] [SKIPME <YES | NO>] [MAXAGE maxage] [NAME client-name] [IDLE idle] [FLAGS flags] [LIB-NAME lib-name] [LIB-VER lib-ver] [DB db-id] [CAPA capa] [IP ip]";
const KILL_SYNTAX: &str = "<ip:port | filter> [filter ...]";

const FILTER_HISTORY: (&str, &str) = (
    "9.0.0",
    "Added filters NAME, IDLE, FLAGS, LIB-NAME, LIB-VER, DB, CAPA, and IP. And negative filters NOT-ID, NOT-TYPE, NOT-ADDR, NOT-LADDR, NOT-USER, NOT-FLAGS, NOT-NAME, NOT-LIB-NAME, NOT-LIB-VER, NOT-DB, NOT-CAPA, NOT-IP.",
);

/// Names are shown in space-separated lists, so they may hold neither spaces nor line breaks.
pub(super) fn check_name(name: &[u8], what: &str) -> Result {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err(Error::owned(format!("ERR {what} cannot contain spaces, newlines or special characters.")))
}

/// `ON` or `OFF`.
fn switch(call: &Call<'_>) -> Result<bool> {
    let mut args = call.args();
    let on = args.keyword("on");
    if !on && !args.keyword("off") {
        return Err(error::SYNTAX);
    }
    args.finish()?;
    Ok(on)
}

const CAPA: Command = Command {
    name: "capa",
    syntax: "capability [capability ...]",
    summary: "A client claims its capability.",
    since: "8.0.0",
    handler: Some(capa),
    ..SUBCOMMAND
};

fn capa(call: &mut Call<'_>) -> Result {
    // Capabilities that are not known yet are none of our business.
    call.client.can_redirect |= call.args().any(|word| word.eq_ignore_ascii_case(b"redirect"));
    call.reply.ok();
    Ok(())
}

const GETNAME: Command = Command {
    name: "getname",
    summary: "Returns the name of the connection.",
    since: "2.6.9",
    handler: Some(getname),
    ..SUBCOMMAND
};

fn getname(call: &mut Call<'_>) -> Result {
    let name = &call.client.name;
    call.reply.bulk_opt((!name.is_empty()).then_some(name));
    Ok(())
}

const SETNAME: Command = Command {
    name: "setname",
    syntax: "connection-name",
    summary: "Sets the connection name.",
    since: "2.6.9",
    handler: Some(setname),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..SUBCOMMAND
};

fn setname(call: &mut Call<'_>) -> Result {
    let name = call.args().required()?;
    check_name(name, "Client names")?;
    call.client.name = name.to_vec();
    call.reply.ok();
    Ok(())
}

const SETINFO: Command = Command {
    name: "setinfo",
    syntax: "<LIB-NAME libname | LIB-VER libver>",
    summary: "Sets information specific to the client or connection.",
    since: "7.2.0",
    handler: Some(setinfo),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..SUBCOMMAND
};

fn setinfo(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (attribute, value) = (args.required()?, args.required()?);
    let shown = error::printable(attribute);
    let field = match attribute.to_ascii_lowercase().as_slice() {
        b"lib-name" => &mut call.client.lib_name,
        b"lib-ver" => &mut call.client.lib_version,
        _ => return Err(Error::owned(format!("ERR Unrecognized option '{shown}'"))),
    };
    check_name(value, &shown)?;
    *field = value.to_vec();
    call.reply.ok();
    Ok(())
}

const ID: Command = Command {
    name: "id",
    summary: "Returns the unique client ID of the connection.",
    since: "5.0.0",
    handler: Some(id),
    ..SUBCOMMAND
};

fn id(call: &mut Call<'_>) -> Result {
    call.reply.int(call.client.id as i64);
    Ok(())
}

const INFO: Command = Command {
    name: "info",
    summary: "Returns information about the connection.",
    since: "6.2.0",
    flags: ANYTIME,
    handler: Some(info),
    tips: &["nondeterministic_output"],
    ..SUBCOMMAND
};

fn info(call: &mut Call<'_>) -> Result {
    let line = line::of(call.client, &call.engine.tracking, call.now.ms());
    call.reply.verbatim("txt", &line);
    Ok(())
}

const LIST: Command = Command {
    name: "list",
    syntax: FILTERS,
    summary: "Lists open connections.",
    complexity: "O(N) where N is the number of client connections",
    since: "2.4.0",
    flags: ADMIN,
    handler: Some(list),
    history: &[
        ("2.8.12", "Added unique client `id` field."),
        ("5.0.0", "Added optional `TYPE` filter."),
        ("6.0.0", "Added `user` field."),
        (
            "6.2.0",
            "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter.",
        ),
        ("7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."),
        ("7.0.3", "Added `ssub` field."),
        (
            "8.0.0",
            "Replaced `master` `TYPE` with `primary`. `master` still supported for backward compatibility.",
        ),
        ("8.1.0", "Added filters USER, ADDR, LADDR, SKIPME, and MAXAGE."),
        FILTER_HISTORY,
    ],
    tips: &["nondeterministic_output"],
    ..SUBCOMMAND
};

fn list(call: &mut Call<'_>) -> Result {
    let args = call.args();
    if args.left() == 1 {
        return Err(error::SYNTAX);
    }
    let filter = Filter::parse(args, call.engine.keyspace.databases())?;
    let tracking = &call.engine.tracking;
    let asker = Asker { id: call.client.id, now_ms: call.now.ms(), tracking };
    let mut clients: Vec<&Client> = call.engine.clients.iter().chain([&*call.client]).collect();
    // Who is being closed is gone for everybody else.
    clients.retain(|client| client.closing != Closing::Now && filter.matches(client, asker));
    clients.sort_by_cached_key(|client| client.id);
    let lines: Vec<u8> =
        clients.into_iter().flat_map(|c| line::of(c, asker.tracking, asker.now_ms)).collect();
    call.reply.verbatim("txt", &lines);
    Ok(())
}

const KILL: Command = Command {
    name: "kill",
    syntax: KILL_SYNTAX,
    summary: "Terminates open connections.",
    complexity: "O(N) where N is the number of client connections",
    since: "2.4.0",
    flags: ADMIN,
    handler: Some(kill),
    history: &[
        ("2.8.12", "Added new filter format."),
        ("2.8.12", "`ID` option."),
        ("3.2.0", "Added `master` type in for `TYPE` option."),
        (
            "5.0.0",
            "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility.",
        ),
        ("6.2.0", "`LADDR` option."),
        ("8.0.0", "`MAXAGE` option."),
        (
            "8.0.0",
            "Replaced `master` `TYPE` with `primary`. `master` still supported for backward compatibility.",
        ),
        ("8.1.0", "`ID` option accepts multiple IDs."),
        FILTER_HISTORY,
    ],
    ..SUBCOMMAND
};

fn kill(call: &mut Call<'_>) -> Result {
    let args = call.args();
    let address_only = args.left() == 1;
    let filter = if address_only {
        Filter::address(args.peek().unwrap_or_default())
    } else {
        Filter::parse(args, call.engine.keyspace.databases())?.sparing_the_asker()
    };
    let Engine { clients, tracking, .. } = &mut *call.engine;
    let asker = Asker { id: call.client.id, now_ms: call.now.ms(), tracking };
    let mut killed = 0;
    for client in clients.iter_mut() {
        if client.closing == Closing::No && filter.matches(client, asker) {
            client.close(Closing::Now);
            killed += 1;
        }
    }
    if filter.matches(call.client, asker) {
        // Whoever kills itself still reads the answer.
        call.client.closing = Closing::AfterReply;
        killed += 1;
    }
    match (address_only, killed) {
        (true, 0) => return Err(Error::text("ERR No such client")),
        (true, _) => call.reply.ok(),
        (false, _) => call.reply.int(killed),
    }
    Ok(())
}

const NO_EVICT: Command = Command {
    name: "no-evict",
    syntax: "<ON | OFF>",
    summary: "Sets the client eviction mode of the connection.",
    since: "7.0.0",
    flags: ALWAYS.union(Flags::ADMIN),
    handler: Some(no_evict),
    ..SUBCOMMAND
};

fn no_evict(call: &mut Call<'_>) -> Result {
    call.client.no_evict = switch(call)?;
    call.reply.ok();
    Ok(())
}

const NO_TOUCH: Command = Command {
    name: "no-touch",
    syntax: "<ON | OFF>",
    summary: "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
    since: "7.2.0",
    handler: Some(no_touch),
    ..SUBCOMMAND
};

fn no_touch(call: &mut Call<'_>) -> Result {
    call.client.no_touch = switch(call)?;
    call.reply.ok();
    Ok(())
}

const IMPORT_SOURCE: Command = Command {
    name: "import-source",
    syntax: "<ON | OFF>",
    summary: "Marks this client as an import source when the server is in import mode.",
    since: "8.1.0",
    flags: ANYTIME,
    handler: Some(import_source),
    ..SUBCOMMAND
};

fn import_source(call: &mut Call<'_>) -> Result {
    let off = call.args().peek().is_some_and(|word| word.eq_ignore_ascii_case(b"off"));
    if !off && !call.engine.config.settings().import_mode {
        return Err(Error::text("ERR Server is not in import mode"));
    }
    call.client.import_source = switch(call)?;
    call.reply.ok();
    Ok(())
}

const PAUSE: Command = Command {
    name: "pause",
    syntax: "timeout [WRITE | ALL]",
    summary: "Suspends commands processing.",
    since: "3.0.0",
    flags: ADMIN,
    handler: Some(pause),
    history: &[("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option.")],
    ..SUBCOMMAND
};

fn pause(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let timeout = args.required()?;
    let mode = match args.next().map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"all") => PauseMode::All,
        Some(b"write") => PauseMode::Write,
        Some(_) => return Err(Error::text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    args.finish()?;
    let timeout_ms = crate::number::parse_int(timeout).ok_or(error::TIMEOUT_NOT_INTEGER)?;
    if timeout_ms < 0 {
        return Err(error::TIMEOUT_NEGATIVE);
    }
    let now_ms = call.now.ms();
    let until_ms = now_ms.checked_add(timeout_ms).ok_or(error::TIMEOUT_NOT_INTEGER)?;
    call.engine.pause.start(mode, until_ms, now_ms);
    call.reply.ok();
    Ok(())
}

const UNPAUSE: Command = Command {
    name: "unpause",
    summary: "Resumes processing commands from paused clients.",
    complexity: "O(N) Where N is the number of paused clients",
    since: "6.2.0",
    flags: ADMIN,
    handler: Some(unpause),
    ..SUBCOMMAND
};

fn unpause(call: &mut Call<'_>) -> Result {
    call.engine.pause.end();
    call.engine.wake_paused();
    call.reply.ok();
    Ok(())
}

const REPLY: Command = Command {
    name: "reply",
    syntax: "<ON | OFF | SKIP>",
    summary: "Instructs the server whether to reply to commands.",
    since: "3.2.0",
    flags: ALWAYS.union(Flags::NO_MULTI),
    handler: Some(reply),
    ..SUBCOMMAND
};

fn reply(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let mode = match args.required()?.to_ascii_lowercase().as_slice() {
        b"on" => ReplyMode::On,
        b"off" => ReplyMode::Off,
        // Turned off stays off until ON.
        b"skip" if call.client.reply_mode == ReplyMode::Off => ReplyMode::Off,
        b"skip" => ReplyMode::Skip { armed: false },
        _ => return Err(error::SYNTAX),
    };
    args.finish()?;
    call.client.reply_mode = mode;
    if mode == ReplyMode::On {
        call.reply.ok();
    }
    Ok(())
}

const UNBLOCK: Command = Command {
    name: "unblock",
    syntax: "client-id [TIMEOUT | ERROR]",
    summary: "Unblocks a client blocked by a blocking command from a different connection.",
    complexity: "O(log N) where N is the number of client connections",
    since: "5.0.0",
    flags: ADMIN,
    handler: Some(unblock),
    ..SUBCOMMAND
};

fn unblock(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let id = args.required()?;
    let why = if args.is_empty() || args.keyword("timeout") {
        Release::TimedOut
    } else if args.keyword("error") {
        Release::Refused(error::UNBLOCKED)
    } else {
        return Err(Error::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    };
    args.finish()?;
    let id = crate::number::parse_int(id).ok_or(error::NOT_INTEGER)?;
    let found = call.engine.clients.iter().find(|client| client.id as i64 == id);
    let slot = found.map(|client| client.slot);
    let released = slot.is_some_and(|slot| call.engine.release(slot, why));
    call.reply.int(i64::from(released));
    Ok(())
}

const HELP: Command = Command {
    name: "help",
    summary: "Returns helpful text about the different subcommands.",
    since: "5.0.0",
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(super::help::of_container),
    ..SUBCOMMAND
};
