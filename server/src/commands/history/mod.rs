//! Histories: what clients did to a server, by chance, and what its log makes of that elsewhere.
//!
//! Every command about data takes part, with every option that its syntax line names; so does one that
//! is added later.

mod line;

use std::sync::LazyLock;

use proptest::prelude::*;

use super::Group;
use crate::engine::Slot;
use crate::engine::testing::{World, content};
use crate::persistence::as_commands::{write_entry, write_select};
use line::Lines;

const CLIENTS: usize = 3;

static LINES: LazyLock<Lines> = LazyLock::new(Lines::new);

#[derive(Clone, Debug)]
enum Step {
    /// A command by a client, drawn from this seed.
    Command {
        client: usize,
        seed: u64,
    },
    /// Something about transactions and databases.
    Word {
        client: usize,
        line: &'static str,
    },
    Pass {
        ms: i64,
    },
    Tick,
    /// Memory is short for the time of one command.
    Evict,
}

const WORDS: [&str; 9] =
    ["MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", "SELECT 0", "SELECT 0", "SELECT 1", "WATCH s0"];

const FOCUSES: [Group; 6] =
    [Group::String, Group::List, Group::Set, Group::SortedSet, Group::Hash, Group::Stream];

/// Something of every type.
const BEGINNING: [&str; 9] = [
    "SET s0 10",
    "RPUSH l0 a b c 1 2 3",
    "SADD S0 a b c 1 2 3",
    "ZADD z0 1 a 2 b 3 c 3 d",
    "HSET h0 a 1 b 2 c 3 d e",
    "XADD x0 1-1 a 1",
    "XADD x0 2-2 b 2",
    "XADD x0 * c 3 d 4",
    "XGROUP CREATE x0 g 0",
];

const POLICIES: [&str; 4] = ["volatile-ttl", "volatile-random", "volatile-lru", "allkeys-random"];

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        60 => (client.clone(), any::<u64>()).prop_map(|(client, seed)| Step::Command { client, seed }),
        5 => (client, prop::sample::select(&WORDS[..]))
            .prop_map(|(client, line)| Step::Word { client, line }),
        5 => (0i64..1500).prop_map(|ms| Step::Pass { ms }),
        3 => Just(Step::Tick),
        1 => Just(Step::Evict),
    ]
}

/// One whose clock was put back a while ago, so that deadlines are no Unix times.
fn world() -> World {
    const STEP_MS: i64 = 5_000;
    let mut world = World::new();
    world.now.wall_offset_ms = -STEP_MS;
    world.pass_ms(STEP_MS);
    world
}

/// A server whose clients do as told.
struct Server {
    world: World,
    clients: Vec<Slot>,
    /// For messages, when it went wrong.
    did: Vec<String>,
}

impl Server {
    fn new(policy: &str) -> Self {
        let mut world = world();
        let clients: Vec<Slot> = (0..CLIENTS).map(|_| world.connect()).collect();
        let config = format!("stream-node-max-entries 3 maxmemory-policy {policy}");
        world.run(clients[0], &format!("CONFIG SET {config}"));
        world.engine.journal.start();
        BEGINNING.iter().for_each(|line| _ = world.run(clients[0], line));
        Self { world, clients, did: Vec::new() }
    }

    fn take(&mut self, step: &Step, focus: Group) {
        match step {
            Step::Pass { ms } => {
                self.did.push(format!("{ms} ms pass"));
                self.world.pass_ms(*ms);
            }
            Step::Tick => {
                self.did.push("tick".into());
                self.world.tick();
            }
            Step::Evict => self.evict(),
            Step::Word { client, line } => {
                self.run(*client, &line.split(' ').map(|word| word.into()).collect::<Vec<_>>());
            }
            Step::Command { client, seed } => {
                let line = LINES.draw(*seed, focus, self.world.now.unix_ms());
                self.run(*client, &line);
            }
        }
    }

    fn run(&mut self, client: usize, words: &[Vec<u8>]) {
        let slot = self.clients[client];
        if self.world.engine.clients.get(slot).is_blocked() {
            return;
        }
        let text = |word: &Vec<u8>| word.escape_ascii().to_string();
        let line: Vec<String> = words.iter().map(text).collect();
        let (_, reply) = self.world.execute(slot, on_the_wire(words));
        self.did.push(format!("{client}> {} {}", line.join(" "), reply.escape_debug()));
    }

    fn evict(&mut self) {
        self.did.push("evict".into());
        let client = self.world.connect();
        self.world.engine.memory_ceiling = 1;
        self.world.run(client, "PING");
        self.world.engine.memory_ceiling = 0;
        self.world.engine.disconnect(client);
    }
}

fn on_the_wire(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// What is there now, as a log.
fn as_commands(world: &World) -> Vec<u8> {
    let mut log = Vec::new();
    for (index, db) in world.engine.keyspace.iter().filter(|(_, db)| !db.is_empty()) {
        write_select(&mut log, index);
        db.iter().for_each(|entry| write_entry(&mut log, entry, world.now));
    }
    log
}

/// What a server holds that executed this log, long after.
fn replayed(log: &[u8], context: &str) -> World {
    let mut world = world();
    world.pass_ms(1_000_000_000);
    world.engine.begin_replay(world.now);
    world.replay_all(log);
    let end = world.engine.end_log(world.now);
    assert_eq!((end.errors, end.broke_off), (0, false), "{context}");
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_makes_the_same_data_whenever_it_is_executed(
        focus in prop::sample::select(&FOCUSES[..]),
        policy in prop::sample::select(&POLICIES[..]),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut server = Server::new(policy);
        steps.iter().for_each(|step| server.take(step, focus));
        let log = server.world.record.lock().expect("not poisoned").log.clone();
        let logged = server.world.logged();
        let context = format!("{:#?}\nlogged: {logged:#?}", server.did);
        let other = replayed(&log, &context);
        let expected = content(&server.world.engine.keyspace);
        prop_assert_eq!(&expected, &content(&other.engine.keyspace), "{}", context);
        let rewritten = replayed(&as_commands(&server.world), &context);
        prop_assert_eq!(&expected, &content(&rewritten.engine.keyspace), "rewritten {}", context);
    }
}
