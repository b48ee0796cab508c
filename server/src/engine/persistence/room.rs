//! Room on the disk that the log is on: a rewrite begins while its base still fits beside the log, and
//! writes do not take that room away from it. So a disk that the log itself has filled with what was
//! overwritten since heals without anybody's help.
//!
//! Where a rewrite would gain nothing, or finds too little as it is, no room is kept for it.

use super::{LogStatus, Persistence};
use crate::clock::Now;

/// What a rewrite takes beside its base: heads and manifests, with the rest of a block each.
const SLACK: u64 = 128 << 10;
/// Values take no more bytes in a base than in memory.
const WORST_PER_MILLE: u64 = 1000;
/// After a rewrite that did not find its room, in milliseconds; doubled after each one more.
const FIRST_PAUSE_MS: i64 = 5_000;
/// The longest such pause: flash wears out by attempts, too.
const LONGEST_PAUSE_MS: i64 = 3_600_000;

/// What a rewrite would need. How long a base is only the last one tells: compressed, it may be a tenth
/// of the data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Bytes of all values in memory, and what they were when the last rewrite began.
    data_bytes: u64,
    data_then: u64,
    /// Bytes of a base for a thousand in memory: as in the last base, or as in the worst case.
    per_mille: u64,
    /// Bytes that a base written now would have.
    base_bytes: u64,
    /// Of the base that is being written, so many bytes are still to come.
    left_bytes: u64,
    /// What was free when the last rewrite began.
    free_then: u64,
}

impl Default for Room {
    fn default() -> Self {
        let per_mille = WORST_PER_MILLE;
        Self { data_bytes: 0, data_then: 0, per_mille, base_bytes: 0, left_bytes: 0, free_then: 0 }
    }
}

impl Room {
    /// A rewrite is over, with a base of so many bytes; or it failed.
    pub(super) fn base_was_written(&mut self, bytes: Option<u64>) {
        let share = bytes.map(|bytes| bytes.saturating_mul(1000) / self.data_then.max(1));
        self.per_mille = share.unwrap_or(WORST_PER_MILLE).min(WORST_PER_MILLE);
    }
}

impl LogStatus {
    /// Whether a new base would be so much shorter that it is worth its writing.
    fn is_worth_a_rewrite(&self) -> bool {
        self.bytes >= self.worth_a_rewrite()
    }

    /// Bytes of a log from which on it is.
    fn worth_a_rewrite(&self) -> u64 {
        self.base_bytes + (self.base_bytes / 4).max(SLACK)
    }
}

impl Persistence {
    /// `data_bytes`: of all values in memory. `saved` of `keys` are in the base being written.
    pub(super) fn note_room(&mut self, data_bytes: u64, (saved, keys): (u64, u64)) {
        let log_bytes = self.log.as_ref().map_or(0, |log| log.bytes);
        self.room_on_disk.data_bytes = data_bytes;
        let per_mille = self.room_on_disk.per_mille;
        let base_bytes = (data_bytes.saturating_mul(per_mille) / 1000).min(log_bytes);
        let left = keys.saturating_sub(saved);
        let share = u128::from(base_bytes) * u128::from(left) / u128::from(keys.max(1));
        self.room_on_disk.base_bytes = base_bytes;
        self.room_on_disk.left_bytes = u64::try_from(share).unwrap_or(base_bytes);
    }

    pub(super) fn note_room_at_rewrite(&mut self) {
        let free = self.log.as_ref().and_then(|log| log.free_bytes);
        self.room_on_disk.free_then = free.unwrap_or_default();
        self.room_on_disk.data_then = self.room_on_disk.data_bytes;
    }

    /// Bytes that may be logged before they take the room that a rewrite needs; `None` where that
    /// limits nothing.
    pub(super) fn spare_room(&self) -> Option<u64> {
        let (log, room) = (self.log.as_ref()?, &self.room_on_disk);
        let now_free = log.free_bytes?;
        // At worst: what is being written just now is counted in both.
        let free = now_free.saturating_sub(log.buffered);
        if self.rewrite.running.is_some() {
            return Some(free.saturating_sub(with_slack(room.left_bytes)));
        }
        let helps = log.is_worth_a_rewrite() && now_free >= room.base_bytes;
        helps.then(|| free.saturating_sub(with_slack(room.base_bytes)))
    }

    /// Bytes that may be logged before somebody has to look again, without waiting for the next turn
    /// of cron: a small disk is full within one.
    pub(super) fn room_unwatched(&self) -> u64 {
        match (&self.log, self.spare_room()) {
            // Used up, it says so once: while nothing can be done about it, nobody need look again.
            (_, Some(0)) | (None, _) => u64::MAX,
            (_, Some(spare)) => spare,
            (Some(log), None) if log.is_worth_a_rewrite() => u64::MAX,
            (Some(log), None) => {
                log.worth_a_rewrite().saturating_sub(log.bytes + log.buffered).max(SLACK)
            }
        }
    }

    pub(super) fn is_out_of_spare_room(&self) -> bool {
        self.spare_room() == Some(0)
    }

    /// Whether a rewrite is due because of the disk.
    pub(super) fn is_rewrite_due_for_room(&self, now: Now) -> bool {
        let Some(log) = &self.log else { return false };
        let gains = log.bytes > log.base_bytes;
        let is_full = log.is_out_of_room && gains;
        (is_full || self.is_out_of_spare_room()) && !self.waits_for_room(log, now)
    }

    /// A rewrite is not tried over and over on a disk that is as full as it was.
    fn waits_for_room(&self, log: &LogStatus, now: Now) -> bool {
        let has_more_room = log.free_bytes.is_some_and(|free| {
            free > self.room_on_disk.free_then + self.room_on_disk.base_bytes / 4
        });
        if !self.rewrite.failed && log.is_worth_a_rewrite() || has_more_room {
            return false;
        }
        let failed = self.failed_rewrites.saturating_sub(1).min(16);
        now.ms() - self.rewrite.tried_ms < (FIRST_PAUSE_MS << failed).min(LONGEST_PAUSE_MS)
    }
}

fn with_slack(bytes: u64) -> u64 {
    bytes + bytes / 8 + SLACK
}

#[cfg(test)]
mod tests {
    use super::super::{Running, Work};
    use super::*;

    const MB: u64 = 1 << 20;

    /// A log of so many bytes over a base of 1 MB, with 1 MB of data in memory.
    fn with_log(bytes: u64, free: u64) -> Persistence {
        let log = LogStatus {
            bytes,
            base_bytes: MB,
            free_bytes: Some(free),
            has_base: true,
            ..LogStatus::default()
        };
        let mut persistence =
            Persistence { log: Some(log), ..Persistence::new(Now { us: 0, wall_offset_ms: 0 }) };
        persistence.note_room(MB, (0, 0));
        persistence
    }

    fn at(seconds: i64) -> Now {
        Now { us: seconds * 1_000_000, wall_offset_ms: 0 }
    }

    #[test]
    fn a_rewrite_is_due_while_its_base_still_fits() {
        assert!(!with_log(10 * MB, 3 * MB).is_rewrite_due_for_room(at(0)));
        assert!(with_log(10 * MB, MB).is_rewrite_due_for_room(at(0)));
        assert_eq!(with_log(10 * MB, 3 * MB).spare_room(), Some(3 * MB - MB - MB / 8 - SLACK));
        // There is little to gain.
        assert!(!with_log(MB + MB / 8, MB).is_rewrite_due_for_room(at(0)));
        assert_eq!(with_log(MB + MB / 8, MB).spare_room(), None);
    }

    #[test]
    fn a_log_that_is_short_yet_is_looked_at_before_it_is_worth_a_rewrite() {
        assert_eq!(with_log(MB + MB / 8, MB).room_unwatched(), MB / 8);
        let mut persistence = with_log(MB + MB / 8, MB);
        persistence.log.as_mut().unwrap().buffered = MB;
        assert_eq!(persistence.room_unwatched(), SLACK);
        let mut persistence = with_log(10 * MB, 3 * MB);
        persistence.log.as_mut().unwrap().buffered = 3 * MB;
        assert!(persistence.is_out_of_spare_room(), "it may still fit");
        assert_eq!(with_log(10 * MB, 3 * MB).room_unwatched(), 3 * MB - MB - MB / 8 - SLACK);
        assert_eq!(with_log(10 * MB, MB / 2).room_unwatched(), u64::MAX, "nothing can be done");
    }

    #[test]
    fn the_last_base_tells_how_large_the_next_one_is() {
        let mut persistence = with_log(10 * MB, MB / 2);
        assert_eq!(persistence.spare_room(), None, "it does not fit");
        persistence.note_room_at_rewrite();
        persistence.room_on_disk.base_was_written(Some(MB / 10));
        persistence.note_room(2 * MB, (0, 0));
        let spare = persistence.spare_room().unwrap();
        assert!((MB / 8..MB / 4).contains(&spare), "{spare}");
        persistence.room_on_disk.base_was_written(None);
        persistence.note_room(2 * MB, (0, 0));
        assert_eq!(persistence.spare_room(), None);
    }

    #[test]
    fn what_is_written_of_a_base_needs_no_room_any_more() {
        let mut persistence = with_log(10 * MB, MB);
        let running = Running { since_ms: 0, number: 1, dirty: 0 };
        persistence.rewrite = Work { running: Some(running), ..Work::default() };
        persistence.note_room(MB, (0, 100));
        assert!(persistence.is_out_of_spare_room());
        persistence.note_room(MB, (90, 100));
        assert!(!persistence.is_out_of_spare_room());
    }

    #[test]
    fn a_full_disk_is_tried_again_later_and_later_or_once_it_has_room() {
        let mut persistence = with_log(10 * MB, 0);
        assert!(!persistence.is_rewrite_due_for_room(at(0)), "no hope before it is full");
        let log = persistence.log.as_mut().unwrap();
        log.is_out_of_room = true;
        assert!(persistence.is_rewrite_due_for_room(at(0)));
        persistence.note_room_at_rewrite();
        persistence.rewrite.failed = true;
        for (failures, pause_s) in [(1, 5), (2, 10), (5, 80), (60, 3600)] {
            persistence.failed_rewrites = failures;
            assert!(!persistence.is_rewrite_due_for_room(at(pause_s - 1)), "{failures}");
            assert!(persistence.is_rewrite_due_for_room(at(pause_s)), "{failures}");
        }
        persistence.log.as_mut().unwrap().free_bytes = Some(MB);
        assert!(persistence.is_rewrite_due_for_room(at(1)));
    }
}
