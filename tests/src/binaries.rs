//! Which program is the server under test, and which are the references it is compared with.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::{packages, redis, valkey};

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Ours: the static release binary that the image ships.
    Holdfast,
    /// Ours with counters at its branches, which it writes when it exits: see [`crate::training`].
    Counting,
    /// Debian's redis-server (7.0 on bookworm).
    Redis,
    /// Redis 8.0, built from Debian's source package.
    Redis8,
    /// Valkey 9.1, built from Debian's source package in the shortest time: for behaviour.
    Valkey,
    /// The same, built as its makefile has it: for figures.
    OptimisedValkey,
}

/// The path of `flavour`'s server; panics with what to do when it cannot be had.
pub fn server(flavour: Flavour) -> PathBuf {
    match flavour {
        Flavour::Holdfast => holdfast(),
        Flavour::Counting => counting(),
        Flavour::Redis => debian_program("redis-server"),
        Flavour::Redis8 => redis_8_directory().join("redis-server"),
        Flavour::Valkey => valkey_directory().join("valkey-server"),
        Flavour::OptimisedValkey => optimised_valkey_directory().join("valkey-server"),
    }
}

/// The server that ships, built on first use.
fn holdfast() -> PathBuf {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    let build = || match holdfast_image::static_binaries() {
        Ok(binaries) => binaries.server,
        Err(why) => panic!("{why:#}"),
    };
    SERVER.get_or_init(build).clone()
}

fn counting() -> PathBuf {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    let build = || match holdfast_image::binaries::counting_server(&crate::training::counts()) {
        Ok(server) => server,
        Err(why) => panic!("{why:#}"),
    };
    SERVER.get_or_init(build).clone()
}

/// A program of Debian's packages redis-server and redis-tools.
pub fn debian_program(name: &str) -> PathBuf {
    packages::ensure(&["redis-server", "redis-tools"]).unwrap_or_else(|why| panic!("{why}"));
    PathBuf::from("/usr/bin").join(name)
}

/// The directory with Valkey's programs for figures, built on first use.
fn optimised_valkey_directory() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let build = || valkey::optimised_programs().unwrap_or_else(|why| panic!("{why}"));
    DIRECTORY.get_or_init(build).clone()
}

/// The directory with Valkey's programs for tests, built on first use.
pub fn valkey_directory() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let build = || valkey::quick_programs().unwrap_or_else(|why| panic!("{why}"));
    DIRECTORY.get_or_init(build).clone()
}

/// The directory with Redis 8's programs, built on first use.
pub fn redis_8_directory() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let build = || redis::programs().unwrap_or_else(|why| panic!("{why}"));
    DIRECTORY.get_or_init(build).clone()
}
