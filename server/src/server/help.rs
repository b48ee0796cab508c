//! HELP of redis-cli: what commands are for and how they are called.

use crate::commands::{Entry, TABLE};

/// Of the command that `words` name or begin to name, or of a group (`@name`).
pub(super) fn text(words: &[Vec<u8>]) -> String {
    let group = words.first().and_then(|first| first.strip_prefix(b"@"));
    let mut out = String::new();
    for entry in TABLE.all().map(|id| id.entry()) {
        let is_wanted = match group {
            Some(group) => entry.command.group.name().as_bytes().eq_ignore_ascii_case(group),
            None => is_called(entry, words),
        };
        if is_wanted {
            describe(&mut out, entry, group.is_none());
        }
    }
    out.push_str("\r\n");
    out
}

/// Whether the words are the command's name, or the beginning of it.
fn is_called(entry: &Entry, words: &[Vec<u8>]) -> bool {
    let mut parts = entry.full_name.split('|');
    let is_next = |word: &Vec<u8>| {
        parts.next().is_some_and(|part| part.as_bytes().eq_ignore_ascii_case(word))
    };
    words.iter().all(is_next)
}

fn describe(out: &mut String, entry: &Entry, with_group: bool) {
    let command = entry.command;
    let name = entry.full_name.to_ascii_uppercase().replace('|', " ");
    let syntax = shown(command.syntax);
    for part in ["\r\n  \x1b[1m", &name, "\x1b[0m \x1b[90m", &syntax, "\x1b[0m\r\n"] {
        out.push_str(part);
    }
    let mut line = |key: &str, value: &str| {
        for part in ["  \x1b[33m", key, ":\x1b[0m ", value, "\r\n"] {
            out.push_str(part);
        }
    };
    line("summary", command.summary);
    line("since", command.since);
    if with_group {
        line("group", command.group.name());
    }
}

/// The arguments without the types that some are written with: `count:integer`.
fn shown(syntax: &str) -> String {
    let mut parts = syntax.split(':');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-'));
    }
    out
}
