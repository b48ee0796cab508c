//! The manifest: which files make up the log, in order. Byte for byte what Redis 7 and Valkey write,
//! and what they take.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b     one base at most
//! file appendonly.aof.1.incr.aof seq 1 type h     history: to be removed
//! file "a b.2.incr.aof" seq 2 type i              increments, in ascending order
//! ```

use std::io::{self, Read as _};
use std::path::Path;

use crate::resp::inline;
use crate::storage::{Purpose, Storage};

/// Longest line that is read (`MANIFEST_MAX_LINE`).
pub(super) const MAX_LINE: usize = 1024;
/// A manifest larger than this is none: it would list tens of thousands of files.
const MAX_BYTES: u64 = 4 << 20;

/// Larger numbers are refused, so that there is always a next one.
const MAX_SEQ: u64 = 1 << 62;

/// What a file is to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Base,
    History,
    Increment,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// A name without a folder.
    pub(super) name: String,
    pub(super) seq: u64,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) base: Option<Entry>,
    pub(super) history: Vec<Entry>,
    pub(super) increments: Vec<Entry>,
}

/// What is wrong with a manifest, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) text: &'static str,
    /// Its number, from 1, and the line itself.
    pub(super) line: Option<(usize, String)>,
}

impl Wrong {
    /// What the server says before it refuses to start.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec!["\n*** FATAL AOF MANIFEST FILE ERROR ***\n".to_owned()];
        if let Some((number, line)) = &self.line {
            lines.push(format!("Reading the manifest file, at line {number}\n"));
            lines.push(format!(">>> '{line}'\n"));
        }
        lines.push(format!("{}\n", self.text));
        lines
    }
}

const BAD_FORMAT: &str = "Invalid AOF manifest file format";

impl Manifest {
    /// Nothing at all is listed that would be loaded.
    pub(super) fn is_empty(&self) -> bool {
        self.base.is_none() && self.increments.is_empty()
    }

    /// What is loaded, in order.
    pub(super) fn files(&self) -> impl Iterator<Item = &Entry> {
        self.base.iter().chain(&self.increments)
    }

    /// Everything that is listed, in the order of the file.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.base.iter().chain(&self.history).chain(&self.increments)
    }

    pub(super) fn text(&self) -> String {
        self.entries().map(|entry| entry.line() + "\n").collect()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Wrong> {
        let mut manifest = Self::default();
        if bytes.is_empty() {
            return Err(Wrong { text: "Found an empty AOF manifest", line: None });
        }
        for (index, raw) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            if raw.starts_with(b"#") {
                continue;
            }
            if !raw.ends_with(b"\n") || raw.len() > MAX_LINE {
                return Err(Wrong {
                    text: "The AOF manifest file contains too long line",
                    line: None,
                });
            }
            let line = trimmed(raw);
            let add = Entry::parse(line).and_then(|entry| manifest.add(entry));
            add.map_err(|text| Wrong {
                text,
                line: Some((index + 1, String::from_utf8_lossy(line).into_owned())),
            })?;
        }
        Ok(manifest)
    }

    /// Adds what the next line lists.
    pub(super) fn add(&mut self, entry: Entry) -> Result<(), &'static str> {
        match entry.kind {
            Kind::Base if self.base.is_some() => {
                return Err("Found duplicate base file information");
            }
            Kind::Base => self.base = Some(entry),
            Kind::History => self.history.push(entry),
            Kind::Increment => {
                if self.increments.last().is_some_and(|last| entry.seq <= last.seq) {
                    return Err("Found a non-monotonic sequence number");
                }
                self.increments.push(entry);
            }
        }
        Ok(())
    }

    /// The manifest in `dir`; `None` if there is none.
    pub(super) fn read(
        storage: &dyn Storage,
        path: &Path,
    ) -> io::Result<Option<Result<Self, Wrong>>> {
        let file = match storage.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(Self::parse(&bytes)))
    }

    /// Puts it into the place of the one there is: after a power cut it is the one or the other.
    pub(super) fn write(&self, storage: &dyn Storage, dir: &Path, name: &str) -> io::Result<()> {
        self.prepare(storage, dir, name)?;
        Self::publish(storage, dir, name)
    }

    /// The part of [`write`](Self::write) that needs room. Nothing has changed until it is published.
    pub(super) fn prepare(&self, storage: &dyn Storage, dir: &Path, name: &str) -> io::Result<()> {
        let temp = dir.join(temp_manifest(name));
        let mut file = storage.create(&temp, Purpose::Manifest)?;
        file.write_all(self.text().as_bytes())?;
        file.sync()
    }

    /// Puts the one that was prepared into the place of the one there is.
    pub(super) fn publish(storage: &dyn Storage, dir: &Path, name: &str) -> io::Result<()> {
        storage.rename(&dir.join(temp_manifest(name)), &dir.join(manifest(name)))?;
        storage.sync_dir(dir)
    }
}

impl Entry {
    pub(super) fn base(log: &str, seq: u64, is_rdb: bool) -> Self {
        let format = if is_rdb { "rdb" } else { "aof" };
        Self { name: format!("{log}.{seq}.base.{format}"), seq, kind: Kind::Base }
    }

    pub(super) fn increment(log: &str, seq: u64) -> Self {
        Self { name: format!("{log}.{seq}.incr.aof"), seq, kind: Kind::Increment }
    }

    pub(super) fn into_history(self) -> Self {
        Self { kind: Kind::History, ..self }
    }

    /// The line that lists it, without a line end.
    pub(super) fn line(&self) -> String {
        let kind = match self.kind {
            Kind::Base => 'b',
            Kind::History => 'h',
            Kind::Increment => 'i',
        };
        format!("file {} seq {} type {kind}", quoted(&self.name), self.seq)
    }

    /// Reads a line. Pairs of other keys are skipped: a later version's.
    pub(super) fn parse(line: &[u8]) -> Result<Self, &'static str> {
        if line.is_empty() {
            return Err(BAD_FORMAT);
        }
        let args = inline::split(line).ok_or(BAD_FORMAT)?;
        if args.len() < 6 || args.len() % 2 != 0 {
            return Err(BAD_FORMAT);
        }
        let (mut name, mut seq, mut kind) = (None, None, None);
        for pair in args.chunks_exact(2) {
            let value = pair[1].as_slice();
            if pair[0].eq_ignore_ascii_case(b"file") {
                name = Some(file_name(value)?);
            } else if pair[0].eq_ignore_ascii_case(b"seq") {
                seq = Some(leading_number(value));
            } else if pair[0].eq_ignore_ascii_case(b"type") {
                kind = value.first().copied();
            }
        }
        let (Some(name), Some(seq @ 1..=MAX_SEQ), Some(kind)) = (name, seq, kind) else {
            return Err(BAD_FORMAT);
        };
        let kind = match kind {
            b'b' => Kind::Base,
            b'h' => Kind::History,
            b'i' => Kind::Increment,
            _ => return Err("Unknown AOF file type"),
        };
        Ok(Self { name, seq, kind })
    }
}

/// The name of the manifest of log `log`.
pub(super) fn manifest(log: &str) -> String {
    format!("{log}.manifest")
}

pub(super) fn temp_manifest(log: &str) -> String {
    format!("temp-{log}.manifest")
}

/// The sequence number in a name that a server gave to an increment of `log`.
pub(super) fn increment_seq(log: &str, name: &str) -> Option<u64> {
    seq_of(log, name, ".incr.aof")
}

/// The sequence number in a name that a server gave to a base of `log`.
pub(super) fn base_seq(log: &str, name: &str) -> Option<u64> {
    seq_of(log, name, ".base.rdb").or_else(|| seq_of(log, name, ".base.aof"))
}

fn seq_of(log: &str, name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(log)?.strip_prefix('.')?.strip_suffix(suffix)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|&seq| is_number && seq <= MAX_SEQ)
}

fn trimmed(line: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|byte| !is_space(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

fn file_name(value: &[u8]) -> Result<String, &'static str> {
    if value.contains(&b'/') || value.contains(&b'\\') {
        return Err("File can't be a path, just a filename");
    }
    String::from_utf8(value.to_vec()).map_err(|_| BAD_FORMAT)
}

/// As `atoll`: the number that the text begins with, or 0.
fn leading_number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A name as `sdscatrepr` writes it where `sdsneedsrepr` holds.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && byte != b'"';
    if name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let mut out = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'\\' | b'"' => out.extend(['\\', byte as char]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(byte as char),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        let text = "file appendonly.aof.2.base.rdb seq 2 type b\n\
                    file appendonly.aof.1.incr.aof seq 1 type h\n\
                    file \"a b\\xc3\\xa4\\\"\\n.2.incr.aof\" seq 2 type i\n\
                    file appendonly.aof.4.incr.aof seq 4 type i\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.text(), text);
        assert_eq!(manifest.increments[0].name, "a bä\"\n.2.incr.aof");
        assert_eq!(manifest.files().count(), 3);
    }

    #[test]
    fn comments_and_unknown_keys_are_skipped() {
        let text =
            b"# hello\nfile a seq 1 type b startoffset 5\n   FILE b  SEQ 7x TYPE increment \n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.base.unwrap().name, "a");
        assert_eq!(manifest.increments[0].seq, 7);
    }

    fn check(text: &str, wrong: &str) {
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap_err().text, wrong, "{text:?}");
    }

    #[test]
    fn what_is_wrong_is_told_in_valkeys_words() {
        check("", "Found an empty AOF manifest");
        check("\n", BAD_FORMAT);
        check("file a seq 1\n", BAD_FORMAT);
        check("file a seq 1 type i more\n", BAD_FORMAT);
        check("file a seq x type i\n", BAD_FORMAT);
        check("filx a seq 1 type i\n", BAD_FORMAT);
        check("file \"a seq 1 type i\n", BAD_FORMAT);
        check("file a/b seq 1 type i\n", "File can't be a path, just a filename");
        check("file a seq 1 type x\n", "Unknown AOF file type");
        check(
            "file a seq 1 type b\nfile b seq 2 type b\n",
            "Found duplicate base file information",
        );
        check(
            "file a seq 2 type i\nfile b seq 2 type i\n",
            "Found a non-monotonic sequence number",
        );
        check("file a seq 1 type i", "The AOF manifest file contains too long line");
        check(
            &format!("file {} seq 1 type i\n", "a".repeat(1024)),
            "The AOF manifest file contains too long line",
        );
    }

    #[test]
    fn names_tell_their_number() {
        assert_eq!(increment_seq("a.aof", "a.aof.12.incr.aof"), Some(12));
        assert_eq!(base_seq("a.aof", "a.aof.3.base.rdb"), Some(3));
        assert_eq!(base_seq("a.aof", "a.aof.3.base.aof"), Some(3));
        for name in ["a.aof..incr.aof", "a.aof.0.incr.aof", "a.aof.+1.incr.aof", "b.aof.1.incr.aof"]
        {
            assert_eq!(increment_seq("a.aof", name), None, "{name}");
        }
    }
}
