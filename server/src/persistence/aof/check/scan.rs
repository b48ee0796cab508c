//! One file read line by line as Valkey's tool reads it, so that what is wrong is told at the same
//! place in the same words.

use std::io;

use super::super::groups::{Groups, Tail};
use super::super::input::Input;
use super::super::marks;
use super::{File, Task};
use crate::storage::Storage;

/// Longest line with a number that is read whole.
const MAX_HEADER: usize = 127;

/// What a file is like.
pub(super) struct Found {
    /// What is wrong, as lines to be told.
    pub(super) text: Option<String>,
    /// Up to where it is right, and the line that was reached, as they are counted through all files.
    pub(super) good: u64,
    pub(super) line: u64,
    /// Where it goes on with what happened after the time asked for, and that time.
    pub(super) later: Option<(u64, i64)>,
    /// It cannot be told what was asked.
    pub(super) is_hopeless: bool,
}

pub(super) struct Scan<'s> {
    input: Input,
    file: &'s File<'s>,
    task: Task,
    line: u64,
    /// How deep in transactions: one at most.
    in_transaction: bool,
    /// Up to where marks prove the file, if they end too early.
    proved: Option<u64>,
    /// Where the group that is read begins.
    group: Option<u64>,
    /// What was read last began here.
    place: u64,
}

/// Why reading ends.
enum Stop {
    /// The file is over, within a command perhaps.
    End,
    /// Something is wrong, told with its place or as it is.
    At(u64, String),
    Plain(String),
    Later(u64, i64),
    Hopeless(&'static str),
}

type Step<T> = Result<T, Stop>;

impl<'s> Scan<'s> {
    pub(super) fn run(
        storage: &dyn Storage,
        file: &'s File<'s>,
        start: u64,
        line: u64,
        task: Task,
    ) -> io::Result<Found> {
        let proved = unproved(Input::new(storage.open(file.path)?, u64::MAX))?;
        let mut input = Input::new(storage.open(file.path)?, u64::MAX);
        input.skip_to(start)?;
        let mut scan =
            Self { input, file, task, line, in_transaction: false, proved, group: None, place: 0 };
        scan.all()
    }

    fn all(&mut self) -> io::Result<Found> {
        let mut good = self.input.offset();
        let stop = loop {
            if !self.in_transaction {
                good = self.input.offset();
            }
            if let Err(stop) = self.step()? {
                break stop;
            }
        };
        let mut found =
            Found { text: None, good, line: self.line, later: None, is_hopeless: false };
        match stop {
            Stop::End if self.in_transaction => {
                found.text = Some(told(self.place, "Reached EOF before reading EXEC for MULTI"));
            }
            Stop::End => {}
            Stop::At(at, text) => found.text = Some(told(at, &text)),
            Stop::Plain(text) => found.text = Some(text),
            Stop::Later(at, time) => found.later = Some((at, time)),
            Stop::Hopeless(text) => {
                found.text = Some(text.to_owned());
                found.is_hopeless = true;
            }
        }
        Ok(found)
    }

    fn step(&mut self) -> io::Result<Step<()>> {
        let at = self.input.offset();
        Ok(match self.first()? {
            None => Err(Stop::End),
            Some(_) if self.proved == Some(at) => {
                Err(Stop::At(at, "Expected a group that is proved by its checksum".to_owned()))
            }
            Some(b'#') => self.annotation()?,
            Some(b'*') => self.command()?,
            Some(_) => Err(Stop::Plain(format!("AOF {} format error\n", self.file.name))),
        })
    }

    fn first(&mut self) -> io::Result<Option<u8>> {
        if self.input.bytes().is_empty() {
            self.input.more(1)?;
        }
        Ok(self.input.bytes().first().copied())
    }

    /// As `fgets`: up to a line end, `most` bytes or the end of the file.
    fn take_line(&mut self, most: usize) -> io::Result<Vec<u8>> {
        loop {
            let bytes = self.input.bytes();
            let window = &bytes[..bytes.len().min(most)];
            let end = memchr::memchr(b'\n', window).map(|end| end + 1);
            if let Some(end) = end.or((window.len() == most).then_some(most)) {
                return Ok(self.take(end));
            }
            if !self.input.more(1)? {
                let rest = self.input.bytes().len();
                return Ok(self.take(rest));
            }
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let taken = self.input.bytes()[..len].to_vec();
        self.input.consume(len);
        taken
    }

    fn annotation(&mut self) -> io::Result<Step<()>> {
        let at = self.input.offset();
        self.place = at;
        let line = self.take_line(marks::MAX_COMMENT)?;
        let group = self.group.take();
        if line == marks::GROUP.as_bytes() {
            self.group = Some(at);
        }
        let (Task::Truncate(asked), Some(time)) = (self.task, line.strip_prefix(b"#TS:")) else {
            return Ok(Ok(()));
        };
        Ok(match leading_number(time) {
            (time, [b'\r', ..]) if time <= asked => Ok(()),
            // The group that it begins goes as well.
            (_, [b'\r', ..]) => Err(Stop::Later(group.unwrap_or(at), asked)),
            _ => Err(Stop::Hopeless("Invalid timestamp annotation\n")),
        })
    }

    fn command(&mut self) -> io::Result<Step<()>> {
        self.group = None;
        let count = match self.number(b'*')? {
            Ok(count) => count,
            Err(stop) => return Ok(Err(stop)),
        };
        for index in 0..count {
            let step = self.string(index == 0)?;
            if step.is_err() {
                return Ok(step);
            }
        }
        Ok(Ok(()))
    }

    /// A line with a number.
    fn number(&mut self, sort: u8) -> io::Result<Step<i64>> {
        let at = self.input.offset();
        self.place = at;
        let line = self.take_line(MAX_HEADER)?;
        let Some(&first) = line.first() else { return Ok(Err(Stop::End)) };
        if first != sort {
            let (sort, first) = (sort as char, first as char);
            let text = format!("Expected prefix '{sort}', got: '{first}'");
            return Ok(Err(Stop::At(at, text)));
        }
        let (number, rest) = leading_number(&line[1..]);
        Ok(self.line_end(at, rest).map(|()| number))
    }

    /// A string: the length, the bytes, a line end. The first of a command is its name.
    fn string(&mut self, is_name: bool) -> io::Result<Step<()>> {
        let header = self.input.offset();
        let len = match self.number(b'$')? {
            Ok(len) => len,
            Err(stop) => return Ok(Err(stop)),
        };
        let wanted = usize::try_from(len).ok().filter(|_| len <= i64::MAX - 2);
        let Some(wanted) = wanted.map(|len| len + 2) else {
            let text = format!(
                "Expected to read string of {len} bytes, which is not in the suitable range"
            );
            return Ok(Err(Stop::At(header, text)));
        };
        let at = self.input.offset();
        self.place = at;
        while self.input.bytes().len() < wanted {
            let missing = wanted - self.input.bytes().len();
            if !self.input.more(missing)? {
                let got = self.input.bytes().len();
                self.input.consume(got);
                let text = format!("Expected to read {wanted} bytes, got {got} bytes");
                return Ok(Err(Stop::At(at, text)));
            }
        }
        let bytes = &self.input.bytes()[..wanted];
        let name = if is_name { bytes[..wanted - 2].to_ascii_lowercase() } else { Vec::new() };
        let end = [bytes[wanted - 2], bytes[wanted - 1]];
        self.input.consume(wanted);
        Ok(self.line_end(at, &end).and_then(|()| self.transaction(at, &name)))
    }

    fn line_end(&mut self, at: u64, bytes: &[u8]) -> Step<()> {
        if bytes.starts_with(b"\r\n") {
            self.line += 1;
            return Ok(());
        }
        // As C prints a `char`, which has a sign.
        let hex = |index: usize| i32::from(bytes.get(index).copied().unwrap_or(0) as i8);
        Err(Stop::At(at, format!("Expected \\r\\n, got: {:02x}{:02x}", hex(0), hex(1))))
    }

    fn transaction(&mut self, at: u64, name: &[u8]) -> Step<()> {
        let path = self.file.path.display();
        match (name, self.in_transaction) {
            (b"multi", true) => Err(Stop::At(at, format!("Unexpected MULTI in AOF {path}"))),
            (b"exec", false) => Err(Stop::At(at, format!("Unexpected EXEC in AOF {path}"))),
            (b"multi", false) => {
                self.in_transaction = true;
                Ok(())
            }
            (b"exec", true) => {
                self.in_transaction = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Up to where the marks of a file of ours prove it, if something stands behind that should be proved.
fn unproved(input: Input) -> io::Result<Option<u64>> {
    let mut groups = Groups::new(input);
    let tail = loop {
        if let Some(tail) = groups.advance()? {
            break tail;
        }
    };
    Ok((tail == Tail::Unproved).then(|| groups.proof().len))
}

fn told(at: u64, text: &str) -> String {
    format!("0x{at:>16x}: {text}\n")
}

/// As `strtol`, and what stands behind the number.
fn leading_number(text: &[u8]) -> (i64, &[u8]) {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let digits = text[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return (0, text);
    }
    let (number, rest) = text.split_at(sign + digits);
    let is_negative = number.first() == Some(&b'-');
    let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
    (number.unwrap_or(if is_negative { i64::MIN } else { i64::MAX }), rest)
}
