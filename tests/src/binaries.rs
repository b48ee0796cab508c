//! Which program is the server under test, and which are the references it is compared with.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::commands::run;
use crate::progress::say;
use crate::{packages, paths, valkey};

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Ours: the static release binary that the image ships.
    Holdfast,
    /// Debian's redis-server (7.0 on bookworm).
    Redis,
    /// Valkey 9.1, built from Debian's source package.
    Valkey,
}

/// The path of `flavour`'s server; panics with what to do when it cannot be had.
pub fn server(flavour: Flavour) -> PathBuf {
    match flavour {
        Flavour::Holdfast => holdfast_directory().join("holdfast-server"),
        Flavour::Redis => debian_program("redis-server"),
        Flavour::Valkey => valkey_directory().join("valkey-server"),
    }
}

/// A program of Debian's packages redis-server and redis-tools.
pub fn debian_program(name: &str) -> PathBuf {
    packages::ensure(&["redis-server", "redis-tools"]).unwrap_or_else(|why| panic!("{why}"));
    PathBuf::from("/usr/bin").join(name)
}

/// The directory with the binaries that ship, built on first use.
pub fn holdfast_directory() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let build = || build_holdfast().unwrap_or_else(|why| panic!("{why}"));
    DIRECTORY.get_or_init(build).clone()
}

/// The directory with Valkey's programs, built on first use.
pub fn valkey_directory() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let build = || valkey::programs().unwrap_or_else(|why| panic!("{why}"));
    DIRECTORY.get_or_init(build).clone()
}

fn build_holdfast() -> Result<PathBuf, String> {
    if let Some(directory) = env::var_os("HOLDFAST_BIN_DIR") {
        return Ok(PathBuf::from(directory));
    }
    say("building the static release binaries");
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--target", TARGET, "-p", "holdfast-server"]);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static").current_dir(paths::workspace());
    run(&mut cargo)?;
    Ok(paths::target().join(TARGET).join("release"))
}
