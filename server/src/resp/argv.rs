//! The arguments of a command: ranges of the buffer they came in, or a copy.

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

    /// The same place, counted from `base`.
    pub(super) fn back_by(&self, base: usize) -> Self {
        Self { start: self.start - base, len: self.len }
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

    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        Some(&self.buffer[span.start..span.start + span.len])
    }

    #[inline]
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

    #[inline]
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
