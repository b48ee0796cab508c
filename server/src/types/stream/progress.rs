//! How far a group has read: the number of entries that the stream had been given up to an id. It is
//! exact where the log has no holes that could have been counted differently, unknown elsewhere.

use super::StreamId;
use super::groups::Group;
use super::log::Log;

/// Entries yet to be delivered to the group, where that can be told.
pub fn lag(log: &Log, group: &Group) -> Option<i64> {
    let added = signed(log.entries_added());
    if added == 0 {
        return Some(0);
    }
    let read = match group.entries_read {
        Some(read) if !has_hole_from(log, group.last_id) => Some(read),
        _ => entries_up_to(log, group.last_id),
    };
    Some(added.wrapping_sub(read?))
}

/// The group has been given the entry `id`, the next one after its last.
pub fn advance(log: &Log, group: &mut Group, id: StreamId) {
    let in_step = group.last_id >= log.first_id() && !has_hole_from(log, group.last_id);
    match &mut group.entries_read {
        Some(read) if in_step => *read = read.wrapping_add(1),
        _ if log.entries_added() > 0 => group.entries_read = entries_up_to(log, id),
        _ => {}
    }
    group.last_id = id;
}

/// Whether an entry at `id` or behind it was deleted.
fn has_hole_from(log: &Log, id: StreamId) -> bool {
    log.len() > 0 && !log.max_deleted_id().is_zero() && id <= log.max_deleted_id()
}

/// How many entries the stream had been given when `id` was added.
pub fn entries_up_to(log: &Log, id: StreamId) -> Option<i64> {
    let (added, len) = (signed(log.entries_added()), signed(log.len()));
    if added == 0 {
        return Some(0);
    }
    if len == 0 && id <= log.last_id() {
        return Some(added);
    }
    if !id.is_zero() && id < log.max_deleted_id() {
        return None;
    }
    if id == log.last_id() {
        return Some(added);
    }
    let whole = log.max_deleted_id().is_zero() || log.max_deleted_id() < log.first_id();
    if id > log.last_id() || !whole {
        return None;
    }
    match id.cmp(&log.first_id()) {
        std::cmp::Ordering::Less => Some(added.wrapping_sub(len)),
        std::cmp::Ordering::Equal => Some(added.wrapping_sub(len).wrapping_add(1)),
        // Somewhere in between: nobody has counted.
        std::cmp::Ordering::Greater => None,
    }
}

/// Counters are far below 2^63 unless XSETID set them so.
fn signed(count: u64) -> i64 {
    count as i64
}
