//! All tests that run others' programs or ours from outside, as one program: most of them wait, for a
//! guest, a compiler or a clock, and what waits in one area runs beside what works in another.

mod appliance;
mod bad_input;
mod buildroot;
mod cli;
mod clients;
mod config;
mod container;
mod dependencies;
mod differential;
mod disk;
mod dump;
mod fuzz;
mod lifecycle;
mod migrate;
mod monitoring;
mod network;
mod persistence;
mod scan;
mod service;
mod suites;
mod supervisor;
mod tls;
mod transcripts;
