//! Requests: RESP arrays of bulk strings, and inline commands.
//!
//! The decoder reads every complete command out of a buffer without copying: an argument is a range
//! of that buffer. What is incomplete stays, with the state reached, so a command that arrives byte
//! by byte is scanned once. Everything is bounded: counts and lengths are checked before anything is
//! kept for them.
//!
//! ```text
//! *2\r\n $3\r\n GET \r\n $1\r\n k \r\n      array of bulk strings
//! GET "k"\r\n                               inline: one line, quoting as in redis.conf
//! ```

use super::argv::{OwnedArgv, Span};
use super::{Batch, inline};

/// Longest inline command or header line (`PROTO_INLINE_MAX_SIZE`).
const MAX_LINE: usize = 64 * 1024;
/// Most arguments before a client has authenticated.
const MAX_ARGS_UNAUTHENTICATED: i64 = 10;
/// Longest argument before a client has authenticated.
const MAX_BULK_UNAUTHENTICATED: i64 = 16 * 1024;
/// Most arguments of one command.
const MAX_ARGS: i64 = i32::MAX as i64;
/// Commands decoded at most before they are executed, so that one client's pipeline cannot hold the
/// engine for long. Those that are not executed in its turn are decoded once more in the next.
const MAX_BATCH: usize = 256;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`, in bytes.
    pub max_bulk_len: u64,
    pub authenticated: bool,
}

/// The client broke the protocol. The text goes behind `-ERR Protocol error: `; the connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(pub String);

impl ProtocolError {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The state reached inside a command that is not complete yet. Positions count from the start of
/// that command, so they stay true when the bytes before it are dropped from the buffer.
///
/// Between commands it owns no memory: the arguments of one that is complete at once are noted in the
/// batch, which is in the processor's cache where a connection's own memory would not be.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The arguments so far.
    spans: Vec<Span>,
    /// Arguments still to come; `None` outside an array.
    remaining: Option<usize>,
    /// Length of the argument whose header has been read.
    bulk_len: Option<usize>,
    /// Everything before this has been read.
    position: usize,
    /// No line end before this, so that a line arriving byte by byte is looked through once.
    searched: usize,
}

enum Step {
    /// A command ends here.
    Complete,
    /// Nothing to execute (an empty line or array), go on.
    Empty,
    /// An inline command.
    Inline(OwnedArgv),
    /// More bytes are needed.
    Incomplete,
}

impl Decoder {
    /// Decodes what is complete in `buffer` into `batch` (which is cleared).
    ///
    /// On an error, the commands before the broken one are in `batch` all the same: they were sent
    /// first and are executed first. The bytes taken are `consumed`; what was read of an incomplete
    /// command stays in the buffer.
    pub fn decode(
        &mut self,
        buffer: &[u8],
        limits: Limits,
        batch: &mut Batch,
    ) -> (usize, Result<(), ProtocolError>) {
        batch.clear();
        let continued = !self.spans.is_empty();
        if continued {
            // The command that goes on begins where the buffer does, so the places are right.
            batch.spans = std::mem::take(&mut self.spans);
        }
        // What a stranger sends first may be AUTH, and the limits behind it are others.
        let most = if limits.authenticated { MAX_BATCH } else { 1 };
        let mut base = 0;
        while base < buffer.len() && batch.len() < most {
            if let Some(len) = self.whole(&buffer[base..], base, limits, &mut batch.spans) {
                base += len;
                batch.complete(base);
                continue;
            }
            match self.step(buffer, base, limits, &mut batch.spans) {
                Ok(Step::Incomplete) => {
                    self.keep_spans(continued, base, batch);
                    break;
                }
                Ok(Step::Empty) => {}
                Ok(Step::Complete) => batch.complete(base + self.position),
                Ok(Step::Inline(argv)) => batch.complete_inline(argv, base + self.position),
                Err(error) => return (base, Err(error)),
            }
            base += self.position;
            self.restart();
        }
        (base, Ok(()))
    }

    /// Takes back from the batch what belongs to a command that is not complete, which begins at
    /// `base`.
    fn keep_spans(&mut self, continued: bool, base: usize, batch: &mut Batch) {
        if continued && base == 0 {
            // It may have a million already: they are moved, not copied.
            self.spans = std::mem::take(&mut batch.spans);
        } else {
            self.spans = batch.incomplete().iter().map(|span| span.back_by(base)).collect();
        }
    }

    /// Bytes of the argument now awaited that are not in the buffer yet, so that the reader can make
    /// room for all of it at once.
    pub fn missing(&self, buffered: usize) -> usize {
        let wanted = self.bulk_len.map_or(0, |len| self.position + len + 2);
        wanted.saturating_sub(buffered)
    }

    fn restart(&mut self) {
        self.remaining = None;
        self.bulk_len = None;
        self.position = 0;
        self.searched = 0;
    }

    /// The common case at once: a command that begins at `base`, is here from end to end, and whose
    /// counts and lengths have up to three digits. How many bytes it takes. `None`, and nothing is
    /// noted, for all others: [`Self::step`] sees to them, and to every error.
    #[inline]
    fn whole(
        &self,
        bytes: &[u8],
        base: usize,
        limits: Limits,
        spans: &mut Vec<Span>,
    ) -> Option<usize> {
        if self.position != 0 || self.searched != 0 || !limits.authenticated {
            return None;
        }
        let (count, mut at) = short_header(bytes, b'*')?;
        let before = spans.len();
        for _ in 0..count {
            let found = short_bulk(&bytes[at..], limits.max_bulk_len);
            let Some((header, len)) = found else {
                spans.truncate(before);
                return None;
            };
            spans.push(Span::new(base + at + header, len));
            at += header + len + 2;
        }
        (count > 0).then_some(at)
    }

    /// Goes on with the command that begins at `base`, noting its arguments in `spans`.
    fn step(
        &mut self,
        buffer: &[u8],
        base: usize,
        limits: Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Step, ProtocolError> {
        let buffer = &buffer[base..];
        if self.remaining.is_none() {
            if buffer.first() != Some(&b'*') {
                return self.inline(buffer);
            }
            let Some(count) = self.array_header(buffer, limits)? else {
                return Ok(Step::Incomplete);
            };
            if count == 0 {
                return Ok(Step::Empty);
            }
            self.remaining = Some(count);
        }
        while self.remaining != Some(0) {
            if self.bulk_len.is_none() {
                match self.bulk_header(buffer, limits)? {
                    Some(len) => self.bulk_len = Some(len),
                    None => return Ok(Step::Incomplete),
                }
            }
            let len = self.bulk_len.unwrap_or(0);
            if buffer.len() - self.position < len + 2 {
                return Ok(Step::Incomplete);
            }
            if buffer[self.position + len..][..2] != *b"\r\n" {
                return Err(ProtocolError::new("invalid CRLF in request"));
            }
            spans.push(Span::new(base + self.position, len));
            self.position += len + 2;
            self.bulk_len = None;
            self.remaining = self.remaining.map(|left| left - 1);
        }
        Ok(Step::Complete)
    }

    fn array_header(
        &mut self,
        buffer: &[u8],
        limits: Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line(buffer, "too big mbulk count string")? else {
            return Ok(None);
        };
        let count = header_number(line)
            .filter(|&count| count <= MAX_ARGS)
            .ok_or_else(|| ProtocolError::new("invalid multibulk length"))?;
        if count > MAX_ARGS_UNAUTHENTICATED && !limits.authenticated {
            return Err(ProtocolError::new("unauthenticated multibulk length"));
        }
        Ok(Some(usize::try_from(count).unwrap_or(0)))
    }

    fn bulk_header(
        &mut self,
        buffer: &[u8],
        limits: Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        match buffer.get(self.position) {
            None => return Ok(None),
            Some(b'$') => {}
            // Any other byte is wrong only once its line is whole, as in Redis.
            Some(&other) => {
                return match self.line(buffer, "too big bulk count string")? {
                    None => Ok(None),
                    Some(_) => Err(ProtocolError(format!("expected '$', got '{}'", shown(other)))),
                };
            }
        }
        let Some(line) = self.line(buffer, "too big bulk count string")? else {
            return Ok(None);
        };
        let len = header_number(line)
            .filter(|&len| len >= 0 && len.unsigned_abs() <= limits.max_bulk_len)
            .ok_or_else(|| ProtocolError::new("invalid bulk length"))?;
        if len > MAX_BULK_UNAUTHENTICATED && !limits.authenticated {
            return Err(ProtocolError::new("unauthenticated bulk length"));
        }
        Ok(Some(usize::try_from(len).unwrap_or(0)))
    }

    /// A header line without its type byte and line end, or `None` while it is incomplete.
    fn line<'a>(
        &mut self,
        buffer: &'a [u8],
        too_long: &str,
    ) -> Result<Option<&'a [u8]>, ProtocolError> {
        let rest = &buffer[self.position..];
        let skip = self.searched.saturating_sub(self.position);
        // Headers are a few bytes: looking byte by byte beats a call of memchr.
        let found = rest.iter().skip(skip).take(MAX_LINE).position(|&byte| byte == b'\r');
        let Some(end) = found.map(|offset| skip + offset) else {
            self.searched = buffer.len();
            return if rest.len() >= MAX_LINE {
                Err(ProtocolError::new(too_long))
            } else {
                Ok(None)
            };
        };
        match rest.get(end + 1) {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(_) => return Err(ProtocolError::new("invalid CRLF in request")),
        }
        self.position += end + 2;
        // An empty line lacks the type byte as well.
        Ok(Some(rest.get(1..end).unwrap_or_default()))
    }

    fn inline(&mut self, buffer: &[u8]) -> Result<Step, ProtocolError> {
        let unseen = &buffer[self.searched..buffer.len().min(MAX_LINE).max(self.searched)];
        let Some(end) = memchr::memchr(b'\n', unseen).map(|offset| self.searched + offset) else {
            self.searched = buffer.len();
            return if buffer.len() >= MAX_LINE {
                Err(ProtocolError::new("too big inline request"))
            } else {
                Ok(Step::Incomplete)
            };
        };
        self.position = end + 1;
        let line = buffer[..end].strip_suffix(b"\r").unwrap_or(&buffer[..end]);
        let args = inline::split(line)
            .ok_or_else(|| ProtocolError::new("unbalanced quotes in request"))?;
        if args.is_empty() {
            return Ok(Step::Empty);
        }
        Ok(Step::Inline(args.iter().map(Vec::as_slice).collect()))
    }
}

/// An argument with its header, complete and of a usual length: bytes of the header, of the argument.
#[inline]
fn short_bulk(bytes: &[u8], max_len: u64) -> Option<(usize, usize)> {
    let (len, header) = short_header(bytes, b'$')?;
    let end = bytes.get(header + len..header + len + 2)?;
    (end == b"\r\n" && len as u64 <= max_len).then_some((header, len))
}

/// A header line of this kind with a number of up to three digits: the number, the line's bytes.
#[inline]
fn short_header(bytes: &[u8], kind: u8) -> Option<(usize, usize)> {
    let digit = |byte: u8| usize::from(byte - b'0');
    match bytes {
        [first, a @ b'0'..=b'9', b'\r', b'\n', ..] if *first == kind => Some((digit(*a), 4)),
        [first, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] if *first == kind => {
            Some((digit(*a) * 10 + digit(*b), 5))
        }
        [first, a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n', ..]
            if *first == kind =>
        {
            Some((digit(*a) * 100 + digit(*b) * 10 + digit(*c), 6))
        }
        _ => None,
    }
}

/// The number of a header line. Redis reads it with `string2ll`: canonical form only.
fn header_number(line: &[u8]) -> Option<i64> {
    match line {
        // One digit is the common case.
        [digit @ b'0'..=b'9'] => Some(i64::from(digit - b'0')),
        _ => crate::number::parse_int(line),
    }
}

/// A byte from the client inside an error line.
fn shown(byte: u8) -> char {
    if byte == b'\r' || byte == b'\n' { ' ' } else { char::from(byte) }
}

#[cfg(test)]
mod tests;
