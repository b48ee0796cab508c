//! SETBIT and GETBIT: a string as a row of bits, the first one the highest of the first byte.

use super::{GROWS, READS, UPDATES};
use crate::commands::spec::{Command, Flags, Group};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};
use crate::keyspace::Value;
use crate::number;
use crate::types::string::{Digits, Str};

const BITMAP: Command = Command { group: Group::Bitmap, since: "2.2.0", ..Command::BASE };

pub(super) const SETBIT: Command = Command {
    name: "setbit",
    syntax: "key offset value:integer",
    summary: "Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
    flags: GROWS,
    keys: &[UPDATES],
    handler: Some(setbit),
    ..BITMAP
};

fn setbit(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, offset, bit) = (args.required()?, args.required()?, args.required()?);
    args.finish()?;
    let place = Place::parse(call, offset)?;
    let bit = match number::parse_int(bit) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(error::NOT_BIT),
    };
    // Setting a bit to what it was is no change, unless it makes the string longer.
    let (before, changed) = match call.write_string(key)? {
        Some(mut value) => {
            let grows = value.view().len() <= place.byte;
            let before = place.set(value.bytes_mut(place.byte + 1), bit);
            (before, grows || before != bit)
        }
        None => {
            let mut bytes = vec![0; place.byte + 1];
            place.set(&mut bytes, bit);
            call.set_value(key, Value::Str(Str::Raw(bytes)), None);
            (false, true)
        }
    };
    if changed {
        call.changed(key);
        call.event(Class::STRING, "setbit", key);
    }
    call.reply.int(i64::from(before));
    Ok(())
}

pub(super) const GETBIT: Command = Command {
    name: "getbit",
    syntax: "key offset",
    summary: "Returns a bit value by offset.",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[READS],
    handler: Some(getbit),
    ..BITMAP
};

fn getbit(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, offset) = (args.required()?, args.required()?);
    args.finish()?;
    let place = Place::parse(call, offset)?;
    let (found, reply) = call.read_string_and_reply(key)?;
    let bit = found.is_some_and(|value| place.get(value.bytes(&mut Digits::new())));
    reply.int(i64::from(bit));
    Ok(())
}

/// Where a bit is.
#[derive(Clone, Copy)]
struct Place {
    byte: usize,
    mask: u8,
}

impl Place {
    /// An offset in bits that stays within `proto-max-bulk-len`.
    fn parse(call: &Call<'_>, offset: &[u8]) -> Result<Self> {
        let limit = call.engine.config.settings().max_bulk_len;
        let offset = number::parse_int(offset).and_then(|offset| u64::try_from(offset).ok());
        let offset = offset.ok_or(error::BIT_OFFSET)?;
        let byte = usize::try_from(offset / 8).ok().filter(|&byte| byte < limit);
        Ok(Self { byte: byte.ok_or(error::BIT_OFFSET)?, mask: 0x80 >> (offset % 8) })
    }

    fn get(self, bytes: &[u8]) -> bool {
        bytes.get(self.byte).is_some_and(|byte| byte & self.mask != 0)
    }

    /// Sets the bit and returns what it was.
    fn set(self, bytes: &mut [u8], bit: bool) -> bool {
        let before = self.get(bytes);
        let byte = &mut bytes[self.byte];
        *byte = if bit { *byte | self.mask } else { *byte & !self.mask };
        before
    }
}
