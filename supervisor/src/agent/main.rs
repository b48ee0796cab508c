//! holdfast-agent: the first service of PID 1, and the command that asks it.
//!
//! What may fail lives here: it parses holdfast.toml ([`config`]), gives init its plan ([`link`]),
//! asks the server whether it is well ([`prober`]), and answers `status` ([`serve`]). When it
//! crashes, init starts it again and every other service goes on. It never signals or starts a
//! process itself: it asks init.
#![forbid(unsafe_code)]

mod backup;
mod certs;
mod command;
mod config;
mod console;
mod control;
mod dialogue;
mod discover;
mod doctor;
mod files;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod last_good;
mod link;
mod logs;
mod network;
mod ping;
mod pressure;
mod prober;
mod report;
mod run;
mod serve;
mod source;
mod time;
mod update;
mod utc;

use std::process::ExitCode;

pub fn main() -> ExitCode {
    command::main(std::env::args_os().map(|word| word.to_string_lossy().into_owned()))
}
