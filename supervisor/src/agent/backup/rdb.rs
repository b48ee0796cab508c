//! An RDB file read from end to end: its checksum, its shape and how many keys it holds.
//!
//! Values are walked over, not built: the checker that comes with the server looks into them. What
//! is read here is what tells a whole file from a torn or foreign one, in constant memory.
//! The layout is that of Redis' rdb.c, versions 1 to 12, and of Valkey's version 80.

mod source;
mod value;

use std::fmt;
use std::io::{self, Read};

use source::Source;

/// The versions that the server reads: Redis' own, and Valkey's.
const REDIS: std::ops::RangeInclusive<u16> = 1..=12;
const VALKEY: std::ops::RangeInclusive<u16> = 80..=80;
/// Before this version a file ends without a checksum.
const FIRST_CHECKED: u16 = 5;
/// Keys that are due later than this from now are still there when a restore is proven.
const LASTING_MS: u64 = 3_600_000;

mod opcode {
    pub(super) const SLOT_INFO: u8 = 244;
    pub(super) const FUNCTION: u8 = 245;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const SIZES: u8 = 251;
    pub(super) const EXPIRY_MS: u8 = 252;
    pub(super) const EXPIRY_SECONDS: u8 = 253;
    pub(super) const DATABASE: u8 = 254;
    pub(super) const END: u8 = 255;
}

/// What a sound file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) bytes: u64,
    pub(crate) keys: u64,
    /// Keys that were due already: a server that loads the file leaves them out.
    pub(crate) expired: u64,
    /// Keys that are there for another hour at least.
    pub(crate) lasting: u64,
    pub(crate) sha256: String,
    /// The file has a checksum of its own, and it is right.
    pub(crate) checksummed: bool,
}

#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    /// It ends in the middle, behind so many bytes.
    Torn(u64),
    NotRdb,
    Version(u16),
    Checksum,
    /// Bytes behind the end.
    Tail,
    /// A key or a value that no version has, or that the server does not load.
    Unknown(&'static str, u64),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Torn(at) => write!(f, "is torn: it ends after {at} bytes, in the middle"),
            Self::NotRdb => f.write_str("is no RDB file"),
            Self::Version(version) => write!(f, "is of RDB version {version}, not known here"),
            Self::Checksum => f.write_str("is damaged: its checksum is wrong"),
            Self::Tail => f.write_str("goes on behind its end"),
            Self::Unknown(what, at) => write!(f, "is damaged at byte {at}: {what}"),
        }
    }
}

/// Reads everything that `input` has.
pub(crate) fn read(input: impl Read, now_unix_ms: u64) -> Result<Contents, Fault> {
    let mut walk =
        Walk { source: Source::new(input), version: 0, due: None, keys: Keys::default() };
    walk.version = walk.read_start()?;
    while walk.step(now_unix_ms)? {}
    let checksummed = walk.read_checksum()?;
    let Walk { source, keys: Keys { all, expired, lasting }, .. } = walk;
    let (bytes, sha256) = source.finish()?;
    Ok(Contents { bytes, keys: all, expired, lasting, sha256, checksummed })
}

#[derive(Default)]
struct Keys {
    all: u64,
    expired: u64,
    lasting: u64,
}

struct Walk<R> {
    source: Source<R>,
    version: u16,
    /// When the next key is due, Unix time in milliseconds.
    due: Option<u64>,
    keys: Keys,
}

impl<R: Read> Walk<R> {
    fn read_start(&mut self) -> Result<u16, Fault> {
        let start: [u8; 9] = self.source.array().map_err(|fault| match fault {
            Fault::Torn(_) => Fault::NotRdb,
            other => other,
        })?;
        let (name, digits) = start.split_at(6);
        let version = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u16>().ok());
        let known = match name {
            b"REDIS0" => REDIS,
            b"VALKEY" => VALKEY,
            _ => return Err(Fault::NotRdb),
        };
        let version = version.ok_or(Fault::NotRdb)?;
        if known.contains(&version) { Ok(version) } else { Err(Fault::Version(version)) }
    }

    /// False behind the end.
    fn step(&mut self, now: u64) -> Result<bool, Fault> {
        let source = &mut self.source;
        match source.byte()? {
            opcode::EXPIRY_MS => self.due = Some(u64::from_le_bytes(source.array()?)),
            opcode::EXPIRY_SECONDS => {
                self.due = Some(u64::from(u32::from_le_bytes(source.array()?)) * 1000);
            }
            opcode::IDLE | opcode::DATABASE => drop(source.number()?),
            opcode::FREQUENCY => source.skip(1)?,
            opcode::SIZES => source.numbers(2)?,
            opcode::SLOT_INFO => source.numbers(3)?,
            opcode::AUX => source.strings(2)?,
            opcode::FUNCTION => source.strings(1)?,
            opcode::END => return Ok(false),
            form => {
                source.strings(1)?;
                value::skip(source, form, self.version)?;
                self.count(now);
            }
        }
        Ok(true)
    }

    fn count(&mut self, now: u64) {
        /// How -1, "never", looks without a sign.
        const NEVER: u64 = u64::MAX;
        let due = self.due.take().filter(|due| *due != NEVER);
        self.keys.all += 1;
        self.keys.expired += u64::from(due.is_some_and(|due| due <= now));
        self.keys.lasting += u64::from(due.is_none_or(|due| due > now.saturating_add(LASTING_MS)));
    }

    /// Zero says that the writer made none.
    fn read_checksum(&mut self) -> Result<bool, Fault> {
        if self.version < FIRST_CHECKED {
            return Ok(false);
        }
        let computed = self.source.checksum();
        let written = u64::from_le_bytes(self.source.array()?);
        match written {
            0 => Ok(false),
            _ if written == computed => Ok(true),
            _ => Err(Fault::Checksum),
        }
    }
}

#[cfg(test)]
mod tests;
