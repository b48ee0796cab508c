//! The test suites of client libraries, run from their sources against a server of ours.
//!
//! Each suite runs unchanged, in a network namespace of its own: the suites have fixed ports in
//! mind, and there they are free. What fails is compared with a checked-in list of expected
//! failures; a failure that is not listed is a mistake of ours, and a listed one that passes is
//! out of date.

mod expected;
pub mod namespace;
mod node_redis;
mod redis_py;

use std::collections::BTreeMap;

use crate::binaries::Flavour;
use crate::progress::say;

pub use expected::{Expected, Verdict};

/// How one check of a suite ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// With the suite's words.
    Failed(String),
    Skipped,
}

/// The checks of one run, by the names that the suite gives them.
#[derive(Debug, Default)]
pub struct Report {
    checks: BTreeMap<String, Outcome>,
}

impl Report {
    /// Notes a check. Of several outcomes under one name, a failure counts before all others.
    fn note(&mut self, name: &str, outcome: Outcome) {
        let is_failed = matches!(self.checks.get(name), Some(Outcome::Failed(_)));
        if !is_failed {
            self.checks.insert(name.to_owned(), outcome);
        }
    }

    fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.checks.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Failed(why) => Some((name.as_str(), why.as_str())),
            _ => None,
        })
    }

    fn count(&self, is_counted: impl Fn(&Outcome) -> bool) -> usize {
        self.checks.values().filter(|outcome| is_counted(outcome)).count()
    }

    /// `1 passed, 2 failed, 3 skipped`.
    pub fn sum(&self) -> String {
        let passed = self.count(|outcome| *outcome == Outcome::Passed);
        let skipped = self.count(|outcome| *outcome == Outcome::Skipped);
        let failed = self.failed().count();
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// A suite: how to get it, and how to run it.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    pub name: &'static str,
    /// Fetches and builds what the suite needs; uses the network.
    pub prepare: fn() -> Result<(), String>,
    /// The protocols to run it in.
    protocols: &'static [&'static str],
    /// Runs it against `flavour`, inside of [`namespace`].
    run: fn(flavour: Flavour, protocol: &str) -> Result<Report, String>,
    /// The expected failures: a file of the directory `clients/`.
    expected: &'static str,
}

pub const SUITES: [Suite; 2] = [
    Suite {
        name: "redis-py",
        prepare: redis_py::prepare,
        protocols: &["2", "3"],
        run: redis_py::run,
        expected: "redis-py.failures.txt",
    },
    Suite {
        name: "node-redis",
        prepare: node_redis::prepare,
        protocols: &["2"],
        run: node_redis::run,
        expected: "node-redis.failures.txt",
    },
];

/// The suites of these names; all of them when there are no names.
pub fn chosen(names: &[String]) -> Result<Vec<Suite>, String> {
    let known = |name: &String| SUITES.into_iter().find(|suite| suite.name == name);
    if names.is_empty() {
        return Ok(SUITES.to_vec());
    }
    let unknown = |name: &String| format!("no suite is called {name}: see SUITES in src/suites");
    names.iter().map(|name| known(name).ok_or_else(|| unknown(name))).collect()
}

impl Suite {
    /// Runs the suite, in all its protocols or in `only`, and says what came of it; whether
    /// everything was as expected.
    pub fn check(&self, flavour: Flavour, only: Option<&str>) -> Result<bool, String> {
        let expected = Expected::read(self.expected)?;
        let mut is_right = true;
        let is_wanted = |protocol: &&&str| only.is_none_or(|only| only == **protocol);
        for protocol in self.protocols.iter().filter(is_wanted) {
            let report = self.report(flavour, protocol)?;
            if flavour != Flavour::Holdfast {
                report.failed().for_each(|(name, why)| println!("failed      {name}\n    {why}"));
                continue;
            }
            let mut verdict = expected.judge(&report);
            if verdict.has_unexpected() {
                say("once more: some checks of the suite depend on who is quicker");
                verdict.confirm(&self.report(flavour, protocol)?);
            }
            print!("{verdict}");
            is_right &= verdict.is_right();
        }
        Ok(is_right)
    }

    fn report(&self, flavour: Flavour, protocol: &str) -> Result<Report, String> {
        let report = (self.run)(flavour, protocol)?;
        say(format!("{} in RESP{protocol}: {}", self.name, report.sum()));
        Ok(report)
    }
}
