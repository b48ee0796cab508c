//! PFADD, PFCOUNT, PFMERGE.

use super::{GROWS, HYPERLOGLOG, store, view};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::config::notify::Class;
use crate::engine::{Args, Call};
use crate::error::{self, Result};
use crate::types::hyperloglog::{self, Encoding, HyperLogLog, REGISTERS};

pub(super) const PFADD: Command = Command {
    name: "pfadd",
    syntax: "key [element [element ...]]",
    summary: "Adds elements to a HyperLogLog key. Creates the key if it doesn't exist.",
    complexity: "O(1) to add every element.",
    flags: GROWS.union(Flags::FAST),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["insert"])],
    handler: Some(pfadd),
    ..HYPERLOGLOG
};

fn pfadd(call: &mut Call<'_>) -> Result {
    let mut elements = call.args();
    let key = elements.required()?;
    let max_bytes = call.settings().hll_sparse_max_bytes;
    let risen = match call.read_string(key)?.map(view).transpose()? {
        Some(found) if found.encoding() == Encoding::Dense => add_in_place(call, key, elements)?,
        found => {
            let is_new = found.is_none();
            let log = found.map(|found| HyperLogLog::of(found, max_bytes));
            let mut log = log.unwrap_or_else(|| HyperLogLog::new(max_bytes));
            let mut risen = u64::from(is_new);
            for element in elements {
                risen += u64::from(log.add(element).or(Err(error::CORRUPT_HYPERLOGLOG))?);
            }
            if risen > 0 {
                store(call, key, log.into_bytes());
            }
            risen
        }
    };
    if risen > 0 {
        call.changed(key);
        call.dirty(risen - 1);
        call.event(Class::STRING, "pfadd", key);
    }
    call.reply.int(i64::from(risen > 0));
    Ok(())
}

/// Adds to a dense one where it lies; how many registers rose.
fn add_in_place(call: &mut Call<'_>, key: &[u8], elements: Args<'_>) -> Result<u64> {
    let Some(mut value) = call.write_string(key)? else { return Ok(0) };
    let bytes = value.bytes_mut(0);
    Ok(elements.filter(|element| hyperloglog::add_dense(bytes, element)).count() as u64)
}

pub(super) const PFCOUNT: Command = Command {
    name: "pfcount",
    syntax: "key [key ...]",
    summary: "Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s).",
    complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.",
    flags: Flags::READONLY.union(Flags::MAY_REPLICATE),
    keys: &[KeySpec::rest(1, Access::ReadWrite, &["access"]).noted(
        "RW because it may change the internal representation of the key, and propagate to replicas",
    )],
    handler: Some(pfcount),
    ..HYPERLOGLOG
};

fn pfcount(call: &mut Call<'_>) -> Result {
    let keys = call.args();
    let count = match keys.left() {
        1 => count_one(call, keys)?,
        _ => {
            let mut union = [0; REGISTERS];
            merge(call, keys, &mut union)?;
            hyperloglog::count(&union)
        }
    };
    call.reply.int(count as i64);
    Ok(())
}

/// The count of one key, which is kept with it.
fn count_one(call: &mut Call<'_>, mut keys: Args<'_>) -> Result<u64> {
    let key = keys.required()?;
    let Some(found) = call.read_string(key)?.map(view).transpose()? else { return Ok(0) };
    if let Some(count) = found.cached_count() {
        return Ok(count);
    }
    let count = found.count().or(Err(error::CORRUPT_HYPERLOGLOG))?;
    if let Some(mut value) = call.write_string(key)? {
        hyperloglog::cache_count(value.bytes_mut(0), count);
        call.changed(key);
    }
    Ok(count)
}

/// Raises the registers to those of all keys; whether one of them was dense.
fn merge(call: &mut Call<'_>, keys: Args<'_>, union: &mut hyperloglog::Registers) -> Result<bool> {
    let mut any_dense = false;
    for key in keys {
        let Some(found) = call.read_string(key)?.map(view).transpose()? else { continue };
        any_dense |= found.encoding() == Encoding::Dense;
        found.merge_into(union).or(Err(error::CORRUPT_HYPERLOGLOG))?;
    }
    Ok(any_dense)
}

pub(super) const PFMERGE: Command = Command {
    name: "pfmerge",
    syntax: "destkey [sourcekey [sourcekey ...]]",
    summary: "Merges one or more HyperLogLog values into a single key.",
    complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
    flags: GROWS,
    keys: &[
        KeySpec::one(1, Access::ReadWrite, &["access", "insert"]),
        KeySpec::rest(2, Access::ReadOnly, &["access"]),
    ],
    handler: Some(pfmerge),
    ..HYPERLOGLOG
};

fn pfmerge(call: &mut Call<'_>) -> Result {
    let keys = call.args();
    let key = call.args().required()?;
    let mut union = [0; REGISTERS];
    // The target is one of the sources.
    let any_dense = merge(call, keys, &mut union)?;
    let max_bytes = call.settings().hll_sparse_max_bytes;
    let target = call.read_string(key)?.map(view).transpose()?;
    let target = target.map(|target| HyperLogLog::of(target, max_bytes));
    let mut target = target.unwrap_or_else(|| HyperLogLog::new(max_bytes));
    let raised = if any_dense { target.make_dense() } else { Ok(false) };
    raised.and_then(|_| target.raise_to(&union)).or(Err(error::CORRUPT_HYPERLOGLOG))?;
    store(call, key, target.into_bytes());
    call.changed(key);
    call.event(Class::STRING, "pfadd", key);
    call.reply.ok();
    Ok(())
}
