//! Commands about the connection itself: PING, ECHO, HELLO, AUTH, SELECT, QUIT, RESET.

use super::client;
use super::spec::{Command, Flags, Group};
use crate::config;
use crate::engine::{Call, Closing};
use crate::error::{self, Error, Result};
use crate::number;
use crate::resp::{Argv, Protocol};

pub(super) const COMMANDS: &[Command] = &[AUTH, ECHO, HELLO, PING, QUIT, RESET, SELECT];

/// What every client may do at any time, before it has authenticated too.
const OPEN: Flags = Flags::NOSCRIPT
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::FAST)
    .union(Flags::NO_AUTH)
    .union(Flags::ALLOW_BUSY);

const AUTH: Command = Command {
    name: "auth",
    syntax: "[username] password",
    summary: "Authenticates the connection.",
    complexity: "O(N) where N is the number of passwords defined for the user",
    group: Group::Connection,
    flags: OPEN,
    handler: Some(auth),
    secret: Some(|_, at| at > 0),
    history: &[("6.0.0", "Added ACL style (username and password).")],
    ..Command::BASE
};

fn auth(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (user, password) = match (args.next(), args.next()) {
        (Some(password), None) => {
            if call.engine.config.settings().require_pass.is_empty() {
                return Err(error::NO_PASSWORD_SET);
            }
            (&b"default"[..], password)
        }
        (Some(user), Some(password)) => (user, password),
        (None, _) => return Err(call.wrong_arity()),
    };
    args.finish()?;
    authenticate(call, user, password)?;
    call.reply.ok();
    Ok(())
}

fn authenticate(call: &mut Call<'_>, user: &[u8], password: &[u8]) -> Result {
    let wanted = &call.engine.config.settings().require_pass;
    // Without a password the default user takes any, as in Redis.
    if user == b"default" && (wanted.is_empty() || same_secret(wanted, password)) {
        call.client.authenticate();
        return Ok(());
    }
    call.engine.stats.auth_denied += 1;
    Err(error::WRONG_PASS)
}

/// Compares in a time that tells nothing about where the difference is.
fn same_secret(secret: &[u8], offered: &[u8]) -> bool {
    let differing = |sum: u8, (a, b): (&u8, &u8)| sum | (a ^ b);
    let content = secret.iter().zip(offered.iter().chain(std::iter::repeat(&0)));
    std::hint::black_box(content.fold(0, differing)) == 0 && secret.len() == offered.len()
}

const ECHO: Command = Command {
    name: "echo",
    syntax: "message",
    summary: "Returns the given string.",
    group: Group::Connection,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
    handler: Some(echo),
    ..Command::BASE
};

fn echo(call: &mut Call<'_>) -> Result {
    let message = call.args().required()?;
    call.reply.bulk(message);
    Ok(())
}

const PING: Command = Command {
    name: "ping",
    syntax: "[message]",
    summary: "Returns the server's liveliness response.",
    group: Group::Connection,
    flags: Flags::FAST,
    handler: Some(ping),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..Command::BASE
};

fn ping(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    match (args.next(), args.next()) {
        (_, Some(_)) => return Err(call.wrong_arity()),
        (message, None) if call.client.is_subscriber_only() => {
            // Shaped like the messages among which it comes.
            call.reply.array(2);
            call.reply.bulk(b"pong");
            call.reply.bulk(message.unwrap_or_default());
        }
        (Some(message), None) => call.reply.bulk(message),
        (None, None) => call.reply.simple("PONG"),
    }
    Ok(())
}

const QUIT: Command = Command {
    name: "quit",
    syntax: "[argument ...]",
    summary: "Closes the connection.",
    group: Group::Connection,
    flags: OPEN.union(Flags::IN_MULTI),
    handler: Some(quit),
    ..Command::BASE
};

fn quit(call: &mut Call<'_>) -> Result {
    call.reply.ok();
    call.client.closing = Closing::AfterReply;
    Ok(())
}

const SELECT: Command = Command {
    name: "select",
    syntax: "index",
    summary: "Changes the selected database.",
    group: Group::Connection,
    flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST).union(Flags::ALLOW_BUSY),
    handler: Some(select),
    ..Command::BASE
};

fn select(call: &mut Call<'_>) -> Result {
    let index = call.args().int32()?;
    call.client.db = database(call, index)?;
    call.reply.ok();
    Ok(())
}

/// A database number from a client, if there is such a database.
pub(super) fn database(call: &Call<'_>, index: i64) -> Result<usize> {
    let index = usize::try_from(index).ok();
    index
        .filter(|&index| index < call.engine.keyspace.databases())
        .ok_or(error::DB_INDEX_OUT_OF_RANGE)
}

const RESET: Command = Command {
    name: "reset",
    syntax: "",
    summary: "Resets the connection.",
    since: "6.2.0",
    group: Group::Connection,
    flags: OPEN.union(Flags::IN_MULTI),
    handler: Some(reset),
    ..Command::BASE
};

fn reset(call: &mut Call<'_>) -> Result {
    let client = &mut *call.client;
    client.transaction = None;
    call.engine.unwatch(client);
    client.db = 0;
    client.name.clear();
    client.authenticated = call.engine.config.settings().require_pass.is_empty();
    client.reply_mode = Default::default();
    client.no_evict = false;
    client.no_touch = false;
    client.import_source = false;
    client.reads_only = false;
    if std::mem::take(&mut client.monitors) {
        call.engine.monitors.remove(client.slot);
    }
    client.tracks = false;
    client.tracked_bytes = 0;
    call.engine.tracking.disable(client.id);
    call.engine.pubsub.unsubscribe_all(client);
    call.switch_protocol(Protocol::Resp2);
    call.reply.simple("RESET");
    Ok(())
}

const HELLO: Command = Command {
    name: "hello",
    syntax: "[protover [AUTH username password] [SETNAME clientname]]",
    summary: "Handshakes with the server.",
    since: "6.0.0",
    group: Group::Connection,
    flags: OPEN,
    handler: Some(hello),
    secret: Some(is_credential),
    history: &[(
        "6.2.0",
        "`protover` made optional; when called without arguments the command reports the current connection's context.",
    )],
    ..Command::BASE
};

/// The two arguments behind AUTH.
fn is_credential(argv: Argv<'_>, at: usize) -> bool {
    let is_auth = |at: usize| argv.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(b"auth"));
    (at > 2 && is_auth(at - 1)) || (at > 3 && is_auth(at - 2))
}

fn hello(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let protocol = match args.next() {
        None => None,
        Some(version) => Some(match number::parse_int(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err(error::NO_PROTO),
            None => {
                return Err(Error::text("ERR Protocol version is not an integer or out of range"));
            }
        }),
    };
    let (mut credentials, mut name) = (None, None);
    while let Some(option) = args.peek() {
        if args.left() >= 3 && args.keyword("auth") {
            credentials = Some((args.required()?, args.required()?));
        } else if args.left() >= 2 && args.keyword("setname") {
            let wanted = args.required()?;
            client::check_name(wanted, "Client names")?;
            name = Some(wanted);
        } else {
            let option = error::printable(option);
            return Err(Error::owned(format!("ERR Syntax error in HELLO option '{option}'")));
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(call, user, password)?;
    }
    if !call.client.authenticated && !call.engine.config.settings().require_pass.is_empty() {
        return Err(Error::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        call.client.name = name.to_vec();
    }
    if let Some(protocol) = protocol {
        call.switch_protocol(protocol);
    }
    greet(call);
    Ok(())
}

fn greet(call: &mut Call<'_>) {
    let settings = call.engine.config.settings();
    let zone = settings.availability_zone.as_slice();
    let reply = &mut call.reply;
    reply.map(if zone.is_empty() { 7 } else { 8 });
    reply.bulk(b"server");
    reply.bulk(crate::SERVER_NAME.as_bytes());
    reply.bulk(b"version");
    reply.bulk(config::cli::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.int(call.client.protocol.version());
    reply.bulk(b"id");
    reply.int(call.client.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    if !zone.is_empty() {
        reply.bulk(b"availability_zone");
        reply.bulk(zone);
    }
}
