//! Writing the references' replies into a transcript, where none are expected yet.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::Protocol::{self, Resp2, Resp3};
use super::Way;
use super::parse::{Action, Section, Transcript};
use super::run::{self, Session};
use crate::binaries::Flavour::{self, Redis, Valkey};
use crate::server::Server;

/// One recording: who answered, and the lines by the step's line number.
struct Recording {
    flavour: Flavour,
    protocol: Protocol,
    replies: HashMap<usize, Vec<String>>,
}

/// Fills the file in place; how many commands got their reply.
pub fn fill_file(path: &Path) -> Result<usize, String> {
    let transcript = Transcript::load(path)?;
    let mut replies: HashMap<usize, Vec<String>> = HashMap::new();
    for section in &transcript.sections {
        if section.steps.iter().all(|step| !step.expected.is_empty()) {
            continue;
        }
        let mut recordings = Vec::new();
        for (flavour, protocol) in
            [(Redis, Resp2), (Redis, Resp3), (Valkey, Resp2), (Valkey, Resp3)]
        {
            if run::is_for(section, flavour, protocol, Way::Plain) {
                recordings.push(record(section, flavour, protocol)?);
            }
        }
        for step in section.steps.iter().filter(|step| step.expected.is_empty()) {
            replies.insert(step.line, merged(&recordings, step.line));
        }
    }
    write_replies(path, &replies)?;
    Ok(replies.values().filter(|lines| !lines.is_empty()).count())
}

fn write_replies(path: &Path, replies: &HashMap<usize, Vec<String>>) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        let added = replies.get(&(index + 1)).into_iter().flatten().map(String::as_str);
        for line in [line].into_iter().chain(added) {
            out.push_str(line);
            out.push('\n');
        }
    }
    fs::write(path, out).map_err(|e| format!("{}: {e}", path.display()))
}

fn record(section: &Section, flavour: Flavour, protocol: Protocol) -> Result<Recording, String> {
    let args = section.args.clone().unwrap_or_default();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let server = Server::start_flavour(flavour, &args);
    let mut session = Session::new(&server, protocol, Way::Plain);
    let mut replies = HashMap::new();
    for step in &section.steps {
        let failed = |why| format!("{flavour:?} {protocol:?}, line {}: {why}", step.line);
        if step.expected.is_empty() || step.action == Action::Send {
            replies.insert(step.line, session.perform(step).map_err(failed)?);
        } else {
            session.check_step(step, false).map_err(failed)?;
        }
    }
    Ok(Recording { flavour, protocol, replies })
}

/// Everybody's lines, marked only where they differ. What Valkey answers is also asked of us.
fn merged(recordings: &[Recording], line: usize) -> Vec<String> {
    let by_protocol: fn(&Recording) -> &'static str = |r| match r.protocol {
        Resp2 => "2",
        Resp3 => "3",
    };
    let by_server: fn(&Recording) -> &'static str = |r| match r.flavour {
        Redis | Flavour::Redis8 => "redis",
        _ => "valkey,holdfast",
    };
    let own = |r: &Recording| r.replies[&line].clone();
    let Some(first) = recordings.first() else { return Vec::new() };
    if recordings.iter().all(|r| own(r) == own(first)) {
        return own(first);
    }
    for mark in [by_protocol, by_server] {
        let agree = |a: &Recording, b: &Recording| mark(a) != mark(b) || own(a) == own(b);
        if recordings.iter().all(|a| recordings.iter().all(|b| agree(a, b))) {
            let mut out = marked(mark(first), &own(first));
            let other = recordings.iter().find(|r| mark(r) != mark(first)).expect("they differ");
            out.extend(marked(mark(other), &own(other)));
            return out;
        }
    }
    let both = |r: &Recording| marked(&format!("{},{}", by_protocol(r), by_server(r)), &own(r));
    recordings.iter().flat_map(both).collect()
}

fn marked(mark: &str, lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| format!("{mark}| {line}")).collect()
}
