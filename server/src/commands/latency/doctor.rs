//! LATENCY DOCTOR: what the latency monitor saw, in words, with advice that fits.

use std::fmt::Write as _;

use crate::engine::{Engine, Event};

pub(super) fn report(engine: &Engine, now_unix_s: i64) -> String {
    let events = engine.latency.iter();
    if events.len() == 0 {
        return nothing_seen(engine.config.settings().latency_threshold_ms);
    }
    let mut text = String::from("Latency spikes are observed in this instance.\n\n");
    for (nth, (event, series)) in events.enumerate() {
        let seen = series.analyse(now_unix_s);
        let line = writeln!(
            text,
            "{}. {}: {} latency spikes (average {}ms, mean deviation {}ms, period {:.2} sec). Worst all time event {}ms.",
            nth + 1,
            event.name(),
            seen.samples,
            seen.average_ms,
            seen.mean_deviation_ms,
            seen.period_s,
            series.max_ms
        );
        line.expect("into a String");
    }
    text.push_str("\nWhat can be done about them:\n\n");
    for (event, _) in engine.latency.iter() {
        text.push_str(advice(event, engine));
    }
    text
}

fn nothing_seen(threshold_ms: u64) -> String {
    if threshold_ms == 0 {
        return "The latency monitor is off in this instance. Turn it on with \"CONFIG SET latency-monitor-threshold <milliseconds>\".\n".into();
    }
    format!(
        "No latency spike of {threshold_ms} ms or more was observed since the last LATENCY RESET.\n"
    )
}

fn advice(event: Event, engine: &Engine) -> &'static str {
    let has_slow_log = engine.config.settings().command_log.limits[0].threshold.is_some();
    match event {
        Event::Command | Event::FastCommand if !has_slow_log => {
            "- Slow commands are not logged. Turn that on with \"CONFIG SET slowlog-log-slower-than 10000\" and look at SLOWLOG GET.\n"
        }
        Event::Command => {
            "- Look at SLOWLOG GET for commands that look at many elements at once, and ask for less with each (SCAN instead of KEYS, ranges instead of whole values).\n"
        }
        Event::FastCommand => {
            "- Commands that are fast by nature were held up: the machine may be short of processors or memory. Look for other busy processes, for swapping, and, in a virtual machine, for stolen time.\n"
        }
        Event::ExpireCycle => {
            "- Many keys expire at the same time. Spread their times to live, for example by adding a random part.\n"
        }
        Event::EvictionCycle => {
            "- Making room for writes takes long. Sudden changes of maxmemory and the writing of large values have much evicted at once.\n"
        }
    }
}
