//! Replies of RESP2 and RESP3: a value, reading it from a stream, and printing it as redis-cli does.
//!
//! Written for tests: it accepts both protocols at once and keeps every difference between the
//! types, so that a transcript can tell `+OK` from `$2 OK`.

use std::io::{self, BufRead, ErrorKind};

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Status(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    /// RESP2's `*-1`, which redis-cli prints like `$-1`; client libraries tell them apart.
    NilArray,
    Array(Vec<Value>),
    /// The digits as sent: tests compare text, not floats.
    Double(Vec<u8>),
    Boolean(bool),
    BigNumber(Vec<u8>),
    Verbatim(Vec<u8>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    Attribute(Vec<(Value, Value)>, Box<Value>),
}

/// Encodes a command as RESP: an array of bulk strings.
pub fn encode_command(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Reads one reply. A closed stream before the first byte is `UnexpectedEof`.
pub fn read_value(stream: &mut impl BufRead) -> io::Result<Value> {
    let line = read_line(stream)?;
    let (kind, rest) = line.split_first().ok_or_else(|| broken("an empty reply line"))?;
    Ok(match kind {
        b'+' => Value::Status(rest.to_vec()),
        b'-' => Value::Error(rest.to_vec()),
        b':' => Value::Integer(number(rest)?),
        b'_' => Value::Nil,
        b',' => Value::Double(rest.to_vec()),
        b'(' => Value::BigNumber(rest.to_vec()),
        b'#' => Value::Boolean(rest == b"t"),
        b'$' => match number(rest)? {
            -1 => Value::Nil,
            len => Value::Bulk(read_bulk(stream, len)?),
        },
        b'=' => Value::Verbatim(read_bulk(stream, number(rest)?)?),
        b'*' => match number(rest)? {
            -1 => Value::NilArray,
            len => Value::Array(read_many(stream, len)?),
        },
        b'~' => Value::Set(read_many(stream, number(rest)?)?),
        b'>' => Value::Push(read_many(stream, number(rest)?)?),
        b'%' => Value::Map(read_pairs(stream, number(rest)?)?),
        b'|' => {
            let attributes = read_pairs(stream, number(rest)?)?;
            Value::Attribute(attributes, Box::new(read_value(stream)?))
        }
        _ => return Err(broken(&format!("reply line {:?}", String::from_utf8_lossy(&line)))),
    })
}

fn read_line(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None => Err(broken("a reply line without CR LF")),
    }
}

fn read_bulk(stream: &mut impl BufRead, len: i64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(len).map_err(|_| broken("a negative bulk length"))?;
    let mut body = vec![0; len + 2];
    stream.read_exact(&mut body)?;
    if !body.ends_with(b"\r\n") {
        return Err(broken("a bulk string without CR LF after it"));
    }
    body.truncate(len);
    Ok(body)
}

fn read_many(stream: &mut impl BufRead, len: i64) -> io::Result<Vec<Value>> {
    (0..len).map(|_| read_value(stream)).collect()
}

fn read_pairs(stream: &mut impl BufRead, len: i64) -> io::Result<Vec<(Value, Value)>> {
    (0..len).map(|_| Ok((read_value(stream)?, read_value(stream)?))).collect()
}

fn number(digits: &[u8]) -> io::Result<i64> {
    let text = std::str::from_utf8(digits).map_err(|_| broken("a number that is not text"))?;
    text.parse().map_err(|_| broken(&format!("the number {text:?}")))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("not RESP: {what}"))
}

impl Value {
    pub fn bulk(text: impl AsRef<[u8]>) -> Self {
        Value::Bulk(text.as_ref().to_vec())
    }

    pub fn status(text: &str) -> Self {
        Value::Status(text.as_bytes().to_vec())
    }

    /// The error's text, if this is an error.
    pub fn error_text(&self) -> Option<String> {
        match self {
            Value::Error(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    }

    /// The bytes of a bulk, verbatim or status reply.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bulk(bytes) | Value::Status(bytes) => Some(bytes),
            Value::Verbatim(bytes) => bytes.get(4..),
            _ => None,
        }
    }

    /// Sorts the elements of the outermost array or set: for replies whose order is free.
    pub fn sort_elements(&mut self) {
        if let Value::Array(items) | Value::Set(items) = self {
            items.sort();
        }
        if let Value::Map(pairs) = self {
            pairs.sort();
        }
    }

    /// The reply in redis-cli's notation, one string a line.
    ///
    /// Where redis-cli's own output is ambiguous this differs: a verbatim string is
    /// `(verbatim) "txt:…"`, RESP2's null array is `(nil array)`, and a nested map value starts on
    /// its own line.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Value::Status(text) => vec![String::from_utf8_lossy(text).into_owned()],
            Value::Error(text) => vec![format!("(error) {}", String::from_utf8_lossy(text))],
            Value::Integer(n) => vec![format!("(integer) {n}")],
            Value::Bulk(bytes) => vec![quoted(bytes)],
            Value::Nil => vec!["(nil)".to_owned()],
            Value::NilArray => vec!["(nil array)".to_owned()],
            Value::Double(text) => vec![format!("(double) {}", String::from_utf8_lossy(text))],
            Value::Boolean(value) => vec![format!("({value})")],
            Value::BigNumber(text) => {
                vec![format!("(big number) {}", String::from_utf8_lossy(text))]
            }
            Value::Verbatim(bytes) => vec![format!("(verbatim) {}", quoted(bytes))],
            Value::Array(items) => list_lines(items, ')', "array"),
            Value::Set(items) => list_lines(items, '~', "set"),
            Value::Push(items) => list_lines(items, '>', "push"),
            Value::Map(pairs) => pair_lines(pairs, "hash"),
            Value::Attribute(pairs, value) => {
                let mut lines = vec!["(attribute)".to_owned()];
                lines.extend(pair_lines(pairs, "attribute"));
                lines.extend(value.lines());
                lines
            }
        }
    }
}

fn list_lines(items: &[Value], mark: char, name: &str) -> Vec<String> {
    if items.is_empty() {
        return vec![format!("(empty {name})")];
    }
    let width = items.len().to_string().len();
    let mut out = Vec::new();
    for (index, item) in items.iter().enumerate() {
        for (row, line) in item.lines().into_iter().enumerate() {
            out.push(match row {
                0 => format!("{:>width$}{mark} {line}", index + 1),
                _ => format!("{:width$}  {line}", ""),
            });
        }
    }
    out
}

fn pair_lines(pairs: &[(Value, Value)], name: &str) -> Vec<String> {
    if pairs.is_empty() {
        return vec![format!("(empty {name})")];
    }
    let width = pairs.len().to_string().len();
    let mut out = Vec::new();
    for (index, (key, value)) in pairs.iter().enumerate() {
        let key = key.lines().join(" ");
        let lines = value.lines();
        match lines.as_slice() {
            [only] => out.push(format!("{:>width$}# {key} => {only}", index + 1)),
            _ => {
                out.push(format!("{:>width$}# {key} =>", index + 1));
                out.extend(lines.iter().map(|line| format!("{:width$}  {line}", "")));
            }
        }
    }
    out
}

/// A bulk string as redis-cli prints it: double quotes, C escapes, `\xHH` for the rest.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\\""),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            0x20..=0x7e => out.push(byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wire: &str, expected: &[&str]) {
        let value = read_value(&mut wire.as_bytes()).expect("valid RESP");
        assert_eq!(value.lines(), expected);
    }

    #[test]
    fn replies_print_as_redis_cli_prints_them() {
        check("+OK\r\n", &["OK"]);
        check("$-1\r\n", &["(nil)"]);
        check("_\r\n", &["(nil)"]);
        check("$4\r\na\r\n\"\r\n", &["\"a\\r\\n\\\"\""]);
        check("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", &["1) (integer) 1", "2) 1) \"x\""]);
        check(
            "%1\r\n+k\r\n*2\r\n:1\r\n:2\r\n",
            &["1# k =>", "   1) (integer) 1", "   2) (integer) 2"],
        );
    }

    #[test]
    fn a_truncated_bulk_is_an_error() {
        assert!(read_value(&mut "$4\r\nabc".as_bytes()).is_err());
        assert!(read_value(&mut "$3\r\nabcde".as_bytes()).is_err());
        assert!(read_value(&mut "?\r\n".as_bytes()).is_err());
    }
}
