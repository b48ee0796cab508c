//! `train`: counts what the server executes most, and writes the profile by which the one that ships is
//! compiled. See src/training.rs. Takes eight minutes; to be repeated when what commands go
//! through has changed, before speed is measured.

use std::process::ExitCode;

fn main() -> ExitCode {
    match holdfast_tests::training::train(&holdfast_image::binaries::profile()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
