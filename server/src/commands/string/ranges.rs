//! Parts of a string: APPEND, STRLEN, SETRANGE, GETRANGE and its old name SUBSTR.

use super::{GROWS, MaxLen, READS, STRING};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};
use crate::keyspace::{Ttl, Value};
use crate::types::string::{Digits, Str};

pub(super) const APPEND: Command = Command {
    name: "append",
    syntax: "key value",
    summary: "Appends a string to the value of a key. Creates the key if it doesn't exist.",
    complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by the server will double the free space available on every reallocation.",
    since: "2.0.0",
    flags: GROWS.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["insert"])],
    handler: Some(append),
    ..STRING
};

fn append(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, tail) = (args.required()?, args.required()?);
    args.finish()?;
    let max_len = MaxLen::of(call);
    let len = match call.write_string(key)? {
        Some(mut value) => {
            max_len.allows(value.view().len(), tail.len())?;
            value.append(tail)
        }
        None => {
            call.set_string(key, tail, Ttl::Clear);
            tail.len()
        }
    };
    call.changed(key);
    call.event(Class::STRING, "append", key);
    call.reply.len(len);
    Ok(())
}

pub(super) const STRLEN: Command = Command {
    name: "strlen",
    syntax: "key",
    summary: "Returns the length of a string value.",
    since: "2.2.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadOnly, &[])],
    handler: Some(strlen),
    ..STRING
};

fn strlen(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    args.finish()?;
    let (found, reply) = call.read_string_and_reply(key)?;
    reply.len(found.map_or(0, |value| value.len()));
    Ok(())
}

pub(super) const SETRANGE: Command = Command {
    name: "setrange",
    syntax: "key offset value",
    summary: "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.",
    complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
    since: "2.2.0",
    flags: GROWS,
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(setrange),
    ..STRING
};

fn setrange(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, offset, patch) = (args.required()?, args.int()?, args.required()?);
    args.finish()?;
    let offset = usize::try_from(offset).map_err(|_| error::OFFSET_OUT_OF_RANGE)?;
    let max_len = MaxLen::of(call);
    let found = call.write_string(key)?;
    if patch.is_empty() {
        let len = found.map_or(0, |value| value.view().len());
        call.reply.len(len);
        return Ok(());
    }
    max_len.allows(offset, patch.len())?;
    let len = match found {
        Some(mut value) => value.set_range(offset, patch),
        None => {
            let mut bytes = Vec::with_capacity(offset + patch.len());
            bytes.resize(offset, 0);
            bytes.extend_from_slice(patch);
            let len = bytes.len();
            call.set_value(key, Value::Str(Str::Raw(bytes)), None);
            len
        }
    };
    call.changed(key);
    call.event(Class::STRING, "setrange", key);
    call.reply.len(len);
    Ok(())
}

pub(super) const GETRANGE: Command = Command {
    name: "getrange",
    syntax: "key start end",
    summary: "Returns a substring of the string stored at a key.",
    complexity: "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
    since: "2.4.0",
    flags: Flags::READONLY,
    keys: &[READS],
    handler: Some(getrange),
    ..STRING
};

pub(super) const SUBSTR: Command = Command {
    name: "substr",
    summary: "Returns a substring from a string value.",
    since: "1.0.0",
    ..GETRANGE
};

fn getrange(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, start, end) = (args.required()?, args.int()?, args.int()?);
    args.finish()?;
    let (found, reply) = call.read_string_and_reply(key)?;
    let mut digits = Digits::new();
    let text = found.map_or(&b""[..], |value| value.bytes(&mut digits));
    reply.bulk(slice(text, start, end));
    Ok(())
}

/// The bytes from `start` to `end`, both included; negative ones count from the end.
fn slice(text: &[u8], start: i64, end: i64) -> &[u8] {
    let Ok(len) = i64::try_from(text.len()) else { return &[] };
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let from_front = |index: i64| if index < 0 { (len + index).max(0) } else { index };
    let (start, end) = (from_front(start), from_front(end).min(len - 1));
    if start > end { &[] } else { &text[start as usize..=end as usize] }
}

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn ranges_are_cut_to_the_text() {
        for (start, end, expected) in [
            (0, 3, "Hell"),
            (0, -1, "Hello"),
            (-4, -2, "ell"),
            (5, 3, ""),
            (5, 5000, ""),
            (-5000, 1, "He"),
            (-1, -5000, ""),
            (0, -5000, "H"),
            (i64::MIN, i64::MAX, "Hello"),
            (i64::MAX, i64::MIN, ""),
        ] {
            assert_eq!(slice(b"Hello", start, end), expected.as_bytes(), "{start} {end}");
        }
        assert_eq!(slice(b"", 0, -1), b"");
    }
}
