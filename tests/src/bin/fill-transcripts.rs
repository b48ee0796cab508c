//! `fill-transcripts redis|valkey|holdfast FILE…`: writes missing replies into transcripts.

use std::path::Path;
use std::process::ExitCode;

use holdfast_tests::binaries::Flavour;
use holdfast_tests::transcript::fill::fill_file;

const USAGE: &str = "usage: fill-transcripts redis|valkey|holdfast FILE…";

fn main() -> ExitCode {
    match fill() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn fill() -> Result<(), String> {
    let mut args = std::env::args().skip(1);
    let flavour = match args.next().as_deref() {
        Some("redis") => Flavour::Redis,
        Some("valkey") => Flavour::Valkey,
        Some("holdfast") => Flavour::Holdfast,
        _ => return Err(USAGE.to_owned()),
    };
    for path in args {
        let filled =
            fill_file(Path::new(&path), flavour).map_err(|why| format!("{path}: {why}"))?;
        println!("{path}: {filled} replies written");
    }
    Ok(())
}
