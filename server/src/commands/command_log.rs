//! COMMANDLOG, and SLOWLOG, which is its older name for one of the logs. What is logged when is in
//! the engine's `observe::command_log`.

use super::help;
use super::spec::{Command, Flags, Group};
use crate::engine::{Args, Call, LogKind};
use crate::error::{self, Error, Result};
use crate::number;

pub(super) const COMMANDS: &[Command] = &[COMMANDLOG, SLOWLOG];

const ADMIN: Flags = Flags::ADMIN.union(Flags::LOADING).union(Flags::STALE);
const TYPES: &str = "<slow | large-request | large-reply>";

const COMMANDLOG: Command = Command {
    name: "commandlog",
    summary: "A container for command log commands.",
    complexity: "Depends on subcommand.",
    since: "8.1.0",
    group: Group::Server,
    subcommands: &[GET, HELP, LEN, RESET],
    ..Command::BASE
};

const SLOWLOG: Command = Command {
    name: "slowlog",
    summary: "A container for slow log commands.",
    complexity: "Depends on subcommand.",
    since: "2.2.12",
    group: Group::Server,
    subcommands: &[SLOW_GET, SLOW_HELP, SLOW_LEN, SLOW_RESET],
    ..Command::BASE
};

const GET: Command = Command {
    name: "get",
    syntax: "count:integer <slow | large-request | large-reply>",
    summary: "Returns the specified command log's entries.",
    complexity: "O(N) where N is the number of entries returned",
    since: "8.1.0",
    group: Group::Server,
    flags: ADMIN,
    handler: Some(get),
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    ..Command::BASE
};

fn get(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let count = count(&mut args)?;
    let kind = kind(&mut args)?;
    answer_entries(call, kind, count);
    Ok(())
}

const SLOW_GET: Command = Command {
    name: "get",
    syntax: "[count:integer]",
    summary: "Returns the slow log's entries.",
    complexity: "O(N) where N is the number of entries returned",
    since: "2.2.12",
    group: Group::Server,
    flags: ADMIN,
    handler: Some(slow_get),
    history: &[("4.0.0", "Added client IP address, port and name to the reply.")],
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    ..Command::BASE
};

fn slow_get(call: &mut Call<'_>) -> Result {
    const DEFAULT_COUNT: usize = 10;
    let mut args = call.args();
    let count = if args.is_empty() { DEFAULT_COUNT } else { count(&mut args)? };
    if !args.is_empty() {
        return Err(error::unknown_subcommand_or_arity(b"get", "slowlog"));
    }
    answer_entries(call, LogKind::Slow, count);
    Ok(())
}

/// How many entries at most; -1 is all.
fn count(args: &mut Args<'_>) -> Result<usize> {
    let count = number::parse_int(args.required()?).filter(|&count| count >= -1);
    let count = count.ok_or(Error::text("ERR count should be greater than or equal to -1"))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn kind(args: &mut Args<'_>) -> Result<LogKind> {
    LogKind::find(args.required()?).ok_or(Error::text(
        "ERR type should be one of the following: slow, large-request, large-reply",
    ))
}

fn answer_entries(call: &mut Call<'_>, kind: LogKind, count: usize) {
    let entries = call.engine.command_log.entries(kind);
    let reply = &mut call.reply;
    let count = count.min(entries.len());
    reply.array(count);
    for entry in entries.take(count) {
        reply.array(6);
        reply.int(entry.id as i64);
        reply.int(entry.unix_s);
        reply.int(entry.value as i64);
        let argv = entry.argv.view();
        reply.array(argv.len());
        argv.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk(entry.address.as_bytes());
        reply.bulk(&entry.client_name);
    }
}

const LEN: Command = Command {
    name: "len",
    syntax: TYPES,
    summary: "Returns the number of entries in the specified type of command log.",
    since: "8.1.0",
    group: Group::Server,
    flags: ADMIN,
    handler: Some(len),
    tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
    ..Command::BASE
};

fn len(call: &mut Call<'_>) -> Result {
    let kind = kind(&mut call.args())?;
    answer_len(call, kind);
    Ok(())
}

const SLOW_LEN: Command = Command {
    syntax: "",
    summary: "Returns the number of entries in the slow log.",
    since: "2.2.12",
    handler: Some(slow_len),
    ..LEN
};

fn slow_len(call: &mut Call<'_>) -> Result {
    answer_len(call, LogKind::Slow);
    Ok(())
}

fn answer_len(call: &mut Call<'_>, kind: LogKind) {
    let len = call.engine.command_log.entries(kind).len();
    call.reply.len(len);
}

const RESET: Command = Command {
    name: "reset",
    syntax: TYPES,
    summary: "Clears all entries from the specified type of command log.",
    complexity: "O(N) where N is the number of entries in the commandlog",
    since: "8.1.0",
    group: Group::Server,
    flags: ADMIN,
    handler: Some(reset),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..Command::BASE
};

fn reset(call: &mut Call<'_>) -> Result {
    let kind = kind(&mut call.args())?;
    call.engine.command_log.reset(kind);
    call.reply.ok();
    Ok(())
}

const SLOW_RESET: Command = Command {
    syntax: "",
    summary: "Clears all entries from the slow log.",
    complexity: "O(N) where N is the number of entries in the slowlog",
    since: "2.2.12",
    handler: Some(slow_reset),
    ..RESET
};

fn slow_reset(call: &mut Call<'_>) -> Result {
    call.engine.command_log.reset(LogKind::Slow);
    call.reply.ok();
    Ok(())
}

const HELP: Command = Command {
    name: "help",
    summary: "Shows helpful text about the different subcommands.",
    since: "8.1.0",
    group: Group::Server,
    flags: Flags::LOADING.union(Flags::STALE),
    handler: Some(help::of_container),
    ..Command::BASE
};

const SLOW_HELP: Command = Command { since: "6.2.0", ..HELP };

#[cfg(test)]
mod tests {
    use crate::engine::testing::World;

    #[test]
    fn long_commands_are_kept_in_short() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "CLIENT SETNAME me");
        world.run(client, "CONFIG SET slowlog-log-slower-than 0");
        world.run(client, "SLOWLOG RESET");
        let many: Vec<String> = (0..33).map(|number| number.to_string()).collect();
        world.run(client, &format!("DEL {}", many.join(" ")));
        let log = world.run(client, "SLOWLOG GET 1");
        assert!(log.contains("*32\r\n$3\r\nDEL\r\n"), "{log}");
        assert!(log.contains("$2\r\n29\r\n$22\r\n... (3 more arguments)\r\n"), "{log}");
        assert!(log.ends_with("\r\n127.0.0.1:50000\r\n$2\r\nme\r\n"), "{log}");
        let long = "x".repeat(129);
        world.run(client, &format!("ECHO {long}"));
        let log = world.run(client, "SLOWLOG GET 1");
        assert!(log.contains(&format!("{}... (1 more bytes)\r\n", "x".repeat(128))), "{log}");
        world.run(client, "CONFIG SET requirepass secret slowlog-max-len 2");
        let log = world.run(client, "SLOWLOG GET 1");
        assert!(
            log.contains("requirepass\r\n$10\r\n(redacted)\r\n$15\r\nslowlog-max-len"),
            "{log}"
        );
        assert_eq!(world.run(client, "SLOWLOG LEN"), ":2\r\n");
    }

    #[test]
    fn a_transaction_is_logged_command_by_command() {
        let mut world = World::new();
        let client = world.connect();
        for command in ["CONFIG SET slowlog-log-slower-than 0", "SLOWLOG RESET", "MULTI", "GET a"] {
            world.run(client, command);
        }
        world.run(client, "EXEC");
        let log = world.run(client, "SLOWLOG GET -1");
        assert!(!log.contains("EXEC"), "{log}");
        assert!(log.contains("GET\r\n$1\r\na\r\n") && log.contains("MULTI"), "{log}");
    }

    #[test]
    fn large_requests_and_replies_have_logs_of_their_own() {
        let mut world = World::new();
        let client = world.connect();
        let large = "x".repeat(2000);
        world.run(client, "CONFIG SET commandlog-request-larger-than 2000");
        world.run(client, "CONFIG SET commandlog-reply-larger-than 2010");
        world.run(client, &format!("SET a {large}"));
        assert_eq!(world.run(client, "COMMANDLOG LEN large-request"), ":1\r\n");
        assert_eq!(world.run(client, "COMMANDLOG LEN large-reply"), ":0\r\n");
        world.run(client, "GET a");
        assert_eq!(world.run(client, "COMMANDLOG LEN large-reply"), ":0\r\n");
        world.run(client, "CONFIG SET commandlog-reply-larger-than 2009");
        world.run(client, "GET a");
        let log = world.run(client, "COMMANDLOG GET 5 large-reply");
        assert!(log.starts_with("*1\r\n*6\r\n:0\r\n"), "{log}");
        assert!(log.contains(":2009\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), "{log}");
        world.run(client, "COMMANDLOG RESET large-request");
        assert_eq!(world.run(client, "COMMANDLOG LEN large-request"), ":0\r\n");
        assert_eq!(world.run(client, "COMMANDLOG LEN large-reply"), ":1\r\n");
    }
}
