//! Trimming: entries leave at the front, whole nodes at once where that will do.

use super::StreamId;
use super::log::Log;

/// What a stream is trimmed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// At most so many entries.
    Len(u64),
    /// Entries from this id on.
    From(StreamId),
}

/// How thoroughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    Exact,
    /// Whole nodes only, and no more entries than `limit` (zero: no limit).
    Nodes {
        limit: u64,
    },
}

impl Log {
    /// Removes what is not to be kept; how many entries that was.
    pub fn trim(&mut self, keep: Keep, effort: Effort) -> u64 {
        let mut removed = 0;
        while let Some(step) = self.next_step(keep, effort, removed) {
            removed += match step {
                Step::Node => self.drop_first_node(),
                Step::Part(end, most) => {
                    removed += self.trim_first_node(end, most);
                    break;
                }
            };
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    fn next_step(&mut self, keep: Keep, effort: Effort, removed: u64) -> Option<Step> {
        let len = self.len();
        let first = self.first_node()?;
        let live = first.get().live();
        if let Effort::Nodes { limit: limit @ 1.. } = effort
            && removed + live > limit
        {
            return None;
        }
        let (whole, part) = match keep {
            Keep::Len(most) if len <= most => return None,
            Keep::Len(most) => (len - live >= most, Step::Part(None, len - most)),
            Keep::From(id) => {
                (first.get().last_id(*first.key()) < id, Step::Part(Some(id), u64::MAX))
            }
        };
        match (whole, effort) {
            (true, _) => Some(Step::Node),
            (false, Effort::Exact) => Some(part),
            (false, Effort::Nodes { .. }) => None,
        }
    }
}

enum Step {
    Node,
    /// Entries of the first node: those below an id, if given, and at most so many.
    Part(Option<StreamId>, u64),
}
