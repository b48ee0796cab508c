//! The other programs that this one is, by the name it is called by.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use holdfast_cli::About;

use super::help;
use crate::clock::Clock;
use crate::config::cli::{REDIS_VERSION, VALKEY_VERSION};
use crate::net::tls::connect;
use crate::persistence::aof;
use crate::rdb::file::check;

static ABOUT: About = About {
    redis: REDIS_VERSION,
    valkey: VALKEY_VERSION,
    holdfast: env!("CARGO_PKG_VERSION"),
    help: help::text,
    tls: connect::connect,
};

/// Runs the tool that `args`, the program's name first, call; `None` if that is the server.
pub(super) fn run(args: &[OsString]) -> Option<ExitCode> {
    let name = Path::new(args.first()?).file_name()?.to_str()?;
    let makers = ["redis-", "valkey-", "holdfast-"];
    let tool = match makers.iter().find_map(|by| name.strip_prefix(by)) {
        Some(tool) => tool,
        None if name == "sh" => name,
        None => return None,
    };
    let now = Clock::start().now();
    let status = match tool {
        "check-rdb" => check::run(args, now, &mut io::stdout().lock(), &mut io::stderr().lock()),
        "check-aof" => {
            let words: Vec<String> =
                args.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            aof::check::main(&words, &mut |file, out| check::check(file, now, out))
        }
        "cli" => holdfast_cli::main(args, &ABOUT),
        "sh" => holdfast_sh::main(args),
        _ => return None,
    };
    Some(ExitCode::from(status))
}
