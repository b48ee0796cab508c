//! What a person would check, checked: each finding is a line with what to do about it.
//!
//! Reading order: [`told`] judges what the agent says, [`server`] asks the server, [`machine`] looks
//! at disks, memory, clock and network itself. Judging is apart from looking wherever a number
//! decides, so that it can be tested.

pub(crate) mod machine;
pub(crate) mod server;
pub(crate) mod told;

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// What was looked at: `disk`, `clock`.
    pub(crate) subject: &'static str,
    pub(crate) seen: String,
    /// Empty where nothing is to be done.
    pub(crate) advice: String,
}

impl Finding {
    pub(crate) fn ok(subject: &'static str, seen: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject, seen: seen.into(), advice: String::new() }
    }

    pub(crate) fn warn(subject: &'static str, seen: impl Into<String>, advice: &str) -> Self {
        Self { level: Level::Warn, subject, seen: seen.into(), advice: advice.to_owned() }
    }

    pub(crate) fn fail(subject: &'static str, seen: impl Into<String>, advice: &str) -> Self {
        Self { level: Level::Fail, subject, seen: seen.into(), advice: advice.to_owned() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        write!(f, "{level}  {:<12} {}", self.subject, self.seen)?;
        if self.advice.is_empty() {
            Ok(())
        } else {
            write!(f, "\n      {:<12} → {}", "", self.advice)
        }
    }
}
