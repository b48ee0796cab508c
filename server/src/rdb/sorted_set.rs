//! Sorted sets: a listpack as it lies in memory, or members with scores, the greatest first.

use super::legacy::ziplist;
use super::{Error, Form, Reader, Result, Sink, Source, ToListpack, Writer, fails};
use crate::types::listpack::Listpack;
use crate::types::sorted_set::{Change, Limits, SortedSet};
use crate::types::string::Digits;

pub(super) fn write(writer: &mut Writer<impl Sink>, set: &SortedSet) {
    if let Some(list) = set.as_listpack() {
        return writer.listpack(list);
    }
    writer.count(set.len());
    for (member, score) in set.iter().rev() {
        let mut digits = Digits::new();
        writer.string(member.write_to(&mut digits));
        writer.double(score);
    }
}

pub(super) fn read_members(
    reader: &mut Reader<impl Source>,
    form: Form,
    limits: &Limits,
) -> Result<SortedSet> {
    let count = reader.count()?;
    let expected = usize::try_from(count).unwrap_or(usize::MAX);
    let mut set = SortedSet::for_members(limits, expected, 0);
    let mut member = Vec::new();
    for _ in 0..count {
        member.clear();
        member.extend_from_slice(reader.string()?);
        let score = match form {
            Form::SortedSetOfTexts => reader.double_text()?,
            _ => reader.double()?,
        };
        if score.is_nan() {
            return Err(Error::Corrupt("Zset with NAN score detected"));
        }
        if !matches!(set.insert(&member, score, limits), Change::Added(_)) {
            return Err(Error::Corrupt("Duplicate zset fields detected"));
        }
    }
    Ok(set)
}

/// A packed encoding of members and scores in turn.
pub(super) fn read_packed(
    reader: &mut Reader<impl Source>,
    form: Form,
    limits: &Limits,
) -> Result<SortedSet> {
    let (check, to_listpack): (_, ToListpack) = match form {
        Form::SortedSetZiplist => ("Zset ziplist integrity check failed.", ziplist::to_listpack),
        _ => ("Zset listpack integrity check failed.", Listpack::from_bytes),
    };
    let list = to_listpack(reader.string()?).map_err(fails(check))?;
    let set = SortedSet::of_listpack(list, limits).map_err(fails(check))?;
    if set.len() == 0 { Err(Error::Empty) } else { Ok(set) }
}
