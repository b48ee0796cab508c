//! What is noted about the commands that are executed: how long they take ([`timing`], with
//! [`histogram`] behind it), which were slow or large ([`command_log`]), when the server stalled
//! ([`latency`]), and each one for whoever watches ([`monitor`]).

mod command_log;
mod histogram;
mod latency;
mod monitor;
mod timing;

pub use command_log::{CommandLog, LogKind, Logged};
pub use histogram::Histogram;
pub use latency::{Analysis, Event, Latency, Series};
pub use monitor::Monitors;
pub(super) use timing::Run;
