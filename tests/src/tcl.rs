//! Runs units of Valkey's Tcl suite on our binary, unchanged, and counts its checks strictly.
//!
//! The suite starts whatever `$VALKEY_BIN_DIR/valkey-server` is. Checks that need what we do not have
//! yet are listed in tcl/skip.txt with the reason, and handed to the suite's own --skipfile. Each unit
//! runs in a suite process of its own, so that an exception outside a check loses one unit and not
//! the rest; such a unit counts as failed however many of its checks passed before.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::binaries;
use crate::commands::run;
use crate::progress::say;
use crate::{packages, paths, valkey};

/// The units whose commands are here.
pub const UNITS: &[&str] = &[
    "unit/type/string",
    "unit/type/incr",
    "unit/type/list",
    "unit/type/list-2",
    "unit/type/list-3",
    "unit/type/zset",
    "unit/type/hash",
    "unit/type/set",
    "unit/type/stream",
    "unit/type/stream-cgroups",
    "unit/bitops",
    "unit/bitfield",
    "unit/geo",
    "unit/sort",
    "unit/hyperloglog",
    "unit/keyspace",
    "unit/dump",
    "integration/corrupt-dump",
    "unit/scan",
    "unit/expire",
    "unit/hashexpire",
    "unit/multi",
    "unit/protocol",
    "unit/querybuf",
    "unit/quit",
    "unit/auth",
    "unit/slowlog",
    "unit/commandlog",
    "unit/latency-monitor",
    "unit/info",
    "unit/info-command",
    "unit/introspection-2",
    "unit/pubsub",
    "unit/pubsubshard",
    "unit/tracking",
    "unit/client-eviction",
    "unit/obuf-limits",
    "unit/other",
    "unit/aofrw",
    "unit/violations",
    "integration/convert-zipmap-hash-on-load",
    "integration/convert-ziplist-hash-on-load",
    "integration/convert-ziplist-zset-on-load",
    "integration/valkey-check-rdb",
];

/// Units that are run over TLS: the one about it, and some that a stream of records could break.
pub const TLS_UNITS: &[&str] = &[
    "unit/tls",
    "unit/type/list",
    "unit/type/string",
    "unit/protocol",
    "unit/querybuf",
    "unit/quit",
    "unit/pubsub",
    "unit/tracking",
    "unit/obuf-limits",
];

/// What the suite's clients speak with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
}

/// Units that are run by their names only: too many of their checks want a server that refuses to
/// start where ours mends its log.
#[cfg(test)]
const BY_NAME: &[&str] = &["integration/aof-multi-part"];

/// The suite's tags for what we have not at all: left out as a whole.
const DENIED_TAGS: &str = "-needs:repl -cluster";

/// Units whose body, outside of any check, needs what we have not: they run without the blocks that
/// the suite tags so. (A chain of replicas in the midst of the expiry of fields.)
const DENIED_IN: &[(&str, &str)] = &[("unit/hashexpire", "-external:skip")];

/// How long the suite waits for a check that makes no progress.
const SECONDS_WITHOUT_PROGRESS: &str = "240";

/// How much of the suite's words about a failed check is kept: some repeat a whole value.
const REASON_CHARS: usize = 300;

/// A check that is not run, and why.
#[derive(Debug, Clone)]
pub struct Skip {
    pub unit: String,
    pub check: String,
    pub reason: String,
}

/// What became of one unit.
#[derive(Debug)]
pub struct UnitReport {
    pub unit: String,
    pub passed: Vec<String>,
    /// Each with what the suite said about it.
    pub failed: Vec<(String, String)>,
    pub skipped: Vec<Skip>,
    /// Left out by the suite itself, by tags.
    pub left_out: usize,
    /// Why the unit did not come to its end.
    pub aborted: Option<String>,
    /// Skips of ours that name no check of this run: misspelt, or (two of jemalloc's) conditional.
    pub unknown_skips: Vec<String>,
}

impl UnitReport {
    pub fn counted(&self) -> usize {
        self.passed.len() + self.failed.len()
    }
}

/// Reads tcl/skip.txt: `# reason` lines, then `unit: check` lines.
pub fn skips() -> Vec<Skip> {
    let path = paths::tests().join("tcl/skip.txt");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reason = String::new();
    let mut skips = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(words) = line.strip_prefix("# ") {
            reason = words.to_owned();
        } else if let Some((unit, check)) = line.split_once(": ") {
            let (unit, check) = (unit.to_owned(), check.to_owned());
            skips.push(Skip { unit, check, reason: reason.clone() });
        } else {
            assert!(line == "#", "{}: neither a reason nor `unit: check`: {line}", path.display());
        }
    }
    skips
}

/// Runs `unit` on the programs in `programs` (see [`program_links`]).
pub fn run_unit(
    unit: &str,
    skips: &[Skip],
    programs: &Path,
    transport: Transport,
) -> Result<UnitReport, String> {
    packages::ensure(&["tcl", "redis-server", "redis-tools"])?;
    let tree = private_tree()?;
    if transport == Transport::Tls {
        packages::ensure(&["tcl-tls", "openssl"])?;
        make_certificates(tree.path())?;
    }
    let skipped: Vec<Skip> = skips.iter().filter(|skip| skip.unit == unit).cloned().collect();
    let names: Vec<&str> = skipped.iter().map(|skip| skip.check.as_str()).collect();
    let skip_file = tree.path().join("skipfile");
    fs::write(&skip_file, names.join("\n")).map_err(|e| e.to_string())?;
    let mut suite = Command::new("tclsh");
    suite.arg("tests/test_helper.tcl").args(["--durable", "--clients", "1", "--single", unit]);
    suite.args(["--tags", &denied_tags(unit), "--timeout", SECONDS_WITHOUT_PROGRESS]);
    suite.args(["--baseport", &base_port()?, "--portcount", PORTS_PER_UNIT]);
    suite.arg("--skipfile").arg(&skip_file);
    if transport == Transport::Tls {
        suite.arg("--tls");
    }
    suite.current_dir(tree.path()).env("VALKEY_BIN_DIR", programs).stdin(Stdio::null());
    let output = suite.output().map_err(|e| format!("cannot run tclsh: {e}"))?;
    let text = without_colours(&String::from_utf8_lossy(&output.stdout));
    Ok(read_output(unit, &text, skipped))
}

fn denied_tags(unit: &str) -> String {
    let own = DENIED_IN.iter().find(|(denied_in, _)| *denied_in == unit);
    own.map_or(DENIED_TAGS.to_owned(), |(_, tags)| format!("{DENIED_TAGS} {tags}"))
}

/// A directory of links as the suite wants it: `valkey-server` and the checkers are `server`,
/// the clients are Debian's.
pub fn program_links(server: &Path) -> Result<TempDir, String> {
    let directory = TempDir::with_prefix("holdfast-suite-").map_err(|e| e.to_string())?;
    let link = |program: PathBuf, name: &str| {
        symlink(&program, directory.path().join(name)).map_err(|e| format!("{name}: {e}"))
    };
    for name in ["valkey-server", "valkey-check-rdb", "valkey-check-aof"] {
        link(server.to_owned(), name)?;
    }
    for (name, program) in [("valkey-cli", "redis-cli"), ("valkey-benchmark", "redis-benchmark")] {
        link(binaries::debian_program(program), name)?;
    }
    Ok(directory)
}

/// How many ports the suite may try for its servers.
const PORTS_PER_UNIT: &str = "200";

/// The suite probes ports upwards from here; a lease keeps two runs from starting at one place.
fn base_port() -> Result<String, String> {
    let lease = crate::ports::PortLease::acquire().map_err(|e| e.to_string())?;
    Ok(lease.port().to_string())
}

/// The suite writes below its own tree, so each unit gets a copy of it. Links will not do: the suite
/// resolves them and then does not find its units.
fn private_tree() -> Result<TempDir, String> {
    let source = valkey::source()?;
    let tree = TempDir::with_prefix("holdfast-suite-").map_err(|e| e.to_string())?;
    run(Command::new("cp").arg("-r").arg(source.join("tests")).arg(tree.path()))?;
    Ok(tree)
}

/// Certificates as the suite's own script makes them, but for the parameters of Diffie-Hellman, which
/// take minutes and are nothing to us.
fn make_certificates(tree: &Path) -> Result<(), String> {
    let script = valkey::source()?.join("utils/gen-test-certs.sh");
    let parameters = tree.join("tests/tls/valkey.dh");
    fs::create_dir_all(tree.join("tests/tls")).map_err(|e| e.to_string())?;
    fs::write(parameters, "").map_err(|e| e.to_string())?;
    run(Command::new("bash").arg(script).current_dir(tree)).map(drop)
}

fn without_colours(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("\x1b[").enumerate() {
        let visible =
            if index == 0 { Some(part) } else { part.split_once('m').map(|(_, rest)| rest) };
        out.push_str(visible.unwrap_or_default());
    }
    out
}

fn read_output(unit: &str, text: &str, skipped: Vec<Skip>) -> UnitReport {
    let mut passed = Vec::new();
    let mut failed = Vec::new();
    let mut seen_skips = BTreeSet::new();
    let mut left_out = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("[ok]: ") {
            passed.push(rest.rsplit_once(" (").map_or(rest, |(name, _)| name).to_owned());
        } else if let Some(rest) = line.strip_prefix("[skip]: ") {
            seen_skips.insert(rest.to_owned());
        } else if line.starts_with("[ignore]: ") {
            left_out += 1;
        } else if let Some(name) = line.strip_prefix("[err]: ") {
            let name = name.rsplit_once(" in tests/").map_or(name, |(name, _)| name).to_owned();
            let why = lines.peek().copied().unwrap_or_default();
            failed.push((name, why.chars().take(REASON_CHARS).collect()));
        }
    }
    let unknown_skips = skipped.iter().map(|skip| skip.check.clone());
    let aborted = why_aborted(text);
    // An aborted unit has not come to all of its checks.
    let is_stale = |check: &String| aborted.is_none() && !seen_skips.contains(check);
    let unknown_skips = unknown_skips.filter(is_stale).collect();
    let unit = unit.to_owned();
    UnitReport { unit, passed, failed, skipped, left_out, aborted, unknown_skips }
}

/// The suite says "The End" only when every unit came to its end.
fn why_aborted(text: &str) -> Option<String> {
    if text.contains("Test Summary:")
        && !text.contains("[exception]")
        && !text.contains("[TIMEOUT]")
    {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|line| line.starts_with("[exception]"));
    let from = from.unwrap_or(lines.len().saturating_sub(30));
    Some(lines[from..].iter().take(30).copied().collect::<Vec<_>>().join("\n"))
}

/// Runs `units`, telling each one's result as it comes.
pub fn run_units(
    units: &[&str],
    server: &Path,
    transport: Transport,
) -> Result<Vec<UnitReport>, String> {
    let programs = program_links(server)?;
    let skips = skips();
    let mut reports = Vec::new();
    for unit in units {
        let report = run_unit(unit, &skips, programs.path(), transport)?;
        let ending = if report.aborted.is_some() { ", ABORTED" } else { "" };
        say(format!("{unit}: {} of {} checks pass{ending}", report.passed.len(), report.counted()));
        reports.push(report);
    }
    Ok(reports)
}

/// The whole result in words: failures one by one, skips by reason, the sum.
pub fn summary(reports: &[UnitReport]) -> String {
    let mut out = String::new();
    for report in reports {
        for (check, why) in &report.failed {
            out += &format!("failed  {}: {check}\n        {why}\n", report.unit);
        }
        for check in &report.unknown_skips {
            out += &format!("unknown {}: {check} is in skip.txt, not in this run\n", report.unit);
        }
        if let Some(why) = &report.aborted {
            out += &format!("ABORTED {}:\n{why}\n", report.unit);
        }
    }
    let mut reasons: Vec<&str> = Vec::new();
    let skipped: Vec<&Skip> = reports.iter().flat_map(|report| &report.skipped).collect();
    for skip in &skipped {
        if !reasons.contains(&skip.reason.as_str()) {
            reasons.push(&skip.reason);
        }
    }
    for reason in reasons {
        let count = skipped.iter().filter(|skip| skip.reason == reason).count();
        out += &format!("skipped {count:4}  {reason}\n");
    }
    let left_out: usize = reports.iter().map(|report| report.left_out).sum();
    out += &format!("skipped {left_out:4}  By the suite's own tags ({DENIED_TAGS}).\n");
    let (passed, counted) = totals(reports);
    out + &format!("{passed} of {counted} checks pass\n")
}

/// Checks passed and checks counted.
pub fn totals(reports: &[UnitReport]) -> (usize, usize) {
    let passed = reports.iter().map(|report| report.passed.len()).sum();
    (passed, reports.iter().map(UnitReport::counted).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_output_is_counted() {
        let text = "[ok]: one (two) (3 ms)\n[err]: two in tests/unit/quit.tcl\nExpected 1\n[skip]: three\n\
                    [ignore]: x: denied\nTest Summary: 1 passed, 1 failed\n";
        let report = read_output("unit/quit", text, Vec::new());
        assert_eq!(report.passed, ["one (two)"]);
        assert_eq!(report.failed, [("two".to_owned(), "Expected 1".to_owned())]);
        assert_eq!((report.left_out, report.aborted), (1, None));
    }

    #[test]
    fn a_unit_that_ends_early_is_aborted() {
        let report = read_output("unit/quit", "[ok]: one (3 ms)\n[exception]: boom\n", Vec::new());
        assert!(report.aborted.unwrap().contains("boom"));
        assert!(read_output("unit/quit", "[ok]: one (3 ms)\n", Vec::new()).aborted.is_some());
    }

    #[test]
    fn every_skip_has_a_reason_and_a_known_unit() {
        for skip in skips() {
            assert!(!skip.reason.is_empty(), "{}", skip.check);
            let known = [UNITS, TLS_UNITS, BY_NAME].concat();
            assert!(known.contains(&skip.unit.as_str()), "{}", skip.unit);
        }
    }
}
