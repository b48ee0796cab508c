//! `doctor`: every finding, and the worst of them as the exit status.

use std::process::ExitCode;

use serde_json::Value;

use super::ask::Whom;
use super::words::{Words, unknown};
use super::{Outcome, print};
use crate::doctor::{Finding, Level, machine, server, told};

pub(super) fn main(mut words: Words) -> Outcome {
    let (mut whom, mut json) = (Whom::default(), false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--socket" => whom.socket = Some(words.value()?),
            "--json" => json = true,
            other => return Err(unknown(other)),
        }
    }
    let found = examine(&whom);
    print(&if json { to_json(&found) } else { to_text(&found) });
    let worst = found.iter().map(|finding| finding.level).max();
    Ok(ExitCode::from(worst.map_or(0, |worst| worst as u8)))
}

fn examine(whom: &Whom) -> Vec<Finding> {
    let status = whom.ask("status json").map_err(|error| error.to_string());
    let status = status.and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()));
    let mut found = match &status {
        Ok(status) => told::findings(status),
        Err(why) => {
            let seen = format!("there is none to ask: {why}");
            vec![Finding::fail("agent", seen, "as root? is holdfast-init running?")]
        }
    };
    found.extend(server::findings());
    found.extend(machine::findings());
    found.sort_by_key(|finding| std::cmp::Reverse(finding.level as u8));
    found
}

fn to_text(found: &[Finding]) -> String {
    let of = |level| found.iter().filter(|finding| finding.level == level).count();
    let lines: String = found.iter().map(|finding| format!("{finding}\n")).collect();
    let (ok, warn, fail) = (of(Level::Ok), of(Level::Warn), of(Level::Fail));
    format!("{lines}{ok} ok, {warn} to look at, {fail} to act on\n")
}

fn to_json(found: &[Finding]) -> String {
    let found: Value = serde_json::to_value(found).expect("strings are JSON");
    format!("{found}\n")
}
