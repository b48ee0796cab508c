//! What another server wrote: commands without proof, read as Redis reads them. Whatever is between
//! MULTI and EXEC is given out together or not at all.

use std::io;

use super::input::Input;
use super::marks;
use super::units::{self, Parsed};
use crate::rdb::crc64::Crc64;
use crate::resp::{Argv, Span};

pub(super) struct Plain {
    input: Input,
    /// Checksum of the file up to the unit given out last, and with it.
    crc: Crc64,
    given: usize,
    spans: Vec<Span>,
    commands: Vec<usize>,
}

/// Why there is no further unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The file is over.
    Clean,
    /// It is over within a command.
    Short,
    /// It is over within a transaction, and perhaps within one of its commands.
    InTransaction { in_command: bool },
    /// What follows is no command, and this is where in the file it cannot be one.
    Wrong { at: u64 },
}

impl Plain {
    /// Reads from where `input` is; `crc` is the checksum of what is before.
    pub(super) fn new(input: Input, crc: Crc64) -> Self {
        Self { input, crc, given: 0, spans: Vec::new(), commands: Vec::new() }
    }

    /// Goes to the next unit; `None` if there is one.
    pub(super) fn advance(&mut self) -> io::Result<Option<End>> {
        self.input.consume(std::mem::take(&mut self.given));
        self.spans.clear();
        self.commands.clear();
        let mut at = 0;
        let mut in_transaction = false;
        loop {
            let end = match self.input.bytes().get(at).copied() {
                None if self.input.more(1)? => continue,
                // Comments behind the last unit belong to what is read.
                None if !in_transaction => return Ok(Some(self.ends_at(at, End::Clean))),
                None => return Ok(Some(End::InTransaction { in_command: false })),
                Some(b'#') => match self.comment_end(at)? {
                    Some(end) => {
                        at = end;
                        continue;
                    }
                    None => Err(End::Wrong { at: self.input.offset() + at as u64 }),
                },
                Some(_) => self.command(at)?,
            };
            at = match end {
                Ok(end) => end,
                Err(End::Short) if in_transaction => {
                    return Ok(Some(End::InTransaction { in_command: true }));
                }
                Err(end) => return Ok(Some(end)),
            };
            let name = self.last_name();
            in_transaction = match in_transaction {
                false => name.eq_ignore_ascii_case(b"multi"),
                true => {
                    !name.eq_ignore_ascii_case(b"exec") && !name.eq_ignore_ascii_case(b"discard")
                }
            };
            if !in_transaction {
                self.ends_at(at, End::Clean);
                return Ok(None);
            }
        }
    }

    /// The commands of the unit.
    pub(super) fn commands(&self) -> impl Iterator<Item = Argv<'_>> {
        let starts = std::iter::once(0).chain(self.commands.iter().copied());
        starts
            .zip(&self.commands)
            .map(|(start, &end)| Argv::over(self.input.bytes(), &self.spans[start..end]))
    }

    /// Where in the file the unit given out last ends.
    pub(super) fn offset(&self) -> u64 {
        self.input.offset() + self.given as u64
    }

    pub(super) fn crc(&self) -> &Crc64 {
        &self.crc
    }

    fn ends_at(&mut self, at: usize, end: End) -> End {
        self.crc.update(&self.input.bytes()[..at]);
        self.given = at;
        end
    }

    fn command(&mut self, at: usize) -> io::Result<Result<usize, End>> {
        loop {
            match units::command(self.input.bytes(), at, &mut self.spans) {
                Parsed::Command { end } => {
                    self.commands.push(self.spans.len());
                    return Ok(Ok(end));
                }
                Parsed::Incomplete { missing } => {
                    if !self.input.more(missing)? {
                        return Ok(Err(End::Short));
                    }
                }
                Parsed::Wrong { at } => {
                    return Ok(Err(End::Wrong { at: self.input.offset() + at as u64 }));
                }
            }
        }
    }

    fn last_name(&self) -> &[u8] {
        let start = self.commands.len().checked_sub(2).map_or(0, |before| self.commands[before]);
        let argv = Argv::over(self.input.bytes(), &self.spans[start..]);
        argv.get(0).unwrap_or_default()
    }

    /// Where the comment at `at` ends, be it with the file; `None` if it is longer than one may be.
    fn comment_end(&mut self, at: usize) -> io::Result<Option<usize>> {
        loop {
            let rest = &self.input.bytes()[at..];
            if let Some(end) = memchr::memchr(b'\n', rest) {
                return Ok(Some(at + end + 1));
            }
            if rest.len() > marks::MAX_COMMENT {
                return Ok(None);
            }
            if !self.input.more(1)? {
                return Ok(Some(self.input.bytes().len()));
            }
        }
    }
}
