//! What DUMP answers and RESTORE takes: a value with its form, the version of RDB that is needed to
//! read it, and a CRC-64 of all that.
//!
//! ```text
//!   form   value   version (u16)   checksum (u64)
//! ```
//!
//! The version is that of the form, not our latest: servers refuse what is newer than they are, and
//! so each one that knows the form takes the value, Redis included.

use super::crc64::Crc64;
use super::form::{FIRST_OF_VALKEY, LAST_COMMON, LAST_OF_REDIS, LAST_OF_VALKEY};
use super::{Error, Form, Limits, Reader, Writer, read_value, write_value};
use crate::clock::Now;
use crate::keyspace::{Value, ValueRef};

const CHECKSUM_LEN: usize = 8;
const FOOTER_LEN: usize = 2 + CHECKSUM_LEN;

pub fn dump(value: ValueRef<'_>, compress: bool, now: Now) -> Vec<u8> {
    let form = Form::of(value);
    let mut writer = Writer::new(vec![form.byte()], compress, now);
    write_value(&mut writer, value);
    let mut payload = writer.into_sink();
    payload.extend(form.version().to_le_bytes());
    let checksum = Crc64::of(&payload);
    payload.extend(checksum.to_le_bytes());
    payload
}

/// What is believed of a payload.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust {
    /// Versions that are not known here, as far as they are understood.
    pub any_version: bool,
    pub no_checksum: bool,
}

/// Why a payload is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    VersionOrChecksum,
    /// Only a server of another kind knows this form.
    ForeignForm(u8),
    BadFormat(Error),
}

const TOO_MUCH: Error = Error::Corrupt("bytes behind the value");

pub fn restore(payload: &[u8], trust: Trust, limits: &Limits, now: Now) -> Result<Value, Refused> {
    let (version, body) = opened(payload, trust).ok_or(Refused::VersionOrChecksum)?;
    let (&byte, body) = body.split_first().ok_or(Refused::BadFormat(Error::Ends))?;
    let form = Form::of_byte(byte, version).ok_or_else(|| unknown(byte, version))?;
    let mut reader = Reader::new(body, now);
    let value = read_value(&mut reader, form, limits).map_err(Refused::BadFormat)?;
    if reader.source().is_empty() { Ok(value) } else { Err(Refused::BadFormat(TOO_MUCH)) }
}

/// The version, and the body with its form, of a payload whose footer is right.
fn opened(payload: &[u8], trust: Trust) -> Option<(u16, &[u8])> {
    let (body, footer) = payload.split_last_chunk::<FOOTER_LEN>()?;
    let (&[low, high], checksum) = footer.split_first_chunk::<2>()?;
    let version = u16::from_le_bytes([low, high]);
    let known = matches!(version, 1..=LAST_OF_REDIS | FIRST_OF_VALKEY..=LAST_OF_VALKEY);
    let accepted = known || (trust.any_version && version > 0);
    let covered = &payload[..payload.len() - CHECKSUM_LEN];
    let whole = trust.no_checksum || Crc64::of(covered).to_le_bytes() == checksum;
    (accepted && whole).then_some((version, body))
}

fn unknown(byte: u8, version: u16) -> Refused {
    /// Bytes from here on are the opcodes of files.
    const FIRST_OPCODE: u8 = 244;
    let is_foreign = (LAST_COMMON + 1..FIRST_OF_VALKEY).contains(&version);
    match byte {
        22..FIRST_OPCODE if is_foreign => Refused::ForeignForm(byte),
        _ => Refused::BadFormat(Error::Corrupt("unknown form of a value")),
    }
}
