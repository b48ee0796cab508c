//! A log executed again: the commands that [`Journal`](super::Journal) recorded, or another server.
//!
//! They come from a client of their own kind, which nobody sees: it needs no password, waits for
//! nothing, is refused nothing for want of memory, and is neither counted nor watched. Only what
//! changes data is executed, so that nothing in a file can do anything else. No key goes because its
//! time is over or memory is short: where one did, the log says so.

use super::gate::resolve_subcommand;
use super::prefetch::AT_ONCE;
use super::{Address, Call, Client, Engine, Slot, Transaction};
use crate::clock::{Clock, Now};
use crate::commands::{Flags, Id, Names};
use crate::error::{self, Error};
use crate::resp::{Argv, Reply};

/// What Valkey calls `CLIENT_ID_AOF`: no connection ever has this id.
const CLIENT_ID: u64 = u64::MAX;
/// Errors of commands that are told one by one; the rest are only counted.
const ERRORS_TOLD: u64 = 16;
/// A reply longer than this is not kept for the next one's room.
const REPLY_KEPT: usize = 64 * 1024;

/// Who executes the log.
pub(super) struct Replayer {
    client: Client,
    /// Every command under its own name.
    names: Names,
    /// Replies, which nobody reads.
    out: Vec<u8>,
    errors: u64,
}

/// How a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Its last transaction had no EXEC and was not executed.
    pub broke_off: bool,
    /// Commands that answered with an error: what is there is not what was there when they were
    /// logged.
    pub errors: u64,
}

/// What becomes of a command of the log.
enum Part {
    Change,
    Multi,
    Exec,
    Discard,
    /// It changes no data.
    Noise,
}

impl Part {
    fn of(id: Id, argv: Argv<'_>) -> Self {
        let command = id.entry().command;
        match command.name {
            _ if command.flags.contains(Flags::WRITE) => Self::Change,
            // A count is kept with what was counted.
            "select" | "pfcount" => Self::Change,
            "multi" => Self::Multi,
            "exec" => Self::Exec,
            "discard" => Self::Discard,
            "debug" if argv.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"populate")) => {
                Self::Change
            }
            _ => Self::Noise,
        }
    }
}

impl Replayer {
    fn new(now: Now) -> Self {
        let nowhere = Address::Unix("".into());
        let mut client = Client::new(CLIENT_ID, Slot::NONE, nowhere.clone(), nowhere, -1, now);
        client.executes_log = true;
        client.in_exec = true;
        Self { client, names: Names::default(), out: Vec::new(), errors: 0 }
    }

    /// By its own name, or by the one that `rename-command` gave it.
    fn command(&self, argv: Argv<'_>, renamed: &Names) -> Result<Id, Error> {
        let name = argv.get(0).unwrap_or_default();
        let found = self.names.find(name).or_else(|| renamed.find(name));
        let found = found.ok_or_else(|| error::unknown_command(name, argv.iter().skip(1)))?;
        let id = resolve_subcommand(found, argv)?;
        let entry = id.entry();
        if !entry.accepts(argv.len()) || entry.command.handler.is_none() {
            return Err(error::wrong_arity(&entry.full_name));
        }
        Ok(id)
    }
}

impl Engine {
    /// Until [`Self::end_replay`], no key goes by itself.
    pub fn begin_replay(&mut self, now: Now) {
        self.is_replaying = true;
        self.replayer = Some(Box::new(Replayer::new(now)));
    }

    /// Whether data is being loaded from a log.
    pub fn is_replaying(&self) -> bool {
        self.is_replaying
    }

    /// Executes one command of a log. The error says why it cannot be one: it is unknown, or lacks
    /// arguments.
    pub fn replay(&mut self, argv: Argv<'_>, now: Now, clock: &Clock) -> Result<(), String> {
        if argv.get(0).is_some_and(|name| name.eq_ignore_ascii_case(b"function"))
            && self.replay_function(argv)
        {
            return Ok(());
        }
        let replayer = self.replayer.take();
        let mut replayer = replayer.unwrap_or_else(|| Box::new(Replayer::new(now)));
        let found = replayer.command(argv, &self.names);
        if let Ok(id) = found {
            self.replay_by(&mut replayer, id, argv, now, clock);
        }
        self.replayer = Some(replayer);
        found.map(drop).map_err(|error| error.bare().to_owned())
    }

    /// Executes several, whose keys are fetched into the processor's cache together.
    pub fn replay_some(
        &mut self,
        commands: &[Argv<'_>],
        now: Now,
        clock: &Clock,
    ) -> Result<(), String> {
        for some in commands.chunks(AT_ONCE) {
            let db = self.replayer.as_ref().map_or(0, |replayer| replayer.client.db);
            self.prefetch_keys(db, some.iter().copied());
            some.iter().try_for_each(|argv| self.replay(*argv, now, clock))?;
        }
        Ok(())
    }

    /// What was executed is void: another log follows.
    pub(super) fn forget_log(&mut self) {
        self.replayer = None;
    }

    /// The log is at its end; another one may follow, which begins anew in database 0.
    pub fn end_log(&mut self, now: Now) -> Replayed {
        let replayer = self.replayer.replace(Box::new(Replayer::new(now)));
        replayer.map_or(Replayed { broke_off: false, errors: 0 }, |replayer| Replayed {
            broke_off: replayer.client.transaction.is_some(),
            errors: replayer.errors,
        })
    }

    /// From now on keys expire and are evicted again.
    pub fn end_replay(&mut self) {
        self.is_replaying = false;
        self.replayer = None;
    }

    fn replay_by(
        &mut self,
        replayer: &mut Replayer,
        id: Id,
        argv: Argv<'_>,
        now: Now,
        clock: &Clock,
    ) {
        let part = Part::of(id, argv);
        let transaction = &mut replayer.client.transaction;
        match (part, transaction.is_some()) {
            (Part::Noise, _) => {}
            (Part::Change, false) => self.replay_change(replayer, id, argv, now, clock),
            (Part::Change, true) => {
                transaction.get_or_insert_default().push(id, argv);
            }
            (Part::Multi, false) => *transaction = Some(Transaction::default()),
            (Part::Multi, true) => replayer.errors += 1,
            (Part::Discard, _) => *transaction = None,
            (Part::Exec, _) => {
                let Some(transaction) = transaction.take() else {
                    return replayer.errors += 1;
                };
                for (id, argv) in transaction.queue() {
                    self.replay_change(replayer, id, argv, now, clock);
                }
            }
        }
    }

    #[inline]
    fn replay_change(
        &mut self,
        replayer: &mut Replayer,
        id: Id,
        argv: Argv<'_>,
        now: Now,
        clock: &Clock,
    ) {
        let Replayer { client, out, errors, .. } = replayer;
        let reply = Reply::new(out, client.protocol);
        let result = Call { engine: self, client, reply, argv, now, clock, id }.execute_from_log();
        out.clear();
        out.shrink_to(REPLY_KEPT);
        if let Err(error) = result {
            *errors += 1;
            if *errors <= ERRORS_TOLD {
                tell_of_error(id, &error);
            }
        }
    }
}

#[cold]
fn tell_of_error(id: Id, error: &Error) {
    crate::log::warning!(
        "== CRITICAL == This server is sending an error to its AOF-loading-client: '{}' after processing the command '{}'",
        error.bare(),
        id.entry().full_name
    );
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    /// A world that has executed these lines as a log, and what there is to say of that.
    fn replayed(lines: &[&str]) -> (World, Replayed) {
        let mut world = World::new();
        world.engine.begin_replay(world.now);
        for line in lines {
            assert_eq!(world.replay(line), Ok(()), "{line}");
        }
        let end = world.engine.end_log(world.now);
        (world, end)
    }

    const WHOLE: Replayed = Replayed { broke_off: false, errors: 0 };

    #[test]
    fn commands_change_data_and_nothing_else() {
        let lines = [
            "SET a 1",
            "SELECT 3",
            "SET b 2",
            "SHUTDOWN",
            "DEBUG SEGFAULT",
            "SUBSCRIBE c",
            "MONITOR",
            "CONFIG SET maxmemory 1",
            "BLPOP l 0",
        ];
        let (mut world, end) = replayed(&lines);
        world.engine.end_replay();
        assert_eq!(end, WHOLE);
        assert_eq!(world.engine.stats.commands, 0);
        assert_eq!(world.engine.clients.len(), 0);
        assert_eq!(world.engine.config.settings().max_memory, 0);
        assert_eq!(world.record.lock().expect("not poisoned").exit, None);
        assert!(!world.record.lock().expect("not poisoned").crashed);
        let client = world.connect();
        assert_eq!(world.run(client, "GET a"), "$1\r\n1\r\n");
        world.run(client, "SELECT 3");
        assert_eq!(world.run(client, "GET b"), "$1\r\n2\r\n");
    }

    #[test]
    fn a_transaction_is_executed_whole_or_not_at_all() {
        let (mut world, end) =
            replayed(&["MULTI", "SET a 1", "INCR a", "EXEC", "MULTI", "SET b 1"]);
        assert!(end.broke_off);
        let client = world.connect();
        assert_eq!(world.run(client, "MGET a b"), "*2\r\n$1\r\n2\r\n$-1\r\n");
    }

    #[test]
    fn keys_stay_until_the_log_says_that_they_go() {
        let lines = [
            "SET a 1 PXAT 1",
            "INCR a",
            "HSET h f 1",
            "HPEXPIREAT h 1 FIELDS 1 f",
            "HINCRBY h f 1",
        ];
        let (mut world, end) = replayed(&lines);
        world.tick();
        assert_eq!(end, WHOLE);
        assert_eq!(world.engine.keyspace.len(), 2);
        assert_eq!(world.replay("PERSIST a"), Ok(()));
        world.engine.end_replay();
        while world.tick().as_millis() <= 1 {}
        assert_eq!(world.engine.keyspace.len(), 1);
        let client = world.connect();
        assert_eq!(world.run(client, "GET a"), "$1\r\n2\r\n");
    }

    #[test]
    fn what_cannot_be_a_command_is_refused_with_valkeys_words() {
        let (mut world, _) = replayed(&[]);
        for (line, text) in [
            ("NOSUCH a b", "unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
            ("GET", "wrong number of arguments for 'get' command"),
            ("XGROUP", "wrong number of arguments for 'xgroup' command"),
        ] {
            assert_eq!(world.replay(line), Err(text.to_owned()));
        }
    }

    #[test]
    fn errors_are_counted() {
        let (_, end) = replayed(&["SET a x", "INCR a", "EXEC", "LPUSH a 1"]);
        assert_eq!(end.errors, 3);
    }

    #[test]
    fn renamed_commands_answer_to_both_names() {
        let mut world = World::new();
        let rename = crate::config::Rename { command: "set", name: Some(b"put".to_vec()) };
        world.engine.names = Names::with_renames(&[rename]);
        assert_eq!(world.replay("SET a 1"), Ok(()));
        assert_eq!(world.replay("PUT b 1"), Ok(()));
        assert_eq!(world.engine.keyspace.len(), 2);
    }
}
