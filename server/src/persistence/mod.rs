//! What outlives the process: the log of every change, and snapshots. Everything here runs outside
//! the engine's lock, on threads of its own; the engine hands over bytes and never waits for a disk.

#[allow(dead_code, reason = "open() is still to come")]
pub mod aof;
