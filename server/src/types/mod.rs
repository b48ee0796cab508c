//! What a key can hold. A type knows its own bytes and operations; it never sees a client, a key
//! or a clock.

pub(crate) mod block;

pub mod bitmap;
pub mod collection;
pub mod decimal;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod intset;
pub mod lcs;
pub mod list;
pub mod listpack;
pub mod members;
pub mod parts;
pub mod sample;
pub mod set;
pub(crate) mod slots;
pub mod sorted_set;
pub mod stream;
pub mod string;
