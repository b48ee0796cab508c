//! The Redis-compatible server of Holdfast.

pub mod config;
pub mod glob;
pub mod keyspace;
pub mod log;
pub mod types;
