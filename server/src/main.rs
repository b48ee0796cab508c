//! The server's program: arguments to configuration, then [`holdfast_server::server::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    holdfast_server::server::main(&args)
}
