//! What the suite printed about a unit, read and counted strictly, and the summary of many.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{DENIED_TAGS, Skip};

/// How much of the suite's words about a failed check is kept: some repeat a whole value.
const REASON_CHARS: usize = 300;

/// A skip for one server that cannot start, outside of any check. The suite knows no name for that.
const NO_START: &str = "Can't start a server";

/// What became of one unit.
#[derive(Debug)]
pub struct UnitReport {
    pub unit: String,
    pub passed: Vec<String>,
    /// Each with what the suite said about it.
    pub failed: Vec<(String, String)>,
    pub skipped: Vec<Skip>,
    /// Left out by the suite itself, by tags.
    pub left_out: usize,
    /// Why the unit did not come to its end.
    pub aborted: Option<String>,
    /// Skips of ours that name no check of this run: misspelt, or (two of jemalloc's) conditional.
    pub unknown_skips: Vec<String>,
    pub took: Duration,
}

impl UnitReport {
    /// Reads what the suite printed.
    pub fn read(unit: &str, text: &str, skipped: Vec<Skip>) -> Self {
        let text = &without_colours(text);
        let mut passed = Vec::new();
        let mut failed = Vec::new();
        let mut seen_skips = BTreeSet::new();
        let mut left_out = 0;
        let mut awaited_starts = skipped.iter().filter(|skip| skip.check == NO_START).count();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(rest) = line.strip_prefix("[ok]: ") {
                passed.push(rest.rsplit_once(" (").map_or(rest, |(name, _)| name).to_owned());
            } else if let Some(rest) = line.strip_prefix("[skip]: ") {
                seen_skips.insert(rest.to_owned());
            } else if line.starts_with("[ignore]: ") {
                left_out += 1;
            } else if let Some(name) = line.strip_prefix("[err]: ") {
                let name = name.rsplit_once(" in tests/").map_or(name, |(name, _)| name).to_owned();
                if name.starts_with("Can't start ") && awaited_starts > 0 {
                    awaited_starts -= 1;
                    continue;
                }
                let why = lines.peek().copied().unwrap_or_default();
                failed.push((name, why.chars().take(REASON_CHARS).collect()));
            }
        }
        let is_check = |skip: &&Skip| awaited_starts > 0 || skip.check != NO_START;
        let unknown_skips = skipped.iter().filter(is_check).map(|skip| skip.check.clone());
        let aborted = why_aborted(text);
        // An aborted unit has not come to all of its checks.
        let is_stale = |check: &String| aborted.is_none() && !seen_skips.contains(check);
        let unknown_skips = unknown_skips.filter(is_stale).collect();
        let (unit, took) = (unit.to_owned(), Duration::ZERO);
        Self { unit, passed, failed, skipped, left_out, aborted, unknown_skips, took }
    }

    pub fn counted(&self) -> usize {
        self.passed.len() + self.failed.len()
    }

    /// `unit/pause: 12 of 12 checks pass, 8 left out, 14 s`
    pub fn line(&self) -> String {
        let ending = if self.aborted.is_some() { ", ABORTED" } else { "" };
        format!(
            "{}: {} of {} checks pass, {} left out, {} s{ending}",
            self.unit,
            self.passed.len(),
            self.counted(),
            self.skipped.len() + self.left_out,
            self.took.as_secs(),
        )
    }
}

fn without_colours(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("\x1b[").enumerate() {
        let visible =
            if index == 0 { Some(part) } else { part.split_once('m').map(|(_, rest)| rest) };
        out.push_str(visible.unwrap_or_default());
    }
    out
}

/// The suite says "The End" only when every unit came to its end.
fn why_aborted(text: &str) -> Option<String> {
    if text.contains("Test Summary:")
        && !text.contains("[exception]")
        && !text.contains("[TIMEOUT]")
    {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|line| line.starts_with("[exception]"));
    let from = from.unwrap_or(lines.len().saturating_sub(30));
    Some(lines[from..].iter().take(30).copied().collect::<Vec<_>>().join("\n"))
}

/// The whole result in words: failures one by one, skips by reason, each unit, the sum.
pub fn summary(reports: &[UnitReport]) -> String {
    let mut out = String::new();
    for report in reports {
        for (check, why) in &report.failed {
            out += &format!("failed  {}: {check}\n        {why}\n", report.unit);
        }
        for check in &report.unknown_skips {
            out += &format!("unknown {}: {check} is in skip.txt, not in this run\n", report.unit);
        }
        if let Some(why) = &report.aborted {
            out += &format!("ABORTED {}:\n{why}\n", report.unit);
        }
    }
    out += &reasons(reports);
    for report in reports {
        out += &report.line();
        out.push('\n');
    }
    let (passed, counted) = totals(reports);
    let share = passed as f64 / counted.max(1) as f64 * 100.0;
    out + &format!("{passed} of {counted} checks pass ({share:.2} %)\n")
}

/// How many checks each reason leaves out.
fn reasons(reports: &[UnitReport]) -> String {
    let mut reasons: Vec<&str> = Vec::new();
    let skipped: Vec<&Skip> = reports.iter().flat_map(|report| &report.skipped).collect();
    for skip in &skipped {
        if !reasons.contains(&skip.reason.as_str()) {
            reasons.push(&skip.reason);
        }
    }
    let mut out = String::new();
    for reason in reasons {
        let count = skipped.iter().filter(|skip| skip.reason == reason).count();
        out += &format!("skipped {count:4}  {reason}\n");
    }
    let left_out: usize = reports.iter().map(|report| report.left_out).sum();
    out + &format!("skipped {left_out:4}  By the suite's own tags ({DENIED_TAGS}).\n")
}

/// Checks passed and checks counted.
pub fn totals(reports: &[UnitReport]) -> (usize, usize) {
    let passed = reports.iter().map(|report| report.passed.len()).sum();
    (passed, reports.iter().map(UnitReport::counted).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_output_is_counted() {
        let text = "[ok]: one (two) (3 ms)\n[err]: two in tests/unit/quit.tcl\nExpected 1\n[skip]: three\n\
                    [ignore]: x: denied\nTest Summary: 1 passed, 1 failed\n";
        let report = UnitReport::read("unit/quit", text, Vec::new());
        assert_eq!(report.passed, ["one (two)"]);
        assert_eq!(report.failed, [("two".to_owned(), "Expected 1".to_owned())]);
        assert_eq!((report.left_out, &report.aborted), (1, &None));
        assert_eq!(report.line(), "unit/quit: 1 of 2 checks pass, 1 left out, 0 s");
        assert!(summary(&[report]).ends_with("\n1 of 2 checks pass (50.00 %)\n"));
    }

    #[test]
    fn as_many_servers_as_expected_may_not_start() {
        let skip = Skip { unit: "u".into(), check: NO_START.into(), reason: "no ACL".into() };
        let read = |starts: usize, skips: usize| {
            let text = "[err]: Can't start /tmp/x/valkey-server\nCONFIGURATION:\n".repeat(starts);
            let text = text + "Test Summary: 0 passed\n";
            let report = UnitReport::read("u", &text, vec![skip.clone(); skips]);
            (report.failed.len(), report.unknown_skips.len())
        };
        assert_eq!(read(2, 2), (0, 0));
        assert_eq!(read(3, 2), (1, 0));
        assert_eq!(read(1, 2), (0, 2), "told as one that is in no run");
    }

    #[test]
    fn a_unit_that_ends_early_is_aborted() {
        let read = |text| UnitReport::read("unit/quit", text, Vec::new()).aborted;
        assert!(read("[ok]: one (3 ms)\n[exception]: boom\n").unwrap().contains("boom"));
        assert!(read("[ok]: one (3 ms)\n").is_some());
    }
}
