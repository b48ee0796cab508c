//! The start of the record: how the run before this one ended, and why.
//!
//! The watchdog's own word counts first, then the record on the disk. What PID 1 said last it also
//! said into memory that survives a reset (pstore's pmsg), for when the disk was what failed.

use std::fs;
use std::path::Path;

use holdfast_supervisor::record::{Record, State, Words, words};
use holdfast_supervisor::snapshot::{Boot, LastEnd, Starved};

use crate::console::say;
use crate::keeper;

const PSTORE: &str = "/sys/fs/pstore";
/// What is written here is found in the folder above after a reset.
const MEMORY: &str = "/dev/pmsg0";
/// Of a dump of the kernel's, copied to the data partition.
const MAX_DUMP_BYTES: usize = 64 << 10;
const DUMP: &str = "/data/holdfast/last-panic.txt";

/// What survived in memory or firmware.
#[derive(Debug, Default)]
struct Remains {
    /// PID 1's last line.
    words: Words,
    /// The kernel wrote a dump: it panicked.
    dump: Option<Vec<u8>>,
    /// There is memory that survives a reset, so that silence means something.
    can_tell: bool,
}

/// What the machine knows of its past.
pub(crate) struct Past {
    pub boot: Boot,
    /// Starts in a row that ended badly, this one's predecessor included.
    pub bad_ends: u8,
    pub recorded_ms: u64,
}

/// Reads the record, says how the last run ended, and begins this run's.
pub(crate) fn begin(before: Option<Record>, by_watchdog: bool, unsound: bool) -> Past {
    let remains = Remains::collect();
    let boot = judge(before.as_ref(), by_watchdog, &remains);
    let before = before.unwrap_or_default();
    let bad = matches!(boot.last, LastEnd::Watchdog | LastEnd::Panic);
    let bad_ends = if bad { before.bad_ends.saturating_add(1) } else { 0 };
    let unsound_starts = if unsound { before.unsound_starts.saturating_add(1) } else { 0 };
    let last_words = if remains.words.is_empty() { &before.words } else { &remains.words };
    tell(boot, last_words);
    keeper::change(|record| {
        record.boots = boot.count;
        record.state = State::Running;
        record.words = Words::new();
        (record.bad_ends, record.unsound_starts) = (bad_ends, unsound_starts);
    });
    remains.keep();
    Past { boot, bad_ends, recorded_ms: before.unix_ms }
}

fn judge(before: Option<&Record>, by_watchdog: bool, remains: &Remains) -> Boot {
    let last = match before {
        _ if by_watchdog => LastEnd::Watchdog,
        Some(Record { state: State::Panicked, .. }) => LastEnd::Panic,
        _ if remains.dump.is_some() => LastEnd::Panic,
        Some(Record { state: State::Clean, .. }) => LastEnd::Clean,
        Some(Record { state: State::Running, .. }) => LastEnd::PowerLost,
        None => LastEnd::Unknown,
    };
    let recorded = before.map_or(Starved::No, |before| before.starved);
    let starved = match (last, remains.starved(), recorded) {
        (LastEnd::Watchdog, Some(told), _) => told,
        (LastEnd::Watchdog, None, Starved::No) if !remains.can_tell => Starved::Untold,
        (LastEnd::Watchdog, None, recorded) => recorded,
        _ => Starved::No,
    };
    Boot { count: before.map_or(0, |before| before.boots).saturating_add(1), last, starved }
}

fn tell(boot: Boot, last_words: &str) {
    let how = match (boot.last, boot.starved) {
        (LastEnd::Watchdog, Starved::No) => "by the watchdog: init's own loop had stopped",
        (LastEnd::Watchdog, Starved::Agent) => "by the watchdog: the agent was silent",
        (LastEnd::Watchdog, Starved::Disk) => "by the watchdog: the data disk did not answer well",
        (LastEnd::Watchdog, Starved::Untold) => {
            "by the watchdog: init's own loop, or the data disk, had stopped"
        }
        (LastEnd::Panic, _) => "by a panic",
        (LastEnd::PowerLost, _) => "without a word: power or reset button",
        (LastEnd::Clean, _) => "in order",
        (LastEnd::Unknown, _) => "unknown to us",
    };
    say!("boot {}; the last run ended {how}", boot.count);
    if !last_words.is_empty() && boot.last != LastEnd::Clean {
        say!("its last words: {}", last_words.trim_end());
    }
}

impl Remains {
    /// Reads and removes: firmware has room for a few dumps only.
    fn collect() -> Self {
        let can_tell = Path::new(MEMORY).exists();
        let mut remains = Self { can_tell, ..Self::default() };
        for entry in fs::read_dir(PSTORE).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(bytes) = fs::read(entry.path()) else { continue };
            if name.starts_with("pmsg-") {
                remains.words = last_line(&bytes);
            } else if name.starts_with("dmesg-") && is_panic(&bytes) {
                remains.dump = Some(bytes);
            }
            let _ = fs::remove_file(entry.path());
        }
        remains
    }

    fn starved(&self) -> Option<Starved> {
        let said = |starved: &Starved| self.words.contains(starved.text());
        [Starved::Agent, Starved::Disk].into_iter().find(said)
    }

    /// The kernel's own words, where a person may find them. Nothing when /data is in memory.
    fn keep(&self) {
        let Some(dump) = &self.dump else { return };
        let tail = &dump[dump.len().saturating_sub(MAX_DUMP_BYTES)..];
        if let Err(error) = fs::write(Path::new(DUMP), tail) {
            say!("cannot keep the kernel's last words: {error}");
        }
    }
}

/// A dump's first line is `Panic#1 Part1`, or `Oops#…`.
fn is_panic(dump: &[u8]) -> bool {
    dump.starts_with(b"Panic#") || dump.starts_with(b"Oops#")
}

fn last_line(text: &[u8]) -> Words {
    let text = String::from_utf8_lossy(text);
    let line = text.trim_end().lines().last().unwrap_or_default();
    words(line.strip_prefix("holdfast-init: ").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(state: State, starved: Starved) -> Option<Record> {
        Some(Record { boots: 4, state, starved, ..Record::default() })
    }

    #[test]
    fn the_watchdogs_own_word_counts_first() {
        let nothing = Remains::default();
        let untold = judge(ended(State::Running, Starved::No).as_ref(), true, &nothing);
        assert_eq!(untold.starved, Starved::Untold, "neither disk nor memory could tell");
        let running = ended(State::Running, Starved::Agent);
        let judged = |by_watchdog| judge(running.as_ref(), by_watchdog, &nothing);
        let reset = Boot { count: 5, last: LastEnd::Watchdog, starved: Starved::Agent };
        assert_eq!(judged(true), reset);
        let cut = Boot { count: 5, last: LastEnd::PowerLost, starved: Starved::No };
        assert_eq!(judged(false), cut);
    }

    #[test]
    fn what_the_disk_could_not_take_is_found_in_memory() {
        let text = format!("holdfast-init: old\nholdfast-init: {}; x\n", Starved::Disk.text());
        let remains = Remains { words: last_line(text.as_bytes()), ..Remains::default() };
        let boot = judge(ended(State::Running, Starved::No).as_ref(), true, &remains);
        assert_eq!(boot.starved, Starved::Disk);
    }

    #[test]
    fn ends_are_told_apart() {
        let nothing = Remains::default();
        let last = |state| judge(ended(state, Starved::No).as_ref(), false, &nothing).last;
        assert_eq!(last(State::Clean), LastEnd::Clean);
        assert_eq!(last(State::Panicked), LastEnd::Panic);
        assert_eq!(judge(None, false, &nothing).last, LastEnd::Unknown);
        let dump = Remains { dump: Some(b"Panic#1 Part1\n".to_vec()), ..Remains::default() };
        let running = ended(State::Running, Starved::No);
        assert_eq!(judge(running.as_ref(), false, &dump).last, LastEnd::Panic);
    }
}
