//! `tcl-suite [--server FILE] [--tls] [units…]`: runs units of Valkey's suite on our binary.

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
    let mut units = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--server" => server = Some(args.next().ok_or("--server needs a file")?.into()),
            "--tls" => transport = Transport::Tls,
            unit => units.push(unit.to_owned()),
        }
    }
    let mut units: Vec<&str> = units.iter().map(String::as_str).collect();
    if units.is_empty() {
        let all = if transport == Transport::Tls { tcl::TLS_UNITS } else { tcl::UNITS };
        units = all.to_vec();
    }
    let server = server.unwrap_or_else(|| binaries::server(Flavour::Holdfast));
    let reports = tcl::run_units(&units, &server, transport)?;
    print!("{}", tcl::summary(&reports));
    let (passed, counted) = tcl::totals(&reports);
    Ok(passed == counted && reports.iter().all(|report| report.aborted.is_none()))
}
