//! init and agent as they ship, init being PID 1 of a namespace of its own with a root of its own.
//!
//! Every rig ends with a look at PID 1's own promise: no allocation since start-up. The binaries
//! are those of the booted machine's tests, where the first such allocation ends PID 1.

mod famine;
mod rig;
mod sandbox;

mod agent;
mod backup;
mod certificates;
mod command;
mod config;
mod control;
mod endings;
mod faults;
mod kills;
mod logs;
mod notices;
mod pid_one;
mod probing;
mod restarts;
mod shutdown;
mod status;
mod storms;
mod trees;
