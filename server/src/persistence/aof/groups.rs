//! The part of an increment that its marks prove, group by group: nothing is given out before the
//! mark behind it was found right.

use std::io;

use super::input::Input;
use super::manifest::Manifest;
use super::marks::{self, Line, Proof, Statement};
use super::units::{self, Parsed};
use crate::rdb::crc64::Crc64;
use crate::resp::{Argv, Span};

/// Where a head is looked for whose first bytes are damaged.
const NEAR_BYTES: usize = 4096;

pub(super) struct Groups {
    input: Input,
    /// How far the file is proved.
    len: u64,
    crc: Crc64,
    /// Bytes of the group given out last.
    given: usize,
    spans: Vec<Span>,
    /// For each command of the group, where its spans end.
    commands: Vec<usize>,
    is_ours: bool,
    after: Option<Proof>,
    statement: Statement,
    /// The last statement that is proved.
    stated: Option<Manifest>,
}

/// What stands behind the last group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Nothing,
    /// Another server's commands.
    Foreign,
    /// Something of ours, or anything, that no mark proves.
    Unproved,
}

enum Found {
    Group { end: usize },
    Tail(Tail),
}

impl Groups {
    pub(super) fn new(input: Input) -> Self {
        Self {
            input,
            len: 0,
            crc: Crc64::default(),
            given: 0,
            spans: Vec::new(),
            commands: Vec::new(),
            is_ours: false,
            after: None,
            statement: Statement::default(),
            stated: None,
        }
    }

    /// Goes to the next group; `None` if there is one.
    pub(super) fn advance(&mut self) -> io::Result<Option<Tail>> {
        self.input.consume(std::mem::take(&mut self.given));
        self.spans.clear();
        self.commands.clear();
        match self.find()? {
            Found::Tail(tail) => Ok(Some(tail)),
            Found::Group { end } => {
                self.given = end;
                self.len += end as u64;
                self.stated = self.statement.take().or(self.stated.take());
                Ok(None)
            }
        }
    }

    /// The commands of the group.
    pub(super) fn commands(&self) -> impl Iterator<Item = Argv<'_>> {
        let starts = std::iter::once(0).chain(self.commands.iter().copied());
        starts
            .zip(&self.commands)
            .map(|(start, &end)| Argv::over(self.input.bytes(), &self.spans[start..end]))
    }

    /// How far the file is proved, with the group given out last.
    pub(super) fn proof(&self) -> Proof {
        Proof { len: self.len, crc: self.crc.value() }
    }

    pub(super) fn crc(&self) -> &Crc64 {
        &self.crc
    }

    /// Whether the file has a line of ours before anything else.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Where the increment before this one ends.
    pub(super) fn after(&self) -> Option<Proof> {
        self.after
    }

    /// The manifest as the file last stated it.
    pub(super) fn stated(self) -> Option<Manifest> {
        self.stated
    }

    fn find(&mut self) -> io::Result<Found> {
        if self.len > 0
            && let Some(tail) = self.tail()?
        {
            return Ok(Found::Tail(tail));
        }
        let mut at = if self.len > 0 { marks::GROUP.len() } else { 0 };
        loop {
            let Some(first) = self.byte(at)? else {
                return Ok(Found::Tail(self.end_without_mark(at)));
            };
            let step = match first {
                b'#' => self.line(at)?,
                b'*' if self.len > 0 => self.command(at)?,
                b'*' => Step::Foreign,
                _ if self.is_ours || self.has_marks() => Step::Unproved,
                _ => Step::Foreign,
            };
            match step {
                Step::To(next) => at = next,
                Step::Proved(end) => return Ok(Found::Group { end }),
                Step::Unproved => return Ok(Found::Tail(Tail::Unproved)),
                // A head of ours holds no commands.
                Step::Foreign if self.is_ours => return Ok(Found::Tail(Tail::Unproved)),
                Step::Foreign => return Ok(Found::Tail(Tail::Foreign)),
            }
        }
    }

    /// Whether a file that begins with what no server writes has lines of ours near its beginning.
    fn has_marks(&mut self) -> bool {
        let bytes = self.input.bytes();
        let near = &bytes[..bytes.len().min(NEAR_BYTES)];
        self.is_ours = near.windows(marks::OURS.len()).any(|bytes| bytes == marks::OURS);
        self.is_ours
    }

    /// The file ends before a mark.
    fn end_without_mark(&self, at: usize) -> Tail {
        match (self.is_ours, at) {
            (true, _) => Tail::Unproved,
            (false, 0) => Tail::Nothing,
            (false, _) => Tail::Foreign,
        }
    }

    /// Whether what follows a mark is no group.
    fn tail(&mut self) -> io::Result<Option<Tail>> {
        let group = marks::GROUP.as_bytes();
        while self.input.bytes().len() < group.len() && self.input.more(1)? {}
        let bytes = self.input.bytes();
        Ok(match bytes {
            [] => Some(Tail::Nothing),
            _ if bytes.starts_with(group) => None,
            [b'*', ..] | [b'#', b'T', ..] => Some(Tail::Foreign),
            _ => Some(Tail::Unproved),
        })
    }

    fn byte(&mut self, at: usize) -> io::Result<Option<u8>> {
        while self.input.bytes().len() <= at {
            if !self.input.more(1)? {
                return Ok(None);
            }
        }
        Ok(self.input.bytes().get(at).copied())
    }

    fn command(&mut self, at: usize) -> io::Result<Step> {
        loop {
            match units::command(self.input.bytes(), at, &mut self.spans) {
                Parsed::Command { end } => {
                    self.commands.push(self.spans.len());
                    return Ok(Step::To(end));
                }
                Parsed::Incomplete { missing } => {
                    if !self.input.more(missing)? {
                        return Ok(Step::Unproved);
                    }
                }
                Parsed::Wrong { .. } => return Ok(Step::Unproved),
            }
        }
    }

    fn line(&mut self, at: usize) -> io::Result<Step> {
        let Some(end) = self.line_end(at)? else {
            return Ok(if self.is_ours { Step::Unproved } else { Step::Foreign });
        };
        let text = &self.input.bytes()[at..end];
        let Some(text) = text.strip_suffix(b"\r\n") else { return Ok(Step::To(end)) };
        self.is_ours |= text.starts_with(marks::OURS);
        let fits = match Line::parse(text) {
            Some(Line::Mark(proof)) => return Ok(self.prove(proof, at, end)),
            Some(Line::Group) => false,
            Some(Line::After(proof)) => {
                self.after = Some(proof);
                true
            }
            Some(line @ (Line::Files(_) | Line::File(_))) => self.statement.add(line),
            // Timestamps, and what a later version may add: the mark proves it or not.
            Some(Line::Log) | None => true,
        };
        Ok(if fits { Step::To(end) } else { Step::Unproved })
    }

    /// Where the comment at `at` ends, if it is no longer than one may be.
    fn line_end(&mut self, at: usize) -> io::Result<Option<usize>> {
        loop {
            let rest = &self.input.bytes()[at..];
            let line = &rest[..rest.len().min(marks::MAX_COMMENT)];
            if let Some(end) = memchr::memchr(b'\n', line) {
                return Ok(Some(at + end + 1));
            }
            if line.len() == marks::MAX_COMMENT || !self.input.more(1)? {
                return Ok(None);
            }
        }
    }

    /// Compares what a mark says with what is there.
    fn prove(&mut self, said: Proof, at: usize, end: usize) -> Step {
        let group = &self.input.bytes()[..end];
        let mut crc = self.crc.clone();
        crc.update(&group[..at]);
        if said != (Proof { len: self.len + at as u64, crc: crc.value() }) {
            return Step::Unproved;
        }
        crc.update(&group[at..]);
        self.crc = crc;
        Step::Proved(end)
    }
}

/// What a line or command comes to.
enum Step {
    To(usize),
    Proved(usize),
    Unproved,
    Foreign,
}
