//! What the agent makes of bytes from files and from the network, in words that the fuzz targets of
//! tests/ understand. Compiled for them alone; what must hold is said there.

use holdfast_supervisor::channel::ToInit;
use holdfast_supervisor::plan::Plan;

use crate::backup::rdb;
use crate::certs;
use crate::config::{Config, Problem};

/// A mistake in holdfast.toml: line, column, and what it is.
pub type Mistake = (usize, usize, String);

/// The plan that holdfast.toml comes to, or its mistakes.
pub fn config(text: &str) -> Result<Plan, Vec<Mistake>> {
    let mistake = |problem: Problem| (problem.line, problem.column, problem.message);
    let read = Config::parse(text).map(|config| config.plan);
    read.map_err(|problems| problems.into_iter().map(mistake).collect())
}

/// What init is told of a DHCP packet; `None` if it is no server's answer.
pub fn dhcp(packet: &[u8]) -> Option<ToInit> {
    crate::network::told(packet)
}

/// What a time server's answer says, to a query of then: by how many microseconds our clock is
/// behind, and by how many that may be wrong.
pub fn time(packet: &[u8], sent_unix_us: i64, round_trip_us: u32) -> Option<(i64, i64)> {
    crate::time::judged(packet, sent_unix_us, round_trip_us)
}

/// What is wrong with a file that is certificate, key and authority in one.
pub fn bundle(pem: &[u8]) -> Vec<String> {
    certs::faults(pem)
}

/// How many keys a backup has; otherwise what is wrong with it.
pub fn backup(file: &[u8]) -> Result<u64, String> {
    rdb::read(file, 0).map(|contents| contents.keys).map_err(|fault| fault.to_string())
}
