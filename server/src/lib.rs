//! The Redis-compatible server of Holdfast.

pub mod keyspace;
pub mod types;
