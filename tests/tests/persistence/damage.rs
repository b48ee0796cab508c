//! Four damages that power cuts and worn flash leave in a log: what becomes of it here, and on Valkey.

use std::fs;
use std::path::{Path, PathBuf};

use holdfast_tests::binaries::Flavour;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;

/// So many keys are written, each acknowledged before the next is sent, so each is a group of its own.
const KEYS: usize = 200;

/// The key whose value's bit is flipped.
const FLIPPED: usize = 150;

/// How a server starts on the damaged log.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Refuses,
    /// The first so many keys, each with its value.
    Right(usize),
    Wrong,
}

fn value(key: usize) -> String {
    format!("value-of-{key:04}")
}

/// Writes the keys, kills the server, lets `harm` at its files, and starts it again.
fn outcome(flavour: Flavour, harm: fn(&Path)) -> (Outcome, Server) {
    let mut server =
        Server::start_flavour(flavour, &["--appendonly", "yes", "--appendfsync", "always"]);
    let mut client = server.client();
    for key in 0..KEYS {
        assert_eq!(client.run(&format!("SET key:{key} {}", value(key))), Value::status("OK"));
    }
    server.kill();
    harm(&server.directory().join("appendonlydir"));
    let outcome = match server.start_again() {
        Ok(()) => what_is_there(&server),
        Err(_) => Outcome::Refuses,
    };
    (outcome, server)
}

fn what_is_there(server: &Server) -> Outcome {
    let mut client = server.client();
    let found: Vec<Value> = (0..KEYS).map(|key| client.run(&format!("GET key:{key}"))).collect();
    let is_right = |(key, reply): &(usize, &Value)| reply.bytes() == Some(value(*key).as_bytes());
    let kept = found.iter().enumerate().take_while(is_right).count();
    let nothing_else = found[kept..].iter().all(|reply| *reply == Value::Nil);
    if nothing_else { Outcome::Right(kept) } else { Outcome::Wrong }
}

fn file(directory: &Path, ending: &str) -> PathBuf {
    let entries = fs::read_dir(directory).expect("the log's directory").flatten();
    let mut paths = entries.map(|entry| entry.path());
    let is_wanted = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
    paths.find(is_wanted).unwrap_or_else(|| panic!("no {ending} in {}", directory.display()))
}

fn change(directory: &Path, ending: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = file(directory, ending);
    let mut bytes = fs::read(&path).expect("the file can be read");
    change(&mut bytes);
    fs::write(&path, bytes).expect("the file can be written");
}

fn append_zeros(directory: &Path) {
    change(directory, ".incr.aof", |bytes| bytes.extend([0; 512]));
}

fn empty_the_manifest(directory: &Path) {
    change(directory, ".manifest", Vec::clear);
}

fn flip_a_bit(directory: &Path) {
    let text = value(FLIPPED).into_bytes();
    change(directory, ".incr.aof", |bytes| {
        let at = bytes.windows(text.len()).position(|window| window == text);
        bytes[at.expect("the value is in the log")] ^= 1;
    });
}

fn cut_seven_bytes(directory: &Path) {
    change(directory, ".incr.aof", |bytes| bytes.truncate(bytes.len() - 7));
}

/// INFO's word about what was found at the start.
fn info(server: &Server, field: &str) -> String {
    let info = server.client().run("INFO persistence");
    let text = String::from_utf8_lossy(info.bytes().unwrap_or_default()).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("INFO has no {field}:\n{text}")).to_owned()
}

/// What INFO is to say of a start.
#[derive(Default)]
struct Said {
    commands: usize,
    /// Files set aside; all of their bytes were dropped, and nothing else but the zeros.
    files: usize,
    zeros: u64,
}

#[track_caller]
fn holdfast_starts(harm: fn(&Path), kept: usize, said: &Said) {
    let (outcome, server) = outcome(Flavour::Holdfast, harm);
    assert_eq!(outcome, Outcome::Right(kept), "{}", server.log_tail());
    let aside = set_aside(&server.directory().join("appendonlydir"));
    let bytes = said.zeros + aside.iter().sum::<u64>();
    let expected = [bytes.to_string(), said.commands.to_string(), said.files.to_string()];
    let found = ["bytes", "commands", "files"]
        .map(|what| info(&server, &format!("holdfast_damaged_{what}")));
    assert_eq!(found, expected, "{}", server.log_tail());
    assert_eq!(aside.len(), said.files);
}

/// The sizes of what was dropped and kept.
fn set_aside(directory: &Path) -> Vec<u64> {
    let entries = fs::read_dir(directory).expect("the log's directory").flatten();
    let aside = entries.filter(|entry| entry.file_name().to_string_lossy().contains(".damaged-"));
    aside.map(|entry| entry.metadata().expect("a file's size").len()).collect()
}

#[track_caller]
fn valkey_gives(harm: fn(&Path), expected: &Outcome) {
    let (outcome, server) = outcome(Flavour::Valkey, harm);
    assert_eq!(outcome, *expected, "{}", server.log_tail());
}

#[test]
fn zeros_at_the_end_stop_valkey_and_cost_nothing_here() {
    holdfast_starts(append_zeros, KEYS, &Said { zeros: 512, ..Said::default() });
    valkey_gives(append_zeros, &Outcome::Refuses);
}

#[test]
fn an_empty_manifest_stops_valkey_and_costs_nothing_here() {
    holdfast_starts(empty_the_manifest, KEYS, &Said::default());
    valkey_gives(empty_the_manifest, &Outcome::Refuses);
}

#[test]
fn a_flipped_bit_is_loaded_by_valkey_and_found_here() {
    holdfast_starts(flip_a_bit, FLIPPED, &Said { commands: KEYS - FLIPPED, files: 1, zeros: 0 });
    valkey_gives(flip_a_bit, &Outcome::Wrong);
}

#[test]
fn a_torn_end_costs_its_command() {
    holdfast_starts(cut_seven_bytes, KEYS - 1, &Said { commands: 1, files: 1, zeros: 0 });
    valkey_gives(cut_seven_bytes, &Outcome::Right(KEYS - 1));
}
