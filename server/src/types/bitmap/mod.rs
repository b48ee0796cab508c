//! A string as a row of bits, the first one the highest of the first byte.

mod combine;
mod field;
mod search;

pub use combine::{Combination, Operation};
pub use field::{Field, Overflow};
pub use search::{count, position};
