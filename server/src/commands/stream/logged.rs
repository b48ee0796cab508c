//! What the log is told of consumer groups: what commands about them do depends on time and on what
//! was delivered before, so the outcome is logged.

use crate::engine::Call;
use crate::types::stream::{Group, Nack, StreamId, TEXT_MAX};

/// Ids in one command of the log, at most.
const AT_ONCE: usize = 1024;

/// Pending entries of one consumer as a command left them.
#[derive(Default)]
pub(super) struct Deliveries {
    runs: Vec<Run>,
    /// Entries that are pending no more.
    forgotten: Vec<StreamId>,
}

/// Entries delivered at the same time, for as many times.
struct Run {
    delivered_ms: i64,
    deliveries: u64,
    ids: Vec<StreamId>,
}

impl Deliveries {
    pub(super) fn delivered(&mut self, id: StreamId, nack: &Nack) {
        let Nack { delivered_ms, deliveries, .. } = *nack;
        match self.runs.last_mut() {
            Some(run)
                if (run.delivered_ms, run.deliveries) == (delivered_ms, deliveries)
                    && run.ids.len() < AT_ONCE =>
            {
                run.ids.push(id);
            }
            _ => self.runs.push(Run { delivered_ms, deliveries, ids: vec![id] }),
        }
    }

    pub(super) fn forgotten(&mut self, id: StreamId) {
        self.forgotten.push(id);
    }

    /// Logs them as XCLAIMs that depend on nothing, and XACKs.
    pub(super) fn log(&self, call: &mut Call<'_>, key: &[u8], group: &[u8], consumer: &[u8]) {
        for Run { delivered_ms, deliveries, ids } in &self.runs {
            let unix_ms = call.now.unix_ms_of_deadline(*delivered_ms);
            call.log(11 + ids.len(), |line| {
                line.word(b"XCLAIM").word(key).word(group).word(consumer).int(0);
                for id in ids {
                    line.word(id.write_to(&mut [0; TEXT_MAX]));
                }
                line.word(b"TIME").int(unix_ms);
                // Redis reads it as signed.
                line.word(b"RETRYCOUNT").int(i64::try_from(*deliveries).unwrap_or(i64::MAX));
                line.word(b"FORCE").word(b"JUSTID").done();
            });
        }
        for ids in self.forgotten.chunks(AT_ONCE) {
            call.log(3 + ids.len(), |line| {
                line.word(b"XACK").word(key).word(group);
                for id in ids {
                    line.word(id.write_to(&mut [0; TEXT_MAX]));
                }
            });
        }
    }
}

/// How far a group has read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    last_id: StreamId,
    entries_read: Option<i64>,
}

impl Progress {
    pub(super) fn of(group: &Group) -> Self {
        Self { last_id: group.last_id, entries_read: group.entries_read }
    }

    pub(super) fn log(self, call: &mut Call<'_>, key: &[u8], group: &[u8]) {
        let read = self.entries_read.filter(|read| *read >= 0).unwrap_or(-1);
        call.log(7, |line| {
            line.word(b"XGROUP").word(b"SETID").word(key).word(group);
            line.word(self.last_id.write_to(&mut [0; TEXT_MAX]));
            line.word(b"ENTRIESREAD").int(read).done();
        });
    }
}

pub(super) fn consumer_created(call: &mut Call<'_>, key: &[u8], group: &[u8], consumer: &[u8]) {
    call.log_as(&[b"XGROUP", b"CREATECONSUMER", key, group, consumer]);
}
