//! SETBIT and GETBIT.

use super::{BITMAP, GROWS, READS, offset};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::Call;
use crate::error::{self, Result};
use crate::keyspace::Value;
use crate::number;
use crate::types::string::{Digits, Str};

pub(super) const SETBIT: Command = Command {
    name: "setbit",
    syntax: "key offset value:integer",
    summary: "Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
    since: "2.2.0",
    flags: GROWS,
    keys: &[KeySpec::one(1, Access::ReadWrite, &["access", "update"])],
    handler: Some(setbit),
    ..BITMAP
};

fn setbit(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, place, bit) = (args.required()?, args.required()?, args.required()?);
    args.finish()?;
    let place = Place::at(offset(call, place)?);
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
    since: "2.2.0",
    flags: Flags::READONLY.union(Flags::FAST),
    keys: &[READS],
    handler: Some(getbit),
    ..BITMAP
};

fn getbit(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let (key, place) = (args.required()?, args.required()?);
    args.finish()?;
    let place = Place::at(offset(call, place)?);
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
    fn at(offset: u64) -> Self {
        let byte = usize::try_from(offset / 8).expect("the limit of a string is a usize");
        Self { byte, mask: 0x80 >> (offset % 8) }
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
