//! Suites that others wrote, on our binary.

mod clients;
mod tcl;
