//! The suite of node-redis' client, from Debian's source package with the packages its lock file names.
//!
//! It starts its servers by `docker`; a program of that name in clients/bin starts the one under
//! test instead, so that the suite runs as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Outcome, Report};
use crate::binaries::{self, Flavour};
use crate::commands::run as run_command;
use crate::progress::say;
use crate::{debian_source, packages, paths, process};

/// The checks' list is made for this version. sid moves on.
const RELEASE_LINE: &str = "node-redis_4.6.";

/// The suite takes seconds; a check that hangs is ended by mocha itself.
const RUN_LIMIT: Duration = Duration::from_secs(600);

pub(super) fn prepare() -> Result<(), String> {
    let home = paths::cache("node-redis")?;
    let _lock = debian_source::lock(&home)?;
    let source = source()?;
    let built = source.join("built.txt");
    if built.exists() {
        return Ok(());
    }
    ensure_node()?;
    unpack(&home, &source)?;
    say("installing what node-redis' suite needs");
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    run_command(install.current_dir(&source))?;
    for package in ["client", "test-utils"] {
        let mut compiler = Command::new(source.join("node_modules/.bin/tsc"));
        run_command(compiler.current_dir(source.join("packages").join(package)))?;
    }
    fs::write(&built, "").map_err(|e| format!("{}: {e}", built.display()))
}

fn source() -> Result<PathBuf, String> {
    Ok(paths::cache("node-redis")?.join("source"))
}

/// Node brings its npm where it does not come from Debian.
fn ensure_node() -> Result<(), String> {
    let is_here = |program: &str| run_command(Command::new(program).arg("--version")).is_ok();
    if is_here("node") && is_here("npm") {
        return Ok(());
    }
    packages::ensure(&["nodejs", "npm"])
}

/// Only the archive of node-redis itself is wanted; others of the source package may be missing.
fn unpack(home: &Path, source: &Path) -> Result<(), String> {
    let downloaded = debian_source::download(home, "node-redis");
    let archive =
        debian_source::file_ending(&debian_source::download_directory(home), ".orig.tar.gz");
    let archive = archive.map_err(|why| downloaded.err().unwrap_or(why))?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    if !name.starts_with(RELEASE_LINE) {
        say(format!("Debian has moved on to {name}; our list is made for {RELEASE_LINE}*"));
    }
    let _ = fs::remove_dir_all(source);
    fs::create_dir_all(source).map_err(|e| format!("{}: {e}", source.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("xzf").arg(&archive).args(["--strip-components=1", "-C"]).arg(source);
    run_command(&mut tar).map(drop)
}

/// This version of the client speaks RESP2 alone.
pub(super) fn run(flavour: Flavour, _: &str) -> Result<Report, String> {
    let scratch = TempDir::with_prefix("holdfast-suite-").map_err(|e| e.to_string())?;
    let outcomes = scratch.path().join("outcomes.json");
    let (source, clients) = (source()?, paths::tests().join("clients"));
    let mut suite = Command::new(source.join("node_modules/.bin/mocha"));
    suite.args(["--exit", "-r", "source-map-support/register", "-r", "ts-node/register"]);
    suite.arg("--file").arg(clients.join("without_clusters.js"));
    let output = format!("output={}", outcomes.display());
    suite.args(["--reporter", "json", "--reporter-option", &output, "./lib/**/*.spec.ts"]);
    suite.current_dir(source.join("packages/client"));
    suite.env("NODE_PATH", source.join("node_modules")).env("PATH", path_with(&clients)?);
    suite.env("HOLDFAST_SERVER", binaries::server(flavour)).env("HOLDFAST_DIR", scratch.path());
    let suite = suite.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut suite = suite.spawn().map_err(|e| format!("mocha: {e}"))?;
    if process::exit_status(&mut suite, RUN_LIMIT).is_none() {
        let _ = suite.kill();
        return Err(format!("mocha has not ended within {RUN_LIMIT:?}"));
    }
    let text = fs::read_to_string(&outcomes).map_err(|e| format!("mocha ran nothing: {e}"))?;
    read_outcomes(&text)
}

/// The search path with our `docker` before any other.
fn path_with(clients: &Path) -> Result<String, String> {
    let path = std::env::var("PATH").map_err(|e| format!("PATH: {e}"))?;
    Ok(format!("{}:{path}", clients.join("bin").display()))
}

/// What mocha's JSON reporter writes.
fn read_outcomes(text: &str) -> Result<Report, String> {
    let all: Value = serde_json::from_str(text).map_err(|e| format!("mocha's report: {e}"))?;
    let mut report = Report::default();
    for (list, outcome) in [("passes", Outcome::Passed), ("pending", Outcome::Skipped)] {
        for check in checks(&all, list)? {
            report.note(name(check), outcome.clone());
        }
    }
    for check in checks(&all, "failures")? {
        let why = check["err"]["message"].as_str().unwrap_or_default();
        report
            .note(name(check), Outcome::Failed(why.lines().next().unwrap_or_default().to_owned()));
    }
    Ok(report)
}

fn checks<'a>(all: &'a Value, list: &str) -> Result<&'a Vec<Value>, String> {
    all[list].as_array().ok_or_else(|| format!("mocha's report has no {list}"))
}

fn name(check: &Value) -> &str {
    check["fullTitle"].as_str().unwrap_or_default()
}
