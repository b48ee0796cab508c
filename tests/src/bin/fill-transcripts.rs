//! `fill-transcripts FILE…`: writes the references' replies where a transcript has none yet.

use std::path::Path;
use std::process::ExitCode;

use holdfast_tests::transcript::fill::fill_file;

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        eprintln!("usage: fill-transcripts FILE…");
        return ExitCode::FAILURE;
    }
    for path in paths {
        match fill_file(Path::new(&path)) {
            Ok(filled) => println!("{path}: {filled} replies written"),
            Err(why) => {
                eprintln!("{path}: {why}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
