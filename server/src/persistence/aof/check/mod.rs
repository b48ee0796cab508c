//! `redis-check-aof`, also called `valkey-check-aof`: checks a manifest with its files, or a single
//! file, and cuts off what is wrong. What it says and its status are Valkey's; of our own files it
//! verifies the marks as well.
//!
//! Nothing here runs inside a server.

mod scan;

use std::io::{self, BufRead, Read as _, Write};
use std::path::{Path, PathBuf};

use super::files::is_rdb;
use super::manifest::{Entry, MAX_LINE, Manifest};
use crate::config::load::reason;
use crate::storage::{Disk, Purpose, Storage};
use scan::{Found, Scan};

/// Checks the RDB file that a file begins with and tells what it finds; how many bytes it has, if it
/// is right.
pub type CheckRdb<'a> = &'a mut dyn FnMut(&Path, &mut dyn Write) -> Option<u64>;

/// The program, on the machine's own disk and terminal; its exit status.
pub fn main(args: &[String], check_rdb: CheckRdb<'_>) -> u8 {
    let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
    Tool::new(&Disk::default(), &mut input, &mut out, check_rdb).run(args)
}

/// The program ends with status 1; why has been told.
#[derive(Debug)]
struct Failed;

type Outcome<T> = Result<T, Failed>;

/// What the tool works on.
pub struct Tool<'a> {
    storage: &'a dyn Storage,
    /// Where the answer to its question comes from.
    input: &'a mut dyn BufRead,
    out: &'a mut dyn Write,
    check_rdb: CheckRdb<'a>,
    /// Line ends of commands, through all files.
    line: u64,
}

/// What is to be done besides checking.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Check,
    /// `--fix`.
    Fix,
    /// `--truncate-to-timestamp`, in Unix seconds.
    Truncate(i64),
}

enum Verdict {
    Valid,
    Empty,
    Truncated,
    TruncatedToTime,
}

impl<'a> Tool<'a> {
    pub fn new(
        storage: &'a dyn Storage,
        input: &'a mut dyn BufRead,
        out: &'a mut dyn Write,
        check_rdb: CheckRdb<'a>,
    ) -> Self {
        Self { storage, input, out, check_rdb, line: 1 }
    }

    /// Runs the program with these arguments, its name first; its exit status.
    pub fn run(&mut self, args: &[String]) -> u8 {
        let program = args.first().map_or("valkey-check-aof", String::as_str);
        let outcome = match args.get(1..).unwrap_or_default() {
            [flag] if flag == "-v" || flag == "--version" => {
                self.say(&format!("valkey-check-aof {}\n", env!("CARGO_PKG_VERSION")));
                Ok(())
            }
            [file] => self.check(file, Task::Check),
            [flag, file] if flag == "--fix" => self.check(file, Task::Fix),
            [flag, time, file] if flag == "--truncate-to-timestamp" => match time.parse() {
                Ok(time) => self.check(file, Task::Truncate(time)),
                Err(_) => self.fail("Invalid timestamp, aborting...\n"),
            },
            _ => self.fail(&format!(
                "Usage: {program} [--fix|--truncate-to-timestamp $timestamp] \
                 <file.manifest|file.aof>\n"
            )),
        };
        u8::from(outcome.is_err())
    }

    fn say(&mut self, text: &str) {
        // A closed pipe is the reader's choice.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    fn fail<T>(&mut self, text: &str) -> Outcome<T> {
        self.say(text);
        Err(Failed)
    }

    fn check(&mut self, file: &str, task: Task) -> Outcome<()> {
        let path = Path::new(file);
        if self.is_manifest(path)? {
            return self.multi_part(path, task);
        }
        let is_rdb = self.begins_with_rdb(path)?;
        self.say("Start checking Old-Style AOF\n");
        let file = File { name: file, path, is_last: true, is_rdb };
        let verdict = self.single(&file, task)?;
        self.tell(&verdict, "AOF", file.name, task);
        Ok(())
    }

    fn multi_part(&mut self, path: &Path, task: Task) -> Outcome<()> {
        self.say("Start checking Multi Part AOF\n");
        let manifest = match Manifest::read(self.storage, path) {
            Ok(Some(Ok(manifest))) => manifest,
            Ok(Some(Err(wrong))) => return self.fail(&(wrong.lines().join("\n") + "\n")),
            Ok(None) => return self.fail("Fatal error: can't open the AOF manifest\n"),
            Err(error) => return self.cannot_open(path, &error, ""),
        };
        let dir = path.parent().map(Path::to_path_buf).unwrap_or_default();
        if let Some(base) = &manifest.base {
            let is_last = manifest.increments.is_empty();
            let path = dir.join(&base.name);
            let is_rdb = self.begins_with_rdb(&path)?;
            let format = if is_rdb { "RDB" } else { "RESP" };
            self.say(&format!("Start to check BASE AOF ({format} format).\n"));
            self.part(base, path, is_last, is_rdb, task)?;
        }
        if !manifest.increments.is_empty() {
            self.say("Start to check INCR files.\n");
        }
        for (index, entry) in manifest.increments.iter().enumerate() {
            let is_last = index + 1 == manifest.increments.len();
            self.part(entry, dir.join(&entry.name), is_last, false, task)?;
        }
        self.say("All AOF files and manifest are valid\n");
        Ok(())
    }

    fn part(
        &mut self,
        entry: &Entry,
        path: PathBuf,
        is_last: bool,
        is_rdb: bool,
        task: Task,
    ) -> Outcome<()> {
        let file = File { name: &entry.name, path: &path, is_last, is_rdb };
        let verdict = self.single(&file, task)?;
        let sort = match entry.kind {
            super::manifest::Kind::Base => "BASE AOF",
            _ => "INCR AOF",
        };
        self.tell(&verdict, sort, file.name, task);
        Ok(())
    }

    fn tell(&mut self, verdict: &Verdict, sort: &str, name: &str, task: Task) {
        let text = match (verdict, task) {
            (Verdict::Valid, _) => format!("{sort} {name} is valid\n"),
            (Verdict::Empty, _) => format!("{sort} {name} is empty\n"),
            (Verdict::TruncatedToTime, Task::Truncate(time)) => {
                format!("Successfully truncated AOF {name} to timestamp {time}\n")
            }
            _ => format!("Successfully truncated AOF {name}\n"),
        };
        self.say(&text);
    }

    fn single(&mut self, file: &File<'_>, task: Task) -> Outcome<Verdict> {
        let size = match self.storage.len(file.path) {
            Ok(size) => size,
            Err(error) => return self.cannot_open(file.path, &error, ", aborting..."),
        };
        if size == 0 {
            return Ok(Verdict::Empty);
        }
        let start = if file.is_rdb { self.preamble(file)? } else { 0 };
        let found = match Scan::run(self.storage, file, start, self.line, task) {
            Ok(found) => found,
            Err(error) => return self.cannot_open(file.path, &error, ", aborting..."),
        };
        let Found { text, good, line, later, is_hopeless } = found;
        self.line = line;
        if let Some((at, time)) = later {
            return self.truncate_to(file, at, time);
        }
        self.say(&text.unwrap_or_default());
        if is_hopeless { Err(Failed) } else { self.judge(file, size, good, task) }
    }

    fn preamble(&mut self, file: &File<'_>) -> Outcome<u64> {
        match (self.check_rdb)(file.path, self.out) {
            Some(bytes) => {
                self.say("RDB preamble is OK, proceeding with AOF tail...\n");
                Ok(bytes)
            }
            None => self.fail("RDB preamble of AOF file is not sane, aborting.\n"),
        }
    }

    /// What is done about a file that is right up to `good`.
    fn judge(&mut self, file: &File<'_>, size: u64, good: u64, task: Task) -> Outcome<Verdict> {
        let line = self.line;
        let (name, rest) = (file.name, size.saturating_sub(good));
        if let (Task::Truncate(time), 0) = (task, rest) {
            self.say(&format!("Truncate nothing in AOF {name} to timestamp {time}\n"));
            return Ok(Verdict::Valid);
        }
        self.say(&format!(
            "AOF analyzed: filename={name}, size={size}, ok_up_to={good}, ok_up_to_line={line}, \
             diff={rest}\n"
        ));
        if rest == 0 {
            return Ok(Verdict::Valid);
        }
        if task != Task::Fix {
            return self.fail(&format!(
                "AOF {name} is not valid. Use the --fix option to try fixing it.\n"
            ));
        }
        if !file.is_last {
            return self
                .fail(&format!("Failed to truncate AOF {name} because it is not the last file\n"));
        }
        self.say(&format!(
            "This will shrink the AOF {name} from {size} bytes, with {rest} bytes, to {good} bytes\n"
        ));
        self.say("Continue? [y/N]: ");
        if !self.is_agreed() {
            return self.fail("Aborting...\n");
        }
        match self.cut(file.path, good) {
            Ok(()) => Ok(Verdict::Truncated),
            Err(_) => self.fail(&format!("Failed to truncate AOF {name}\n")),
        }
    }

    fn is_agreed(&mut self) -> bool {
        let mut answer = String::new();
        let is_read = self.input.read_line(&mut answer).is_ok();
        is_read && answer.starts_with(['y', 'Y'])
    }

    /// A timestamp later than what was asked for stands at `at`.
    fn truncate_to(&mut self, file: &File<'_>, at: u64, time: i64) -> Outcome<Verdict> {
        let path = file.path.display();
        if at == 0 {
            return self
                .fail(&format!("AOF {path} has nothing before timestamp {time}, aborting...\n"));
        }
        if !file.is_last {
            return self.fail(&format!(
                "Failed to truncate AOF {path} to timestamp {time} to offset {at} because it is not \
                 the last file.\nIf you insist, please delete all files after this file according \
                 to the manifest file and delete the corresponding records in manifest file \
                 manually. Then re-run valkey-check-aof.\n"
            ));
        }
        match self.cut(file.path, at) {
            Ok(()) => Ok(Verdict::TruncatedToTime),
            Err(_) => self.fail(&format!("Failed to truncate AOF {path} to timestamp {time}\n")),
        }
    }

    fn cut(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut file = self.storage.append(path, Purpose::Log)?;
        file.set_len(len)?;
        file.sync()
    }

    /// Whether a file lists files, as far as its lines are comments or do.
    fn is_manifest(&mut self, path: &Path) -> Outcome<bool> {
        let first = match self.first_bytes(path, MAX_LINE as u64 * 16) {
            Ok(first) => first,
            Err(error) => return self.cannot_open(path, &error, ""),
        };
        let mut lines = first.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#"));
        Ok(lines.next().is_some_and(|line| line.starts_with(b"file")))
    }

    fn begins_with_rdb(&mut self, path: &Path) -> Outcome<bool> {
        match self.first_bytes(path, 8) {
            // Redis knows the first, Valkey writes the second for what only it has.
            Ok(first) => Ok(first.len() == 8 && (first.starts_with(b"REDIS") || is_rdb(&first))),
            Err(error) => self.cannot_open(path, &error, ""),
        }
    }

    fn first_bytes(&self, path: &Path, len: u64) -> io::Result<Vec<u8>> {
        let mut first = Vec::new();
        self.storage.open(path)?.take(len).read_to_end(&mut first)?;
        Ok(first)
    }

    fn cannot_open<T>(&mut self, path: &Path, error: &io::Error, end: &str) -> Outcome<T> {
        self.fail(&format!("Cannot open file {}: {}{end}\n", path.display(), reason(error)))
    }
}

/// A file to be checked.
struct File<'f> {
    name: &'f str,
    path: &'f Path,
    /// Only the last file of a log may be cut.
    is_last: bool,
    is_rdb: bool,
}
