//! What the program calls itself: scripts look for the words of the client they know.

use crate::tls::StartTls;

/// What the client is told of the program that it is part of.
#[derive(Debug)]
pub struct About {
    /// The Redis and the Valkey whose behaviour is followed, and its own.
    pub redis: &'static str,
    pub valkey: &'static str,
    pub holdfast: &'static str,
    /// HELP of these words, at least one: a command's name, or a group's behind `@`.
    pub help: fn(&[Vec<u8>]) -> String,
    /// TLS over a socket.
    pub tls: StartTls,
}

/// By the name that it was called by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    /// As in `redis-cli --version`.
    pub(crate) tool: &'static str,
    /// What it could not connect to.
    pub(crate) product: &'static str,
    pub(crate) version: &'static str,
    /// In the prompt, before the path of a unix socket.
    pub(crate) short: &'static str,
    pub(crate) about: &'static About,
}

impl Name {
    /// `called` is the last part of the program's path.
    pub(crate) fn of(called: &str, about: &'static About) -> Self {
        let (tool, product, version, short) = match called {
            "valkey-cli" => ("valkey-cli", "Valkey", about.valkey, "valkey"),
            "holdfast-cli" => ("holdfast-cli", "Holdfast", about.holdfast, "holdfast"),
            _ => ("redis-cli", "Redis", about.redis, "redis"),
        };
        Self { tool, product, version, short, about }
    }
}
