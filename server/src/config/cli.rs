//! The command line: `[CONFIG] [--directive value …] [-]`.
//!
//! Its flags are directives: they are written out as lines of a configuration file, to be read
//! behind the real one.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::syntax;

/// What the arguments ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    Help,
    Version,
    Run(Launch),
    /// Something that this version cannot do; the text says what.
    Unsupported(String),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Launch {
    /// What whoever built the image wants to hold unless somebody says otherwise: lines to be read
    /// first, from the environment variable `HOLDFAST_DEFAULTS`.
    pub defaults: Vec<u8>,
    /// Absolute.
    pub file: Option<PathBuf>,
    /// Read standard input behind the file.
    pub stdin: bool,
    /// The flags as lines, to be read last.
    pub options: Vec<u8>,
}

/// Reads the arguments behind the program's name.
pub fn parse(args: &[OsString]) -> Invocation {
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    match args.first() {
        Some(&(b"-v" | b"--version")) => return Invocation::Version,
        Some(&(b"-h" | b"--help")) => return Invocation::Help,
        Some(&(b"--test-memory" | b"--check-system")) => {
            return Invocation::Unsupported(format!(
                "{} is not built. The server takes directives as flags; see --help.",
                String::from_utf8_lossy(args[0])
            ));
        }
        _ => {}
    }
    if args.iter().any(|arg| arg.eq_ignore_ascii_case(b"--sentinel")) {
        return Invocation::Unsupported("Sentinel mode is not built yet.".into());
    }
    Invocation::Run(launch(&args))
}

fn launch(args: &[&[u8]]) -> Launch {
    let mut launch = Launch::default();
    let mut args = args;
    if let [file, rest @ ..] = args
        && !file.starts_with(b"-")
    {
        let file = PathBuf::from(OsStr::from_bytes(file));
        launch.file = Some(std::path::absolute(&file).unwrap_or(file));
        args = rest;
    }
    let first_of_all = launch.file.is_none();
    // A word that starts with `--` is a flag only where a flag's value is not still missing.
    let mut value_expected = false;
    for (index, arg) in args.iter().enumerate() {
        let next = args.get(index + 1);
        let at_an_end = (index == 0 && first_of_all) || next.is_none();
        if *arg == b"-" && at_an_end {
            launch.stdin = true;
        } else if arg.starts_with(b"--") && !value_expected {
            value_expected = push_flag(&mut launch.options, arg, next.copied());
        } else {
            syntax::quote(&mut launch.options, arg);
            launch.options.push(b' ');
            value_expected = false;
        }
    }
    launch
}

/// Starts the line of a flag, written with its dashes. True when its value is still to come.
fn push_flag(options: &mut Vec<u8>, flag: &[u8], next: Option<&[u8]>) -> bool {
    if !options.is_empty() {
        options.push(b'\n');
    }
    options.extend(&flag[2..]);
    options.push(b' ');
    let bare = syntax::split_args(flag).is_some_and(|words| words.len() == 1);
    // `--save` without a value means "no save points", for the sake of scripts that build the
    // command line from a list.
    let no_value_follows = next.is_none_or(|next| next.starts_with(b"--"));
    if flag.eq_ignore_ascii_case(b"--save") && no_value_follows {
        options.extend(b"\"\"");
        return false;
    }
    bare
}

/// The text of `--help`.
pub const HELP: &str = "\
Usage: holdfast-server [CONFIG] [--directive value ...] [-]
       holdfast-server -                 read the configuration from standard input
       holdfast-server -v | --version
       holdfast-server -h | --help

It is the same server when called as redis-server or valkey-server. Called as redis-check-rdb or
redis-check-aof it checks files of data; each of them tells how when called without arguments.

CONFIG is a redis.conf or valkey.conf. Every directive of such a file is also a flag; flags win
over the file, and standard input stands between the two. What the environment variable
HOLDFAST_DEFAULTS holds is read before all of them, as lines of such a file.

Examples:
       holdfast-server                                  the default configuration, port 6379
       holdfast-server /etc/redis/redis.conf
       holdfast-server /etc/redis/redis.conf --loglevel verbose
       holdfast-server --port 7777 --bind 127.0.0.1 --requirepass secret
       holdfast-server --save \"\" --maxmemory 100mb
       echo 'maxclients 128' | holdfast-server -

A mistake in the configuration ends the start with status 1 and names the file, the line and what
is wrong with it.
";

/// The text of `--version`, in the words tools look for (`v=`).
pub fn version() -> String {
    format!(
        "Holdfast server v={} redis={} valkey={} bits={}",
        env!("CARGO_PKG_VERSION"),
        REDIS_VERSION,
        VALKEY_VERSION,
        usize::BITS
    )
}

/// The Redis version whose commands and replies clients may rely on.
pub const REDIS_VERSION: &str = "7.2.4";
/// The Valkey version that directives and newer commands follow.
pub const VALKEY_VERSION: &str = "9.1.2";
