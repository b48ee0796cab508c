//! The HyperLogLog commands: how many different elements a key has seen, roughly.

mod count;
mod debug;

use super::spec::{Command, Flags, Group};
use crate::engine::Call;
use crate::error::{self, Result};
use crate::keyspace::Value;
use crate::types::hyperloglog::View;
use crate::types::string::{Str, StrRef};

pub(super) const COMMANDS: &[Command] =
    &[count::PFADD, count::PFCOUNT, debug::PFDEBUG, count::PFMERGE, debug::PFSELFTEST];

/// What they share.
const HYPERLOGLOG: Command = Command { group: Group::HyperLogLog, since: "2.8.9", ..Command::BASE };

const GROWS: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// A string as a HyperLogLog.
fn view(string: StrRef<'_>) -> Result<View<'_>> {
    match string {
        StrRef::Bytes(bytes) => View::new(bytes).ok_or(error::NOT_HYPERLOGLOG),
        StrRef::Int(_) => Err(error::NOT_HYPERLOGLOG),
    }
}

/// Stores one at a key, whose expiry stays.
fn store(call: &mut Call<'_>, key: &[u8], bytes: Vec<u8>) {
    let expire_at = call.peek(key).and_then(|entry| entry.expire_at());
    call.set_value(key, Value::Str(Str::Raw(bytes)), expire_at);
}
