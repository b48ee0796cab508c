//! The clock as `status` shows it.

use std::fmt;
use std::time::Duration;

use holdfast_supervisor::clock::{Ms, now_ms};
use serde::Serialize;

use super::select::Agreed;

#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    servers: Vec<String>,
    last: Option<(Agreed, Ms)>,
    next_at: Option<Ms>,
}

impl View {
    /// After a round; one that nobody answered keeps what was known.
    pub(super) fn new(
        servers: &[String],
        agreed: Option<Agreed>,
        old: Self,
        wait: Duration,
    ) -> Self {
        let now = now_ms();
        let last = agreed.map(|agreed| (agreed, now)).or(old.last);
        let next_at = now + Ms::try_from(wait.as_millis()).unwrap_or(Ms::MAX / 2);
        Self { servers: servers.to_vec(), last, next_at: Some(next_at) }
    }

    /// Nothing where nobody is asked.
    pub(crate) fn report(&self) -> Option<Report> {
        let next_at = self.next_at?;
        let now = now_ms();
        let last = self.last.map(|(agreed, at)| Last {
            offset_us: agreed.offset_us,
            error_us: agreed.error_us,
            agreeing: agreed.servers,
            answers: agreed.answers,
            ago_ms: now.saturating_sub(at),
        });
        let next_in_ms = next_at.saturating_sub(now);
        Some(Report { servers: self.servers.clone(), last, next_in_ms })
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    servers: Vec<String>,
    /// `null` until servers have agreed.
    last: Option<Last>,
    next_in_ms: Ms,
}

#[derive(Debug, Serialize)]
struct Last {
    /// By how much the clock was behind.
    offset_us: i64,
    /// By how much that may be wrong.
    error_us: i64,
    agreeing: u8,
    answers: u8,
    ago_ms: Ms,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.last {
            Some(last) => {
                let offset_ms = last.offset_us as f64 / 1000.0;
                let Last { agreeing, answers, ago_ms, .. } = last;
                writeln!(
                    f,
                    "time: {agreeing} of {answers} servers agree, {offset_ms:+.1} ms, {} s ago",
                    ago_ms / 1000
                )
            }
            None => writeln!(f, "time: no agreement of {}", self.servers.join(", ")),
        }
    }
}
