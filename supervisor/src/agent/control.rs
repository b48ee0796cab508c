//! What is asked over the local socket, by root and the agent's own user and group: everything.
//!
//! Reading order: [`answer`] is what each request comes to, [`service`] starts and stops, [`config`]
//! puts a holdfast.toml in its place, [`peer`]
//! says who may ask, [`rate`] how often. The words themselves are read by the library's `control`.

pub(crate) mod answer;
pub(crate) mod config;
pub(crate) mod peer;
pub(crate) mod rate;
pub(crate) mod service;

use serde::Serialize;

/// Who reads the log at once: each is a queue of lines.
pub(crate) const MAX_FOLLOWERS: usize = 8;

/// What came over the local socket since the agent's start.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Counters {
    pub(crate) requests: u64,
    /// From users who may not ask.
    pub(crate) refused: u64,
    /// That came too fast.
    pub(crate) limited: u64,
    /// That were no requests, or none in time.
    pub(crate) malformed: u64,
}
