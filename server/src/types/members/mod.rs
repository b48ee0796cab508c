//! A compact hash table for the members of large sets and the fields of large hashes.
//!
//! **Spiral storage** (Martin, 1979; Mullin, 1985) over buckets of about [`LOAD`] records. There is
//! no directory: a record's bucket follows from its hash and the number of buckets ([`buckets`]).
//! Each time the mean load is passed one bucket, the fullest, splits in two; as it falls, the last
//! one goes back into the one it came from. So no insertion or removal moves more than two buckets,
//! at any size, and what the table costs per record does not depend on its size either.
//!
//! **A bucket** ([`bucket`]) is one block of memory: a tag of one byte per record, a length of one
//! byte per record, the records back to back. What a record costs beyond its own bytes is 2 for
//! these, 32/[`LOAD`] for the bucket's handle, and what the allocator rounds up.
//!
//! **Places.** A walk's cursor is a place in hash space, of which each bucket is an interval. A record
//! that stays is visited exactly once, though buckets split and merge between two steps.
//!
//! **Deadlines.** Records may have one ([`Record::deadline`]). The table then keeps the nearest of
//! each bucket ([`deadlines`]), and finds what is due without looking at anything else.
//!
//! What a record means, [`Record`] says. The hash is keyed for the whole process, so that a member
//! looked for in several sets is hashed once ([`hash`]).

mod bucket;
mod buckets;
mod deadlines;
mod hasher;
mod packed;
mod table;
#[cfg(test)]
mod tests;

pub use hasher::{hash, set_secret};
pub use table::{Place, Table};

/// Records per bucket in the mean. More of them are cheaper in memory and slower to search.
const LOAD: usize = 24;

/// How a record is made of bytes. They are whole in one slice wherever they are shown.
pub trait Record {
    /// What it is found by.
    fn key(record: &[u8]) -> &[u8];

    /// When it is due, in milliseconds of the server's timeline.
    fn deadline(_: &[u8]) -> Option<i64> {
        None
    }

    /// Whether the record of these parts has a deadline.
    #[inline]
    fn has_deadline(_: &[&[u8]]) -> bool {
        false
    }
}
