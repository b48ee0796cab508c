//! Command lines by chance, from the commands' own syntax. Most of them make sense: keys hold the type
//! that the command is for, numbers are small and so often the same.

use crate::commands::command::syntax::{self, Argument, Kind};
use crate::commands::{Command, Flags, Group, TABLE};
use crate::engine::testing::World;

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// A command with its arguments.
struct Form {
    /// Name, and subcommand.
    name: Vec<&'static str>,
    group: Group,
    arguments: Vec<Argument>,
}

/// What lines are drawn from.
pub(super) struct Lines {
    writes: Vec<Form>,
    reads: Vec<Form>,
    /// Of every type one, as DUMP gives it.
    payloads: Vec<Vec<u8>>,
}

/// Commands of the server's group that are about data.
const ABOUT_DATA: [&str; 3] = ["flushall", "flushdb", "swapdb"];

fn is_about_data(command: &Command) -> bool {
    let other =
        [Group::Cluster, Group::Connection, Group::PubSub, Group::Transactions, Group::Server];
    !other.contains(&command.group) || ABOUT_DATA.contains(&command.name)
}

impl Lines {
    pub(super) fn new() -> Self {
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        for id in TABLE.all() {
            let entry = id.entry();
            let command = entry.command;
            if !is_about_data(command) || command.handler.is_none() {
                continue;
            }
            let parent = entry.parent.map(|parent| parent.entry().command.name);
            let form = Form {
                name: parent.into_iter().chain([command.name]).collect(),
                group: command.group,
                arguments: syntax::parse(command.syntax),
            };
            if command.flags.contains(Flags::WRITE) {
                writes.push(form);
            } else if command.flags.contains(Flags::READONLY) {
                reads.push(form);
            }
        }
        Self { writes, reads, payloads: payloads() }
    }

    /// Mostly a command about `focus`, so that there is something for the next one.
    pub(super) fn draw(&self, seed: u64, focus: Group, unix_ms: i64) -> Vec<Vec<u8>> {
        let mut chance = Chance(seed);
        let forms = if chance.one_in(6) { &self.reads } else { &self.writes };
        let form = loop {
            let form = &forms[chance.below(forms.len())];
            let wanted = match form.group {
                // These leave little to be seen of what was before.
                Group::Server => chance.one_in(20),
                _ if form.name[0] == "xgroup" && form.name[1] == "destroy" => chance.one_in(8),
                group => group == focus || chance.one_in(6),
            };
            if wanted {
                break form;
            }
        };
        let group = if form.group == Group::Generic { focus } else { form.group };
        let mut line =
            Line { chance, group, lines: self, unix_ms, words: Vec::new(), count: None, keys: 0 };
        line.words.extend(form.name.iter().map(|word| word.as_bytes().to_vec()));
        line.arguments(&form.arguments);
        line.words
    }
}

fn payloads() -> Vec<Vec<u8>> {
    let mut world = World::new();
    let client = world.connect();
    for line in ["SET s 12345", "RPUSH l a b", "SADD S a 1", "ZADD z 1 a", "XADD x 1-1 a b"] {
        world.run(client, line);
    }
    world.run(client, "HSETEX h PXAT 1700000001500 FIELDS 1 a 1");
    let keys = ["s", "l", "S", "z", "x", "h"];
    let dump = |key| {
        let entry = world.engine.keyspace.db(0).find(key).expect("made above");
        crate::rdb::payload::dump(entry.value().view(), false, world.now)
    };
    keys.map(|key: &str| dump(key.as_bytes())).into()
}

/// A line being drawn.
struct Line<'a> {
    chance: Chance,
    group: Group,
    lines: &'a Lines,
    unix_ms: i64,
    words: Vec<Vec<u8>>,
    /// Where the number of what comes next stands.
    count: Option<usize>,
    /// How many keys came in a row.
    keys: usize,
}

impl Line<'_> {
    fn arguments(&mut self, arguments: &[Argument]) {
        arguments.iter().for_each(|argument| self.argument(argument));
    }

    fn argument(&mut self, argument: &Argument) {
        if argument.optional && !self.chance.one_in(3) {
            return;
        }
        let mut times = 1;
        if argument.multiple {
            times += if self.chance.one_in(2) { self.chance.below(3) } else { 0 };
            if argument.name == "id" && self.keys > 0 {
                times = self.keys;
            }
            if let Some(at) = self.count.take()
                && !self.chance.one_in(20)
            {
                self.words[at] = times.to_string().into_bytes();
            }
        }
        if let Some(token) = argument.token.as_ref() {
            self.words.push(token.as_bytes().to_vec());
        }
        for _ in 0..times {
            match &argument.kind {
                Kind::PureToken => {}
                Kind::OneOf(choices) => {
                    let choice = self.chance.below(choices.len());
                    self.argument(&choices[choice]);
                }
                Kind::Block(parts) => self.arguments(parts),
                Kind::Value(kind) => self.value(&argument.name, kind),
            }
        }
        if argument.name.contains("key") && argument.multiple {
            self.keys = times;
        }
    }

    fn value(&mut self, name: &str, kind: &str) {
        let word = if kind == "key" || matches!(name, "dst" | "src" | "newkey") {
            self.key()
        } else if name == "serialized-value" {
            self.chance.of(&self.lines.payloads)
        } else {
            self.word(name, kind).into_bytes()
        };
        if matches!(name, "numkeys" | "numfields" | "num-vertices") {
            self.count = Some(self.words.len());
        }
        self.words.push(word);
    }

    /// Mostly one that holds what the command is about.
    fn key(&mut self) -> Vec<u8> {
        const KINDS: [&str; 7] = ["s", "l", "S", "z", "h", "x", "p"];
        let kind = match self.group {
            _ if self.chance.one_in(12) => self.chance.of(&KINDS),
            Group::String | Group::Bitmap => "s",
            Group::List => "l",
            Group::Set => "S",
            Group::SortedSet | Group::Geo => "z",
            Group::Hash => "h",
            Group::Stream => "x",
            Group::HyperLogLog => "p",
            _ => self.chance.of(&KINDS),
        };
        format!("{kind}{}", self.chance.below(5) / 4).into_bytes()
    }

    fn word(&mut self, name: &str, kind: &str) -> String {
        let chance = &mut self.chance;
        let near = |chance: &mut Chance, spread: usize| chance.below(spread) as i64 - 500;
        match name {
            "seconds" => chance.of(&["1", "1", "2", "100", "0", "-1"]).into(),
            "milliseconds" | "ttl" if self.group != Group::Stream => {
                chance.of(&["1", "500", "1000", "5000", "0", "-1"]).into()
            }
            // BLOCK
            "milliseconds" | "timeout" => chance.of(&["1", "500", "0"]).into(),
            "unix-time-seconds" => (self.unix_ms / 1000 + near(chance, 600) / 100).to_string(),
            "unix-time-milliseconds" => (self.unix_ms + near(chance, 3000)).to_string(),
            "min-idle-time" | "ms" => chance.of(&["0", "100", "1000"]).into(),
            "group" => {
                if chance.one_in(8) {
                    "other".into()
                } else {
                    "g".into()
                }
            }
            "consumer" => chance.of(&["c1", "c2", "c3"]).into(),
            "id" | "last-id" | "lastid" | "max-deleted-id" => {
                const NEW: [&str; 6] = ["*", "*", "*", "3-*", "5-5", "0"];
                const UNREAD: [&str; 6] = [">", ">", ">", "0", "1-1", "$"];
                const THERE: [&str; 6] = ["1-1", "2-2", "5-5", "1700000000000-0", "0", "9"];
                chance
                    .of(match &*self.words[0] {
                        b"xadd" => &NEW,
                        b"xread" | b"xreadgroup" => &UNREAD,
                        _ => &THERE,
                    })
                    .into()
            }
            "threshold" => chance.of(&["0", "1", "2", "3", "4", "2-0", "1700000000000-0"]).into(),
            "score" | "weight" => chance.of(&["1", "2", "-1", "0.5", "inf", "-inf", "3e3"]).into(),
            "increment" | "decrement" => {
                chance.of(&["1", "5", "-3", "0.25", "9223372036854775807"]).into()
            }
            "min" | "max" | "start" | "end" | "stop" => {
                const ENDS: [&str; 12] =
                    ["0", "1", "-1", "2", "-inf", "+inf", "(1", "[a", "(c", "-", "+", "5"];
                let numbers = !matches!(self.group, Group::SortedSet | Group::Stream);
                chance.of(if numbers { &ENDS[..4] } else { &ENDS }).into()
            }
            "longitude" | "latitude" => chance.of(&["13.361389", "38.115556", "2", "40"]).into(),
            "radius" | "width" | "height" => chance.of(&["1", "100", "5000"]).into(),
            "encoding" => chance.of(&["u8", "i5", "u63", "i64"]).into(),
            "pattern" => {
                chance.of(&["*", "s*", "s0", "z*->a", "h0->*", "#", "nosort", "s[01]"]).into()
            }
            "db" | "destination-db" | "index1" | "index2" => {
                chance.of(&["0", "0", "1", "2"]).into()
            }
            "operation" => chance.of(&["AND", "OR", "XOR", "NOT"]).into(),
            "cursor" => "0".into(),
            "bit" => chance.of(&["0", "1"]).into(),
            "frequency" => chance.of(&["0", "200"]).into(),
            "offset" | "count" | "index" | "entries-read" | "entries-added" | "rank" | "len"
            | "limit" | "numkeys" | "numfields" => {
                chance.of(&["0", "1", "1", "2", "3", "7", "-1"]).into()
            }
            _ if kind == "integer" => chance.of(&["0", "1", "5", "-3"]).into(),
            _ => self.text(),
        }
    }

    /// A value, a member, a field.
    fn text(&mut self) -> String {
        let long = |digit: usize| format!("{digit}").repeat(100);
        match self.chance.below(20) {
            0 => long(self.chance.below(3)),
            1 => String::new(),
            2..6 => self.chance.of(&["0", "1", "2", "-7", "1.5", "10"]).into(),
            _ => self.chance.of(&["a", "b", "c", "d", "e"]).into(),
        }
    }
}
