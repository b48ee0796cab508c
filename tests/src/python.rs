//! Python's virtual environments with packages of PyPI, made on first use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::run;
use crate::packages;
use crate::progress::say;

/// redis-py. Its version is pinned: a new one is looked at before it can break the tests.
pub const REDIS_PY: &str = "redis==6.4.0";

/// The interpreter of an environment in `home` that has `wanted`, and nothing else.
pub fn environment(home: &Path, wanted: &[&str]) -> Result<PathBuf, String> {
    packages::ensure(&["python3", "python3-venv"])?;
    let python = home.join("bin/python");
    // Written last, so an installation that was broken off is begun anew.
    let done = home.join("installed.txt");
    let list = wanted.join("\n");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == list) {
        return Ok(python);
    }
    say(format!("installing {} into {}", wanted.join(" "), home.display()));
    run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(home))?;
    run(pip(&python).args(["install", "--quiet"]).args(wanted))?;
    fs::write(&done, list).map_err(|e| format!("{}: {e}", done.display()))?;
    Ok(python)
}

/// The environment's `pip`.
pub fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--disable-pip-version-check"]);
    pip
}
