//! The options that SET, GETEX and MSETEX share: under which condition a value is set, and when it
//! expires.

use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::keyspace::{Ttl, ValueRef};
use crate::number;

/// Which of the options a command knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    Set,
    Getex,
    Msetex,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options<'a> {
    pub(super) condition: Condition<'a>,
    /// SET … GET.
    pub(super) get: bool,
    pub(super) expiry: Expiry<'a>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    #[default]
    Always,
    /// NX
    Missing,
    /// XX
    Present,
    /// IFEQ
    Equals(&'a [u8]),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expiry<'a> {
    #[default]
    Unsaid,
    /// KEEPTTL
    Keep,
    /// PERSIST
    Persist,
    Timed(TimeUnit, &'a [u8]),
}

/// How the number behind EX, PX, EXAT and PXAT is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeUnit {
    Seconds,
    Milliseconds,
    UnixSeconds,
    UnixMilliseconds,
}

impl<'a> Options<'a> {
    pub(super) fn parse(mut args: Args<'a>, command: For) -> Result<Self> {
        let mut options = Self::default();
        while !args.is_empty() {
            options.take(&mut args, command)?;
        }
        Ok(options)
    }

    fn take(&mut self, args: &mut Args<'a>, command: For) -> Result {
        const TIMES: [(&str, TimeUnit); 4] = [
            ("ex", TimeUnit::Seconds),
            ("px", TimeUnit::Milliseconds),
            ("exat", TimeUnit::UnixSeconds),
            ("pxat", TimeUnit::UnixMilliseconds),
        ];
        for (word, unit) in TIMES {
            if args.keyword(word) {
                return self.expires(Expiry::Timed(unit, args.required()?));
            }
        }
        if command == For::Getex {
            return match args.keyword("persist") {
                true => self.expires(Expiry::Persist),
                false => Err(error::SYNTAX),
            };
        }
        if args.keyword("keepttl") {
            return self.expires(Expiry::Keep);
        }
        if args.keyword("nx") {
            return self.only_if(Condition::Missing);
        }
        if args.keyword("xx") {
            return self.only_if(Condition::Present);
        }
        if command == For::Set && args.keyword("ifeq") {
            return self.only_if(Condition::Equals(args.required()?));
        }
        if command == For::Set && args.keyword("get") {
            self.get = true;
            return Ok(());
        }
        Err(error::SYNTAX)
    }

    /// NX and XX may be repeated, as in Redis.
    fn only_if(&mut self, condition: Condition<'a>) -> Result {
        let again = self.condition == condition && !matches!(condition, Condition::Equals(_));
        if self.condition != Condition::Always && !again {
            return Err(error::SYNTAX);
        }
        self.condition = condition;
        Ok(())
    }

    /// The same option may be repeated, as in Redis; the last one counts.
    fn expires(&mut self, expiry: Expiry<'a>) -> Result {
        let allowed = match (self.expiry, expiry) {
            (Expiry::Unsaid, _) => true,
            (Expiry::Timed(before, _), Expiry::Timed(unit, _)) => before == unit,
            (before, _) => before == expiry,
        };
        if !allowed {
            return Err(error::SYNTAX);
        }
        self.expiry = expiry;
        Ok(())
    }
}

impl Condition<'_> {
    /// Whether a value may be set where `found` is now.
    pub(super) fn holds(self, found: Option<ValueRef<'_>>) -> Result<bool> {
        match (self, found) {
            (Condition::Always, _) => Ok(true),
            (Condition::Missing, found) => Ok(found.is_none()),
            (Condition::Present, found) => Ok(found.is_some()),
            (Condition::Equals(_), None) => Ok(false),
            (Condition::Equals(text), Some(value)) => {
                let value = value.as_str().ok_or(error::WRONG_TYPE)?;
                Ok(super::equals(value, text))
            }
        }
    }
}

impl Expiry<'_> {
    /// What a write does to the key's expiry.
    pub(super) fn ttl(self, call: &Call<'_>) -> Result<Ttl> {
        match self {
            Expiry::Unsaid | Expiry::Persist => Ok(Ttl::Clear),
            Expiry::Keep => Ok(Ttl::Keep),
            Expiry::Timed(unit, number) => Ok(Ttl::At(unit.deadline(number, call)?)),
        }
    }
}

impl TimeUnit {
    /// The deadline on the server timeline.
    pub(super) fn deadline(self, number: &[u8], call: &Call<'_>) -> Result<i64> {
        let number = number::parse_int(number).ok_or(error::NOT_INTEGER)?;
        let ms = match self {
            TimeUnit::Seconds | TimeUnit::UnixSeconds => number.checked_mul(1000),
            TimeUnit::Milliseconds | TimeUnit::UnixMilliseconds => Some(number),
        };
        let deadline = ms.filter(|&ms| ms > 0).and_then(|ms| match self {
            TimeUnit::Seconds | TimeUnit::Milliseconds => call.now.ms().checked_add(ms),
            _ => Some(call.now.deadline_of_unix_ms(ms)),
        });
        deadline.ok_or_else(|| error::invalid_expire(call.full_name()))
    }
}
