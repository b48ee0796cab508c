//! Compaction: what lies in sparse slabs moves together, so that whole slabs become free.

use super::Db;
use crate::keyspace::Density;
use crate::keyspace::entry::MOVED_MAX;

/// What a pass of gathering moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The table's arrays: eight bytes a key, and keys are not looked at.
    Table,
    /// Keys, in slabs that are too sparse.
    Keys,
    /// Those, and all values that have memory of their own.
    Values,
}

impl Db {
    /// Whether slabs hold so much free memory that gathering their pieces is worth while.
    pub fn is_sparse(&self) -> bool {
        /// Free pieces of the slabs being filled, one of each class, are no waste.
        const FREE_MIN: usize = 1 << 20;
        let free = self.heap.free_bytes();
        free > FREE_MIN + self.heap.used_bytes() / 32
    }

    /// Bytes that a pass over values can move, at most.
    pub fn movable_bytes(&self) -> u64 {
        (self.vector_bytes + self.owners * MOVED_MAX) as u64
    }

    /// Moves what belongs to one segment, or some of it where that is much: keys from slabs below a
    /// `density` into denser ones, the rest to where the allocator has room first. How many keys moved;
    /// `None` after the last segment, and the next call begins anew.
    pub fn gather(&mut self, scope: Scope, density: Density) -> Option<usize> {
        /// Bytes of values after which a step is over, lest it take long.
        const STEP: usize = 64 * 1024;
        let (segment, done) = self.gather_next;
        let Some(slots) = self.table.slots_mut(segment) else {
            self.gather_next = (0, 0);
            return None;
        };
        self.gather_next = (segment + 1, 0);
        if scope == Scope::Table {
            drop(slots);
            self.table.renew(segment);
            return Some(0);
        }
        let (mut moved, mut bytes, heap) = (0, 0, &mut self.heap);
        for (nth, slot) in slots.enumerate().skip(done) {
            if bytes > STEP {
                self.gather_next = (segment, nth);
                break;
            }
            slot.replace(|mut entry| {
                if scope == Scope::Values {
                    bytes += entry.renew_value();
                }
                let (entry, has_moved) = entry.gathered(heap, density);
                moved += usize::from(has_moved);
                entry
            });
        }
        Some(moved)
    }
}
