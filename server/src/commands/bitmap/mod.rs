//! The bitmap commands: strings as rows of bits.

mod bit;
mod combine;
mod field;
mod search;

use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::number;

pub(super) const COMMANDS: &[Command] = &[
    search::BITCOUNT,
    field::BITFIELD,
    field::BITFIELD_RO,
    combine::BITOP,
    search::BITPOS,
    bit::GETBIT,
    bit::SETBIT,
];

/// What most bitmap commands share.
const BITMAP: Command = Command { group: Group::Bitmap, ..Command::BASE };

/// A command that may make a string longer.
const GROWS: Flags = Flags::WRITE.union(Flags::DENYOOM);

const READS: KeySpec = KeySpec::one(1, Access::ReadOnly, &["access"]);

/// Where a bit is, read from a client: within `proto-max-bulk-len`.
fn offset(call: &Call<'_>, text: &[u8]) -> Result<u64> {
    let offset = number::parse_int(text).and_then(|offset| u64::try_from(offset).ok());
    within_limit(call, offset)
}

fn within_limit(call: &Call<'_>, offset: Option<u64>) -> Result<u64> {
    let limit = call.engine.config.settings().max_bulk_len as u64;
    offset.filter(|offset| offset / 8 < limit).ok_or(error::BIT_OFFSET)
}
