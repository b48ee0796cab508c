//! One file executed: an increment as far as it is proved, or as Redis reads it; a base.

use std::io::{self, BufReader, Read as _};
use std::path::Path;

use super::files::is_rdb;
use super::groups::{Groups, Tail};
use super::input::Input;
use super::manifest::Manifest;
use super::marks::Proof;
use super::plain::{End, Plain};
use super::{Apply, BaseFault, Fatal};
use crate::rdb::crc64::Crc64;
use crate::resp::Argv;
use crate::storage::Storage;

const BUFFER_BYTES: usize = 256 * 1024;
/// Progress is told after so many bytes.
const PROGRESS_BYTES: u64 = 1 << 20;

/// What came of a file.
pub(super) struct Part {
    /// Bytes that were executed, and the checksum of the file up to there.
    pub(super) good: u64,
    pub(super) crc: Crc64,
    /// Bytes of the file.
    pub(super) total: u64,
    pub(super) commands: u64,
    pub(super) ending: Ending,
    /// It begins as files of ours do.
    pub(super) is_ours: bool,
    /// Some of what was executed is not proved.
    pub(super) is_foreign: bool,
    /// The manifest as the file states it last.
    pub(super) stated: Option<Manifest>,
}

/// What stands behind what was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Nothing,
    /// What should have been proved and is not.
    Unproved,
    /// The beginning of a command of another server, or zeros.
    Short {
        in_transaction: bool,
    },
    /// No commands.
    Wrong,
}

impl Part {
    pub(super) fn proof(&self) -> Proof {
        Proof { len: self.good, crc: self.crc.value() }
    }
}

/// What an increment begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Ours {
        after: Option<Proof>,
        stated: Option<Manifest>,
    },
    /// Another server's.
    Foreign,
    /// One of ours that is not proved.
    Damaged,
    Missing,
}

/// A file to be executed.
pub(super) struct Source<'s> {
    pub(super) storage: &'s dyn Storage,
    pub(super) path: &'s Path,
    pub(super) name: &'s str,
}

impl Source<'_> {
    pub(super) fn head(&self) -> io::Result<Head> {
        let len = match self.storage.len(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Head::Missing),
            len => len?,
        };
        let mut groups = Groups::new(self.input(len)?);
        Ok(match groups.advance()? {
            None => Head::Ours { after: groups.after(), stated: groups.stated() },
            Some(Tail::Unproved) => Head::Damaged,
            Some(Tail::Nothing | Tail::Foreign) => Head::Foreign,
        })
    }

    /// The manifest as the file states it last, as far as it is proved.
    pub(super) fn last_statement(&self) -> io::Result<Option<Manifest>> {
        let mut groups = Groups::new(self.input(u64::MAX)?);
        while groups.advance()?.is_none() {}
        Ok(groups.stated())
    }

    /// Executes an increment. `end` is where the next one says that it ends: nothing behind it is
    /// executed, and nothing that contradicts it.
    pub(super) fn increment(
        &self,
        end: Option<Proof>,
        apply: &mut dyn Apply,
    ) -> Result<Part, Fatal> {
        let total = self.storage.len(self.path).map_err(|error| self.unreadable(&error))?;
        let len = end.map_or(total, |proof| proof.len.min(total));
        let input = self.input(len).map_err(|error| self.unreadable(&error))?;
        let mut groups = Groups::new(input);
        let mut progress = Progress::default();
        let mut commands = 0;
        let tail = loop {
            let tail = groups.advance().map_err(|error| self.unreadable(&error))?;
            if let Some(tail) = tail {
                break tail;
            }
            commands += self.execute(groups.commands(), apply)?;
            progress.is_at(groups.proof().len, apply);
        };
        let mut part = Part {
            good: groups.proof().len,
            crc: groups.crc().clone(),
            total,
            commands,
            ending: if tail == Tail::Unproved { Ending::Unproved } else { Ending::Nothing },
            is_ours: groups.is_ours(),
            is_foreign: false,
            stated: groups.stated(),
        };
        if tail == Tail::Foreign {
            part.ending = Ending::Unproved;
            if self.is_as_said(end)? {
                self.plain(&mut part, len, &mut progress, apply)?;
            }
        }
        progress.is_over(part.good, apply);
        apply.file_is_over();
        Ok(part)
    }

    /// Executes a base, which is RDB, or commands, or both.
    pub(super) fn base(&self, apply: &mut dyn Apply) -> Result<Part, BaseRefused> {
        let total = self.storage.len(self.path).map_err(|error| self.unreadable(&error))?;
        let good = match self.begins_with_rdb().map_err(|error| self.unreadable(&error))? {
            true => self.rdb(None, apply)?,
            false => 0,
        };
        apply.progress(good);
        let mut part = Part {
            good: good.min(total),
            crc: Crc64::default(),
            total,
            commands: 0,
            ending: Ending::Nothing,
            is_ours: false,
            is_foreign: true,
            stated: None,
        };
        let mut progress = Progress { told: part.good };
        self.plain(&mut part, total, &mut progress, apply)?;
        progress.is_over(part.good, apply);
        apply.file_is_over();
        Ok(part)
    }

    /// Loads the part of a base that was proved.
    pub(super) fn part_of_base(&self, proved: u64, apply: &mut dyn Apply) -> Result<(), Fatal> {
        let name = self.name;
        match self.rdb(Some(proved), apply) {
            Ok(_) => Ok(()),
            Err(BaseRefused::Fatal(fatal)) => Err(fatal),
            Err(BaseRefused::Damaged { text, .. }) => {
                Err(Fatal::new(format!("Error reading the RDB base file {name} again: {text}")))
            }
        }
    }

    /// Commands that stand in the file from `from` on, as far as they can be told, begun ones too.
    pub(super) fn count_commands(&self, from: u64) -> io::Result<u64> {
        let mut input = self.input(u64::MAX)?;
        input.skip_to(from)?;
        let mut plain = Plain::new(input, Crc64::default());
        let mut commands = 0;
        let end = loop {
            match plain.advance()? {
                None => commands += plain.commands().count() as u64,
                Some(end) => break end,
            }
        };
        commands += plain.commands().count() as u64;
        let is_begun = matches!(end, End::Short | End::InTransaction { in_command: true });
        Ok(commands + u64::from(is_begun))
    }

    /// Whether there are only zeros from `from` on.
    pub(super) fn is_zero(&self, from: u64) -> io::Result<bool> {
        let mut input = self.input(u64::MAX)?;
        input.skip_to(from)?;
        loop {
            let bytes = input.bytes();
            if bytes.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            let len = bytes.len();
            input.consume(len);
            if !input.more(1)? {
                return Ok(true);
            }
        }
    }

    /// Whether the file is a head of ours, and not even all of one perhaps, and nothing else.
    pub(super) fn has_only_head(&self) -> io::Result<bool> {
        let mut groups = Groups::new(self.input(u64::MAX)?);
        Ok(groups.advance()?.is_none() && groups.advance()? == Some(Tail::Nothing))
    }

    fn input(&self, len: u64) -> io::Result<Input> {
        Ok(Input::new(self.storage.open(self.path)?, len))
    }

    fn begins_with_rdb(&self) -> io::Result<bool> {
        let mut first = Vec::new();
        self.storage.open(self.path)?.take(6).read_to_end(&mut first)?;
        Ok(is_rdb(&first))
    }

    fn rdb(&self, until: Option<u64>, apply: &mut dyn Apply) -> Result<u64, BaseRefused> {
        let file = self.storage.open(self.path).map_err(|error| self.unreadable(&error))?;
        match apply.base(&mut BufReader::with_capacity(BUFFER_BYTES, file), until) {
            Ok(bytes) => Ok(bytes),
            Err(BaseFault::Unreadable(error)) => Err(self.unreadable(&error).into()),
            Err(BaseFault::Damaged { text, proved }) => Err(BaseRefused::Damaged { text, proved }),
        }
    }

    /// Whether the file is, up to `end`, what the next one says it was. Without a next one it is.
    fn is_as_said(&self, end: Option<Proof>) -> Result<bool, Fatal> {
        let Some(said) = end else { return Ok(true) };
        let compare = || -> io::Result<bool> {
            let mut input = self.input(said.len)?;
            let mut crc = Crc64::default();
            loop {
                crc.update(input.bytes());
                let len = input.bytes().len();
                input.consume(len);
                if !input.more(1)? {
                    return Ok(said == Proof { len: input.offset(), crc: crc.value() });
                }
            }
        };
        compare().map_err(|error| self.unreadable(&error))
    }

    /// Executes what another server wrote, from what is good on up to `len`.
    fn plain(
        &self,
        part: &mut Part,
        len: u64,
        progress: &mut Progress,
        apply: &mut dyn Apply,
    ) -> Result<(), Fatal> {
        let begin = || {
            let mut input = self.input(len)?;
            input.skip_to(part.good)?;
            io::Result::Ok(Plain::new(input, part.crc.clone()))
        };
        let mut plain = begin().map_err(|error| self.unreadable(&error))?;
        let end = loop {
            let end = plain.advance().map_err(|error| self.unreadable(&error))?;
            if let Some(end) = end {
                break end;
            }
            part.commands += self.execute(plain.commands(), apply)?;
            part.is_foreign = true;
            progress.is_at(plain.offset(), apply);
        };
        part.good = plain.offset();
        part.crc = plain.crc().clone();
        part.ending = match end {
            End::Clean => Ending::Nothing,
            End::Short => Ending::Short { in_transaction: false },
            End::InTransaction { .. } => Ending::Short { in_transaction: true },
            End::Wrong { at } if self.is_zero(at).map_err(|error| self.unreadable(&error))? => {
                Ending::Short { in_transaction: false }
            }
            End::Wrong { .. } => Ending::Wrong,
        };
        Ok(())
    }

    fn execute<'a>(
        &self,
        mut commands: impl Iterator<Item = Argv<'a>>,
        apply: &mut dyn Apply,
    ) -> Result<u64, Fatal> {
        apply.commands(&mut commands).map_err(|error| {
            let name = self.name;
            Fatal::new(format!("Error reading the append only file {name}, error: {error}"))
        })
    }

    pub(super) fn unreadable(&self, error: &io::Error) -> Fatal {
        let (name, reason) = (self.name, crate::config::load::reason(error));
        Fatal::new(format!("Unrecoverable error reading the append only file {name}: {reason}"))
    }
}

/// Why a base was not executed, or not whole.
pub(super) enum BaseRefused {
    Fatal(Fatal),
    /// See [`BaseFault::Damaged`].
    Damaged {
        text: String,
        proved: Option<u64>,
    },
}

impl From<Fatal> for BaseRefused {
    fn from(fatal: Fatal) -> Self {
        Self::Fatal(fatal)
    }
}

/// Bytes of a file that were told to be executed.
#[derive(Default)]
struct Progress {
    told: u64,
}

impl Progress {
    fn is_at(&mut self, offset: u64, apply: &mut dyn Apply) {
        if offset >= self.told + PROGRESS_BYTES {
            apply.progress(offset - self.told);
            self.told = offset;
        }
    }

    fn is_over(&self, offset: u64, apply: &mut dyn Apply) {
        apply.progress(offset.saturating_sub(self.told));
    }
}
