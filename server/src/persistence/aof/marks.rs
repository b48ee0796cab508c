//! Comment lines that prove what stands before them. Written and read here; what a file does with
//! them is told at the [module](super).

use super::manifest::{Entry, MAX_LINE, Manifest};

/// How every line of ours begins.
pub(super) const OURS: &[u8] = b"#HF";
/// A group begins.
pub(super) const GROUP: &str = "#HF+\r\n";
/// First line of a file, but for a timestamp.
const LOG: &str = "#HF:log 1\r\n";
const AFTER: &[u8] = b"#HF:after ";
const FILES: &[u8] = b"#HF:files ";
const FILE: &[u8] = b"#HF:file ";
const ANY: &[u8] = b"#HF:";

/// Longest comment line that every server reads whole (`AOF_ANNOTATION_LINE_MAX_LEN`, less the end).
pub(super) const MAX_COMMENT: usize = MAX_LINE - 1;
/// Most files that a statement lists: a log has a few.
const MAX_FILES: usize = 10_000;

/// How far a file is proved: so many bytes, with this checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) len: u64,
    /// CRC-64 as RDB has it, of the whole file up to there.
    pub(super) crc: u64,
}

impl Proof {
    /// The mark that stands behind the bytes that it proves.
    pub(super) fn mark(self) -> String {
        format!("#HF:{} {:016x}\r\n", self.len, self.crc)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (len, crc) = text.split_once(' ')?;
        let is_decimal = len.bytes().all(|byte| byte.is_ascii_digit());
        let is_hex = crc.len() == 16 && crc.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_decimal || !is_hex {
            return None;
        }
        Some(Self { len: len.parse().ok()?, crc: u64::from_str_radix(crc, 16).ok()? })
    }
}

/// A comment line of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Log,
    /// Where the increment before this one ends.
    After(Proof),
    /// So many files make up the log: a line for each follows.
    Files(usize),
    File(Entry),
    Group,
    Mark(Proof),
}

impl Line {
    /// Reads a line without its end. `None` for what is nothing of ours, or damaged.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        if line == GROUP.trim_end().as_bytes() {
            return Some(Self::Group);
        }
        if line == LOG.trim_end().as_bytes() {
            return Some(Self::Log);
        }
        if let Some(proof) = line.strip_prefix(AFTER) {
            return Proof::parse(proof).map(Self::After);
        }
        if let Some(count) = line.strip_prefix(FILES) {
            let count = std::str::from_utf8(count).ok()?.parse().ok()?;
            return (count <= MAX_FILES).then_some(Self::Files(count));
        }
        if line.starts_with(FILE) {
            // The line of the manifest, behind what marks it as ours.
            return Entry::parse(&line[ANY.len()..]).ok().map(Self::File);
        }
        Proof::parse(line.strip_prefix(ANY)?).map(Self::Mark)
    }
}

pub(super) fn timestamp(unix_seconds: i64) -> String {
    format!("#TS:{unix_seconds}\r\n")
}

/// What an increment begins with, without its mark.
pub(super) fn head(
    timestamp: Option<i64>,
    after: Option<Proof>,
    files: Option<&Manifest>,
) -> Vec<u8> {
    let mut head = timestamp.map(self::timestamp).unwrap_or_default();
    head.push_str(LOG);
    if let Some(proof) = after {
        head.push_str(&format!("#HF:after {} {:016x}\r\n", proof.len, proof.crc));
    }
    let mut head = head.into_bytes();
    head.extend(files.map(statement).unwrap_or_default());
    head
}

/// What the manifest says, as lines of an increment: when it is lost, here is another. Empty where a
/// name is too long for a line that every server skips.
pub(super) fn statement(manifest: &Manifest) -> Vec<u8> {
    let mut lines = format!("#HF:files {}\r\n", manifest.files().count());
    for entry in manifest.files() {
        let line = format!("#HF:{}\r\n", entry.line());
        if line.len() > MAX_COMMENT {
            return Vec::new();
        }
        lines.push_str(&line);
    }
    lines.into_bytes()
}

/// Puts a statement together again, line by line.
#[derive(Debug, Default)]
pub(super) struct Statement {
    /// Files still to come.
    missing: usize,
    manifest: Manifest,
    whole: Option<Manifest>,
}

impl Statement {
    /// Takes the next line of a file; whether it fits.
    pub(super) fn add(&mut self, line: Line) -> bool {
        match line {
            Line::Files(count) => {
                self.missing = count;
                self.manifest = Manifest::default();
            }
            Line::File(entry) => {
                let Some(missing) = self.missing.checked_sub(1) else { return false };
                self.missing = missing;
                if self.manifest.add(entry).is_err() {
                    return false;
                }
                if missing == 0 {
                    self.whole = Some(std::mem::take(&mut self.manifest));
                }
            }
            _ => return self.missing == 0,
        }
        true
    }

    /// The last whole statement since the last call.
    pub(super) fn take(&mut self) -> Option<Manifest> {
        self.whole.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_they_were_written() {
        let proof = Proof { len: 281, crc: 0x55d0_0000_0000_00ff };
        let line = |text: &str| Line::parse(text.trim_end().as_bytes());
        assert_eq!(line(&proof.mark()), Some(Line::Mark(proof)));
        assert_eq!(line(GROUP), Some(Line::Group));

        let manifest =
            Manifest::parse(b"file \"a b\" seq 2 type b\nfile c seq 1 type i\n").unwrap();
        let head = head(Some(7), Some(proof), Some(&manifest));
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("#TS:7"));
        assert_eq!(lines.next().and_then(line), Some(Line::Log));
        assert_eq!(lines.next().and_then(line), Some(Line::After(proof)));
        let mut statement = Statement::default();
        assert!(lines.all(|text| statement.add(line(text).unwrap())));
        assert_eq!(statement.take(), Some(manifest));
        assert_eq!(statement.take(), None);
    }

    #[test]
    fn damaged_lines_are_none() {
        for text in [
            "#HF:12 55d0",
            "#HF:x 55d0000000000000",
            "#HF:+1 55d0000000000000",
            "#HF:1  5d0000000000000",
            "#HF:files 10001",
            "#HF:file a",
            "#HF",
            "#HF:",
            "#TS:1",
        ] {
            assert_eq!(Line::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_statement_is_whole_or_none() {
        let mut statement = Statement::default();
        let file = |seq| Line::File(Entry::increment("a", seq));
        assert!(!statement.add(file(1)));
        assert!(statement.add(Line::Files(2)));
        assert!(statement.add(file(1)));
        assert!(!statement.add(Line::Group), "one is missing");
        assert!(!statement.add(file(1)), "the same number again");
        assert_eq!(statement.take(), None);
    }
}
