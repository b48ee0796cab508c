//! Batches: commands in, replies out, under one taking of the lock.

use super::pause::PauseMode;
use super::{Call, Client, Closing, Engine, Refused, ReplyMode, Slot};
use crate::clock::{Clock, Now};
use crate::commands::{Flags, Id};
use crate::error::{self, Error};
use crate::resp::{Argv, Batch, Reply};

/// How far a batch came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of it is answered.
    Done,
    /// Command `at` and those behind it wait until the client's bell rings.
    Waiting { at: usize },
    /// The connection ends; the rest of the batch is void.
    Closing(Closing),
}

impl Engine {
    /// Executes a batch, decoded from `buffer`, and appends the replies to `out`.
    pub fn execute(
        &mut self,
        slot: Slot,
        batch: &Batch,
        buffer: &[u8],
        out: &mut Vec<u8>,
        clock: &Clock,
    ) -> Progress {
        let mut client = self.clients.check_out(slot);
        let mut now = clock.now();
        client.last_active_ms = now.ms();
        let mut progress = Progress::Done;
        for at in 0..batch.len() {
            let argv = batch.command(buffer, at);
            if self.must_wait(&client, argv, now) {
                client.paused = true;
                progress = Progress::Waiting { at };
                break;
            }
            now = self.execute_one(&mut client, argv, out, now, clock);
            if client.closing != Closing::No {
                progress = Progress::Closing(client.closing);
                break;
            }
        }
        self.clients.check_in(slot, client);
        progress
    }

    pub(super) fn execute_one(
        &mut self,
        client: &mut Client,
        argv: Argv<'_>,
        out: &mut Vec<u8>,
        now: Now,
        clock: &Clock,
    ) -> Now {
        let start = out.len();
        let mut end = now;
        match self.admit(client, argv) {
            Err(refusal) => self.reject(client, argv, refusal, out),
            Ok(id) => {
                client.last_command = Some(id);
                let flags = id.entry().command.flags;
                match &mut client.transaction {
                    Some(transaction) if !flags.contains(Flags::IN_MULTI) => {
                        transaction.push(id, argv);
                        out.extend_from_slice(b"+QUEUED\r\n");
                    }
                    _ => {
                        self.call(client, id, argv, out, now);
                        end = clock.now();
                        self.stats.command(id).usec += end.us.abs_diff(now.us);
                    }
                }
            }
        }
        client.commands += 1;
        suppress_reply(client, out, start);
        end
    }

    /// Runs a handler and counts the call. An error takes back what the handler had written.
    fn call(&mut self, client: &mut Client, id: Id, argv: Argv<'_>, out: &mut Vec<u8>, now: Now) {
        let reply = Reply::new(out, client.protocol);
        Call { engine: self, client, reply, argv, now, id }.execute();
    }

    #[cold]
    fn reject(&mut self, client: &mut Client, argv: Argv<'_>, refusal: Error, out: &mut Vec<u8>) {
        let name = argv.get(0).unwrap_or_default();
        let known = self.names.find(name);
        if known.is_none() && is_http(name) {
            client.closing = Closing::Now;
            crate::log::warning!(
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Holdfast. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your server. Connection from {} aborted.",
                client.address
            );
            return;
        }
        if let Some(id) = known {
            self.stats.command(id).rejected += 1;
        }
        self.stats.count_error(refusal.code());
        if let Some(transaction) = &mut client.transaction {
            if known.is_some_and(|id| id.entry().command.name == "exec") {
                // EXEC that cannot run ends the transaction and says why.
                client.transaction = None;
                let reason = refusal.as_str();
                let text = format!("EXECABORT Transaction discarded because of: {reason}");
                self.unwatch(client);
                return Reply::new(out, client.protocol).error(&Error::owned(text));
            }
            transaction.refused.get_or_insert(if refusal == error::OOM {
                Refused::Because(refusal.clone())
            } else {
                Refused::Error
            });
        }
        Reply::new(out, client.protocol).error(&refusal);
    }

    /// Whether CLIENT PAUSE holds this command back.
    fn must_wait(&self, client: &Client, argv: Argv<'_>, now: Now) -> bool {
        let Some((mode, _)) = self.pause.at(now.ms()) else { return false };
        let Some(id) = self.names.find(argv.get(0).unwrap_or_default()) else { return false };
        let entry = id.entry();
        match mode {
            // CLIENT itself must get through, or nobody could end the pause.
            PauseMode::All => entry.command.name != "client",
            PauseMode::Write => {
                let writes = |id: Id| id.entry().command.flags.contains(Flags::WRITE);
                let queued_writes = entry.command.name == "exec"
                    && client.transaction.as_ref().is_some_and(|t| t.ids().any(writes));
                let executes = client.transaction.is_none();
                (executes && writes(id)) || queued_writes
            }
        }
    }
}

/// `CLIENT REPLY OFF | SKIP`.
fn suppress_reply(client: &mut Client, out: &mut Vec<u8>, start: usize) {
    match client.reply_mode {
        ReplyMode::On => {}
        ReplyMode::Off => out.truncate(start),
        ReplyMode::Skip { armed: false } => {
            out.truncate(start);
            client.reply_mode = ReplyMode::Skip { armed: true };
        }
        ReplyMode::Skip { armed: true } => {
            out.truncate(start);
            client.reply_mode = ReplyMode::On;
        }
    }
}

/// What a browser sends when a page makes it talk to us.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
