//! Replies as values, read from a server that may send anything.
//!
//! What comes is bounded before it is kept: the depth, a line, a string, the whole reply. Room is made
//! for what has arrived, never for what was announced. The texts of errors are libvalkey's.

use std::io;

/// Arrays in arrays; COMMAND DOCS needs ten.
const MAX_DEPTH: u32 = 64;
/// Bytes of a line: a status, an error, a number.
const MAX_LINE: usize = 1 << 20;
/// Bytes of a reply on the wire; a string is at most 512 MB unless the server was told otherwise.
const MAX_REPLY: usize = 1 << 30;
/// Elements that an announced length may have, as in libvalkey.
const MAX_ELEMENTS: i64 = u32::MAX as i64;
/// What a read asks for.
const CHUNK: usize = 16 << 10;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Status(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    /// As the server wrote it; big numbers, too.
    Double(Vec<u8>),
    Bool(bool),
    Nil,
    Bulk(Vec<u8>),
    /// Without its `txt:`.
    Verbatim(Vec<u8>),
    Many(Kind, Vec<Reply>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Array,
    Set,
    /// Keys and values in turn.
    Map,
    Push,
}

impl Reply {
    /// The bytes of a string of whatever kind.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Status(text) | Self::Error(text) | Self::Bulk(text) | Self::Verbatim(text) => {
                Some(text)
            }
            _ => None,
        }
    }

    pub(crate) fn error(&self) -> Option<&[u8]> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Failure {
    Closed,
    Io(io::Error),
    Protocol(String),
}

type Result<T> = std::result::Result<T, Failure>;

/// Reads some bytes; 0 is the end.
pub(crate) type Source = Box<dyn FnMut(&mut [u8]) -> io::Result<usize>>;

pub(crate) struct Reader {
    source: Source,
    buffer: Vec<u8>,
    /// How much of the buffer was taken.
    at: usize,
    /// Bytes that the reply being read may still have.
    room: usize,
}

impl Reader {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, buffer: Vec::new(), at: 0, room: 0 }
    }

    /// Whether something of the next reply has arrived already.
    pub(crate) fn has_more(&self) -> bool {
        self.at < self.buffer.len()
    }

    pub(crate) fn reply(&mut self) -> Result<Reply> {
        self.room = MAX_REPLY;
        loop {
            if let Some(reply) = self.item(0)? {
                return Ok(reply);
            }
        }
    }

    /// `None` for attributes, which belong to what follows and are not shown.
    fn item(&mut self, depth: u32) -> Result<Option<Reply>> {
        let line = self.line()?;
        let Some((&sign, rest)) = line.split_first() else {
            return Err(wrong_type(b'\r'));
        };
        let reply = match sign {
            b'+' => Reply::Status(rest.to_vec()),
            b'-' => Reply::Error(rest.to_vec()),
            b':' => Reply::Integer(parse_int(rest).ok_or_else(|| bad("Bad integer value"))?),
            b',' => Reply::Double(double(rest)?),
            b'(' => Reply::Double(big_number(rest)?),
            b'#' => Reply::Bool(boolean(rest)?),
            b'_' if rest.is_empty() => Reply::Nil,
            b'_' => return Err(bad("Bad nil value")),
            b'$' => self.string(rest)?.map_or(Reply::Nil, Reply::Bulk),
            b'=' => self.string(rest)?.map_or(Ok(Reply::Nil), verbatim)?,
            b'*' => self.many(Kind::Array, rest, depth)?,
            b'~' => self.many(Kind::Set, rest, depth)?,
            b'%' => self.many(Kind::Map, rest, depth)?,
            b'>' => self.many(Kind::Push, rest, depth)?,
            b'|' => {
                self.many(Kind::Map, rest, depth)?;
                return Ok(None);
            }
            other => return Err(wrong_type(other)),
        };
        Ok(Some(reply))
    }

    fn many(&mut self, kind: Kind, length: &[u8], depth: u32) -> Result<Reply> {
        let count = parse_int(length).ok_or_else(|| bad("Bad multi-bulk length"))?;
        if count == -1 {
            return Ok(Reply::Nil);
        }
        if !(0..=MAX_ELEMENTS).contains(&count) {
            return Err(bad("Multi-bulk length out of range"));
        }
        if depth == MAX_DEPTH {
            return Err(bad("Reply is nested too deeply"));
        }
        let count = if kind == Kind::Map { count * 2 } else { count };
        let mut items = Vec::new();
        let mut left = count;
        while left > 0 {
            if let Some(item) = self.item(depth + 1)? {
                items.push(item);
                left -= 1;
            }
        }
        Ok(Reply::Many(kind, items))
    }

    /// A string of an announced length, and the end of line behind it.
    fn string(&mut self, length: &[u8]) -> Result<Option<Vec<u8>>> {
        let length = parse_int(length).ok_or_else(|| bad("Bad bulk string length"))?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).ok().filter(|&length| length < self.room);
        let length = length.ok_or_else(|| bad("Bulk string length out of range"))?;
        let mut string = self.exactly(length)?;
        if self.exactly(2)? != *b"\r\n" {
            return Err(bad("Bad bulk string end"));
        }
        string.shrink_to_fit();
        Ok(Some(string))
    }

    fn exactly(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            if !self.has_more() {
                self.fill()?;
            }
            let end = self.buffer.len().min(self.at + count - bytes.len());
            bytes.extend_from_slice(&self.buffer[self.at..end]);
            self.at = end;
        }
        self.spend(count)?;
        Ok(bytes)
    }

    /// What is before the next `\r\n`, which is taken, too.
    fn line(&mut self) -> Result<Vec<u8>> {
        let mut looked = 0;
        loop {
            let fresh = &self.buffer[self.at..];
            let ends = |pair: &[u8]| pair == b"\r\n";
            if let Some(found) = fresh[looked..].windows(2).position(ends) {
                let line = fresh[..looked + found].to_vec();
                self.at += line.len() + 2;
                self.spend(line.len() + 2)?;
                return Ok(line);
            }
            if fresh.len() > MAX_LINE {
                return Err(bad("Line is too long"));
            }
            // What cannot begin a reply need not be waited for to its end.
            if let Some(&sign) = fresh.first().filter(|sign| !b"+-:,(#_$=*~%>|".contains(sign)) {
                return Err(wrong_type(sign));
            }
            looked = fresh.len().saturating_sub(1);
            self.fill()?;
        }
    }

    fn spend(&mut self, count: usize) -> Result<()> {
        self.room = self.room.checked_sub(count).ok_or_else(|| bad("Reply is too large"))?;
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + CHUNK, 0);
        let got = read(&mut self.source, &mut self.buffer[kept..]);
        self.buffer.truncate(kept + *got.as_ref().unwrap_or(&0));
        match got {
            Ok(0) => Err(Failure::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Io(error)),
        }
    }
}

fn read(source: &mut Source, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match source(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// An integer as it is printed: no `+`, no leading zero, no space.
fn parse_int(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

fn double(text: &[u8]) -> Result<Vec<u8>> {
    /// The longest that `printf` makes of a double.
    const LONGEST: usize = 325;
    let word = std::str::from_utf8(text).ok().filter(|word| word.len() <= LONGEST);
    let is_special = |word: &str| {
        ["inf", "-inf", "nan", "-nan"].iter().any(|known| word.eq_ignore_ascii_case(known))
    };
    let is_number = |word: &str| word.parse().is_ok_and(f64::is_finite);
    match word {
        Some(word) if is_special(word) || is_number(word) => Ok(text.to_vec()),
        _ => Err(bad("Bad double value")),
    }
}

fn big_number(text: &[u8]) -> Result<Vec<u8>> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad("Bad bignum value"));
    }
    Ok(text.to_vec())
}

fn boolean(text: &[u8]) -> Result<bool> {
    match text {
        b"t" | b"T" => Ok(true),
        b"f" | b"F" => Ok(false),
        _ => Err(bad("Bad bool value")),
    }
}

fn verbatim(text: Vec<u8>) -> Result<Reply> {
    match text.get(3) {
        Some(b':') => Ok(Reply::Verbatim(text[4..].to_vec())),
        _ => {
            Err(bad("Verbatim string 4 bytes of content type are missing or incorrectly encoded."))
        }
    }
}

fn bad(what: &str) -> Failure {
    Failure::Protocol(what.to_owned())
}

fn wrong_type(sign: u8) -> Failure {
    let mut shown = Vec::new();
    crate::quote::quoted(&mut shown, &[sign]);
    let shown = String::from_utf8_lossy(&shown).into_owned();
    Failure::Protocol(format!("Protocol error, got {shown} as reply type byte"))
}

#[cfg(test)]
mod tests;
