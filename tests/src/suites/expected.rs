//! The list of failures that are expected, each under its reason, and the comparison with a run.
//!
//! A line `# …` is the reason of the checks below it. A name without `[…]` stands for the check
//! with all its parameters.

use std::fmt;
use std::fs;
use std::mem;

use super::{Outcome, Report};
use crate::paths;

/// A check that fails, and why.
#[derive(Debug)]
struct Entry {
    name: String,
    reason: String,
}

#[derive(Debug)]
pub struct Expected {
    entries: Vec<Entry>,
}

impl Expected {
    /// Reads `clients/FILE`.
    pub fn read(file: &str) -> Result<Self, String> {
        let path = paths::tests().join("clients").join(file);
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut reason = String::new();
        let mut entries = Vec::new();
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if let Some(words) = line.strip_prefix("# ") {
                reason = words.to_owned();
            } else if reason.is_empty() {
                return Err(format!("no reason stands above {line}"));
            } else {
                entries.push(Entry { name: line.to_owned(), reason: reason.clone() });
            }
        }
        Ok(Self { entries })
    }

    /// Compares a run with the list.
    pub fn judge(&self, report: &Report) -> Verdict {
        let mut verdict = Verdict::default();
        for (name, why) in report.failed() {
            match self.entries.iter().find(|entry| entry.covers(name)) {
                Some(entry) => verdict.explain(&entry.reason),
                None => verdict.unexpected.push((name.to_owned(), why.to_owned())),
            }
        }
        for entry in &self.entries {
            let mut covered = report.checks.iter().filter(|(name, _)| entry.covers(name));
            let still_fails = covered.any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
            if !still_fails {
                verdict.outdated.push(entry.name.clone());
            }
        }
        verdict
    }
}

impl Entry {
    fn covers(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
    }
}

/// How a run differs from the list.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Failures that are not listed, each with the suite's words.
    unexpected: Vec<(String, String)>,
    /// Not listed either, and did not fail a second time.
    unsteady: Vec<String>,
    /// Listed, and did not fail.
    outdated: Vec<String>,
    /// How many failures each reason explains.
    explained: Vec<(String, usize)>,
}

impl Verdict {
    fn explain(&mut self, reason: &str) {
        match self.explained.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => self.explained.push((reason.to_owned(), 1)),
        }
    }

    pub fn has_unexpected(&self) -> bool {
        !self.unexpected.is_empty()
    }

    /// Takes what did not fail in a second run from the unexpected failures.
    pub fn confirm(&mut self, second: &Report) {
        let fails_again = |name: &str| second.failed().any(|(failed, _)| failed == name);
        let (again, once) =
            mem::take(&mut self.unexpected).into_iter().partition(|(name, _)| fails_again(name));
        self.unexpected = again;
        let once: Vec<(String, String)> = once;
        self.unsteady.extend(once.into_iter().map(|(name, _)| name));
    }

    pub fn is_right(&self) -> bool {
        self.unexpected.is_empty() && self.outdated.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (reason, count) in &self.explained {
            writeln!(f, "expected {count:4}  {reason}")?;
        }
        for name in &self.unsteady {
            writeln!(f, "failed the first time only  {name}")?;
        }
        for (name, why) in &self.unexpected {
            writeln!(f, "unexpected failure  {name}\n    {why}")?;
        }
        for name in &self.outdated {
            writeln!(f, "listed, but does not fail  {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checks: &[(&str, Outcome)]) -> Report {
        let mut report = Report::default();
        checks.iter().for_each(|(name, outcome)| report.note(name, outcome.clone()));
        report
    }

    fn failed() -> Outcome {
        Outcome::Failed("why".to_owned())
    }

    #[test]
    fn what_fails_and_is_listed_is_right() {
        let expected = Expected::parse("# Needs scripts.\neval\n").unwrap();
        let run = report(&[("eval[a]", failed()), ("eval[b]", failed()), ("get", Outcome::Passed)]);
        let verdict = expected.judge(&run);
        assert!(verdict.is_right(), "{verdict}");
        assert_eq!(verdict.explained, [("Needs scripts.".to_owned(), 2)]);
    }

    #[test]
    fn a_failure_that_is_not_listed_is_a_mistake() {
        let expected = Expected::parse("# Needs scripts.\neval\n").unwrap();
        let run = report(&[("eval", failed()), ("evaluate", failed())]);
        assert_eq!(expected.judge(&run).unexpected, [("evaluate".to_owned(), "why".to_owned())]);
    }

    #[test]
    fn what_fails_once_of_two_times_is_told_and_is_no_mistake() {
        let run = report(&[("a", failed()), ("b", failed())]);
        let mut verdict = Expected::parse("").unwrap().judge(&run);
        verdict.confirm(&report(&[("a", Outcome::Passed), ("b", failed())]));
        assert_eq!(verdict.unexpected, [("b".to_owned(), "why".to_owned())]);
        assert_eq!(verdict.unsteady, ["a"]);
    }

    #[test]
    fn a_listed_check_that_passes_or_is_gone_is_out_of_date() {
        let expected = Expected::parse("# Needs scripts.\neval\nevalsha\n").unwrap();
        let run = report(&[("eval", Outcome::Passed)]);
        assert_eq!(expected.judge(&run).outdated, ["eval", "evalsha"]);
    }

    #[test]
    fn a_failure_counts_before_what_else_is_said_of_a_check() {
        let run = report(&[("eval", failed()), ("eval", Outcome::Passed)]);
        assert_eq!(run.sum(), "0 passed, 1 failed, 0 skipped");
    }
}
