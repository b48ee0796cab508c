//! Collections written part by part: behind their number of elements, each element as [`write_value`]
//! would write it.
//!
//! [`write_value`]: super::write_value

use super::{Sink, Writer};
use crate::types::collection::Collection;
use crate::types::parts::Part;

/// Whether the fields of a hash are written with the times when they are due.
pub fn has_times(collection: &Collection) -> bool {
    match collection {
        Collection::Hash(hash) => super::hash::has_times(hash),
        _ => false,
    }
}

/// What stands before the parts: how many they are.
pub fn write_part_count(writer: &mut Writer<impl Sink>, collection: &Collection) {
    writer.count(match collection {
        Collection::List(list) => list.part_count(),
        Collection::Stream(stream) => stream.log().nodes().len(),
        other => other.len(),
    });
}

/// What stands behind the parts, as it is now.
pub fn write_behind_parts(writer: &mut Writer<impl Sink>, collection: &Collection) {
    if let Collection::Stream(stream) = collection {
        super::stream::write_rest(writer, stream);
    }
}

pub fn write_part(writer: &mut Writer<impl Sink>, part: Part<'_>, with_times: bool) {
    match part {
        Part::Entries { master, node } => super::stream::write_node(writer, master, node),
        Part::Node(part) => super::list::write_part(writer, part),
        Part::Member(member) => writer.string(member),
        Part::Scored { member, score } => {
            writer.string(member);
            writer.double(score);
        }
        Part::Pair { field, value, deadline } => {
            writer.string(field);
            writer.string(value);
            if with_times {
                writer.time(deadline);
            }
        }
    }
}
