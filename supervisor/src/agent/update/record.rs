//! What became of the last update, on the data partition: both slots read it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use holdfast_supervisor::paths;
use holdfast_supervisor::snapshot::{Boot, LastEnd};
use serde::{Deserialize, Serialize};

use crate::files::write_whole;

/// It is a few lines.
const MAX_BYTES: u64 = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The slot is written; its trial is the next start, or this one.
    Trying,
    Kept,
    RolledBack,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) outcome: Outcome,
    pub(crate) version: String,
    /// Of the update, in hexadecimal.
    pub(crate) id: String,
    pub(crate) slot: String,
    /// The version that it was to replace.
    pub(crate) from: String,
    /// Why it was rolled back.
    pub(crate) reason: Option<String>,
    /// How often the machine had started when it was written.
    pub(crate) boots: u32,
    pub(crate) unix_ms: u64,
}

fn path() -> PathBuf {
    Path::new(paths::STATE).join("update.json")
}

impl Record {
    /// One that cannot be read is none.
    pub(crate) fn load() -> Option<Self> {
        let mut text = Vec::new();
        File::open(path()).ok()?.take(MAX_BYTES).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// On the disk when it returns.
    pub(crate) fn save(&self) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        fs::create_dir_all(paths::STATE)?;
        write_whole(&path(), &text)
    }

    pub(crate) fn rolled_back(&mut self, reason: String) {
        self.outcome = Outcome::RolledBack;
        self.reason = Some(reason);
    }

    /// The old slot runs, and the new one said nothing before it ended.
    pub(crate) fn guess(&self, boot: Boot) -> String {
        let reached_data = boot.count > self.boots.saturating_add(1);
        match boot.last {
            LastEnd::Panic => "it panicked: see /data/holdfast/last-panic.txt",
            LastEnd::Watchdog => "the hardware watchdog ended it",
            LastEnd::PowerLost if reached_data => {
                "it ended without a word: the power was cut, or a reset button pressed"
            }
            _ if reached_data => "it was ended before it was confirmed",
            _ => {
                "it never came to /data: the firmware did not start it, its kernel panicked or hung, \
                 or the power was cut"
            }
        }
        .to_owned()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { version, from, slot, .. } = self;
        let id = self.id.get(..12).unwrap_or(&self.id);
        write!(f, "{version} ({id}) in slot {slot}, from {from}: ")?;
        match (self.outcome, &self.reason) {
            (Outcome::Trying, _) => f.write_str("its trial is not over"),
            (Outcome::Kept, _) => f.write_str("kept"),
            (Outcome::RolledBack, Some(reason)) => write!(f, "rolled back: {reason}"),
            (Outcome::RolledBack, None) => f.write_str("rolled back"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            outcome: Outcome::Trying,
            version: "0.2.0".to_owned(),
            id: "a".repeat(64),
            slot: "b".to_owned(),
            from: "0.1.0".to_owned(),
            reason: None,
            boots: 4,
            unix_ms: 0,
        }
    }

    #[test]
    fn what_ended_a_trial_that_said_nothing_is_guessed_from_what_is_known() {
        let guess = |count, last| record().guess(Boot { count, last, ..Boot::default() });
        assert!(guess(5, LastEnd::Clean).starts_with("it never came to /data"));
        assert!(guess(6, LastEnd::Clean).starts_with("it was ended before"));
        assert!(guess(6, LastEnd::PowerLost).starts_with("it ended without a word"));
        assert!(guess(5, LastEnd::Panic).starts_with("it panicked"));
        assert!(guess(6, LastEnd::Watchdog).starts_with("the hardware watchdog"));
    }

    #[test]
    fn it_is_told_in_a_line() {
        let mut record = record();
        assert!(record.to_string().ends_with("in slot b, from 0.1.0: its trial is not over"));
        record.rolled_back("why".to_owned());
        assert_eq!(
            record.to_string(),
            "0.2.0 (aaaaaaaaaaaa) in slot b, from 0.1.0: rolled back: why"
        );
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains("\"rolled-back\""));
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
