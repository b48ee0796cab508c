//! Compaction: what lies in sparse slabs moves together, so that whole slabs become free.

use super::Db;
use crate::keyspace::Density;

impl Db {
    /// Whether slabs hold so much free memory that gathering their pieces is worth while.
    pub fn is_sparse(&self) -> bool {
        /// Free pieces of the slabs being filled, one of each class, are no waste.
        const FREE_MIN: usize = 1 << 20;
        let free = self.heap.free_bytes();
        free > FREE_MIN + self.heap.used_bytes() / 32
    }

    /// Moves the keys of one segment from slabs below a `density` into denser ones, and `values` too, if
    /// so asked, that have memory of their own. How many keys moved; `None` after the last segment, and
    /// the next call begins anew.
    pub fn gather(&mut self, values: bool, density: Density) -> Option<usize> {
        let Some(slots) = self.table.slots_mut(self.gather_next) else {
            self.gather_next = 0;
            return None;
        };
        self.gather_next += 1;
        let mut moved = 0;
        let heap = &mut self.heap;
        for slot in slots {
            slot.replace(|mut entry| {
                if values {
                    entry.renew_value();
                }
                let (entry, has_moved) = entry.gathered(heap, density);
                moved += usize::from(has_moved);
                entry
            });
        }
        Some(moved)
    }
}
