//! The stream commands, one idea a file. Not here: how a stream is kept (`types::stream`), who waits
//! for what (`engine::blocking`).

mod ids;
mod logged;
mod reply;

mod add;
mod trim;

mod range;
mod read;

mod ack;
mod claim;
mod group;
mod pending;

mod info;
mod set_id;

use super::spec::{Access, Command, Flags, Group, KeySpec};
use crate::config::Settings;
use crate::error::Error;
use crate::types::stream;

pub(super) const COMMANDS: &[Command] = &[
    ack::XACK,
    add::XADD,
    claim::XAUTOCLAIM,
    claim::XCLAIM,
    trim::XDEL,
    group::XGROUP,
    info::XINFO,
    range::XLEN,
    pending::XPENDING,
    range::XRANGE,
    read::XREAD,
    read::XREADGROUP,
    range::XREVRANGE,
    set_id::XSETID,
    trim::XTRIM,
];

/// What most stream commands share.
const STREAM: Command = Command { group: Group::Stream, since: "5.0.0", ..Command::BASE };

const FAST_WRITE: Flags = Flags::WRITE.union(Flags::FAST);

const READS: KeySpec = KeySpec::one(1, Access::ReadOnly, &["access"]);
const UPDATES: KeySpec = KeySpec::one(1, Access::ReadWrite, &["update"]);
const DELETES: KeySpec = KeySpec::one(1, Access::ReadWrite, &["delete"]);

fn limits(settings: &Settings) -> stream::Limits {
    stream::Limits {
        node_bytes: settings.stream_node_max_bytes,
        node_entries: settings.stream_node_max_entries,
    }
}

/// The key, or the group in it, is missing.
fn no_key_or_group(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (crate::error::printable(key), crate::error::printable(group));
    Error::owned(format!("NOGROUP No such key '{key}' or consumer group '{group}'"))
}

/// The group is missing, the key is there.
fn no_group(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (crate::error::printable(key), crate::error::printable(group));
    Error::owned(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}
