//! Suites that others wrote, on our binary. One program, so that they run side by side: each waits for
//! most of its time.

mod clients;
mod tcl;
