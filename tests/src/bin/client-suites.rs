//! `client-suites [redis-py] [node-redis] [--protocol 2|3] [--on valkey]`: runs client libraries' own
//! suites on our binary, and compares what fails with the lists in clients/*.failures.txt.
//!
//! `--on valkey` shows what fails on Valkey, without comparing.

use std::process::ExitCode;

use holdfast_tests::binaries::{self, Flavour};
use holdfast_tests::suites::{self, namespace};

/// Says that this is the process inside of the namespace.
const INSIDE: &str = "--inside";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was as expected.
fn run() -> Result<bool, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut names = Vec::new();
    let (mut flavour, mut is_inside, mut protocol) = (Flavour::Holdfast, false, None);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            INSIDE => is_inside = true,
            "--protocol" => protocol = Some(protocol_named(words.next())?),
            "--on" => flavour = flavour_named(words.next())?,
            name => names.push(name.to_owned()),
        }
    }
    let suites = suites::chosen(&names)?;
    if is_inside {
        let results: Result<Vec<bool>, String> =
            suites.iter().map(|suite| suite.check(flavour, protocol)).collect();
        return Ok(results?.into_iter().all(|is_right| is_right));
    }
    // Whatever needs the network comes first: inside there is none.
    binaries::server(flavour);
    suites.iter().try_for_each(|suite| (suite.prepare)())?;
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let status = namespace::command(this)?.arg(INSIDE).args(&args).status();
    Ok(status.map_err(|e| format!("unshare: {e}"))?.success())
}

fn protocol_named(name: Option<&String>) -> Result<&str, String> {
    match name.map(String::as_str) {
        Some(name @ ("2" | "3")) => Ok(name),
        other => Err(format!("--protocol {}: 2 or 3", other.unwrap_or_default())),
    }
}

fn flavour_named(name: Option<&String>) -> Result<Flavour, String> {
    match name.map(String::as_str) {
        Some("holdfast") => Ok(Flavour::Holdfast),
        Some("valkey") => Ok(Flavour::Valkey),
        other => Err(format!("--on {}: holdfast or valkey", other.unwrap_or_default())),
    }
}
