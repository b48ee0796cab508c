//! Training: what the server that ships is compiled for. One with counters at its branches
//! ([`Flavour::Counting`]) does what servers do; what it counted becomes the profile of the image tool.
//!
//! The commands of the benches have by far the most counts, with and without a log, alone and in
//! batches. Everything else is executed some hundred times, by the corpus of transcripts, and files are
//! written and loaded, so that it counts as used; what is never executed is compiled for size.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::Flavour;
use crate::load::commands::{BIG_REPLIES, COMMANDS, named};
use crate::load::sample::Sample;
use crate::progress::say;
use crate::server::Server;
use crate::transcript::{Protocol, Way, corpus, run::check_corpus};
use crate::{commands, packages, paths};

/// Requests of one command at one depth, and the depths.
const REQUESTS: usize = 100_000;
const DEPTHS: [usize; 3] = [1, 16, 100];
const BIG_REQUESTS: usize = 10;

/// What the log may be while they are counted. Most users have one.
const LOGS: [&[&str]; 3] = [
    &["--appendonly", "no"],
    &["--appendonly", "yes"],
    &["--appendonly", "yes", "--appendfsync", "always"],
];

const RELOADABLE: [&str; 2] = ["--enable-debug-command", "yes"];

/// A server whose memory does not suffice for the keys of SET.
const CRAMPED: [&str; 4] = ["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"];

/// Of functions that were never executed only those with so many counters go to the profile: it tells
/// LLVM to compile them for size, and small ones have nothing to give.
const FEWEST_COUNTERS: usize = 6;

/// Where the server writes what it counted.
pub fn counts() -> PathBuf {
    paths::target().join("image/counts")
}

/// Counts, and puts the profile at `out`.
pub fn train(out: &Path) -> Result<(), String> {
    let tool = profile_tool()?;
    let counts = counts();
    if counts.exists() {
        fs::remove_dir_all(&counts).map_err(|why| format!("{}: {why}", counts.display()))?;
    }
    for log in LOGS {
        say(format!("the benches' commands, {}", log.join(" ")));
        drive(&Server::start_flavour(Flavour::Counting, &[log, &RELOADABLE].concat()))?;
    }
    let cramped = Server::start_flavour(Flavour::Counting, &CRAMPED);
    let set = named("SET").ok_or("no SET")?;
    for depth in DEPTHS {
        Sample::take(&cramped, &set, depth, REQUESTS);
    }
    drop(cramped);
    for (protocol, way) in [
        (Protocol::Resp2, Way::Plain),
        (Protocol::Resp3, Way::Pipelined),
        (Protocol::Resp2, Way::InMulti),
    ] {
        say(format!("the corpus of transcripts, {protocol:?}, {way:?}"));
        check_corpus(&corpus(), Flavour::Counting, protocol, way);
    }
    merge(&tool, &counts, out)
}

/// All commands of the benches, each in its scene; then files, written and loaded.
fn drive(server: &Server) -> Result<(), String> {
    for command in COMMANDS {
        for depth in DEPTHS {
            Sample::take(server, &command, depth, REQUESTS / command.share);
        }
    }
    for command in BIG_REPLIES {
        Sample::take(server, &command, 1, BIG_REQUESTS);
    }
    for words in ["SAVE", "DEBUG RELOAD", "INFO everything"] {
        if let Some(why) = server.client().run(words).error_text() {
            return Err(format!("{words}: {why}"));
        }
    }
    Ok(())
}

/// llvm-profdata of the compiler's own LLVM, from Debian's package.
fn profile_tool() -> Result<String, String> {
    let version = commands::run(Command::new("rustc").arg("-vV"))?;
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = line.and_then(|version| version.split('.').next());
    let major = major.ok_or("rustc -vV does not say which LLVM it has")?;
    packages::ensure(&[&format!("llvm-{major}")])?;
    Ok(format!("llvm-profdata-{major}"))
}

/// All that was counted, as one file: by way of its text form, to leave out what tells nothing.
fn merge(tool: &str, counts: &Path, out: &Path) -> Result<(), String> {
    let all = counts.join("all.proftext");
    commands::run(Command::new(tool).args(["merge", "--text", "-o"]).arg(&all).arg(counts))?;
    let text = fs::read_to_string(&all).map_err(|why| format!("{}: {why}", all.display()))?;
    fs::write(&all, worth_keeping(&text)).map_err(|why| format!("{}: {why}", all.display()))?;
    commands::run(Command::new(tool).args(["merge", "-o"]).arg(out).arg(&all))?;
    say(format!("{} is new", out.display()));
    Ok(())
}

/// The functions that were executed, and what is large of the others. `profile` is a head of lines with a colon, and a paragraph for each function.
fn worth_keeping(profile: &str) -> String {
    let body = head_len(profile);
    let functions = profile[body..].split("\n\n").filter_map(function);
    profile[..body].to_owned() + &functions.collect::<String>()
}

fn head_len(profile: &str) -> usize {
    let head = profile.split_inclusive('\n').take_while(|line| line.starts_with([':', '#']));
    head.map(str::len).sum()
}

/// Name, hash, number of counters, counters, which functions were called by pointers and how much was
/// copied: a line each, with comments between.
fn function(paragraph: &str) -> Option<String> {
    let lines: Vec<&str> = paragraph.lines().filter(|line| !line.starts_with('#')).collect();
    let len: usize = lines.get(2)?.parse().ok()?;
    let counters = lines.get(3..3 + len)?;
    let is_executed = counters.iter().any(|count| *count != "0");
    (is_executed || len >= FEWEST_COUNTERS).then(|| lines.join("\n") + "\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_executed_and_what_is_large_is_kept() {
        let head = "# IR level Instrumentation Flag\n:ir\n";
        let executed = "one\n# Func Hash:\n7\n# Num Counters:\n2\n# Counter Values:\n0\n5\n\n";
        let small = "two\n# Func Hash:\n8\n# Num Counters:\n1\n# Counter Values:\n0\n\n";
        let large = "three\n9\n6\n0\n0\n0\n0\n0\n0\n# Num Value Kinds:\n1\n0\n0\n\n";
        let kept = worth_keeping(&format!("{head}{executed}{small}{large}"));
        assert_eq!(
            kept,
            format!("{head}one\n7\n2\n0\n5\n\nthree\n9\n6\n0\n0\n0\n0\n0\n0\n1\n0\n0\n\n")
        );
        assert_eq!(worth_keeping(""), "");
    }
}
