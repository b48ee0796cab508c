//! redis-py's own suite, from its source distribution, once in RESP2 and once in RESP3.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Outcome, Report};
use crate::binaries::Flavour;
use crate::commands::run as run_command;
use crate::progress::say;
use crate::python::{self, REDIS_PY};
use crate::server::Server;
use crate::{debian_source, paths, process};

/// What its dev_requirements.txt asks for, less what formats and measures its code.
const NEEDED: &[&str] = &[
    "mock==5.2.0",
    "numpy==2.4.6",
    "packaging==26.3",
    "pytest==9.2.0",
    "pytest-asyncio==1.5.0",
    "pytest-timeout==2.4.0",
    REDIS_PY,
    "redis-entraid==1.0.0",
    "ujson==6.1.0",
];

/// The suite's own marks for what needs other servers than a single one without modules.
const MARKS: &str = "not onlycluster and not redismod and not ssl and not cp_integration";

/// Where the suite looks for its server unless told; some of its checks look nowhere else.
const PORT: u16 = 6379;

/// How long one check may take, and all of them. Some wait for what is not there.
const CHECK_SECONDS: &str = "60";
const RUN_LIMIT: Duration = Duration::from_secs(1_200);

pub(super) fn prepare() -> Result<(), String> {
    let home = paths::cache("redis-py")?;
    let _lock = debian_source::lock(&home)?;
    interpreter()?;
    if source()?.join("tests/conftest.py").exists() {
        return Ok(());
    }
    say(format!("fetching the source of {REDIS_PY}"));
    let mut download = python::pip(&interpreter()?);
    download.args(["download", "--quiet", "--no-deps", "--no-binary", ":all:", REDIS_PY]);
    run_command(download.current_dir(&home))?;
    let archive = format!("{}.tar.gz", directory_name());
    run_command(Command::new("tar").arg("xzf").arg(archive).current_dir(&home)).map(drop)
}

fn directory_name() -> String {
    REDIS_PY.replace("==", "-")
}

fn source() -> Result<PathBuf, String> {
    Ok(paths::cache("redis-py")?.join(directory_name()))
}

fn interpreter() -> Result<PathBuf, String> {
    python::environment(&paths::cache("redis-py")?.join("python"), NEEDED)
}

pub(super) fn run(flavour: Flavour, protocol: &str) -> Result<Report, String> {
    let args = ["--bind", "127.0.0.1", "::1", "--enable-debug-command", "yes"];
    let server = Server::start_at(PORT, flavour, &args)?;
    let outcomes = server.directory().join("outcomes");
    let mut suite = Command::new(interpreter()?);
    suite.args(["-m", "pytest", "tests", "--quiet", "--tb=no", "-p", "no:cacheprovider"]);
    suite.args(["-p", "pytest_outcomes", "--timeout", CHECK_SECONDS]);
    suite.args(["--protocol", protocol, "-m", MARKS]).current_dir(source()?);
    suite.env("PYTHONPATH", paths::tests().join("clients")).env("HOLDFAST_OUTCOMES", &outcomes);
    // A failing suite ends with 1, and that is no news; its words are in the outcomes.
    let suite = suite.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut suite = suite.spawn().map_err(|e| format!("pytest: {e}"))?;
    if process::exit_status(&mut suite, RUN_LIMIT).is_none() {
        let _ = suite.kill();
        return Err(format!("pytest has not ended within {RUN_LIMIT:?}"));
    }
    let text = fs::read_to_string(&outcomes).map_err(|e| format!("pytest ran nothing: {e}"))?;
    read_outcomes(&text)
}

/// The lines of clients/pytest_outcomes.py.
fn read_outcomes(text: &str) -> Result<Report, String> {
    let mut report = Report::default();
    for line in text.lines() {
        let check: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {line}"))?;
        let word = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
        let outcome = match word("outcome").as_str() {
            "passed" => Outcome::Passed,
            "skipped" => Outcome::Skipped,
            _ => Outcome::Failed(word("why")),
        };
        report.note(&word("name"), outcome);
    }
    Ok(report)
}
