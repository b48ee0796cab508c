//! The argument cursor: a handler takes its arguments off one by one and ends with `finish`, before
//! it touches anything.

use crate::clock::Now;
use crate::error::{self, Result};
use crate::number;
use crate::resp::Argv;

#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    argv: Argv<'a>,
    at: usize,
    /// Where the cursor stops: behind the last argument, or that of its part.
    end: usize,
}

impl<'a> Args<'a> {
    /// Starts behind the command's name (and subcommand): at argument `at`.
    pub fn new(argv: Argv<'a>, at: usize) -> Self {
        Self { argv, at, end: argv.len() }
    }

    /// Arguments left.
    #[inline]
    pub fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    pub fn is_empty(&self) -> bool {
        self.left() == 0
    }

    #[inline]
    pub fn peek(&self) -> Option<&'a [u8]> {
        if self.at < self.end { self.argv.get(self.at) } else { None }
    }

    /// The next argument; a syntax error when there is none.
    #[inline]
    pub fn required(&mut self) -> Result<&'a [u8]> {
        self.next().ok_or(error::SYNTAX)
    }

    /// Takes `word` off, in any case, if it comes next.
    pub fn keyword(&mut self, word: &str) -> bool {
        let hit = self.peek().is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        self.at += usize::from(hit);
        hit
    }

    pub fn int(&mut self) -> Result<i64> {
        self.int_or(error::NOT_INTEGER)
    }

    pub fn int_or(&mut self, otherwise: error::Error) -> Result<i64> {
        number::parse_int(self.required()?).ok_or(otherwise)
    }

    /// A number that Redis keeps in a C `int`: of a database.
    pub fn int32(&mut self) -> Result<i64> {
        let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
        let value = self.int()?;
        let fits = (low..=high).contains(&value);
        fits.then_some(value).ok_or_else(|| error::out_of_range_between(low, high))
    }

    pub fn int32_or(&mut self, otherwise: error::Error) -> Result<i64> {
        let value = self.int_or(otherwise.clone())?;
        i32::try_from(value).map(i64::from).map_err(|_| otherwise)
    }

    pub fn float(&mut self) -> Result<f64> {
        number::parse_float(self.required()?).ok_or(error::NOT_FLOAT)
    }

    /// A timeout in seconds, with fractions, as the time on the server's timeline when it is over;
    /// `None` for 0, which is never.
    pub fn deadline(&mut self, now: Now) -> Result<Option<i64>> {
        let seconds =
            number::parse_long_double(self.required()?).ok_or(error::TIMEOUT_NOT_FLOAT)?;
        let ms = (seconds * 1000.0).ceil();
        if ms > i64::MAX as f64 {
            return Err(error::TIMEOUT_OUT_OF_RANGE);
        }
        deadline_after(ms as i64, now)
    }

    /// The same for a timeout in milliseconds.
    pub fn deadline_ms(&mut self, now: Now) -> Result<Option<i64>> {
        let ms = self.int_or(error::TIMEOUT_NOT_INTEGER)?;
        deadline_after(ms, now)
    }

    /// The next `count` arguments as a cursor of their own; a syntax error when there are fewer.
    pub fn split_off(&mut self, count: usize) -> Result<Self> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.end);
        let end = end.ok_or(error::SYNTAX)?;
        let head = Self { end, ..*self };
        self.at = end;
        Ok(head)
    }

    /// The arguments in twos.
    pub fn pairs(mut self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        std::iter::from_fn(move || Some((self.next()?, self.next()?)))
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result {
        if self.is_empty() { Ok(()) } else { Err(error::SYNTAX) }
    }
}

fn deadline_after(ms: i64, now: Now) -> Result<Option<i64>> {
    match ms {
        ..0 => Err(error::TIMEOUT_NEGATIVE),
        0 => Ok(None),
        _ => now.ms().checked_add(ms).map(Some).ok_or(error::TIMEOUT_OUT_OF_RANGE),
    }
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let arg = self.peek()?;
        self.at += 1;
        Some(arg)
    }
}
