//! LATENCY GRAPH: a series as bars of characters, one column for each second with a stall; below
//! each, read downwards, how long ago it was.

use crate::engine::{Event, Series};

const COLUMNS: usize = 80;
const ROWS: usize = 4;
/// A bar's top, by height within a row; what is below it is [`BODY`].
const TOPS: [char; 3] = ['_', 'o', '#'];
const BODY: char = '|';

pub(super) fn render(event: Event, series: &Series, now_unix_s: i64) -> String {
    let samples: Vec<(i64, u64)> = series.samples().collect();
    let heights = samples.iter().map(|(_, ms)| *ms);
    let (low, high) = (heights.clone().min().unwrap_or(0), heights.max().unwrap_or(0));
    let mut text = format!(
        "{} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        event.name(),
        series.max_ms,
        "-".repeat(COLUMNS)
    );
    for (nth, part) in samples.chunks(COLUMNS).enumerate() {
        if nth > 0 {
            text.push('\n');
        }
        let steps: Vec<usize> = part.iter().map(|(_, ms)| step(*ms, low, high)).collect();
        let ages: Vec<String> = part.iter().map(|(second, _)| age(now_unix_s - second)).collect();
        bars(&steps, &mut text);
        text.push_str(&format!("{:1$}\n", "", part.len()));
        labels(&ages, &mut text);
    }
    text
}

/// How high a bar is, in steps: [`TOPS`] of them make a row.
fn step(ms: u64, low: u64, high: u64) -> usize {
    let steps = ROWS * TOPS.len();
    let range = (high - low).max(1) as f64;
    let step = ((ms - low) as f64 * steps as f64 / range) as usize;
    step.min(steps - 1)
}

fn bars(steps: &[usize], text: &mut String) {
    for row in (0..ROWS).rev() {
        let bottom = row * TOPS.len();
        let bar = |step: &usize| match step.checked_sub(bottom) {
            None => ' ',
            Some(height) => TOPS.get(height).copied().unwrap_or(BODY),
        };
        text.extend(steps.iter().map(bar));
        text.push('\n');
    }
}

fn labels(labels: &[String], text: &mut String) {
    let rows = labels.iter().map(String::len).max().unwrap_or(0);
    for row in 0..rows {
        text.extend(
            labels.iter().map(|label| label.as_bytes().get(row).map_or(' ', |c| *c as char)),
        );
        text.push('\n');
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Latency;

    #[test]
    fn each_second_has_a_bar_and_an_age() {
        let mut latency = Latency::default();
        for (second, ms) in [(1, 100), (2, 200), (3990, 400)] {
            latency.note(Event::Command, ms * 1000, 1, second);
        }
        let graph = render(Event::Command, latency.get(Event::Command).unwrap(), 4000);
        let lines: Vec<&str> = graph.lines().collect();
        assert_eq!(lines[0], "command - high 400 ms, low 100 ms (all time high 400 ms)");
        assert_eq!(lines[1], "-".repeat(80));
        assert_eq!(lines[2..], ["  #", "  |", " o|", "_||", "   ", "111", "hh0", "  s"]);
    }
}
