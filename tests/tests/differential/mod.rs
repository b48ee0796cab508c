//! The same random commands to our server and to Valkey: every reply must be the same.
//!
//! Commands come from templates, so that most of them do something and some are refused. Times are
//! absolute and far away, or long past: nothing here depends on when a command arrives.

mod lists;
mod sorted_sets;
mod strings;

use holdfast_tests::binaries::Flavour::{self, Holdfast, Valkey};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use lists::{COMPRESSED_LISTS, LISTS, LISTS_OF_THREE};
use sorted_sets::{LARGE_SORTED_SETS, SORTED_SETS};
use strings::STRINGS;

const COMMANDS_PER_RUN: usize = 4_000;
/// Shown when a reply differs.
const HISTORY: usize = 25;

/// What commands are made of.
struct Corpus {
    /// Arguments of both servers.
    args: &'static [&'static str],
    /// `<x>` is drawn from the pool of that name; what stands between brackets is left out every
    /// other time.
    templates: &'static [&'static str],
    pools: &'static [(&'static str, &'static [&'static str])],
}

impl Corpus {
    fn start(&self, flavour: Flavour) -> Server {
        Server::start_flavour(flavour, self.args)
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn command(&mut self, corpus: &Corpus) -> Vec<&'static str> {
        let mut command = Vec::new();
        let mut left_out = false;
        for word in self.pick(corpus.templates).split(' ') {
            match word {
                "[" => left_out = self.below(2) == 0,
                "]" => left_out = false,
                _ if left_out => {}
                _ => command.push(self.word(word, corpus)),
            }
        }
        command
    }

    fn word(&mut self, word: &'static str, corpus: &Corpus) -> &'static str {
        let Some(name) = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) else {
            return word;
        };
        let pool = corpus.pools.iter().find(|(known, _)| *known == name);
        let (_, pool) = pool.expect("the pool exists");
        self.pick(pool)
    }
}

/// A reply without what is a server's own business: an order, an address.
fn comparable(command: &[&str], reply: Value) -> Value {
    match (command[0], reply) {
        ("KEYS", Value::Array(keys)) => Value::Array(sorted(keys)),
        // The cursor is a server's own as well.
        ("SCAN", Value::Array(mut parts)) => match parts.pop() {
            Some(Value::Array(keys)) => Value::Array(sorted(keys)),
            other => panic!("SCAN answered {other:?}"),
        },
        ("DEBUG", Value::Status(text)) => Value::Status(nodes(&text)),
        (_, reply) => reply,
    }
}

/// What DEBUG OBJECT says of a quicklist's nodes.
fn nodes(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.find(" ql_").map_or(String::new(), |at| text[at..].to_owned()).into_bytes()
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(|value| format!("{value:?}"));
    values
}

/// One server, and what was queued in the transaction that is open on it.
struct Side {
    client: Client,
    queue: Vec<Vec<&'static str>>,
}

impl Side {
    fn new(server: &Server) -> Self {
        Self { client: server.client(), queue: Vec::new() }
    }

    fn answer(&mut self, command: &[&'static str]) -> Value {
        let reply = self.client.command(command).unwrap_or_else(|e| panic!("{command:?}: {e}"));
        match (command[0], reply) {
            ("MULTI", reply) => {
                if matches!(reply, Value::Status(_)) {
                    self.queue.clear();
                }
                reply
            }
            ("EXEC", Value::Array(replies)) => {
                let queued = self.queue.drain(..).zip(replies);
                Value::Array(queued.map(|(command, reply)| comparable(&command, reply)).collect())
            }
            (_, Value::Status(text)) if text == b"QUEUED" => {
                self.queue.push(command.to_vec());
                Value::Status(text)
            }
            (_, reply) => comparable(command, reply),
        }
    }
}

/// Sends the same commands to both; tells the first reply that differs, and what went before it.
fn first_difference(
    ours: &mut Side,
    reference: &mut Side,
    corpus: &Corpus,
    seed: u64,
) -> Option<String> {
    let mut dice = Dice(seed);
    let mut history = Vec::new();
    for _ in 0..COMMANDS_PER_RUN {
        let command = dice.command(corpus);
        history.push(command.clone());
        let (got, expected) = (ours.answer(&command), reference.answer(&command));
        if got != expected {
            let recent = &history[history.len().saturating_sub(HISTORY)..];
            return Some(format!(
                "seed {seed}: {command:?}\n  ours   {got:?}\n  Valkey {expected:?}\nafter {recent:#?}"
            ));
        }
    }
    None
}

#[track_caller]
fn check(corpus: &Corpus, seed: u64, protocol: &str) {
    let servers = [Holdfast, Valkey].map(|flavour| corpus.start(flavour));
    let [mut ours, mut reference] = servers.each_ref().map(Side::new);
    ours.client.run(protocol);
    reference.client.run(protocol);
    let difference = first_difference(&mut ours, &mut reference, corpus, seed);
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
}

#[test]
fn random_commands_are_answered_as_by_valkey_in_resp2() {
    check(&STRINGS, 1, "HELLO 2");
}

#[test]
fn random_commands_are_answered_as_by_valkey_in_resp3() {
    check(&STRINGS, 2, "HELLO 3");
}

#[test]
fn lists_have_valkeys_elements_encodings_and_nodes() {
    check(&LISTS, 3, "HELLO 2");
}

#[test]
fn lists_limited_by_their_count_have_valkeys_nodes() {
    check(&LISTS_OF_THREE, 4, "HELLO 3");
}

#[test]
fn lists_with_compressed_nodes_answer_as_valkeys() {
    check(&COMPRESSED_LISTS, 9, "HELLO 3");
}

#[test]
fn sorted_sets_have_valkeys_members_scores_and_encodings() {
    check(&SORTED_SETS, 5, "HELLO 3");
}

#[test]
fn large_sorted_sets_have_valkeys_members_and_scores() {
    check(&LARGE_SORTED_SETS, 6, "HELLO 2");
}

/// Sines come from a port of musl's functions, as in the official alpine images; Valkey's here from
/// glibc, whose last bit is another now and then. Nothing else is.
#[test]
fn stored_distances_are_valkeys_but_for_their_last_bits() {
    const MOST: f64 = 8.0 * f64::EPSILON;
    let distances = |flavour| -> Vec<f64> {
        let server = Server::start_flavour(flavour, &[]);
        let mut client = server.client();
        for nth in 0..500 {
            let (longitude, latitude) = (nth as f64 * 0.719 - 179.5, nth as f64 * 0.339 - 84.7);
            client.run(&format!("GEOADD places {longitude} {latitude} {nth}"));
        }
        client.run("GEOSEARCHSTORE all places FROMLONLAT 15 37 BYRADIUS 21000 km STOREDIST");
        let Value::Array(items) = client.run("ZRANGE all 0 -1 WITHSCORES") else { return vec![] };
        let texts = items.iter().skip(1).step_by(2).filter_map(Value::bytes);
        texts.filter_map(|text| std::str::from_utf8(text).ok()?.parse().ok()).collect()
    };
    let (ours, theirs) = (distances(Holdfast), distances(Valkey));
    assert_eq!((ours.len(), theirs.len()), (500, 500));
    let differ = |(a, b): &(&f64, &f64)| (*a - *b).abs() > MOST * b.abs();
    assert_eq!(ours.iter().zip(&theirs).find(differ), None);
}

/// The canary: one key that only one side has is found out.
#[test]
fn a_key_too_many_is_noticed() {
    let servers = [Holdfast, Holdfast].map(|flavour| STRINGS.start(flavour));
    let [mut ours, mut reference] = servers.each_ref().map(Side::new);
    ours.client.run("SET a surplus");
    assert!(first_difference(&mut ours, &mut reference, &STRINGS, 1).is_some());
}
