//! Writing a reference server's replies into a transcript, where none are expected yet.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::Protocol::{self, Resp2, Resp3};
use super::Way;
use super::parse::{Action, Section, Transcript};
use super::run::{self, Session};
use crate::binaries::Flavour;
use crate::server::Server;

/// Fills the file in place; how many commands got their reply.
pub fn fill_file(path: &Path, flavour: Flavour) -> Result<usize, String> {
    let transcript = Transcript::load(path)?;
    let mut replies: HashMap<usize, Vec<String>> = HashMap::new();
    for section in &transcript.sections {
        let second = record(section, flavour, Resp2)?;
        let third = record(section, flavour, Resp3)?;
        for step in section.steps.iter().filter(|step| step.expected.is_empty()) {
            let lines = merged(second.get(&step.line), third.get(&step.line));
            replies.insert(step.line, lines);
        }
    }
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        out.push_str(line);
        out.push('\n');
        for reply in replies.get(&(index + 1)).into_iter().flatten() {
            out.push_str(reply);
            out.push('\n');
        }
    }
    fs::write(path, out).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(replies.values().filter(|lines| !lines.is_empty()).count())
}

type Recorded = HashMap<usize, Vec<String>>;

fn record(section: &Section, flavour: Flavour, protocol: Protocol) -> Result<Recorded, String> {
    let mut recorded = Recorded::new();
    if !run::is_for(section, flavour, protocol, Way::Plain) {
        return Ok(recorded);
    }
    let args = section.args.clone().unwrap_or_default();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let server = Server::start_flavour(flavour, &args);
    let mut session = Session::new(&server, protocol, Way::Plain);
    for step in &section.steps {
        if step.expected.is_empty() || step.action == Action::Send {
            let lines =
                session.perform(step).map_err(|why| format!("line {}: {why}", step.line))?;
            recorded.insert(step.line, lines);
        } else {
            session.check_step(step, false).map_err(|why| format!("line {}: {why}", step.line))?;
        }
    }
    Ok(recorded)
}

/// Both protocols' lines, marked only where they differ.
fn merged(second: Option<&Vec<String>>, third: Option<&Vec<String>>) -> Vec<String> {
    let marked = |mark: &str, lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| format!("{mark}| {line}")).collect()
    };
    match (second, third) {
        (Some(second), Some(third)) if second != third => {
            [marked("2", second), marked("3", third)].concat()
        }
        (Some(lines), _) | (_, Some(lines)) => lines.clone(),
        (None, None) => Vec::new(),
    }
}
