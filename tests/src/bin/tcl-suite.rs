//! `tcl-suite [--server FILE] [--tls] [--jobs N] [units…]`: runs units of Valkey's suite on
//! our binary.

use std::path::PathBuf;
use std::process::ExitCode;

use holdfast_tests::binaries::{self, Flavour};
use holdfast_tests::tcl::{self, Transport};

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

/// Whether every counted check passed.
fn run() -> Result<bool, String> {
    let mut server: Option<PathBuf> = None;
    let mut transport = Transport::Plain;
    let mut chosen = tcl::UNITS.to_vec();
    let mut jobs = tcl::default_jobs();
    let mut named = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--server" => server = Some(value()?.into()),
            "--jobs" => jobs = value()?.parse().map_err(|e| format!("--jobs: {e}"))?,
            "--tls" => (transport, chosen) = (Transport::Tls, tcl::TLS_UNITS.to_vec()),
            _ => named.push(arg),
        }
    }
    if !named.is_empty() {
        chosen = named.iter().map(String::as_str).collect();
    }
    let server = server.unwrap_or_else(|| binaries::server(Flavour::Holdfast));
    let reports = tcl::run_units(&chosen, &server, transport, jobs)?;
    print!("{}", tcl::summary(&reports));
    let (passed, counted) = tcl::totals(&reports);
    Ok(passed == counted && reports.iter().all(|report| report.aborted.is_none()))
}
