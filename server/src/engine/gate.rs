//! The ordered checks between a decoded command and its handler. The order is Redis': who is asked
//! first decides which error a client sees.

use super::evict::Room;
use super::{Client, Engine};
use crate::commands::{self, Flags, Id};
use crate::error::{self, Error};
use crate::resp::Argv;

/// What a RESP2 client may execute while it listens to channels.
const SUBSCRIBER_COMMANDS: [&str; 9] = [
    "ping",
    "psubscribe",
    "punsubscribe",
    "quit",
    "reset",
    "ssubscribe",
    "subscribe",
    "sunsubscribe",
    "unsubscribe",
];

impl Engine {
    /// The command `argv` asks for, if this client may execute it now.
    #[inline(always)]
    pub(super) fn admit(&self, client: &Client, argv: Argv<'_>) -> Result<Id, Error> {
        let name = argv.get(0).unwrap_or_default();
        let found = self.names.find(name);
        let found = match found {
            Some(id) => resolve_subcommand(id, argv),
            None => Err(error::unknown_command(name, argv.iter().skip(1))),
        };
        if !client.authenticated && !self.config.settings().require_pass.is_empty() {
            let open =
                found.as_ref().is_ok_and(|id| id.entry().command.flags.contains(Flags::NO_AUTH));
            if !open {
                return Err(error::NOAUTH);
            }
        }
        let id = found?;
        let entry = id.entry();
        if !entry.accepts(argv.len()) {
            return Err(error::wrong_arity(&entry.full_name));
        }
        if entry.command.flags.contains(Flags::PROTECTED) {
            self.check_debug(client)?;
        }
        let not_queued = Flags::NO_MULTI | Flags::NEVER_QUEUED;
        if client.transaction.is_some() && entry.command.flags.intersects(not_queued) {
            return Err(Error::owned(format!(
                "ERR Command '{}' not allowed inside a transaction",
                entry.full_name
            )));
        }
        if client.is_subscriber_only() && !SUBSCRIBER_COMMANDS.contains(&entry.command.name) {
            return Err(Error::owned(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                entry.full_name
            )));
        }
        if entry.command.flags.contains(Flags::DENYOOM) && self.is_out_of_memory() {
            return Err(error::OOM);
        }
        self.check_disk(entry.command.flags, entry.command.name)?;
        if self.persistence.loading.is_some() && !entry.command.flags.contains(Flags::LOADING) {
            return Err(error::LOADING);
        }
        Ok(id)
    }

    /// Writes are refused while the disk does not take them; PING tells of it.
    #[inline]
    fn check_disk(&self, flags: Flags, name: &str) -> Result<(), Error> {
        match self.persistence.refusal() {
            Some(refusal) if flags.contains(Flags::WRITE) || name == "ping" => Err(refusal.clone()),
            _ => Ok(()),
        }
    }

    /// `enable-debug-command no | yes | local`.
    fn check_debug(&self, client: &Client) -> Result<(), Error> {
        if self.config.settings().debug_command.permits(client.address.is_loopback()) {
            return Ok(());
        }
        Err(Error::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        ))
    }

    /// Whether memory is short and nothing can be evicted.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.room == Room::None
    }
}

/// A container's subcommand, where its first argument names one.
#[inline]
pub(super) fn resolve_subcommand(id: Id, argv: Argv<'_>) -> Result<Id, Error> {
    if id.entry().subcommands.is_empty() { Ok(id) } else { find_subcommand(id, argv) }
}

fn find_subcommand(id: Id, argv: Argv<'_>) -> Result<Id, Error> {
    let entry = id.entry();
    let Some(word) = argv.get(1) else { return Ok(id) };
    match commands::subcommand(id, word) {
        Some(subcommand) => Ok(subcommand),
        None => Err(error::unknown_subcommand(word, entry.command.name)),
    }
}
