//! What is typed on a machine's console: the words of a command line, as a request.
//!
//! ```text
//!  holdfast status [--json]                     holdfast verify FILE
//!  holdfast start|stop|restart SERVICE [N]      holdfast restore FILE
//!  holdfast logs [SERVICE] [-n N]               holdfast config [put | reset]
//!  holdfast reload · backup [--list]            holdfast factory-reset --yes
//!  holdfast certs [WORDS]                       holdfast update FILE | key KEY ID
//!                                               holdfast reboot · poweroff · help
//! ```
//!
//! A serial line with nobody at its end may read as bytes by chance: what does not begin with
//! `holdfast` is none of ours, and not answered.

use heapless::String;

use crate::control::{MAX_REQUEST_BYTES, Request};

/// The kernel's own bound of a line (N_TTY_BUF_SIZE of drivers/tty/n_tty.c).
pub const MAX_LINE_BYTES: usize = 4096;
/// The line that ends a file which is typed.
pub const END_OF_FILE: &[u8] = b".";

const PROGRAM: &str = "holdfast";

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack, one at a time, without a heap")]
pub enum Typed {
    /// A line without a word: somebody wants to know whether anybody is there.
    Nothing,
    /// Not for us.
    Noise,
    Help,
    /// `config put`: the file follows.
    Put,
    /// A request that [`Request::parse`] understands.
    Ask(String<MAX_REQUEST_BYTES>),
    /// Meant for us, and not understood.
    Unknown,
}

/// Of a line without its end.
pub fn read(line: &[u8]) -> Typed {
    let Ok(line) = std::str::from_utf8(line) else { return Typed::Noise };
    let line = line.trim_ascii();
    if line.is_empty() {
        return Typed::Nothing;
    }
    let (program, rest) = line.split_once(' ').unwrap_or((line, ""));
    if program != PROGRAM {
        return Typed::Noise;
    }
    match rest.trim_ascii() {
        "" | "help" | "--help" | "-h" => Typed::Help,
        words if words.split_ascii_whitespace().eq(["config", "put"]) => Typed::Put,
        words => request(words).map_or(Typed::Unknown, Typed::Ask),
    }
}

/// In the words of the control socket, and nothing that only programs ask.
fn request(words: &str) -> Option<String<MAX_REQUEST_BYTES>> {
    let mut text = String::new();
    if words.split_ascii_whitespace().eq(["backup", "--list"]) {
        text.push_str("backups").ok()?;
    } else if ["restore ", "verify ", "update "].iter().any(|verb| words.starts_with(verb)) {
        // The rest is a path, with what blanks it has.
        text.push_str(words).ok()?;
    } else {
        for word in words.split_ascii_whitespace().filter_map(plain) {
            text.push_str(word).and_then(|()| text.push(' ')).ok()?;
        }
        text.pop();
    }
    is_for_people(&Request::parse(text.as_bytes())?).then_some(text)
}

/// An option's name goes where its value says enough.
fn plain(word: &str) -> Option<&str> {
    match word {
        "-n" | "--lines" | "--timeout" => None,
        "--json" => Some("json"),
        "--yes" => Some("yes"),
        other => Some(other),
    }
}

/// A log that is followed would never give the console back; the console shows it anyway.
fn is_for_people(request: &Request) -> bool {
    !matches!(
        request,
        Request::Save
            | Request::Signal { .. }
            | Request::ConfigPut { .. }
            | Request::Logs { follow: true, .. }
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let asked = read(line.as_bytes());
        assert!(matches!(&asked, Typed::Ask(text) if text == expected), "{line}: {asked:?}");
    }

    #[test]
    fn a_command_line_s_words_become_a_request() {
        check("holdfast status", "status");
        check("  holdfast  status  --json\r", "status json");
        check("holdfast restart server --timeout 5", "restart server 5");
        check("holdfast logs server -n 20", "logs server 20");
        check("holdfast backup", "backup");
        check("holdfast backup --list", "backups");
        check("holdfast verify /data/two  words.rdb", "verify /data/two  words.rdb");
        check(
            "holdfast restore /data/holdfast/backups/1.rdb",
            "restore /data/holdfast/backups/1.rdb",
        );
        check("holdfast update /data/new one", "update /data/new one");
        check("holdfast certs renew", "certs renew");
        check("holdfast config", "config");
        check("holdfast config reset", "config reset");
        check("holdfast factory-reset --yes", "factory-reset yes");
    }

    #[test]
    fn what_is_not_meant_for_us_is_told_from_what_is_not_understood() {
        for noise in [&b"status"[..], b"\xff\xfe\x00", b"holdfastt status", b"root", b"\0"] {
            assert_eq!(read(noise), Typed::Noise, "{}", noise.escape_ascii());
        }
        for nothing in [&b""[..], b"\r", b"  \t "] {
            assert_eq!(read(nothing), Typed::Nothing);
        }
        for unknown in [
            "holdfast factory-reset",
            "holdfast reset",
            "holdfast save",
            "holdfast logs follow",
            "holdfast signal server KILL",
            "holdfast config put 7",
            "holdfast restore dump.rdb",
        ] {
            assert_eq!(read(unknown.as_bytes()), Typed::Unknown, "{unknown}");
        }
        assert_eq!(read(b"holdfast"), Typed::Help);
        assert_eq!(read(b"holdfast config  put"), Typed::Put);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..MAX_LINE_BYTES)) {
            read(&bytes);
            read(&[b"holdfast restore /", &bytes[..]].concat());
        }
    }
}
