//! Sets: an intset or a listpack as it lies in memory, or members.

use super::{Error, Reader, Result, Sink, Source, Writer, fails};
use crate::types::intset::Intset;
use crate::types::listpack::{Listpack, are_distinct};
use crate::types::set::{Limits, Set, View};

pub(super) fn write(writer: &mut Writer<impl Sink>, set: &Set) {
    match set.view() {
        View::Intset(ints) => writer.string(ints.as_bytes()),
        View::Listpack(list) => writer.listpack(list),
        View::Table(table) => {
            writer.count(table.len());
            table.iter().for_each(|member| writer.string(member));
        }
    }
}

const DUPLICATE: Error = Error::Corrupt("Duplicate set members detected");

pub(super) fn read_intset(reader: &mut Reader<impl Source>, limits: &Limits) -> Result<Set> {
    let ints = Intset::from_bytes(reader.string()?);
    let ints = ints.map_err(fails("Intset integrity check failed."))?;
    let mut set = Set::of_intset(ints);
    set.expect(set.len(), limits);
    Ok(set)
}

pub(super) fn read_listpack(reader: &mut Reader<impl Source>, limits: &Limits) -> Result<Set> {
    const CHECK: &str = "Set listpack integrity check failed.";
    let list = Listpack::from_bytes(reader.string()?).map_err(fails(CHECK))?;
    if list.is_empty() {
        return Err(Error::Empty);
    }
    if !are_distinct(list.iter()) {
        return Err(Error::Corrupt(CHECK));
    }
    let mut set = Set::of_listpack(list);
    set.expect(set.len(), limits);
    Ok(set)
}

pub(super) fn read_members(reader: &mut Reader<impl Source>, limits: &Limits) -> Result<Set> {
    let count = reader.count()?;
    let mut set = Set::new(b"0", starting_size(count, limits), limits);
    for _ in 0..count {
        if !set.insert(reader.string()?, limits) {
            return Err(DUPLICATE);
        }
    }
    Ok(set)
}

/// As Valkey does, a set begins as integers, or as a table where these would be too many.
fn starting_size(count: u64, limits: &Limits) -> usize {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > limits.intset_entries { usize::MAX } else { count }
}
