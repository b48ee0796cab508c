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

use super::inline;

/// Longest inline command or header line (`PROTO_INLINE_MAX_SIZE`).
const MAX_LINE: usize = 64 * 1024;
/// Most arguments before a client has authenticated.
const MAX_ARGS_UNAUTHENTICATED: i64 = 10;
/// Longest argument before a client has authenticated.
const MAX_BULK_UNAUTHENTICATED: i64 = 16 * 1024;
/// Most arguments of one command.
const MAX_ARGS: i64 = i32::MAX as i64;
/// Commands decoded at most before they are executed, so that one client's pipeline cannot hold the
/// engine for long.
const MAX_BATCH: usize = 1024;

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

/// Where an argument lies: bytes from the start of its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: usize,
    len: usize,
}

impl Span {
    pub(crate) fn new(start: usize, len: usize) -> Self {
        Self { start, len }
    }

    /// With its length before it, and the ends of both lines.
    #[inline]
    fn wire_len(&self) -> usize {
        1 + digits(self.len) + 4 + self.len
    }
}

#[inline]
fn digits(number: usize) -> usize {
    if number < 10 { 1 } else { number.ilog10() as usize + 1 }
}

/// The arguments of one command, its name first.
#[derive(Clone, Copy, Debug)]
pub struct Argv<'a> {
    buffer: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Argv<'a> {
    /// The arguments that lie in `buffer` at these places.
    pub(crate) fn over(buffer: &'a [u8], spans: &'a [Span]) -> Self {
        Self { buffer, spans }
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes from the beginning of the first argument to the end of the last, with what lies between.
    #[inline]
    pub fn reach_bytes(&self) -> usize {
        match (self.spans.first(), self.spans.last()) {
            (Some(first), Some(last)) => last.start + last.len - first.start,
            _ => 0,
        }
    }

    /// Bytes of the command on the wire, in RESP.
    pub fn wire_len(&self) -> usize {
        self.spans.iter().map(Span::wire_len).sum::<usize>() + 1 + digits(self.spans.len()) + 2
    }

    /// The bytes from the first argument to the end of the line of the last, if what lies between the
    /// arguments is as RESP has it: it is not where the command came as an inline one, or was copied.
    pub fn wire_body(&self) -> Option<&'a [u8]> {
        let (first, rest) = self.spans.split_first()?;
        let last = rest.last().unwrap_or(first);
        let framed: usize = rest.iter().map(Span::wire_len).sum();
        // A command in one piece on the wire has nothing but frames between its arguments.
        let body = self.buffer.get(first.start..last.start + last.len + 2)?;
        let is_wire = first.len + 2 + framed == body.len() && body.ends_with(b"\r\n");
        is_wire.then_some(body)
    }

    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        Some(&self.buffer[span.start..span.start + span.len])
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let buffer = self.buffer;
        self.spans.iter().map(move |span| &buffer[span.start..span.start + span.len])
    }
}

/// A command that owns its arguments: what MULTI queues.
#[derive(Clone, Debug, Default)]
pub struct OwnedArgv {
    buffer: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgv {
    pub fn copy_of(argv: Argv<'_>) -> Self {
        argv.iter().collect()
    }

    pub fn view(&self) -> Argv<'_> {
        Argv { buffer: &self.buffer, spans: &self.spans }
    }

    pub fn push(&mut self, arg: &[u8]) {
        self.spans.push(Span { start: self.buffer.len(), len: arg.len() });
        self.buffer.extend_from_slice(arg);
    }

    pub fn clear(&mut self) {
        self.buffer.clear();
        self.spans.clear();
    }

    pub fn len_bytes(&self) -> usize {
        self.buffer.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl<'a> FromIterator<&'a [u8]> for OwnedArgv {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(args: I) -> Self {
        let mut owned = Self::default();
        args.into_iter().for_each(|arg| owned.push(arg));
        owned
    }
}

/// Complete commands found in a buffer, in order.
#[derive(Debug, Default)]
pub struct Batch {
    spans: Vec<Span>,
    /// For each command, the end of its spans and the end of its bytes in the buffer.
    commands: Vec<Command>,
    /// Arguments of inline commands, which unquoting may have changed: these do not lie in the
    /// buffer. A span with `start >= INLINE_BASE` points here.
    inline: Vec<OwnedArgv>,
}

#[derive(Clone, Copy, Debug)]
struct Command {
    spans_end: usize,
    buffer_end: usize,
    inline: Option<usize>,
}

impl Batch {
    pub fn clear(&mut self) {
        self.spans.clear();
        self.commands.clear();
        self.inline.clear();
    }

    /// Gives memory back that a command with very many arguments took.
    #[inline]
    pub fn shrink(&mut self) {
        /// Spans that are kept for the next batch, 16 bytes each.
        const KEPT: usize = 8 * 1024;
        if self.spans.capacity() > KEPT {
            self.spans = Vec::new();
        }
    }

    pub fn len(&self) -> usize {
        self.commands.len()
    }

    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The arguments of command `index`. `buffer` is what it was decoded from.
    pub fn command<'a>(&'a self, buffer: &'a [u8], index: usize) -> Argv<'a> {
        let command = self.commands[index];
        if let Some(inline) = command.inline {
            return self.inline[inline].view();
        }
        let start = match index.checked_sub(1) {
            Some(previous) => self.commands[previous].spans_end,
            None => 0,
        };
        Argv { buffer, spans: &self.spans[start..command.spans_end] }
    }

    /// How many bytes of the buffer the first `count` commands took.
    pub fn bytes_of(&self, count: usize) -> usize {
        count.checked_sub(1).map_or(0, |last| self.commands[last].buffer_end)
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
                let spans_end = batch.spans.len();
                batch.commands.push(Command { spans_end, buffer_end: base, inline: None });
                continue;
            }
            match self.step(buffer, base, limits, &mut batch.spans) {
                Ok(Step::Incomplete) => {
                    self.keep_spans(continued, base, batch);
                    break;
                }
                Ok(Step::Empty) => {}
                Ok(Step::Complete) => batch.commands.push(Command {
                    spans_end: batch.spans.len(),
                    buffer_end: base + self.position,
                    inline: None,
                }),
                Ok(Step::Inline(argv)) => {
                    batch.inline.push(argv);
                    batch.commands.push(Command {
                        spans_end: batch.spans.len(),
                        buffer_end: base + self.position,
                        inline: Some(batch.inline.len() - 1),
                    });
                }
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
        let complete = batch.commands.last().map_or(0, |command| command.spans_end);
        if continued && base == 0 {
            // It may have a million already: they are moved, not copied.
            self.spans = std::mem::take(&mut batch.spans);
        } else {
            let own = |span: &Span| Span { start: span.start - base, len: span.len };
            self.spans = batch.spans[complete..].iter().map(own).collect();
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
            spans.push(Span { start: base + at + header, len });
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
            spans.push(Span { start: base + self.position, len });
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
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_bulk_len: 512 * 1024 * 1024, authenticated: true };

    /// Decodes as a connection does, `chunk` bytes arriving at a time.
    fn decode(input: &[u8], chunk: usize, limits: Limits) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
        let (mut decoder, mut batch, mut buffer) = (Decoder::default(), Batch::default(), vec![]);
        let mut commands = Vec::new();
        for piece in input.chunks(chunk.max(1)) {
            buffer.extend_from_slice(piece);
            loop {
                let (consumed, result) = decoder.decode(&buffer, limits, &mut batch);
                for index in 0..batch.len() {
                    commands
                        .push(batch.command(&buffer, index).iter().map(<[u8]>::to_vec).collect());
                }
                if let Err(ProtocolError(text)) = result {
                    return (commands, Some(text));
                }
                buffer.drain(..consumed);
                if consumed == 0 {
                    break;
                }
            }
        }
        (commands, None)
    }

    /// However the bytes are split, the commands and the error are the same.
    fn check(input: &[u8], expected: &[&[&str]], error: Option<&str>) {
        let expected: Vec<Vec<Vec<u8>>> = expected
            .iter()
            .map(|args| args.iter().map(|arg| arg.as_bytes().to_vec()).collect())
            .collect();
        for chunk in [1, 2, 3, 7, input.len()] {
            let (commands, got) = decode(input, chunk, LIMITS);
            let shown = String::from_utf8_lossy(input);
            assert_eq!(commands, expected, "{shown:?} by {chunk}");
            assert_eq!(got.as_deref(), error, "{shown:?} by {chunk}");
        }
    }

    #[test]
    fn commands_are_the_same_however_their_bytes_arrive() {
        check(b"*1\r\n$4\r\nPING\r\n", &[&["PING"]], None);
        check(
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n",
            &[&["GET", "k"], &["PING"]],
            None,
        );
        check(b"PING\r\n\r\nSET a 'b c'\n", &[&["PING"], &["SET", "a", "b c"]], None);
        check(b"*0\r\n*-1\r\n*1\r\n$0\r\n\r\n", &[&[""]], None);
        check(b"*2\r\n$3\r\nGET\r\n$5\r\na\r\nb", &[], None);
        check(b"*1\r\n$4\r\na\r\nb\r\n", &[&["a\r\nb"]], None);
    }

    #[test]
    fn broken_requests_are_told_apart() {
        check(b"*a\r\n", &[], Some("invalid multibulk length"));
        check(b"*2147483648\r\n", &[], Some("invalid multibulk length"));
        check(b"*1\r\n:4\r\n", &[], Some("expected '$', got ':'"));
        check(b"*1\r\n\r\n", &[], Some("expected '$', got ' '"));
        check(b"*1\r\n$-1\r\n", &[], Some("invalid bulk length"));
        check(b"*1\r\n$536870913\r\n", &[], Some("invalid bulk length"));
        check(b"*1\r\n$1x\r\n", &[], Some("invalid bulk length"));
        check(b"*1\rx", &[], Some("invalid CRLF in request"));
        check(b"*1\r\n$1\r\nabc", &[], Some("invalid CRLF in request"));
        check(b"PING\r\nSET \"a\r\n", &[&["PING"]], Some("unbalanced quotes in request"));
        check(&[b'a'; MAX_LINE + 1], &[], Some("too big inline request"));
    }

    #[test]
    fn endless_headers_end() {
        let mut input = b"*1\r\n$".to_vec();
        input.resize(MAX_LINE + 16, b'1');
        check(&input, &[], Some("too big bulk count string"));
        check(&[b'*'; MAX_LINE + 16], &[], Some("too big mbulk count string"));
    }

    #[test]
    fn strangers_may_not_send_much() {
        let limits = Limits { authenticated: false, ..LIMITS };
        for (input, expected) in [
            (&b"*11\r\n"[..], "unauthenticated multibulk length"),
            (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
        ] {
            assert_eq!(decode(input, 64, limits).1.as_deref(), Some(expected));
        }
        assert_eq!(decode(b"*10\r\n$16384\r\n", 64, limits).1, None);
    }

    #[test]
    fn a_long_argument_is_announced_to_the_reader() {
        let (mut decoder, mut batch) = (Decoder::default(), Batch::default());
        let input = b"*1\r\n$1000\r\nabc";
        assert_eq!(decoder.decode(input, LIMITS, &mut batch).0, 0);
        assert_eq!(decoder.missing(input.len()), 1000 + 2 - 3);
    }
}
