//! A script to the words of a command: variables and files are looked up, and what came of them without
//! quotes is split at white space.
//!
//! A shell goes on with nothing where `$(cat FILE)` cannot read its file, and the server would start
//! without its password; here the command is not run.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::options::Options;
use crate::parse::{MAX_WORDS, Otherwise, Piece, Script, Value, Word};
use crate::stop::{Stop, construct};

/// Bytes of a file, which as a rule becomes one word: the kernel's limit for one.
const MAX_FILE: usize = 128 << 10;
/// Bytes of all words together.
const MAX_BYTES: usize = 1 << 20;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Command {
    pub(crate) assignments: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) words: Vec<Vec<u8>>,
}

/// `environment` tells the variables that are set, and `file` what `$(cat FILE)` stands for, as [`read`]
/// does.
pub(crate) fn expand(
    script: &Script,
    options: &Options,
    environment: &dyn Fn(&OsStr) -> Option<OsString>,
    file: fn(&[u8]) -> Result<Vec<u8>, Stop>,
) -> Result<Command, Stop> {
    let (assigned, left) = (Vec::new(), MAX_BYTES);
    let mut expansion = Expansion { options, environment, file, assigned, left };
    let mut fields = Fields::default();
    // They do not see the assignments before them, which are for the program alone.
    for word in &script.words {
        expansion.word(word, &mut fields)?;
        fields.close();
    }
    for (name, word) in &script.assignments {
        let value = expansion.whole(word)?;
        expansion.assigned.push((name.clone(), value));
    }
    if fields.done.len() > MAX_WORDS {
        return Err(Stop::refused("the command", construct::SHORTER));
    }
    Ok(Command { assignments: expansion.assigned, words: fields.done })
}

/// What words are split into.
#[derive(Default)]
struct Fields {
    done: Vec<Vec<u8>>,
    open: Option<Vec<u8>>,
    /// All of it is one.
    is_whole: bool,
}

impl Fields {
    fn add(&mut self, bytes: &[u8]) {
        self.open.get_or_insert_default().extend_from_slice(bytes);
    }

    /// Each white space ends a field, and none begins one.
    fn split(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b' ' | b'\t' | b'\n' if !self.is_whole => self.close(),
                _ => self.add(&[*byte]),
            }
        }
    }

    fn close(&mut self) {
        self.done.extend(self.open.take());
    }
}

struct Expansion<'a> {
    options: &'a Options<'a>,
    environment: &'a dyn Fn(&OsStr) -> Option<OsString>,
    file: fn(&[u8]) -> Result<Vec<u8>, Stop>,
    assigned: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes that may still come.
    left: usize,
}

impl Expansion<'_> {
    fn word(&mut self, word: &Word, fields: &mut Fields) -> Result<(), Stop> {
        for piece in &word.0 {
            match piece {
                Piece::Text { bytes, quoted } => self.text(bytes, *quoted, fields)?,
                Piece::Value { value: Value::File(path), quoted } => {
                    let bytes = (self.file)(&self.whole(path)?)?;
                    self.text(&bytes, *quoted, fields)?;
                }
                Piece::Value { value: Value::Variable { name, otherwise }, quoted } => {
                    self.variable(name, otherwise.as_ref(), *quoted, fields)?;
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, bytes: &[u8], quoted: bool, fields: &mut Fields) -> Result<(), Stop> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            return Err(Stop::refused("the command", construct::SHORTER));
        };
        self.left = left;
        if quoted {
            fields.add(bytes)
        } else {
            fields.split(bytes)
        }
        Ok(())
    }

    fn variable(
        &mut self,
        name: &[u8],
        otherwise: Option<&Otherwise>,
        quoted: bool,
        fields: &mut Fields,
    ) -> Result<(), Stop> {
        let value = self.look_up(name);
        match (value, otherwise) {
            (Some(value), Some(Otherwise { for_empty: true, word })) if value.is_empty() => {
                self.word(word, fields)
            }
            (Some(value), _) => self.text(&value, quoted, fields),
            (None, Some(Otherwise { word, .. })) => self.word(word, fields),
            (None, None) if self.options.is_strict => Err(Stop::unset(name)),
            (None, None) => self.text(b"", quoted, fields),
        }
    }

    fn look_up(&self, name: &[u8]) -> Option<Vec<u8>> {
        if name[0].is_ascii_digit() {
            let at: usize = std::str::from_utf8(name).ok()?.parse().ok()?;
            let word = self.options.parameters.get(at);
            return word.map(|word| word.as_bytes().to_vec());
        }
        match self.assigned.iter().rev().find(|(assigned, _)| assigned == name) {
            Some((_, value)) => Some(value.clone()),
            None => (self.environment)(OsStr::from_bytes(name)).map(OsString::into_vec),
        }
    }

    /// Nothing is split where one word is wanted.
    fn whole(&mut self, word: &Word) -> Result<Vec<u8>, Stop> {
        let mut fields = Fields { is_whole: true, ..Fields::default() };
        self.word(word, &mut fields)?;
        Ok(fields.open.unwrap_or_default())
    }
}

/// What `$(cat FILE)` stands for: the file without the ends of lines at its end.
pub(crate) fn read(path: &[u8]) -> Result<Vec<u8>, Stop> {
    if path.starts_with(b"-") {
        return Err(Stop::refused(path, construct::SUBSTITUTION));
    }
    let mut bytes = Vec::new();
    let file = File::open(OsStr::from_bytes(path));
    let len = file.and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes));
    match len {
        Err(why) => return Err(Stop::failed(path, &why.to_string())),
        Ok(len) if len > MAX_FILE => return Err(Stop::failed(path, "longer than 128 KiB")),
        Ok(_) if bytes.contains(&0) => return Err(Stop::failed(path, "not a text: it has a NUL")),
        Ok(_) => {}
    }
    let end = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
    bytes.truncate(end);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
