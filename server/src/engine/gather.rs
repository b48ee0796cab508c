//! Gathering: what removed keys left behind is given back by moving those that stay into fewer slabs
//! and pages.
//!
//! A pass walks through one database. Background work begins one a second at most, where it is worth
//! while, and goes on in slices. Where `maxmemory` is set and the process takes more than it promises,
//! background work would come too late: whoever writes pushes old keys out of slabs that nobody but
//! keys of that size can use. So each command moves some then, and by that the keys that come wait for
//! those that go.

use super::Engine;
use super::cron::SLICE_US;
use crate::keyspace::{Db, Density};

#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// The database of the pass that is under way.
    db: Option<usize>,
    last_db: usize,
    /// Whether background work may begin a pass, lest it run without end where it cannot help.
    pub(super) may_begin: bool,
    /// Bytes that the process took when the last pass was over.
    left_bytes: u64,
    /// What the allocator's pages hold beyond what is in use.
    pub(super) waste_bytes: u64,
    /// So many of its pages are free that they should go back to the system now.
    wants_purge: bool,
}

impl Engine {
    /// Looks at what the allocator's pages hold beyond what is in use.
    pub(super) fn measure_waste(&mut self) {
        /// Free pages that may stay: a system call for each few of them would cost more.
        const FREE_MIN: u64 = 4 << 20;
        let Some(pages) = crate::alloc::pages() else { return };
        self.gathering.waste_bytes = pages.active.saturating_sub(crate::alloc::used_bytes() as u64);
        let limit = self.max_memory();
        self.gathering.wants_purge = limit > 0
            && pages.resident > limit + limit / 20 + FREE_MIN
            && pages.resident.saturating_sub(pages.active) > FREE_MIN;
    }

    /// Whether what the allocator has free should go back to the system before its own time, which is a
    /// second. That takes a while, and needs no lock.
    pub fn takes_too_much(&mut self) -> bool {
        std::mem::take(&mut self.gathering.wants_purge)
    }

    /// Whether values lie scattered over so many pages that gathering them is worth while.
    fn is_scattered(&self) -> bool {
        /// Pages being filled, one run for each size, are no waste.
        const WASTE_MIN: u64 = 3 << 20;
        self.gathering.waste_bytes > WASTE_MIN + crate::alloc::used_bytes() as u64 / 32
    }

    /// Bytes that the process takes, by what is allocated.
    fn footprint(&self, allocated: usize) -> u64 {
        allocated as u64 + self.gathering.waste_bytes
    }

    /// Whether that is more than the promised 1.05 of `limit`, which is `maxmemory`, and some.
    #[inline]
    pub(super) fn is_over_footprint(&self, allocated: usize, limit: u64) -> bool {
        const FIXED_BYTES: u64 = 2 << 20;
        self.footprint(allocated) > limit + limit / 20 + FIXED_BYTES
    }

    pub(super) fn is_gathering(&self) -> bool {
        self.gathering.db.is_some()
    }

    /// Gathers the keys of one segment, before a command that comes while too much is taken.
    #[cold]
    pub(super) fn gather_some(&mut self, allocated: usize, limit: u64) {
        let values = self.is_scattered();
        if !self.is_gathering() {
            // A pass that could not help is not repeated before there is more to gather.
            let grown = self.footprint(allocated).saturating_sub(self.gathering.left_bytes);
            if grown < limit / 64 || !self.begin_pass(values) {
                return;
            }
        }
        self.gather_segments(values, Density::High, || false);
    }

    /// A slice of gathering by background work. Whether there is more to do.
    pub(super) fn gather_slice(&mut self, spent_us: impl Fn() -> i64) -> bool {
        let values = self.is_scattered();
        if !self.is_gathering() {
            let may_begin = std::mem::take(&mut self.gathering.may_begin);
            return may_begin && self.begin_pass(values);
        }
        let limit = self.max_memory();
        let is_short = limit > 0 && self.is_over_footprint(crate::alloc::used_bytes(), limit);
        let density = if is_short { Density::High } else { Density::Usual };
        self.gather_segments(values, density, || spent_us() < SLICE_US);
        self.is_gathering()
    }

    /// Chooses the next database that it is worth while for; whether there is one.
    fn begin_pass(&mut self, values: bool) -> bool {
        let worth = |(_, db): &(usize, &Db)| db.is_sparse() || values && !db.is_empty();
        let from = self.gathering.last_db + 1;
        let databases = self.keyspace.databases();
        let order = (0..databases).map(|nth| (from + nth) % databases);
        let mut found = order.map(|index| (index, self.keyspace.db(index)));
        self.gathering.db = found.find(worth).map(|(index, _)| index);
        self.is_gathering()
    }

    /// Goes on with the pass by a segment, and by more of them while there is time.
    fn gather_segments(&mut self, values: bool, density: Density, has_time: impl Fn() -> bool) {
        let Some(index) = self.gathering.db else { return };
        let db = self.keyspace.db_mut(index);
        let gathered = &mut self.stats.gathered_keys;
        let mut gather = || loop {
            let Some(moved) = db.gather(values, density) else { return true };
            *gathered += moved as u64;
            if !has_time() {
                return false;
            }
        };
        let is_over = if values { crate::alloc::uncached(gather) } else { gather() };
        if is_over {
            self.gathering.last_db = index;
            self.gathering.db = None;
            self.measure_waste();
            self.gathering.left_bytes = self.footprint(crate::alloc::used_bytes());
        }
    }
}
