//! What a service says of itself: one datagram of sd_notify(3), `KEY=value` lines.
//!
//! What is not known is passed over, as is what is malformed: a service that says it well enough for
//! systemd is understood. The bytes come from a process that may be hostile; nothing here fails.

use heapless::String;

use crate::clock::Ms;
use crate::snapshot::Status;

/// Longer ones are refused by their reader, whole: a word cut in the middle is another word.
pub const MAX_NOTICE_BYTES: usize = 4096;

/// Under what a descriptor is kept.
pub type FdName = String<64>;
/// systemd's name for a descriptor that was given none.
const UNNAMED: &str = "stored";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notice {
    pub ready: bool,
    pub reloading: bool,
    pub stopping: bool,
    pub watchdog: Option<Watchdog>,
    pub status: Option<Status>,
    /// More time, from now.
    pub extend_ms: Option<Ms>,
    pub main_pid: Option<i32>,
    pub descriptors: Option<Descriptors>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watchdog {
    Alive,
    /// The service itself finds that it hangs.
    Trigger,
}

/// What is to become of the descriptors under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Descriptors {
    /// Those that came with the notice are kept, too.
    Store(FdName),
    Remove(FdName),
}

impl Notice {
    pub fn parse(input: &[u8]) -> Self {
        let mut notice = Self::default();
        let (mut store, mut remove, mut name) = (false, false, None);
        let lines = input.split(|&byte| byte == b'\n');
        let pairs = lines.filter_map(|line| {
            let at = line.iter().position(|&byte| byte == b'=')?;
            Some((line.get(..at)?, line.get(at + 1..)?))
        });
        for (key, value) in pairs {
            match key {
                b"READY" => notice.ready |= value == b"1",
                b"RELOADING" => notice.reloading |= value == b"1",
                b"STOPPING" => notice.stopping |= value == b"1",
                b"WATCHDOG" => notice.watchdog = watchdog(value).or(notice.watchdog),
                b"STATUS" => notice.status = Some(printable(value)),
                b"EXTEND_TIMEOUT_USEC" => notice.extend_ms = number(value).map(|us| us / 1000),
                b"MAINPID" => notice.main_pid = number(value).and_then(pid),
                b"FDSTORE" => store |= value == b"1",
                b"FDSTOREREMOVE" => remove |= value == b"1",
                b"FDNAME" => name = Some(fd_name(value)),
                _ => {}
            }
        }
        notice.descriptors = descriptors(store, remove, name);
        notice
    }
}

/// A name that is none keeps nothing: under another one its owner would not find it again.
fn descriptors(store: bool, remove: bool, name: Option<Option<FdName>>) -> Option<Descriptors> {
    match (store, remove, name) {
        (true, false, Some(name)) => name.map(Descriptors::Store),
        (true, false, None) => FdName::try_from(UNNAMED).ok().map(Descriptors::Store),
        (false, true, Some(name)) => name.map(Descriptors::Remove),
        _ => None,
    }
}

fn watchdog(value: &[u8]) -> Option<Watchdog> {
    match value {
        b"1" => Some(Watchdog::Alive),
        b"trigger" => Some(Watchdog::Trigger),
        _ => None,
    }
}

fn number(value: &[u8]) -> Option<u64> {
    core::str::from_utf8(value).ok()?.parse().ok()
}

fn pid(number: u64) -> Option<i32> {
    i32::try_from(number).ok().filter(|&pid| pid > 1)
}

/// As much as fits, and nothing that a terminal acts on.
fn printable(value: &[u8]) -> Status {
    let mut text = Status::new();
    for chunk in value.utf8_chunks() {
        let unknown = (!chunk.invalid().is_empty()).then_some('\u{fffd}');
        for letter in chunk.valid().chars().chain(unknown) {
            let letter = if letter.is_control() { ' ' } else { letter };
            if text.push(letter).is_err() {
                return text;
            }
        }
    }
    text
}

/// Printable ASCII without the colon that LISTEN_FDNAMES separates names with.
fn fd_name(value: &[u8]) -> Option<FdName> {
    let good = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b':';
    let text = core::str::from_utf8(value).ok()?;
    (!value.is_empty() && value.iter().all(good)).then(|| FdName::try_from(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> FdName {
        FdName::try_from(text).expect("short")
    }

    #[test]
    fn every_word_that_is_understood() {
        let notice = Notice::parse(
            b"READY=1\nSTATUS=loading 40 %\nEXTEND_TIMEOUT_USEC=2500000\nMAINPID=77\nWATCHDOG=1",
        );
        let expected = Notice {
            ready: true,
            status: Status::try_from("loading 40 %").ok(),
            extend_ms: Some(2_500),
            main_pid: Some(77),
            watchdog: Some(Watchdog::Alive),
            ..Notice::default()
        };
        assert_eq!(notice, expected);
        assert!(Notice::parse(b"STOPPING=1\n").stopping);
        assert!(Notice::parse(b"RELOADING=1\nMONOTONIC_USEC=12").reloading);
        assert_eq!(Notice::parse(b"WATCHDOG=trigger").watchdog, Some(Watchdog::Trigger));
    }

    #[test]
    fn descriptors_are_kept_and_dropped_by_name() {
        let of = |text: &[u8]| Notice::parse(text).descriptors;
        assert_eq!(of(b"FDSTORE=1\nFDNAME=listen"), Some(Descriptors::Store(name("listen"))));
        assert_eq!(of(b"FDSTORE=1"), Some(Descriptors::Store(name("stored"))));
        assert_eq!(of(b"FDNAME=x\nFDSTOREREMOVE=1"), Some(Descriptors::Remove(name("x"))));
        for none in [
            &b"FDNAME=listen"[..],
            b"FDSTOREREMOVE=1",
            b"FDSTORE=0\nFDNAME=x",
            b"FDSTORE=1\nFDNAME=a:b",
            b"FDSTORE=1\nFDNAME=",
            b"FDSTORE=1\nFDNAME=\x1b",
            b"FDSTORE=1\nFDSTOREREMOVE=1\nFDNAME=x",
            &[b"FDSTORE=1\nFDNAME=", &[b'x'; 65][..]].concat(),
        ] {
            assert_eq!(of(none), None, "{}", none.escape_ascii());
        }
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        let rubbish = b"\n=\n=1\nREADY\nREADY=2\nREADY =1\nready=1\nMAINPID=-4\nMAINPID=1\n\
            MAINPID=99999999999\nWATCHDOG=0\nEXTEND_TIMEOUT_USEC=soon\n\xff\xfe=\x00\nSTOPPING=yes";
        assert_eq!(Notice::parse(rubbish), Notice::default());
    }

    #[test]
    fn a_status_is_shown_as_far_as_it_fits_and_moves_no_cursor() {
        let status = |text: &[u8]| Notice::parse(text).status.unwrap_or_default();
        assert_eq!(status(b"STATUS=a\x1b[2Jb\tc\xff"), "a [2Jb c\u{fffd}");
        assert_eq!(
            status(&[b"STATUS=", "ä".repeat(100).as_bytes()].concat()),
            "ä".repeat(32).as_str()
        );
    }

    proptest! {
        #[test]
        fn random_notices_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let notice = Notice::parse(&bytes);
            prop_assert!(notice.status.is_none_or(|status| !status.contains(char::is_control)));
        }
    }
}
