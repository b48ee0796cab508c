//! The harness: what the tests, benches and tools of this crate share. Not the tests themselves.
//!
//! Reading order: [`wait`] (conditions with a deadline), [`resp`] and [`client`] (a small client of
//! our own, so that a broken protocol can be driven too; [`tls`]: whom it believes), [`binaries`] (which server is under
//! test), [`server`] (a server process on a free port), [`transcript`] (the corpus),
//! [`authority`] and [`tls`] (certificates, and whom a client believes), [`debian_source`] with [`valkey`] and [`redis`] (programs built from Debian's sources), [`tcl`]
//! (Valkey's suite), [`volume`] (data of every kind, to be found elsewhere), [`process`] (what /proc
//! says), [`load`] (requests for the benches), [`bench_args`] (what they are asked for), [`fuzz`]
//! (inputs and checks for the parsers), [`suites`] (client libraries' own suites), [`appliance`] (the
//! machine in QEMU), [`programs`] and [`hurt`] (services in the server's place), [`power_cuts`] (a server, or a whole machine, that ends at once under load),
//! [`training`] (which branches the server that ships is compiled for).
//!
//! Nothing here sleeps for a fixed time: whatever takes time is waited for by its condition.

pub mod appliance;
pub mod authority;
pub mod bench_args;
pub mod binaries;
pub mod client;
pub mod commands;
pub mod debian_source;
pub mod fuzz;
pub mod guests;
pub mod hurt;
pub mod load;
pub mod packages;
pub mod paths;
pub mod ports;
pub mod power_cuts;
pub mod process;
pub mod programs;
pub mod progress;
pub mod python;
pub mod redis;
pub mod resp;
pub mod server;
pub mod starvation;
pub mod suites;
pub mod tcl;
pub mod tls;
pub mod training;
pub mod transcript;
pub mod valkey;
pub mod volume;
pub mod wait;
