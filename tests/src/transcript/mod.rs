//! Transcripts: commands and the replies expected, one corpus that is run many ways.
//!
//! The format is described in transcripts/README.md. [`parse`] reads it, [`pattern`] compares a
//! reply with what is expected, [`run`] drives a server in one of the ways, [`fill`] writes a
//! reference server's replies into a file whose expectations are still missing.

pub mod fill;
pub mod parse;
pub mod pattern;
pub mod run;

use std::fs;
use std::path::{Path, PathBuf};

use crate::binaries::Flavour;
use parse::Transcript;

/// The protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Resp2,
    Resp3,
}

/// One way of running the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One command at a time.
    Plain,
    /// Each command byte by byte.
    Bytewise,
    /// Every run of consecutive commands of a connection in one write.
    Pipelined,
    /// Each command as a quoted inline command.
    Inline,
    /// Each command that may be queued inside its own MULTI … EXEC.
    InMulti,
}

impl Way {
    /// The word that a `@skip` mark uses for it.
    pub fn word(self) -> &'static str {
        match self {
            Way::Plain => "plain",
            Way::Bytewise => "bytewise",
            Way::Pipelined => "pipelined",
            Way::Inline => "inline",
            Way::InMulti => "multi",
        }
    }
}

/// Whether something marked for `words` applies: protocols and servers narrow each other.
fn applies(words: &[String], protocol: Protocol, flavour: Flavour) -> bool {
    let own_protocol = match protocol {
        Protocol::Resp2 => "2",
        Protocol::Resp3 => "3",
    };
    let narrowed = |choices: &[&str], own: &str| {
        let mut named = words.iter().filter(|word| choices.contains(&word.as_str())).peekable();
        named.peek().is_none() || named.any(|word| word == own)
    };
    narrowed(&["2", "3"], own_protocol) && narrowed(&SERVERS, server_word(flavour))
}

/// What a mark calls the servers.
const SERVERS: [&str; 3] = ["holdfast", "redis", "valkey"];

fn server_word(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Holdfast | Flavour::Counting => "holdfast",
        Flavour::Redis | Flavour::Redis8 => "redis",
        Flavour::Valkey | Flavour::OptimisedValkey => "valkey",
    }
}

/// Every transcript below tests/transcripts, by name.
pub fn corpus() -> Vec<Transcript> {
    let mut paths = Vec::new();
    collect(&crate::paths::tests().join("transcripts"), &mut paths);
    paths.sort();
    let load = |path: &PathBuf| Transcript::load(path).unwrap_or_else(|why| panic!("{why}"));
    paths.iter().map(load).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|e| e == "txt") {
            paths.push(path);
        }
    }
}
