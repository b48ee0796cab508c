//! `redis-check-rdb`: whether a file is sound, and what is in it, in the words of Valkey's.

mod stats;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::read::FIRST_CHECKED;
use super::{Batch, Checked, Doing, Failure, Fault, FileReader, Item, Options, Step};
use crate::clock::Now;
use crate::rdb::Limits;
use crate::rdb::form::{FIRST_OF_VALKEY, LAST_COMMON, LAST_OF_VALKEY};
use crate::types::{hash, list, set, sorted_set};
use stats::{Format, Stats};

const GOOD: u8 = 0;
const BAD: u8 = 1;

/// Runs the program: its name, then its arguments. The exit status.
pub fn run(args: &[OsString], now: Now, out: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let name = args.first().map_or("redis-check-rdb".into(), |name| name.to_string_lossy());
    let Some(request) = Request::parse(args.get(1..).unwrap_or_default()) else {
        let _ = writeln!(
            errors,
            "Usage: {name} <rdb-file-name> [--format table|info|csv] [--stats] [--output <file>]"
        );
        return BAD;
    };
    let Request::Check(task) = request else {
        let _ = writeln!(out, "redis-check-rdb {}", crate::config::cli::version());
        return GOOD;
    };
    match Check::new(now, task).run(out) {
        Ok(Some(_)) => GOOD,
        Ok(None) => BAD,
        Err(error) => {
            let _ = writeln!(errors, "{error}");
            BAD
        }
    }
}

/// Checks one file, which may go on behind its RDB part: the bytes of that, if it is sound.
pub fn check(file: &Path, now: Now, out: &mut dyn Write) -> Option<u64> {
    let task = Task { file: file.into(), ..Task::default() };
    Check::new(now, task).run(out).ok().flatten()
}

enum Request {
    Version,
    Check(Task),
}

#[derive(Default)]
struct Task {
    file: PathBuf,
    format: Format,
    with_stats: bool,
    output: Option<PathBuf>,
}

impl Request {
    fn parse(args: &[OsString]) -> Option<Self> {
        let (file, options) = args.split_first()?;
        if file == "-v" || file == "--version" {
            return Some(Self::Version);
        }
        let file = file.into();
        let mut task = Task { file, ..Task::default() };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match option.to_str()? {
                "--stats" => task.with_stats = true,
                "--output" => task.output = Some(options.next()?.into()),
                "--format" => task.format = Format::of_name(options.next()?.to_str()?)?,
                _ => return None,
            }
        }
        Some(Self::Check(task))
    }
}

#[derive(Default)]
struct Counts {
    keys: u64,
    expires: u64,
    expired: u64,
    functions: u64,
    scripts: u64,
}

struct Check {
    now: Now,
    task: Task,
    counts: Counts,
    stats: Stats,
}

impl Check {
    fn new(now: Now, task: Task) -> Self {
        Self { now, task, counts: Counts::default(), stats: Stats::default() }
    }

    /// The bytes of the file if it is sound. An error is one of writing.
    fn run(&mut self, out: &mut dyn Write) -> io::Result<Option<u64>> {
        writeln!(out, "[offset 0] Checking RDB file {}", self.task.file.display())?;
        let mut offset = 0;
        let mut version = 0;
        let status = match File::open(&self.task.file) {
            Err(error) => {
                writeln!(out, "{error}")?;
                BAD
            }
            Ok(mut file) => {
                let mut reader = FileReader::new(&mut file, self.options());
                let mut batch = Batch::default();
                let result = self.read(&mut reader, &mut batch, out)?;
                offset = reader.position();
                version = reader.version();
                match result {
                    Ok(()) => GOOD,
                    Err(failure) => {
                        self.tell_failure(&failure, &reader, &batch, out)?;
                        BAD
                    }
                }
            }
        };
        writeln!(
            out,
            "[offset {offset}] Check RDB returned error code {status} (0 means success)"
        )?;
        if status == GOOD {
            let verdict = if is_in_both_worlds(version) {
                r"\o/ RDB looks OK! \o/"
            } else {
                r"\o/ RDB looks OK, but loading requires config 'rdb-version-check relaxed' in Valkey"
            };
            writeln!(out, "[offset {offset}] {verdict}")?;
            self.tell_counts(out)?;
        }
        Ok((status == GOOD).then_some(offset))
    }

    /// Everything in the file is looked at, whatever its version.
    fn options(&self) -> Options {
        Options {
            limits: Limits {
                list: list::Limits::new(-2, None),
                set: set::Limits { intset_entries: 512, listpack_entries: 128, listpack_value: 64 },
                hash: hash::Limits { listpack_entries: 512, listpack_value: 64 },
                sorted_set: sorted_set::Limits { max_entries: 128, max_member_len: 64 },
            },
            now: self.now,
            databases: usize::MAX,
            keeps_due: true,
            checks: true,
            any_version: true,
            len: 0,
            until: None,
        }
    }

    fn read(
        &mut self,
        reader: &mut FileReader<'_>,
        batch: &mut Batch,
        out: &mut dyn Write,
    ) -> io::Result<Result<(), Failure>> {
        loop {
            let step = match reader.step(batch) {
                Ok(step) => step,
                Err(failure) => return Ok(Err(failure)),
            };
            let offset = reader.position();
            if reader.is_at_start() {
                tell_version(reader.version(), offset, out)?;
            }
            for item in batch.drain() {
                self.take(item, offset, out)?;
            }
            batch.clear();
            if let Step::End(checked) = step {
                match checked {
                    Checked::Whole => writeln!(out, "[offset {offset}] Checksum OK")?,
                    Checked::Absent if reader.version() < FIRST_CHECKED => {}
                    Checked::Absent => writeln!(
                        out,
                        "[offset {offset}] RDB file was saved with checksum disabled: no check performed."
                    )?,
                    Checked::Skipped => {}
                }
                return Ok(Ok(()));
            }
        }
    }

    fn take(&mut self, item: Item<'_>, offset: u64, out: &mut dyn Write) -> io::Result<()> {
        match item {
            Item::Aux { name, text } => {
                self.counts.scripts += u64::from(name == b"lua");
                write!(out, "[offset {offset}] AUX FIELD ")?;
                out.write_all(name)?;
                out.write_all(b" = '")?;
                out.write_all(text)?;
                out.write_all(b"'\n")?;
            }
            Item::Database(index) => writeln!(out, "[offset {offset}] Selecting DB ID {index}")?,
            Item::Function(_) => self.counts.functions += 1,
            Item::Sizes { .. } => {}
            Item::Empty(name) => {
                self.counts.keys += 1;
                writeln!(out, "[offset {offset}] Key without elements: {}", name.escape_ascii())?;
            }
            Item::Key(key) => {
                self.counts.keys += 1;
                let due = key.expire_at.map(|at| at < self.now.ms());
                self.counts.expires += u64::from(due.is_some());
                self.counts.expired += u64::from(due == Some(true));
                if self.task.with_stats {
                    self.stats.add(&key, due);
                }
            }
        }
        Ok(())
    }

    fn tell_failure(
        &self,
        failure: &Failure,
        reader: &FileReader<'_>,
        batch: &Batch,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let offset = failure.offset;
        writeln!(out, "--- RDB ERROR DETECTED ---")?;
        writeln!(out, "[offset {offset}] {}", words(failure, reader.version()))?;
        let doing = reader.doing();
        writeln!(out, "[additional info] While doing: {}", doing.name())?;
        if let Doing::Value { form, name } = doing {
            let key = batch.text(name).escape_ascii();
            writeln!(out, "[additional info] Reading key '{key}'")?;
            writeln!(out, "[additional info] Reading type {} ({})", form.byte(), form.name())?;
        }
        if failure.proven.bytes > 0 {
            let super::Proven { bytes, keys } = failure.proven;
            writeln!(out, "[info] {keys} keys in the first {bytes} bytes are proved by checksums")?;
        }
        self.tell_counts(out)
    }

    fn tell_counts(&self, out: &mut dyn Write) -> io::Result<()> {
        let Counts { keys, expires, expired, functions, scripts } = self.counts;
        writeln!(out, "[info] {keys} keys read")?;
        writeln!(out, "[info] {expires} expires")?;
        writeln!(out, "[info] {expired} already expired")?;
        writeln!(out, "[info] {functions} functions")?;
        if scripts > 0 {
            writeln!(out, "[info] {scripts} lua scripts read")?;
        }
        if !self.task.with_stats {
            return Ok(());
        }
        match &self.task.output {
            None => self.stats.write(self.task.format, out),
            Some(path) => self.stats.write(self.task.format, &mut File::create(path)?),
        }
    }
}

/// Whether both Valkey and, up to its last version, Redis load it without being told to.
fn is_in_both_worlds(version: u16) -> bool {
    matches!(version, 1..=LAST_COMMON | FIRST_OF_VALKEY..=LAST_OF_VALKEY)
}

fn tell_version(version: u16, offset: u64, out: &mut dyn Write) -> io::Result<()> {
    match version {
        version if is_in_both_worlds(version) => Ok(()),
        ..FIRST_OF_VALKEY => {
            writeln!(out, "[offset {offset}] Foreign RDB version {version} detected")
        }
        _ => writeln!(out, "[offset {offset}] Future RDB version {version} detected"),
    }
}

fn words(failure: &Failure, version: u16) -> String {
    match &failure.fault {
        Fault::Ends => "Unexpected EOF reading RDB file".to_owned(),
        Fault::Signature(_) => "Wrong signature trying to load DB from file".to_owned(),
        Fault::Foreign { byte, version } => {
            format!("Unknown object type {byte} in RDB file with foreign version {version}")
        }
        Fault::Unknown(byte) if version > LAST_OF_VALKEY => {
            format!("Unknown object type {byte} in RDB file with future version {version}")
        }
        Fault::Unknown(byte) => format!("Invalid object type: {byte}"),
        Fault::Checksum { .. } => "RDB CRC error".to_owned(),
        Fault::FunctionRc => format!("Pre-release function format not supported {version}"),
        Fault::Corrupt(what) => {
            format!("Internal error in RDB reading offset {} -> {what}", failure.offset)
        }
        fault => fault.to_string(),
    }
}

#[cfg(test)]
mod tests;
