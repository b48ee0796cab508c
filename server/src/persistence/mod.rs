//! What outlives the process: the log of every change, and snapshots. Everything here runs outside
//! the engine's lock, on threads of its own; the engine hands over bytes and never waits for a disk.
//! What a file contains is [`rdb`](crate::rdb)'s business, what is written when is the engine's.
//!
//! Reading order: [`save`] (an RDB file appears whole or not at all), [`aof`] (the log), [`load`]
//! (files read into an engine), [`as_commands`] (a keyspace as commands), [`as_log`] (an RDB
//! file as commands).

pub mod aof;
pub mod as_commands;
pub mod as_log;
pub mod load;
pub mod save;
mod spill;
