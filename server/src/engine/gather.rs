//! Gathering: what removed keys left behind is given back by moving those that stay into fewer slabs
//! and pages.
//!
//! A pass walks through one database. Background work begins one a second at most, where it is worth
//! while, and goes on in slices. What costs least comes first: a growing table leaves arrays behind in
//! pages of every size, and moving them all again is copying eight bytes a key.
//!
//! Where `maxmemory` is set and the process nears what it may take, background work would come too late:
//! whoever writes pushes old keys out of slabs that nobody but keys of that size can use. So each
//! command moves some then, and by that the keys that come wait for those that go.

use std::cell::Cell;

use super::Engine;
use super::cron::SLICE_US;
use crate::keyspace::{Db, Density, Scope};

#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// The one that is under way.
    pass: Option<Pass>,
    last_db: usize,
    /// Whether background work may begin a pass, lest it run without end where it cannot help.
    pub(super) may_begin: bool,
    /// Bytes that the process took when the last pass was over.
    left_bytes: u64,
    /// What the allocator's pages hold beyond what is in use.
    pub(super) waste_bytes: u64,
    /// Least such waste since a table was gathered.
    tables_left: u64,
    /// What was evicted since that was looked at.
    evicted_bytes: u64,
    /// So many of its pages are free that they should go back to the system now.
    wants_purge: bool,
}

/// Where commands begin to gather, with `limit` bytes promised to be kept but for a twentieth.
fn near(limit: u64) -> u64 {
    limit + limit / 32
}

/// By how much things have to change before they are worth a look.
fn step(limit: u64) -> u64 {
    const MIN: u64 = 64 << 10;
    (limit / 64).max(MIN)
}

#[derive(Clone, Copy, Debug)]
struct Pass {
    db: usize,
    scope: Scope,
}

impl Engine {
    /// So many bytes were evicted: what took their place may be of other sizes.
    pub(super) fn count_evicted(&mut self, bytes: u64) {
        self.gathering.evicted_bytes += bytes;
        if self.gathering.evicted_bytes > step(self.max_memory()) / 2 {
            self.measure_waste();
            if self.gathering.wants_purge {
                self.cron_bell.ring();
            }
        }
    }

    /// Looks at what the allocator's pages hold beyond what is in use. It takes some microseconds.
    pub(super) fn measure_waste(&mut self) {
        /// Free pages that may stay: a system call for each few of them would cost more.
        const FREE_MIN: u64 = 1 << 20;
        let Some(pages) = crate::alloc::pages() else { return };
        let waste = pages.active.saturating_sub(crate::alloc::used_bytes() as u64);
        let gathering = &mut self.gathering;
        gathering.waste_bytes = waste;
        gathering.evicted_bytes = 0;
        gathering.tables_left = gathering.tables_left.min(waste);
        let limit = self.max_memory();
        self.gathering.wants_purge = limit > 0
            && pages.resident > limit + limit / 20
            && pages.resident.saturating_sub(pages.active) > FREE_MIN;
    }

    /// Whether what the allocator has free should go back to the system before its own time, which is a
    /// second. That takes a while, and needs no lock.
    pub fn takes_too_much(&mut self) -> bool {
        std::mem::take(&mut self.gathering.wants_purge)
    }

    /// Whether values may lie scattered over so many pages that gathering them is worth while.
    fn has_scattered_values(&self, db: &Db, density: Density) -> bool {
        /// Pages being filled, one run for each size, are no waste.
        const WASTE_MIN: u64 = 1 << 20;
        let used = crate::alloc::used_bytes() as u64;
        let tolerated = match density {
            Density::Usual => 2 * WASTE_MIN + used / 32,
            Density::High => used / 64,
        };
        let waste = self.gathering.waste_bytes;
        // Where few values have memory of their own, the waste is not theirs.
        waste > WASTE_MIN + tolerated && waste / 2 < db.movable_bytes()
    }

    /// The same of tables' arrays.
    fn has_scattered_arrays(&self, db: &Db) -> bool {
        const WASTE_MIN: u64 = 1 << 20;
        let waste = self.gathering.waste_bytes;
        waste > WASTE_MIN + crate::alloc::used_bytes() as u64 / 128
            && waste > self.gathering.tables_left / 4 * 5
            && waste / 4 < db.table_bytes() as u64
    }

    /// Bytes that the process takes, by what is allocated.
    fn footprint(&self, allocated: usize) -> u64 {
        allocated as u64 + self.gathering.waste_bytes
    }

    /// Whether that is more than the promised 1.05 of `limit`, which is `maxmemory`: so that keys have to
    /// go.
    pub(super) fn is_over_footprint(&self, allocated: usize, limit: u64) -> bool {
        /// What a small cache has in pages being filled and in threads' caches of freed blocks. No
        /// eviction gives that back.
        const BEING_FILLED_MAX: u64 = 4 << 20;
        self.footprint(allocated) > limit + (limit / 20).max(BEING_FILLED_MAX)
    }

    /// Whether it is so near to that that commands gather.
    #[inline]
    pub(super) fn nears_footprint(&self, allocated: usize, limit: u64) -> bool {
        self.footprint(allocated) > near(limit)
    }

    pub(super) fn is_gathering(&self) -> bool {
        self.gathering.pass.is_some()
    }

    /// Gathers the keys of some segments, before a command that comes while too much is taken.
    #[cold]
    pub(super) fn gather_some(&mut self, allocated: usize, limit: u64) {
        /// Some hundred microseconds' work.
        const STEPS_MAX: u64 = 8;
        if !self.is_gathering() {
            // A pass that could not help is not repeated before there is more to gather.
            let grown = self.footprint(allocated).saturating_sub(self.gathering.left_bytes);
            if grown < step(limit) || !self.begin_pass(Density::High) {
                return;
            }
        }
        // The further over, the more at once.
        let over = self.footprint(allocated).saturating_sub(near(limit));
        let more = Cell::new((over / step(limit)).min(STEPS_MAX));
        self.gather_segments(Density::High, || more.replace(more.get().saturating_sub(1)) > 0);
    }

    /// A slice of gathering by background work. Whether there is more to do.
    pub(super) fn gather_slice(&mut self, spent_us: impl Fn() -> i64) -> bool {
        let limit = self.max_memory();
        let is_short = limit > 0 && self.nears_footprint(crate::alloc::used_bytes(), limit);
        let density = if is_short { Density::High } else { Density::Usual };
        if !self.is_gathering() {
            let may_begin = std::mem::take(&mut self.gathering.may_begin);
            return may_begin && (self.begin_pass_of_tables() || self.begin_pass(density));
        }
        self.gather_segments(density, || spent_us() < SLICE_US);
        self.is_gathering()
    }

    /// Chooses the next database that it is worth while for; whether there is one.
    fn begin_pass(&mut self, density: Density) -> bool {
        let from = self.gathering.last_db + 1;
        let databases = self.keyspace.databases();
        let mut order = (0..databases).map(|nth| (from + nth) % databases);
        self.gathering.pass = order.find_map(|index| {
            let db = self.keyspace.db(index);
            let scope = match self.has_scattered_values(db, density) {
                true => Some(Scope::Values),
                false => db.is_sparse().then_some(Scope::Keys),
            };
            scope.map(|scope| Pass { db: index, scope })
        });
        self.is_gathering()
    }

    /// As [`Self::begin_pass`], of the largest table.
    fn begin_pass_of_tables(&mut self) -> bool {
        let largest = self.keyspace.iter().max_by_key(|(_, db)| db.len());
        let scattered = largest.filter(|(_, db)| self.has_scattered_arrays(db));
        self.gathering.pass = scattered.map(|(db, _)| Pass { db, scope: Scope::Table });
        self.is_gathering()
    }

    /// Goes on with the pass by a segment, and by more of them while there is time.
    fn gather_segments(&mut self, density: Density, has_time: impl Fn() -> bool) {
        let Some(Pass { db, scope }) = self.gathering.pass else { return };
        let (db, total) = (self.keyspace.db_mut(db), &mut self.stats.gathered_keys);
        let mut gather = || loop {
            let Some(moved) = db.gather(scope, density) else { return true };
            *total += moved as u64;
            if !has_time() {
                return false;
            }
        };
        let is_over =
            if scope == Scope::Values { crate::alloc::uncached(gather) } else { gather() };
        if is_over {
            self.end_pass();
        }
    }

    fn end_pass(&mut self) {
        let Some(Pass { db, scope }) = self.gathering.pass.take() else { return };
        self.measure_waste();
        if scope == Scope::Table {
            self.gathering.tables_left = self.gathering.waste_bytes;
        } else {
            self.gathering.last_db = db;
        }
        self.gathering.left_bytes = self.footprint(crate::alloc::used_bytes());
    }
}
