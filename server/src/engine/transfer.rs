//! MIGRATE: keys on their way to another server.
//!
//! The engine stops for nobody. It writes down what the other server is to be told; the host sends
//! that, and the outcome comes back as an event ([`Engine::end_transfer`]). Until then the client waits
//! like one of BLPOP, and whoever wants to change one of its keys waits as under CLIENT PAUSE: what is
//! removed in the end is what was sent. Everybody else goes on, who reads those keys, too.
//!
//! A transfer outlives its client: what the other server has taken is removed here in any case.

use std::time::Duration;

use super::execute::suppress_reply;
use super::{Block, Call, Client, Engine, Waits};
use crate::clock::{Clock, Now};
use crate::commands::{Flags, Id};
use crate::config::notify::Class;
use crate::error::{self, Error, Result};
use crate::keyspace::Kind;
use crate::resp::{Argv, Reply};
use crate::types::members::{Table, hash};
use crate::types::set::Member;

/// What another server is to be told. Each of the commands is answered by one line.
#[derive(Clone, Debug, Default)]
pub struct Transfer {
    /// Names it in [`Engine::end_transfer`].
    pub number: u64,
    pub to: Destination,
    /// How long the other server may take for each step.
    pub patience: Duration,
    /// The command that shows who we are; empty if nobody asked for one. The connection is used again
    /// only by who says the same.
    pub auth: Vec<u8>,
    pub db: i64,
    /// The command that selects it, unless the connection has.
    pub select: Vec<u8>,
    /// A command for each key.
    pub restores: Vec<u8>,
    /// How many.
    pub keys: usize,
}

/// As the client named it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    pub host: Vec<u8>,
    pub port: Vec<u8>,
}

/// What came of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For each key that was answered, in order: whether the other server has it.
    pub taken: Vec<bool>,
    /// The first error that it answered, without the `-`.
    pub refusal: Option<Vec<u8>>,
    /// Where the connection failed, if it did.
    pub failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Connecting,
    Writing,
    Reading,
}

impl Outcome {
    fn error(&self) -> Option<Error> {
        match (&self.refusal, self.failure) {
            (Some(refusal), _) => Some(error::target_refuses(refusal)),
            (None, Some(Failure::Connecting)) => Some(error::TARGET_UNREACHABLE),
            (None, Some(Failure::Writing)) => Some(error::TARGET_TAKES_NOTHING),
            (None, Some(Failure::Reading)) => Some(error::TARGET_SAYS_NOTHING),
            (None, None) => None,
        }
    }
}

#[derive(Debug)]
struct UnderWay {
    number: u64,
    client: u64,
    db: usize,
    keys: Vec<Box<[u8]>>,
    /// The keys go from here: nothing is a COPY.
    moves: bool,
}

/// All that is under way.
#[derive(Debug, Default)]
pub struct Transfers {
    under_way: Vec<UnderWay>,
    /// Keys that must not change, in whatever database: a move between databases is a change, too.
    held: Table<Member>,
    last_number: u64,
    /// Connections kept for the next transfer.
    pub cached_sockets: usize,
}

impl Transfers {
    #[inline]
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether the command would change a key that is on its way; one without keys may change any.
    #[cold]
    pub(super) fn hold(&self, id: Id, argv: Argv<'_>) -> bool {
        let command = id.entry().command;
        if !command.flags.contains(Flags::WRITE) {
            return false;
        }
        let line: Vec<&[u8]> = argv.iter().collect();
        let keys = command.keys_of(&line).unwrap_or_default();
        command.keys.is_empty() || keys.iter().any(|(at, _)| self.held.contains(line[*at]))
    }

    fn begin(&mut self, client: &Client, keys: Vec<Box<[u8]>>, moves: bool) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        for key in keys.iter().filter(|_| moves) {
            if !self.held.contains(key) {
                self.held.insert(hash(key), &[key]);
            }
        }
        self.under_way.push(UnderWay { number, client: client.id, db: client.db, keys, moves });
        number
    }

    fn end(&mut self, number: u64) -> Option<UnderWay> {
        let place = self.under_way.iter().position(|it| it.number == number)?;
        let ended = self.under_way.swap_remove(place);
        // Nobody else holds them: whoever wanted to move them, too, waits.
        for key in ended.keys.iter().filter(|_| ended.moves) {
            if let Some((place, _)) = self.held.find(hash(key), key) {
                self.held.remove(place);
            }
        }
        Some(ended)
    }
}

impl Call<'_> {
    /// Sends `keys` to another server, and has the client wait for what comes of it. They go from
    /// here as they are taken there, if it `moves` them.
    pub fn transfer(&mut self, keys: Vec<Box<[u8]>>, moves: bool, transfer: Transfer) -> Result {
        let number = self.engine.transfers.begin(self.client, keys, moves);
        self.engine.host.transfer(Transfer { number, ..transfer });
        self.block(Block {
            keys: Vec::new(),
            kind: Kind::String,
            deadline_ms: None,
            on_delete: false,
            waits: Waits::ForTransfer { number },
        })
    }
}

impl Engine {
    /// Whether a transfer holds this command back.
    #[cold]
    pub(super) fn waits_for_transfer(&self, client: &Client, argv: Argv<'_>) -> bool {
        let Some(id) = self.id_if_admitted(client, argv) else { return false };
        match &client.transaction {
            None => self.transfers.hold(id, argv),
            Some(transaction) => {
                id.entry().command.name == "exec"
                    && transaction.queue().any(|(id, argv)| self.transfers.hold(id, argv))
            }
        }
    }

    /// The host tells what came of a transfer.
    pub fn end_transfer(&mut self, number: u64, outcome: &Outcome, now: Now, clock: &Clock) {
        let Some(ended) = self.transfers.end(number) else { return };
        if ended.moves {
            self.remove_taken(&ended, &outcome.taken);
        }
        self.answer_transfer(ended.client, number, outcome.error(), now);
        // Whoever was held back: commands of clients, and those that waited for something else.
        self.wake_paused();
        if !self.waiters.is_empty() {
            (0..self.keyspace.databases()).for_each(|db| self.signal_database(db));
            self.serve_ready(now, clock);
        }
        self.broadcast_changes();
        self.hand_over_journal();
    }

    /// What the other server has is no longer here. One command of the log removes all of it.
    fn remove_taken(&mut self, ended: &UnderWay, taken: &[bool]) {
        let mut removed: Vec<&[u8]> = Vec::new();
        for (key, _) in ended.keys.iter().zip(taken).filter(|(_, taken)| **taken) {
            // It may have expired meanwhile, or been named twice.
            if self.remove(ended.db, &**key) {
                self.stats.dirty += 1;
                self.invalidate(key, Some(ended.client));
                self.touch_watchers(ended.db, key);
                self.notify(Class::GENERIC, "del", ended.db, key);
                removed.push(key);
            }
        }
        if !removed.is_empty() {
            let len = 1 + removed.len();
            self.journal.add(ended.db, len, |line| {
                line.word(b"DEL").words(removed.into_iter()).done();
            });
            self.journal.unit_is_over();
        }
    }

    /// Answers the client, if it is still there.
    fn answer_transfer(&mut self, id: u64, number: u64, error: Option<Error>, now: Now) {
        let waits = |client: &Client| client.awaits_transfer() == Some(number);
        let Some(slot) = self.clients.find(id).filter(|slot| waits(self.clients.get(*slot))) else {
            return;
        };
        let mut client = self.clients.check_out(slot);
        let blocked = self.end_waiting(&mut client).expect("looked at above");
        let (id, argv) = (blocked.id, blocked.argv.clone());
        self.stats.commands += 1;
        let stats = self.stats.command(id);
        stats.calls += 1;
        stats.failed += u64::from(error.is_some());
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, client.protocol);
        match &error {
            None => reply.ok(),
            Some(error) => {
                reply.error(error);
                self.stats.count_error(error.code());
            }
        }
        suppress_reply(&mut client, &mut out, 0);
        client.retried = Some(blocked);
        self.account(&mut client, id, argv.view(), 1, 0, now);
        client.retried = None;
        self.clients.check_in(slot, client);
        self.clients.post_bytes(slot, &out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::World;
    use crate::engine::{Progress, Slot};

    const MOVE: &str = "MIGRATE host 6379 a 0 100";
    const MOVE_TWO: &str = "MIGRATE host 6379 \"\" 2 0 REPLACE AUTH2 user pass KEYS a none b";

    impl World {
        /// What the other server is to be told, as the words of its commands.
        fn errand(&mut self) -> Transfer {
            self.record.lock().expect("not poisoned").transfers.pop().expect("something to carry")
        }

        fn arrive(&mut self, transfer: &Transfer, outcome: &Outcome) {
            let clock = Clock::frozen(self.now);
            self.engine.end_transfer(transfer.number, outcome, self.now, &clock);
        }
    }

    fn taken(all: &[bool]) -> Outcome {
        Outcome { taken: all.to_vec(), ..Outcome::default() }
    }

    fn world() -> (World, Slot) {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "MSET a 1 b 2 c 3");
        world.engine.journal.start();
        (world, client)
    }

    /// Whether the command waits.
    fn waits(world: &mut World, client: Slot, command: &str) -> bool {
        let (progress, reply) = world.execute(client, format!("{command}\r\n"));
        let waits = progress == Progress::Waiting { at: 0 };
        assert_eq!(reply.is_empty(), waits, "{command}: {reply}");
        world.engine.clients.get_mut(client).paused = false;
        waits
    }

    #[test]
    fn the_other_server_is_told_what_makes_the_keys() {
        let (mut world, client) = world();
        world.run(client, "PEXPIRE b 5000");
        world.pass_ms(10);
        assert_eq!(world.run(client, MOVE_TWO), "");
        let errand = world.errand();
        assert_eq!(
            (errand.to.host.as_slice(), errand.to.port.as_slice()),
            (&b"host"[..], &b"6379"[..])
        );
        assert_eq!((errand.keys, errand.db, errand.patience), (2, 2, Duration::from_secs(1)));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&errand.auth), "*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$4\r\npass\r\n");
        assert_eq!(text(&errand.select), "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
        let restores = text(&errand.restores);
        assert!(
            restores.starts_with("*5\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$1\r\n0\r\n$"),
            "{restores}"
        );
        assert!(
            restores.contains("*5\r\n$7\r\nRESTORE\r\n$1\r\nb\r\n$4\r\n4990\r\n$"),
            "{restores}"
        );
        assert!(restores.ends_with("$7\r\nREPLACE\r\n"), "{restores}");
    }

    #[test]
    fn what_was_taken_goes_and_the_log_says_so_at_once() {
        let (mut world, client) = world();
        world.run(client, "MIGRATE host 6379 \"\" 0 0 KEYS a b a c");
        let errand = world.errand();
        let busy =
            Outcome { refusal: Some(b"BUSYKEY no".into()), ..taken(&[true, false, false, true]) };
        world.arrive(&errand, &busy);
        let reply = "-ERR Target instance replied with error: BUSYKEY no\r\n";
        assert_eq!(world.messages(client), reply);
        assert_eq!(world.run(client, "EXISTS a b c"), ":1\r\n");
        assert_eq!(world.logged(), ["SELECT 0", "DEL a c"]);
    }

    #[test]
    fn a_connection_that_fails_leaves_what_was_not_acknowledged() {
        for (failure, reply) in [
            (Failure::Connecting, "-IOERR error or timeout connecting to the client\r\n"),
            (Failure::Writing, "-IOERR error or timeout writing to target instance\r\n"),
            (Failure::Reading, "-IOERR error or timeout reading to target instance\r\n"),
        ] {
            let (mut world, client) = world();
            world.run(client, "MIGRATE host 6379 \"\" 0 0 KEYS a b");
            let errand = world.errand();
            world.arrive(&errand, &Outcome { failure: Some(failure), ..taken(&[true]) });
            assert_eq!(world.messages(client), reply);
            assert_eq!(world.run(client, "EXISTS a"), ":0\r\n");
            assert_eq!(world.run(client, "EXISTS b"), ":1\r\n");
        }
    }

    #[test]
    fn whoever_would_change_a_key_on_its_way_waits_and_nobody_else() {
        let (mut world, client) = world();
        let other = world.connect();
        world.run(other, "RPUSH l x");
        world.run(client, MOVE);
        for (command, held) in [
            ("GET a", false),
            ("SET b 1", false),
            ("SET a 1", true),
            ("RENAME b a", true),
            ("SORT l STORE a", true),
            ("RESTORE a 0 x REPLACE", true),
            ("MIGRATE host 6379 \"\" 0 0 KEYS x a", true),
            ("MIGRATE host 6379 \"\" 0 0 KEYS x", false),
            ("FLUSHALL", true),
            ("SWAPDB 0 1", true),
            ("SET a", false),
            ("SELECT 1", false),
            ("SET a 1", true),
        ] {
            assert_eq!(waits(&mut world, other, command), held, "{command}");
        }
        let errand = world.errand();
        assert!(waits(&mut world, other, "DEL a"));
        world.engine.clients.get_mut(other).paused = true;
        world.arrive(&errand, &taken(&[true]));
        assert!(!world.engine.clients.get(other).paused, "the one held back is woken");
        assert!(!waits(&mut world, other, "SET a 1"));
    }

    #[test]
    fn a_transaction_waits_with_its_exec() {
        let (mut world, client) = world();
        let other = world.connect();
        world.run(client, MOVE);
        for command in ["MULTI", "SET a 1"] {
            assert!(!waits(&mut world, other, command), "{command}");
        }
        assert!(waits(&mut world, other, "EXEC"));
        let errand = world.errand();
        world.arrive(&errand, &taken(&[true]));
        assert_eq!(world.run(other, "EXEC"), "*1\r\n+OK\r\n");
        world.run(other, "MULTI");
        let refusal = "-ERR Command 'migrate' not allowed inside a transaction\r\n";
        assert_eq!(world.run(other, MOVE), refusal);
    }

    #[test]
    fn what_waits_for_another_key_does_not_change_one_on_its_way() {
        let (mut world, client) = world();
        let (mover, other) = (world.connect(), world.connect());
        world.run(client, "RPUSH going one");
        world.run(mover, "BLMOVE source going LEFT RIGHT 0");
        world.run(client, "MIGRATE host 6379 going 0 100");
        let errand = world.errand();
        world.run(other, "RPUSH source two");
        assert_eq!(world.messages(mover), "");
        world.arrive(&errand, &taken(&[true]));
        assert_eq!(world.messages(mover), "$3\r\ntwo\r\n");
        assert_eq!(world.run(other, "LRANGE going 0 -1"), "*1\r\n$3\r\ntwo\r\n");
    }

    #[test]
    fn a_copy_holds_nobody_and_removes_nothing() {
        let (mut world, client) = world();
        let other = world.connect();
        world.run(client, "MIGRATE host 6379 a 0 100 COPY");
        assert!(!waits(&mut world, other, "INCR a"));
        let errand = world.errand();
        world.arrive(&errand, &taken(&[true]));
        assert_eq!(world.messages(client), "+OK\r\n");
        assert_eq!(world.run(other, "GET a"), "$1\r\n2\r\n");
    }

    #[test]
    fn a_transfer_outlives_its_client_and_nobody_calls_it_off() {
        let (mut world, client) = world();
        let other = world.connect();
        let id = world.run(client, "CLIENT ID").trim_start_matches(':').trim_end().to_owned();
        world.run(client, MOVE);
        assert_eq!(world.run(other, &format!("CLIENT UNBLOCK {id}")), ":0\r\n");
        world.engine.disconnect(client);
        assert!(world.engine.waiters.is_empty());
        let newcomer = world.connect();
        let errand = world.errand();
        world.arrive(&errand, &taken(&[true]));
        assert_eq!(world.messages(newcomer), "");
        assert_eq!(world.run(other, "EXISTS a"), ":0\r\n");
        world.arrive(&errand, &taken(&[true]));
        assert_eq!(world.run(other, "EXISTS b"), ":1\r\n", "an outcome counts once");
    }

    #[test]
    fn a_log_moves_nothing() {
        let (mut world, client) = world();
        world.engine.begin_replay(world.now);
        world.replay(MOVE).expect("a command that is known");
        assert!(world.record.lock().expect("not poisoned").transfers.is_empty());
        assert_eq!(world.run(client, "GET a"), "$1\r\n1\r\n");
    }
}
