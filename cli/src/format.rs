//! Replies as text: for a terminal, for scripts, as CSV and as JSON.

use crate::quote;
use crate::reply::{Kind, Reply};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// With types, indices and quotes.
    Standard,
    Raw,
    Csv,
    Json,
    /// Strings in their quoted form, so that it is ASCII.
    QuotedJson,
}

/// What is put between things in the raw form.
#[derive(Clone, Debug)]
pub(crate) struct Delimiters {
    pub(crate) elements: Vec<u8>,
    pub(crate) replies: Vec<u8>,
}

/// `reply` in that form, with what ends it.
pub(crate) fn format(reply: &Reply, output: Output, delimiters: &Delimiters) -> Vec<u8> {
    let mut out = Vec::new();
    match output {
        Output::Standard => standard(&mut out, reply, &mut Vec::new()),
        Output::Raw => {
            raw(&mut out, reply, &delimiters.elements);
            out.extend(&delimiters.replies);
        }
        Output::Csv => {
            csv(&mut out, reply);
            out.push(b'\n');
        }
        Output::Json | Output::QuotedJson => {
            json(&mut out, reply, output);
            out.push(b'\n');
        }
    }
    out
}

fn standard(out: &mut Vec<u8>, reply: &Reply, prefix: &mut Vec<u8>) {
    match reply {
        Reply::Error(text) => parts(out, &[b"(error) ", text]),
        Reply::Status(text) | Reply::Verbatim(text) => parts(out, &[text]),
        Reply::Integer(number) => parts(out, &[b"(integer) ", number.to_string().as_bytes()]),
        Reply::Double(text) => parts(out, &[b"(double) ", text]),
        Reply::Bulk(text) => {
            quote::quoted(out, text);
            out.push(b'\n');
        }
        Reply::Nil => parts(out, &[b"(nil)"]),
        Reply::Bool(true) => parts(out, &[b"(true)"]),
        Reply::Bool(false) => parts(out, &[b"(false)"]),
        Reply::Many(kind, items) if items.is_empty() => {
            let what: &[u8] = match kind {
                Kind::Array => b"(empty array)",
                Kind::Map => b"(empty hash)",
                Kind::Set => b"(empty set)",
                Kind::Push => b"(empty push)",
            };
            parts(out, &[what]);
        }
        Reply::Many(kind, items) => many(out, *kind, items, prefix),
    }
}

/// A line of these parts.
fn parts(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(b'\n');
}

/// A line for each element, nested ones below each other. `prefix` is what lines but the first have.
fn many(out: &mut Vec<u8>, kind: Kind, items: &[Reply], prefix: &mut Vec<u8>) {
    let step = if kind == Kind::Map { 2 } else { 1 };
    let width = (items.len() / step).to_string().len();
    let sign = match kind {
        Kind::Set => '~',
        Kind::Map => '#',
        Kind::Array | Kind::Push => ')',
    };
    let outer = prefix.len();
    for (index, pair) in items.chunks(step).enumerate() {
        if index > 0 {
            out.extend_from_slice(&prefix[..outer]);
        }
        let number = (index + 1).to_string();
        out.resize(out.len() + width - number.len(), b' ');
        out.extend(number.as_bytes());
        out.extend([sign as u8, b' ']);
        prefix.resize(outer + width + 2, b' ');
        standard(out, &pair[0], prefix);
        if let Some(value) = pair.get(1) {
            out.pop();
            out.extend(b" => ");
            if is_multiline(value) {
                out.push(b'\n');
                out.extend_from_slice(prefix);
            }
            standard(out, value, prefix);
        }
        prefix.truncate(outer);
    }
}

/// Whether it takes more than one line on a terminal.
fn is_multiline(reply: &Reply) -> bool {
    match reply {
        Reply::Many(Kind::Map, items) if items.len() == 2 => is_multiline(&items[1]),
        Reply::Many(Kind::Map, items) => !items.is_empty(),
        Reply::Many(_, items) if items.len() == 1 => is_multiline(&items[0]),
        Reply::Many(_, items) => !items.is_empty(),
        _ => false,
    }
}

/// Only what a script wants, and no end of line but behind an error.
pub(crate) fn raw(out: &mut Vec<u8>, reply: &Reply, delimiter: &[u8]) {
    match reply {
        Reply::Nil => {}
        Reply::Error(text) => parts(out, &[text]),
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(text) | Reply::Double(text) => {
            out.extend_from_slice(text);
        }
        Reply::Integer(number) => out.extend(number.to_string().as_bytes()),
        Reply::Bool(value) => out.extend(if *value { &b"(true)"[..] } else { b"(false)" }),
        Reply::Many(kind, items) => {
            for (index, item) in items.iter().enumerate() {
                match (kind, index % 2) {
                    (_, 0) if index == 0 => {}
                    (Kind::Map, 1) => out.push(b' '),
                    _ => out.extend_from_slice(delimiter),
                }
                raw(out, item, delimiter);
            }
        }
    }
}

fn csv(out: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Error(text) => {
            out.extend(b"ERROR,");
            quote::quoted(out, text);
        }
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(text) => quote::quoted(out, text),
        Reply::Nil => out.extend(b"NULL"),
        Reply::Many(_, items) => list(out, items, &mut |out, item| csv(out, item)),
        plain => number_or_bool(out, plain),
    }
}

fn json(out: &mut Vec<u8>, reply: &Reply, output: Output) {
    match reply {
        Reply::Error(text) => {
            out.extend(b"error:");
            json_text(out, text, output);
        }
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(text) => {
            json_text(out, text, output);
        }
        Reply::Nil => out.extend(b"null"),
        Reply::Many(Kind::Map, items) => {
            out.push(b'{');
            for (index, pair) in items.chunks(2).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json_key(out, &pair[0], output);
                out.push(b':');
                json(out, &pair[1], output);
            }
            out.push(b'}');
        }
        Reply::Many(_, items) => {
            out.push(b'[');
            list(out, items, &mut |out, item| json(out, item, output));
            out.push(b']');
        }
        plain => number_or_bool(out, plain),
    }
}

/// JSON's keys are strings: others become one.
fn json_key(out: &mut Vec<u8>, key: &Reply, output: Output) {
    let mut text = Vec::new();
    json(&mut text, key, output);
    let is_string = key.text().is_some() || text.first() == Some(&b'"');
    match is_string {
        true => out.extend(text),
        false => {
            out.push(b'"');
            out.extend(text);
            out.push(b'"');
        }
    }
}

fn json_text(out: &mut Vec<u8>, text: &[u8], output: Output) {
    match output {
        Output::QuotedJson => quote::json_of_quoted(out, text),
        _ => quote::json(out, text),
    }
}

fn number_or_bool(out: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Integer(number) => out.extend(number.to_string().as_bytes()),
        Reply::Double(text) => out.extend_from_slice(text),
        Reply::Bool(value) => out.extend(value.to_string().as_bytes()),
        _ => {}
    }
}

fn list(out: &mut Vec<u8>, items: &[Reply], one: &mut dyn FnMut(&mut Vec<u8>, &Reply)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        one(out, item);
    }
}

/// The keys of an invalidation, in one line.
pub(crate) fn invalidation(reply: &Reply) -> Option<Vec<u8>> {
    let Reply::Many(Kind::Push, items) = reply else { return None };
    let [Reply::Bulk(what), Reply::Many(Kind::Array, keys)] = &items[..] else { return None };
    if !what.starts_with(b"invalidate") {
        return None;
    }
    let mut out = b"-> invalidate: ".to_vec();
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            out.extend(b", ");
        }
        out.push(b'\'');
        raw(&mut out, key, b"");
        out.push(b'\'');
    }
    out.push(b'\n');
    Some(out)
}

/// Commands whose replies are texts made for reading, shown as they are on a terminal, too.
pub(crate) fn is_text(words: &[Vec<u8>]) -> bool {
    let is = |at: usize, names: &[&str]| {
        let is_one =
            |word: &Vec<u8>| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
        words.get(at).is_some_and(is_one)
    };
    let count = words.len();
    is(0, &["info", "lolwut"])
        || is(0, &["debug"]) && is(1, &["htstats", "htstats-key", "client-eviction"])
        || is(0, &["memory"]) && is(1, &["malloc-stats", "doctor"])
        || count == 2 && is(0, &["cluster"]) && is(1, &["nodes", "info"])
        || is(0, &["client"]) && is(1, &["list", "info"])
        || count == 3 && is(0, &["latency"]) && is(1, &["graph"])
        || count == 2 && is(0, &["latency"]) && is(1, &["doctor"])
        || is(0, &["proxy"]) && is(1, &["info"])
}

#[cfg(test)]
mod tests;
