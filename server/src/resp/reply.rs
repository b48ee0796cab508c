//! Replies: a typed writer over an output buffer. RESP2 and RESP3 differ here and nowhere else.

use std::fmt::Write as _;

use crate::error::Error;
use crate::number;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

impl Protocol {
    pub fn version(self) -> i64 {
        match self {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }
}

/// Writes one client's replies. A handler writes exactly one value: scalars at once, aggregates as a
/// header followed by their elements.
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
    /// Length of `out` beyond which bulk strings are left out: the client is closed then.
    limit: usize,
}

impl<'a> Reply<'a> {
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Self { out, protocol, limit: usize::MAX }
    }

    /// The same writer for a client that is closed should `out` become longer than `limit`.
    pub fn limited(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Whether that has happened: nobody will read what follows, so long work may stop.
    #[inline]
    pub fn is_over_limit(&self) -> bool {
        self.out.len() > self.limit
    }

    /// The same writer for a shorter time.
    pub fn reborrow(&mut self) -> Reply<'_> {
        Reply { out: self.out, protocol: self.protocol, limit: self.limit }
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// HELLO answers in the protocol it switches to.
    pub fn switch(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Bytes written so far to the connection's buffer; with [`Reply::truncate`] a place to go back to.
    pub fn position(&self) -> usize {
        self.out.len()
    }

    pub fn truncate(&mut self, position: usize) {
        self.out.truncate(position);
    }

    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    pub fn error(&mut self, error: &Error) {
        self.line(b'-', error.as_str().replace(['\r', '\n'], " ").as_bytes());
    }

    #[inline]
    pub fn int(&mut self, value: i64) {
        match u8::try_from(value) {
            // Counts and booleans are most integer replies.
            Ok(digit @ 0..=9) => self.out.extend_from_slice(&[b':', b'0' + digit, b'\r', b'\n']),
            _ => self.header(b':', value),
        }
    }

    #[inline]
    pub fn len(&mut self, value: usize) {
        self.int(i64::try_from(value).unwrap_or(i64::MAX));
    }

    pub fn bulk(&mut self, bytes: &[u8]) {
        if self.is_over_limit() {
            return;
        }
        self.count(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    pub fn bulk_opt(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// An integer in a bulk string, as GET answers for a counter.
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    pub fn bool(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.int(i64::from(value)),
            Protocol::Resp3 => {
                self.out.extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" })
            }
        }
    }

    pub fn double(&mut self, value: f64) {
        let text = number::DoubleText::new(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// A double whose text the caller has chosen.
    pub fn decimal(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    pub fn big_number(&mut self, digits: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits.as_bytes()),
            Protocol::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }

    /// Text for people; `format` is three letters: `txt` or `mkd`.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.count(b'=', text.len() + 4);
                self.out.extend_from_slice(format.as_bytes());
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    pub fn array(&mut self, len: usize) {
        self.count(b'*', len);
    }

    /// Puts a header before what was written since `position`, where it is known only afterwards.
    pub fn insert(&mut self, position: usize, write: impl FnOnce(&mut Reply<'_>)) {
        let mut header = Vec::new();
        write(&mut Reply::new(&mut header, self.protocol));
        self.out.splice(position..position, header);
    }

    /// A map of `len` pairs: keys and values follow in turn.
    pub fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.count(b'*', len * 2),
            Protocol::Resp3 => self.count(b'%', len),
        }
    }

    pub fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.count(b'*', len),
            Protocol::Resp3 => self.count(b'~', len),
        }
    }

    pub fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.count(b'*', len),
            Protocol::Resp3 => self.count(b'>', len),
        }
    }

    pub fn attribute(&mut self, pairs: usize) {
        debug_assert_eq!(self.protocol, Protocol::Resp3, "RESP2 has no attributes");
        self.count(b'|', pairs);
    }

    /// An array of bulk strings.
    pub fn bulks<T: AsRef<[u8]>>(&mut self, items: &[T]) {
        self.array(items.len());
        for item in items {
            self.bulk(item.as_ref());
        }
    }

    /// The lines of a `… HELP` subcommand.
    pub fn help<T: AsRef<str>>(&mut self, command: &str, lines: &[T]) {
        self.array(lines.len() + 3);
        let mut head = String::new();
        write!(head, "{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
            .expect("writing to a String does not fail");
        self.simple(&head);
        for line in lines {
            self.simple(line.as_ref());
        }
        self.simple("HELP");
        self.simple("    Print this help.");
    }

    /// Bytes that are RESP already: a queued transaction's replies.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn count(&mut self, kind: u8, count: usize) {
        match u8::try_from(count) {
            Ok(digit @ 0..=9) => self.out.extend_from_slice(&[kind, b'0' + digit, b'\r', b'\n']),
            _ => self.header(kind, i64::try_from(count).unwrap_or(i64::MAX)),
        }
    }

    fn header(&mut self, kind: u8, value: i64) {
        let mut digits = itoa::Buffer::new();
        self.line(kind, digits.format(value).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    fn check(write: impl Fn(&mut Reply), resp2: &str, resp3: &str) {
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut out = Vec::new();
            write(&mut Reply::new(&mut out, protocol));
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn each_type_has_its_shape_in_both_protocols() {
        check(|r| r.ok(), "+OK\r\n", "+OK\r\n");
        check(|r| r.error(&error::SYNTAX), "-ERR syntax error\r\n", "-ERR syntax error\r\n");
        check(|r| r.int(-12), ":-12\r\n", ":-12\r\n");
        check(|r| r.int(7), ":7\r\n", ":7\r\n");
        check(|r| r.bulk(b"ab"), "$2\r\nab\r\n", "$2\r\nab\r\n");
        check(|r| r.null(), "$-1\r\n", "_\r\n");
        check(|r| r.null_array(), "*-1\r\n", "_\r\n");
        check(|r| r.bool(true), ":1\r\n", "#t\r\n");
        check(|r| r.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
        check(|r| r.verbatim("txt", b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
        check(|r| r.map(1), "*2\r\n", "%1\r\n");
        check(|r| r.set(12), "*12\r\n", "~12\r\n");
        check(|r| r.push(3), "*3\r\n", ">3\r\n");
        check(|r| r.big_number("123"), "$3\r\n123\r\n", "(123\r\n");
    }

    #[test]
    fn an_error_never_spans_lines() {
        let error = Error::owned("ERR a\r\n+OK".into());
        check(|r| r.error(&error), "-ERR a  +OK\r\n", "-ERR a  +OK\r\n");
    }
}
