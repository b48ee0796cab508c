//! Whole RDB files: what goes around the values. Not here: where files lie and who reads or writes
//! them when.
//!
//! ```text
//! "REDIS0011"  aux*  function*  (database  sizes  (check? attributes form key value)*)*  end  crc-64
//!
//!   aux         fa name text          what the file says of itself; readers skip what they do not know
//!   function    f5 code               a library of functions
//!   database    fe index              that the keys behind it belong to
//!   sizes       fb keys volatile      how many keys there are about to be
//!   attributes  fc unix-ms            expiry: 8 bytes, little-endian
//!               f8 seconds            since the last access, where keys are evicted by that
//!               f9 count              of accesses, a byte, where keys are evicted by that
//!   check       fa "hf-crc64" hex     an aux: checksum of all bytes in front of it
//!   end         ff
//! ```
//!
//! The checksum at the end covers all in front of it, `ff` included; zero says that there is none.
//!
//! Version 11 is written, which Redis 7.2 to 8 and all of Valkey load. Fields of hashes that have a
//! time to live exist in no version of both: where a hash has one, the file is of Valkey's version
//! 80, under the name `VALKEY080`, which Valkey 9 loads and Redis refuses as a whole. Written under
//! the old name, Redis or Valkey would give up in the middle.

mod opcode;
pub mod write;

mod batch;
mod fault;
mod input;
pub mod read;

pub mod check;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Item, Key};
pub use fault::{Failure, Fault, Proven};
pub use read::{Checked, Counts, Doing, FileReader, Options, Step};
pub use write::{
    Access, Head, write_check, write_database, write_end, write_entry, write_entry_head,
    write_function, write_head, write_select,
};
