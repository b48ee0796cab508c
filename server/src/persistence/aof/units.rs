//! Commands as a log has them: arrays of bulk strings, found in bytes that were read.
//!
//! ```text
//! *3\r\n $3\r\n SET \r\n $1\r\n k \r\n $1\r\n v \r\n
//! ```
//!
//! Stricter than Redis, which takes any two bytes for a line end: a log that other bytes crept into
//! must not be executed.

use crate::resp::Span;

/// Digits that a count or length has at most.
const MAX_DIGITS: usize = 18;

/// What the bytes at a place are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A command, which ends here.
    Command { end: usize },
    /// The beginning of one. At least so many bytes are missing.
    Incomplete { missing: usize },
    /// No command; from here on it cannot be one.
    Wrong { at: usize },
}

/// Reads the command at `start`, whose arguments are added to `spans`.
pub(super) fn command(buffer: &[u8], start: usize, spans: &mut Vec<Span>) -> Parsed {
    let before = spans.len();
    let parsed =
        arguments(buffer, start, spans).map_or_else(|not| not, |end| Parsed::Command { end });
    if !matches!(parsed, Parsed::Command { .. }) {
        spans.truncate(before);
    }
    parsed
}

fn arguments(buffer: &[u8], start: usize, spans: &mut Vec<Span>) -> Result<usize, Parsed> {
    let (count, mut at) = header(buffer, start, b'*')?;
    if count == 0 {
        return Err(Parsed::Wrong { at: start });
    }
    for _ in 0..count {
        let (len, argument) = header(buffer, at, b'$')?;
        let Some(end) = argument.checked_add(len).and_then(|end| end.checked_add(2)) else {
            return Err(Parsed::Wrong { at });
        };
        if end > buffer.len() {
            return Err(Parsed::Incomplete { missing: end - buffer.len() });
        }
        if buffer[end - 2..end] != *b"\r\n" {
            return Err(Parsed::Wrong { at: end - 2 });
        }
        spans.push(Span::new(argument, len));
        at = end;
    }
    Ok(at)
}

/// A line of one sort and a number; the number and where the line ends.
fn header(buffer: &[u8], at: usize, sort: u8) -> Result<(usize, usize), Parsed> {
    let incomplete = Parsed::Incomplete { missing: 1 };
    match buffer.get(at) {
        None => return Err(incomplete),
        Some(&first) if first != sort => return Err(Parsed::Wrong { at }),
        Some(_) => {}
    }
    let mut number = 0_usize;
    for (index, &byte) in buffer[at + 1..].iter().take(MAX_DIGITS + 1).enumerate() {
        let here = at + 1 + index;
        match byte {
            b'0'..=b'9' if index < MAX_DIGITS => {
                number = number.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
            }
            b'\r' if index > 0 => {
                return match buffer.get(here + 1) {
                    None => Err(incomplete),
                    Some(b'\n') => Ok((number, here + 2)),
                    Some(_) => Err(Parsed::Wrong { at: here + 1 }),
                };
            }
            _ => return Err(Parsed::Wrong { at: here }),
        }
    }
    Err(incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Parsed {
        command(text.as_bytes(), 0, &mut Vec::new())
    }

    #[test]
    fn a_command_is_found_with_its_end() {
        let text = "*2\r\n$3\r\nDEL\r\n$0\r\n\r\n*1\r\n";
        let mut spans = Vec::new();
        assert_eq!(command(text.as_bytes(), 0, &mut spans), Parsed::Command { end: 19 });
        assert_eq!(spans, [Span::new(8, 3), Span::new(17, 0)]);
    }

    #[test]
    fn every_beginning_is_incomplete() {
        let text = "*2\r\n$3\r\nDEL\r\n$12\r\nhello, world\r\n";
        for end in 0..text.len() {
            assert!(matches!(parsed(&text[..end]), Parsed::Incomplete { .. }), "{end}");
        }
        assert_eq!(parsed("*1\r\n$900\r\nx"), Parsed::Incomplete { missing: 901 });
    }

    #[test]
    fn what_is_wrong_is_wrong_at_its_place() {
        for (text, at) in [
            ("GET", 0),
            ("*0\r\n", 0),
            ("*-1\r\n", 1),
            ("*\r\n", 1),
            ("*1\n", 2),
            ("*1\r\r", 3),
            ("*1\r\n:5\r\n", 4),
            ("*1\r\n$1\r\nab\r\n", 9),
            ("*1234567890123456789\r\n", 19),
            ("*1\r\n$9999999999999999999\r\n", 23),
            ("*1\r\n$5\r\nhe\0\0\0\0\0", 13),
        ] {
            assert_eq!(parsed(text), Parsed::Wrong { at }, "{text:?}");
        }
    }
}
