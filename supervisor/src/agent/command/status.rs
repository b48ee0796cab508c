//! `status`: the report, or whether the server is ready.

use std::process::ExitCode;

use super::ask::{Whom, nobody};
use super::words::{Words, unknown};
use super::{Outcome, print};

pub(super) fn main(mut words: Words) -> Outcome {
    let (mut whom, mut json, mut ready) = (Whom::default(), false, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => json = true,
            "--ready" => ready = true,
            "--socket" => whom.socket = Some(words.value()?),
            "--connect" => whom.connect = Some(words.value()?),
            other => return Err(unknown(other)),
        }
    }
    let request = if json || ready { "status json" } else { "status" };
    Ok(match whom.ask(request) {
        Ok(answer) if ready => exit_ready(&answer),
        Ok(answer) => print(&answer),
        Err(error) => nobody(&error),
    })
}

fn exit_ready(answer: &str) -> ExitCode {
    let report: Option<serde_json::Value> = serde_json::from_str(answer).ok();
    let ready = report.is_some_and(|report| report["ready"] == true);
    if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
