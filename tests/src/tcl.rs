//! Runs units of Valkey's Tcl suite on our binary, unchanged, and counts its checks strictly.
//!
//! The suite starts whatever `$VALKEY_BIN_DIR/valkey-server` is. Checks that need what we do not have
//! yet are listed in tcl/skip.txt with the reason, and handed to the suite's own --skipfile. Each unit
//! runs in a suite process of its own, so that an exception outside a check loses one unit and not
//! the rest; such a unit counts as failed however many of its checks passed before. Several units
//! run side by side: most of them wait most of the time.

mod report;
mod units;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use crate::binaries;
use crate::commands::run;
use crate::ports::PortLease;
use crate::progress::say;
use crate::{packages, paths, valkey};

pub use report::{UnitReport, summary, totals};
use units::{CLIENT_UNITS, DENIED_TAGS, denied_tags};
pub use units::{TLS_UNITS, UNITS};

/// What the suite's clients speak with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
}

/// How long the suite waits for a check that makes no progress.
const SECONDS_WITHOUT_PROGRESS: &str = "240";

/// A check that is not run, and why.
#[derive(Debug, Clone)]
pub struct Skip {
    pub unit: String,
    pub check: String,
    pub reason: String,
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

/// One unit more at once than this machine has processors: the slowest mostly wait.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) + 1
}

/// Runs `units`, `jobs` at a time, telling each one's result as it comes.
pub fn run_units(
    units: &[&str],
    server: &Path,
    transport: Transport,
    jobs: usize,
) -> Result<Vec<UnitReport>, String> {
    packages::ensure(&["tcl", "redis-server", "redis-tools"])?;
    if transport == Transport::Tls {
        packages::ensure(&["tcl-tls", "openssl"])?;
    }
    let skips = skips();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<UnitReport, String>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, units.len().max(1)) {
            scope.spawn(|| {
                while let Some((nth, unit)) = take(units, &next) {
                    let report = run_unit(unit, &skips, server, transport);
                    report.as_ref().map_or_else(say, |report| say(report.line()));
                    done.lock().expect("nobody panics while he holds it").push((nth, report));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("nobody panics while he holds it");
    done.sort_by_key(|(nth, _)| *nth);
    let once_more = |report: UnitReport| repeat_if_aborted(report, &skips, server, transport);
    done.into_iter().map(|(_, report)| report.and_then(once_more)).collect()
}

/// A unit that did not come to its end has a second chance alone: the suite's own deadlines may have
/// passed because of its neighbours.
fn repeat_if_aborted(
    report: UnitReport,
    skips: &[Skip],
    server: &Path,
    transport: Transport,
) -> Result<UnitReport, String> {
    if report.aborted.is_none() {
        return Ok(report);
    }
    say(format!("{}: once more, alone", report.unit));
    let report = run_unit(&report.unit, skips, server, transport);
    report.inspect(|report| say(report.line()))
}

fn take<'a>(units: &[&'a str], next: &AtomicUsize) -> Option<(usize, &'a str)> {
    let nth = next.fetch_add(1, Ordering::Relaxed);
    units.get(nth).map(|unit| (nth, *unit))
}

fn run_unit(
    unit: &str,
    skips: &[Skip],
    server: &Path,
    transport: Transport,
) -> Result<UnitReport, String> {
    let (tree, programs) = (private_tree()?, program_links(server, unit)?);
    if transport == Transport::Tls {
        make_certificates(tree.path())?;
    }
    let skipped: Vec<Skip> = skips.iter().filter(|skip| skip.unit == unit).cloned().collect();
    let names: Vec<&str> = skipped.iter().map(|skip| skip.check.as_str()).collect();
    let skip_file = tree.path().join("skipfile");
    fs::write(&skip_file, names.join("\n")).map_err(|e| e.to_string())?;
    let ports = ports_of_a_unit()?;
    let mut suite = Command::new("tclsh");
    suite.arg("tests/test_helper.tcl").args(["--durable", "--clients", "1", "--single", unit]);
    suite.args(["--tags", &denied_tags(unit), "--timeout", SECONDS_WITHOUT_PROGRESS]);
    suite.args(["--baseport", &ports.port().to_string()]);
    suite.args(["--portcount", &PORTS_PER_UNIT.to_string()]);
    suite.arg("--skipfile").arg(&skip_file);
    if transport == Transport::Tls {
        suite.arg("--tls");
    }
    suite.current_dir(tree.path()).env("VALKEY_BIN_DIR", programs.path()).stdin(Stdio::null());
    let began = Instant::now();
    let output = suite.output().map_err(|e| format!("cannot run tclsh: {e}"))?;
    let mut report = UnitReport::read(unit, &String::from_utf8_lossy(&output.stdout), skipped);
    report.took = began.elapsed();
    Ok(report)
}

/// A directory of links as the suite wants it: `valkey-server` and the checkers are `server`, the
/// clients are Debian's, but where the unit is about Valkey's own.
fn program_links(server: &Path, unit: &str) -> Result<TempDir, String> {
    let directory = TempDir::with_prefix("holdfast-suite-").map_err(|e| e.to_string())?;
    let link = |program: PathBuf, name: &str| {
        symlink(&program, directory.path().join(name)).map_err(|e| format!("{name}: {e}"))
    };
    for name in ["valkey-server", "valkey-check-rdb", "valkey-check-aof"] {
        link(server.to_owned(), name)?;
    }
    for (name, program) in [("valkey-cli", "redis-cli"), ("valkey-benchmark", "redis-benchmark")] {
        if CLIENT_UNITS.contains(&unit) {
            link(valkey::quick_programs()?.join(name), name)?;
        } else {
            link(binaries::debian_program(program), name)?;
        }
    }
    Ok(directory)
}

/// How many ports the suite may try for its servers.
const PORTS_PER_UNIT: u16 = 200;

/// The suite probes ports upwards from the one leased here. Below those that other tests lease, so
/// that no two runs meet.
fn ports_of_a_unit() -> Result<PortLease, String> {
    const FIRST: u16 = 11_000;
    const BLOCKS: u16 = 50;
    let mut firsts = (0..BLOCKS).map(|block| FIRST + block * PORTS_PER_UNIT);
    let lease = firsts.find_map(|first| PortLease::of(first).ok());
    lease.ok_or_else(|| format!("{BLOCKS} units run already, or leases cannot be written"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_skip_has_a_reason_and_a_known_unit() {
        for skip in skips() {
            assert!(!skip.reason.is_empty(), "{}", skip.check);
            let known = UNITS.contains(&skip.unit.as_str()) || TLS_UNITS.contains(&&*skip.unit);
            assert!(known, "{}", skip.unit);
        }
    }

    #[test]
    fn a_unit_is_listed_once() {
        let unique: std::collections::BTreeSet<_> = UNITS.iter().collect();
        assert_eq!(unique.len(), UNITS.len());
    }
}
