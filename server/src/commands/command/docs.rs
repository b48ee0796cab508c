//! COMMAND DOCS: what a command is for and how it is called.

use super::super::Id;
use super::syntax::{self, Argument, Kind};
use crate::resp::Reply;

/// A map from full names to documentation.
pub(super) fn write_map(reply: &mut Reply<'_>, ids: &[Id]) {
    reply.map(ids.len());
    for &id in ids {
        reply.bulk(id.entry().full_name.as_bytes());
        write(reply, id);
    }
}

fn write(reply: &mut Reply<'_>, id: Id) {
    let entry = id.entry();
    let command = entry.command;
    // A container's own syntax only says that a subcommand may follow.
    let arguments = match entry.subcommands.is_empty() {
        true => syntax::parse(command.syntax),
        false => Vec::new(),
    };
    let optional_fields =
        [!command.history.is_empty(), !arguments.is_empty(), !entry.subcommands.is_empty()];
    reply.map(4 + optional_fields.iter().filter(|present| **present).count());
    for (field, text) in [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group.name()),
        ("complexity", command.complexity),
    ] {
        reply.bulk(field.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !command.history.is_empty() {
        reply.bulk(b"history");
        reply.set(command.history.len());
        for (since, change) in command.history {
            reply.bulks(&[since, change]);
        }
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        let last = command.keys.len().saturating_sub(1);
        write_arguments(reply, &arguments, &mut KeySpecs { next: 0, last });
    }
    if !entry.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        write_map(reply, &entry.subcommands);
    }
}

/// Tells the key arguments, one after the other, which key specification they belong to.
struct KeySpecs {
    next: usize,
    last: usize,
}

impl KeySpecs {
    /// Keys beyond the specifications belong to the last of them (LCS has two keys and one range).
    fn take(&mut self) -> usize {
        self.next += 1;
        (self.next - 1).min(self.last)
    }
}

fn write_arguments(reply: &mut Reply<'_>, arguments: &[Argument], key_specs: &mut KeySpecs) {
    reply.array(arguments.len());
    for argument in arguments {
        write_argument(reply, argument, key_specs);
    }
}

fn write_argument(reply: &mut Reply<'_>, argument: &Argument, key_specs: &mut KeySpecs) {
    let (kind, parts) = match &argument.kind {
        Kind::Value(kind) => (*kind, None),
        Kind::PureToken => ("pure-token", None),
        Kind::OneOf(choices) => ("oneof", Some(choices)),
        Kind::Block(parts) => ("block", Some(parts)),
    };
    let flags: Vec<&str> = [(argument.optional, "optional"), (argument.multiple, "multiple")]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect();
    let is_key = kind == "key";
    let present = [is_key, argument.token.is_some(), !flags.is_empty()];
    reply.map(3 + present.iter().filter(|present| **present).count());
    reply.bulk(b"name");
    reply.bulk(argument.name.as_bytes());
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    if parts.is_none() {
        reply.bulk(b"display_text");
        reply.bulk(argument.name.as_bytes());
    }
    if is_key {
        reply.bulk(b"key_spec_index");
        reply.len(key_specs.take());
    }
    if let Some(token) = &argument.token {
        reply.bulk(b"token");
        reply.bulk(token.as_bytes());
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if let Some(parts) = parts {
        reply.bulk(b"arguments");
        write_arguments(reply, parts, key_specs);
    }
}
