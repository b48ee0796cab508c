//! Batches: commands in, replies out, under one taking of the lock.

use super::evict::Room;
use super::observe::Run;
use super::pause::PauseMode;
use super::prefetch::AT_ONCE;
use super::{Call, Client, Closing, Engine, Refused, ReplyMode, Slot, Stats};
use crate::clock::{Clock, Now};
use crate::commands::{Flags, Id};
use crate::config::value::OutputLimit;
use crate::error::{self, Error};
use crate::resp::{Argv, Batch, Reply};

/// How far a batch came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All of it is answered.
    Done,
    /// The commands from `at` on, if there are any, wait until the client's bell rings.
    Waiting { at: usize },
    /// Replies have piled up, or others wait: send them, then execute command `at` and those behind it.
    Full { at: usize },
    /// The connection ends; the rest of the batch is void.
    Closing(Closing),
}

/// Replies of one batch, in bytes, after which they are sent before more is executed.
const OUTPUT_STEP: usize = 256 * 1024;
/// A client served for longer, in microseconds, goes on when others have had their turn: about what a
/// slice of background work takes, twice.
const TURN_US: u64 = 250;

/// How long one client has been served while others that are ready wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    spent_us: u64,
}

impl Turn {
    pub fn is_over(&self) -> bool {
        self.spent_us > TURN_US
    }
}

impl Engine {
    /// Executes a batch, decoded from `buffer`, as part of a turn, and appends the replies to `out`.
    pub fn execute(
        &mut self,
        slot: Slot,
        batch: &Batch,
        buffer: &[u8],
        out: &mut Vec<u8>,
        clock: &Clock,
        turn: &mut Turn,
    ) -> Progress {
        if self.clients_limit() > 0 && !self.may_hold(slot, buffer.len()) {
            return Progress::Closing(Closing::Now);
        }
        let mut client = self.clients.check_out(slot);
        if client.closing != Closing::No {
            // Killed before its connection heard of it: nothing more is executed.
            let closing = client.closing;
            self.clients.check_in(slot, client);
            return Progress::Closing(closing);
        }
        let mut run = match batch.len() {
            1 => Run::starting_about(clock.recent()),
            _ => Run::starting(clock.now()),
        };
        client.last_active_ms = run.now().ms();
        if !self.tracking.is_empty() {
            self.shrink_tracking();
        }
        self.batch_durable = None;
        // What others had to say to this client came before its next command.
        let replies_len = out.len();
        self.clients.collect(slot, out);
        if out.len() > replies_len {
            self.batch_durable.clone_from(&self.durable);
        }
        let limit = out.len() + OUTPUT_STEP;
        client.output_left = output_left(self.output_limit(&client), &client, out.len());
        let mut progress = Progress::Done;
        for at in 0..batch.len() {
            if at > 0 && at % AT_ONCE == 0 {
                self.prefetch(client.db, batch, buffer, at);
            }
            let argv = batch.command(buffer, at);
            if self.must_wait(&client, argv, run.now()) {
                client.paused = true;
                progress = Progress::Waiting { at };
                break;
            }
            self.execute_one(&mut client, argv, out, &mut run, clock);
            self.hand_over_too_much();
            self.clients.collect(slot, out);
            if out.len() > client.output_left {
                self.refuse_output(&mut client, out);
            }
            if client.is_blocked() {
                progress = Progress::Waiting { at: at + 1 };
                break;
            }
            if client.closing != Closing::No {
                progress = Progress::Closing(client.closing);
                break;
            }
            let is_long = out.len() > limit || turn.spent_us + run.spent_us() > TURN_US;
            if is_long && at + 1 < batch.len() {
                progress = Progress::Full { at: at + 1 };
                break;
            }
        }
        self.end_batch(&mut run, &mut client, clock);
        turn.spent_us += run.spent_us();
        self.stats.turns.add(run.spent_us(), batch.len() as u64);
        self.broadcast_changes();
        self.offer_journal();
        if let Some(next_ms) = self.keyspace.db(client.db).next_deadline() {
            // A key may come due before background work would look again.
            self.wake_cron_before(next_ms);
        }
        self.clients.collect(slot, out);
        self.clients.check_in(slot, client);
        self.evict_clients();
        progress
    }

    /// The hard output limit is passed: the client goes, and gets nothing of what it asked for.
    #[cold]
    fn refuse_output(&mut self, client: &mut Client, out: &mut Vec<u8>) {
        count_output_refusal(&mut self.stats, client);
        client.closing = Closing::Now;
        *out = Vec::new();
    }

    /// The client's connection is closed for what it leaves unread.
    pub fn count_output_refusal(&mut self, slot: Slot) {
        count_output_refusal(&mut self.stats, self.clients.get(slot));
    }

    pub(super) fn execute_one<'a>(
        &mut self,
        client: &mut Client,
        argv: Argv<'a>,
        out: &mut Vec<u8>,
        run: &mut Run<'a>,
        clock: &Clock,
    ) {
        self.room = self.make_room(run.now());
        if self.room != Room::Enough {
            // Whose cached keys just went hears of it before the reply.
            self.clients.collect(client.slot, out);
        }
        let start = out.len();
        match self.admit(client, argv) {
            Err(refusal) => self.reject(client, argv, refusal, out),
            Ok(id) => {
                // Half way between the asking for its slot and the lookup: each miss is waited out
                // behind as much other work.
                self.prefetch_entry_of_one();
                client.last_command = Some(id);
                let flags = id.entry().command.flags;
                match &mut client.transaction {
                    Some(transaction) if !flags.contains(Flags::IN_MULTI) => {
                        transaction.push(id, argv);
                        out.extend_from_slice(b"+QUEUED\r\n");
                    }
                    _ => {
                        self.begin(run, client, id, argv, clock);
                        self.call(client, id, argv, out, run.now(), clock);
                        self.settle(run, client, out.len() - start, clock);
                    }
                }
            }
        }
        self.journal.unit_is_over();
        client.commands += 1;
        suppress_reply(client, out, start);
        if client.tracks && client.transaction.is_none() {
            self.end_caching(client);
        }
        if !self.waiters.nothing_ready() {
            self.end(run, client, clock);
            self.serve_ready(run.now(), clock);
            run.skip_to(clock.now());
        }
    }

    /// CLIENT CACHING is for one command, or one transaction.
    fn end_caching(&mut self, client: &Client) {
        let last = client.last_command.map(Id::entry);
        let is_caching = last.is_some_and(|entry| entry.full_name == "client|caching");
        if let Some(tracker) = self.tracking.tracker_mut(client.id).filter(|_| !is_caching) {
            tracker.caching = false;
        }
    }

    /// Runs a handler and counts the call. An error takes back what the handler had written.
    pub(super) fn call(
        &mut self,
        client: &mut Client,
        id: Id,
        argv: Argv<'_>,
        out: &mut Vec<u8>,
        now: Now,
        clock: &Clock,
    ) {
        let reply = Reply::new(out, client.protocol).limited(client.output_left);
        Call { engine: self, client, reply, argv, now, clock, id }.execute();
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
        if known.is_some_and(|id| id.entry().command.name == "exec") {
            // EXEC that cannot run ends the transaction and says why.
            client.transaction = None;
            self.unwatch(client);
            return Reply::new(out, client.protocol).error(&error::exec_abort(&refusal));
        }
        if let Some(transaction) = &mut client.transaction {
            transaction.refused.get_or_insert(if refusal == error::OOM {
                Refused::Because(refusal.clone())
            } else {
                Refused::Error
            });
        }
        Reply::new(out, client.protocol).error(&refusal);
    }

    /// Whether CLIENT PAUSE, a full log or a transfer holds this command back.
    fn must_wait(&self, client: &Client, argv: Argv<'_>, now: Now) -> bool {
        let paused = self.pause.at(now.ms()).map(|(mode, _)| mode);
        // A pause is meant for clients; whether the server is well is asked during one, too.
        let paused = paused.filter(|_| !client.is_admin);
        let Some(mode) = paused.or(self.persistence.holds_writes()) else {
            return !self.transfers.holds_nothing() && self.waits_for_transfer(client, argv);
        };
        let Some(id) = self.id_if_admitted(client, argv) else { return false };
        let entry = id.entry();
        match mode {
            PauseMode::All => true,
            PauseMode::Write => {
                let held = Flags::WRITE | Flags::MAY_REPLICATE;
                let writes = |id: Id| id.entry().command.flags.intersects(held);
                let queued_writes = entry.command.name == "exec"
                    && client.transaction.as_ref().is_some_and(|t| t.ids().any(writes));
                let executes = client.transaction.is_none();
                (executes && writes(id)) || queued_writes
            }
        }
    }
}

impl Engine {
    /// The command that may have to wait. Whoever is refused need not wait for it.
    #[cold]
    pub(super) fn id_if_admitted(&self, client: &Client, argv: Argv<'_>) -> Option<Id> {
        match self.admit(client, argv) {
            Ok(id) => Some(id),
            // Memory is looked at anew when the command's time has come.
            Err(refusal) if refusal == error::OOM => {
                self.names.find(argv.get(0).unwrap_or_default())
            }
            Err(_) => None,
        }
    }
}

/// How long `out`, which is `len` long, may become before the hard limit is passed.
fn output_left(limit: OutputLimit, client: &Client, len: usize) -> usize {
    match usize::try_from(limit.hard_bytes) {
        Ok(hard @ 1..) => len + hard.saturating_sub(client.buffers.output_len),
        _ => usize::MAX,
    }
}

fn count_output_refusal(stats: &mut Stats, client: &Client) {
    stats.output_buffer_disconnections += 1;
    crate::log::warning!(
        "Client id={} addr={} scheduled to be closed ASAP for overcoming of output buffer limits.",
        client.id,
        client.address
    );
}

/// `CLIENT REPLY OFF | SKIP`.
pub(super) fn suppress_reply(client: &mut Client, out: &mut Vec<u8>, start: usize) {
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

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn who_was_killed_executes_nothing_more() {
        let mut world = World::new();
        let (killer, victim) = (world.connect(), world.connect());
        let id = world.run(victim, "CLIENT ID").trim_start_matches(':').trim_end().to_owned();
        assert_eq!(world.run(killer, &format!("CLIENT KILL ID {id}")), ":1\r\n");
        let (progress, replies) = world.execute(victim, "SET a 1\r\nPING\r\n");
        assert_eq!((progress, replies.as_str()), (Progress::Closing(Closing::Now), ""));
        assert_eq!(world.run(killer, "EXISTS a"), ":0\r\n");
    }

    #[test]
    fn whose_turn_is_over_goes_on_by_one_command() {
        let mut world = World::new();
        let client = world.connect();
        let commands = "SET a 1\r\nSET b 1\r\nPING\r\n";
        assert_eq!(world.execute(client, commands).0, Progress::Done);
        world.turn.spent_us = TURN_US + 1;
        assert_eq!(world.execute(client, commands), (Progress::Full { at: 1 }, "+OK\r\n".into()));
        assert_eq!(world.execute(client, "PING\r\n").0, Progress::Done, "nothing is left to do");
    }
}
