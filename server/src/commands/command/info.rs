//! COMMAND INFO's ten fields, and the keys of a given command line.

use super::super::spec::{Access, Find, Flags, KeySpec, categories};
use super::super::{Id, subcommand};
use super::{BAD_ARGUMENTS, BAD_ARITY, NO_KEYS, NOT_A_COMMAND};
use crate::engine::Call;
use crate::error::Result;
use crate::resp::Reply;

pub(super) fn write(reply: &mut Reply<'_>, id: Id) {
    let entry = id.entry();
    let command = entry.command;
    let (first, last, step) = legacy_range(command.keys);
    reply.array(10);
    reply.bulk(entry.full_name.as_bytes());
    reply.int(entry.arity.into());
    simple_set(reply, &flag_names(id));
    reply.int(first);
    reply.int(last);
    reply.int(step);
    simple_set(reply, &categories(command));
    reply.set(command.tips.len());
    command.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(command.keys.len());
    command.keys.iter().for_each(|spec| write_key_spec(reply, spec));
    reply.array(entry.subcommands.len());
    entry.subcommands.iter().for_each(|&id| write(reply, id));
}

fn simple_set(reply: &mut Reply<'_>, words: &[&str]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

fn flag_names(id: Id) -> Vec<&'static str> {
    let command = id.entry().command;
    let is_fixed =
        |spec: &KeySpec| spec.keyword.is_none() && matches!(spec.find, Find::Range { .. });
    let mut names: Vec<&str> = command.flags.names().collect();
    if !command.keys.iter().all(is_fixed) {
        // Where the keys are depends on the arguments; it stands before `allow_busy`.
        let place = names.len() - usize::from(command.flags.contains(Flags::ALLOW_BUSY));
        names.insert(place, "movablekeys");
    }
    names
}

/// First key, last key and step, as old clients read them; zeros when the keys are no range.
fn legacy_range(keys: &[KeySpec]) -> (i64, i64, i64) {
    let ranges: Vec<(i64, i64, i64)> = keys
        .iter()
        .filter(|spec| spec.keyword.is_none())
        .filter_map(|spec| match spec.find {
            Find::Range { last, step } => {
                let first = spec.begin as i64;
                let last = i64::from(last);
                Some((first, if last >= 0 { first + last } else { last }, step as i64))
            }
            Find::FirstHalf | Find::Count { .. } | Find::Unknown => None,
        })
        .collect();
    match ranges.as_slice() {
        [] => (0, 0, 0),
        [range] => *range,
        [first, .., last] => (first.0, last.1, 1),
    }
}

fn write_key_spec(reply: &mut Reply<'_>, spec: &KeySpec) {
    let noted = !spec.notes.is_empty();
    reply.map(if noted { 4 } else { 3 });
    if noted {
        reply.bulk(b"notes");
        reply.bulk(spec.notes.as_bytes());
    }
    reply.bulk(b"flags");
    write_key_flags(reply, spec);
    reply.bulk(b"begin_search");
    write_begin(reply, spec);
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step } => {
            let fields = [("lastkey", last.into()), ("keystep", step as i64), ("limit", 0)];
            write_typed(reply, "range", &fields);
        }
        Find::FirstHalf => {
            write_typed(reply, "range", &[("lastkey", -1), ("keystep", 1), ("limit", 2)]);
        }
        Find::Count { step } => {
            let fields = [("keynumidx", 0), ("firstkey", 1), ("keystep", step as i64)];
            write_typed(reply, "keynum", &fields);
        }
        Find::Unknown => write_typed(reply, "unknown", &[]),
    }
}

fn write_begin(reply: &mut Reply<'_>, spec: &KeySpec) {
    if matches!(spec.find, Find::Unknown) {
        return write_typed(reply, "unknown", &[]);
    }
    let Some(word) = spec.keyword else {
        return write_typed(reply, "index", &[("index", spec.begin as i64)]);
    };
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"keyword");
    reply.bulk(b"spec");
    reply.map(2);
    reply.bulk(b"keyword");
    reply.bulk(word.as_bytes());
    reply.bulk(b"startfrom");
    let begin = spec.begin as i64;
    reply.int(if spec.backwards { -begin } else { begin });
}

/// `type` and `spec` of one half of a key specification.
fn write_typed(reply: &mut Reply<'_>, kind: &str, fields: &[(&str, i64)]) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.int(*value);
    }
}

pub(super) fn write_key_flags(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.set(1 + spec.effects.len());
    reply.simple(spec.access.name());
    spec.effects.iter().for_each(|effect| reply.simple(effect));
}

pub(super) struct FoundKey<'a> {
    pub(super) key: &'a [u8],
    pub(super) spec: &'static KeySpec,
}

/// The keys of the command line behind COMMAND GETKEYS.
pub(super) fn keys_of<'a>(call: &Call<'a>) -> Result<Vec<FoundKey<'a>>> {
    let line: Vec<&[u8]> = call.args().collect();
    let mut id = call.engine.names.find(line[0]).ok_or(NOT_A_COMMAND)?;
    if !id.entry().subcommands.is_empty()
        && let Some(word) = line.get(1)
    {
        id = subcommand(id, word).ok_or(NOT_A_COMMAND)?;
    }
    let entry = id.entry();
    if !entry.command.keys.iter().any(|spec| spec.access != Access::NotKey) {
        return Err(NO_KEYS);
    }
    if !entry.accepts(line.len()) {
        return Err(BAD_ARITY);
    }
    let found = entry.command.keys_of(&line).ok_or(BAD_ARGUMENTS)?;
    Ok(found.into_iter().map(|(at, spec)| FoundKey { key: line[at], spec }).collect())
}
