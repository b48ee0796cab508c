//! The stream: a log of entries under ascending ids, and groups of consumers that share the reading.
//!
//! Not here: commands, who waits for an entry, what time it is.

mod id;

mod log;
mod node;
mod range;
mod save;
mod trim;

mod consumers;
mod groups;
pub mod progress;

#[cfg(test)]
mod tests;

pub use consumers::{Consumer, ConsumerId, Consumers};
pub use groups::{Group, Groups, Nack};
pub use id::{StreamId, TEXT_MAX, parse_part};
pub use log::{AddError, Counters, Limits, Log};
pub use node::{Corrupt, Entry, Node};
pub use range::{Range, RangeBack};
pub use trim::{Effort, Keep};

/// A stream value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream(Box<Parts>);

/// The parts, so that a group can be changed while the log is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    pub log: Log,
    pub groups: Groups,
}

impl Stream {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn from_parts(log: Log, groups: Groups) -> Self {
        Self(Box::new(Parts { log, groups }))
    }

    pub fn log(&self) -> &Log {
        &self.0.log
    }

    pub fn groups(&self) -> &Groups {
        &self.0.groups
    }

    pub fn parts_mut(&mut self) -> &mut Parts {
        &mut self.0
    }

    #[expect(clippy::len_without_is_empty, reason = "an empty stream stays")]
    pub fn len(&self) -> usize {
        usize::try_from(self.log().len()).unwrap_or(usize::MAX)
    }

    pub fn encoding(&self) -> &'static str {
        "stream"
    }

    pub fn memory_bytes(&self) -> usize {
        size_of::<Parts>() + self.log().memory_bytes() + self.groups().memory_bytes()
    }

    /// Allocations to free with it.
    pub fn free_effort(&self) -> usize {
        1 + self.log().nodes().len() + self.groups().free_effort()
    }
}
