//! The Redis-compatible server of Holdfast.
//!
//! Reading order: [`server`] (the process), [`net`] (sockets), [`resp`] (the protocol), [`engine`]
//! (commands executed), [`commands`] (what they are), [`keyspace`] and [`types`] (the data),
//! [`persistence`] (what outlives the process).

pub mod server;

pub mod net;
pub mod resp;

pub mod engine;

pub mod commands;

pub mod keyspace;
pub mod persistence;
pub mod rdb;
pub mod types;

pub mod alloc;
pub mod clock;
pub mod config;
pub mod error;
pub mod glob;
pub mod log;
pub(crate) mod lzf;
pub mod number;
pub mod process;
pub mod storage;
pub mod task;
pub mod timer;

/// What HELLO and INFO call this server. Clients and tools know two names; Valkey's dialect is the
/// one that is followed where the two differ.
pub const SERVER_NAME: &str = "valkey";
