//! redis.conf: no text makes the parser or the loader panic, and what it gives back is true.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use holdfast_server::config::cli::Launch;
use holdfast_server::config::load::{Fatal, Files, load};
use holdfast_server::config::syntax::{self, Line, SyntaxError};

use super::{Random, mutate};

/// What a parser of whole files looks like.
pub type Parse = fn(&[u8]) -> Result<Vec<Line>, SyntaxError>;

/// Checks what `parse` says of `text`; what is wrong with it otherwise.
pub fn check(parse: Parse, text: &[u8]) -> Result<(), String> {
    let line_count = text.split(|byte| *byte == b'\n').count();
    match parse(text) {
        Err(SyntaxError { line, .. }) if line == 0 || line > line_count => {
            Err(format!("an error in line {line} of {line_count}: {text:?}"))
        }
        Err(_) => Ok(()),
        Ok(lines) => lines.iter().try_for_each(|line| check_line(parse, line, text)),
    }
}

/// A line's place and text are the file's, and its arguments, quoted, parse back to themselves.
fn check_line(parse: Parse, line: &Line, text: &[u8]) -> Result<(), String> {
    let source = text.split(|byte| *byte == b'\n').nth(line.number.wrapping_sub(1));
    let source = source.ok_or(format!("line {} does not exist: {text:?}", line.number))?;
    if syntax::trim(source) != line.text {
        return Err(format!("line {} is not {:?}: {text:?}", line.number, line.text));
    }
    let mut quoted = Vec::new();
    for arg in &line.args {
        syntax::quote(&mut quoted, arg);
        quoted.push(b' ');
    }
    match parse(&quoted) {
        Ok(again) if again.len() == 1 && again[0].args == line.args => Ok(()),
        other => Err(format!("{:?} quoted is {quoted:?}, parsed back {other:?}", line.args)),
    }
}

/// Loads `text` as a configuration file, with no files beside it; an error must say something.
pub fn check_load(text: &[u8]) -> Result<(), String> {
    let launch = Launch { stdin: true, ..Launch::default() };
    match load(&launch, &mut OnlyStdin(text)) {
        Ok(_) => Ok(()),
        Err(fatal) => {
            let line_count = text.split(|byte| *byte == b'\n').count();
            if let Fatal::Line { place: Some(place), .. } = &fatal
                && (place.line == 0 || place.line > line_count)
            {
                return Err(format!("an error in line {} of {line_count}: {text:?}", place.line));
            }
            let said = fatal.to_string();
            if said.trim().is_empty() {
                Err(format!("an error without words: {text:?}"))
            } else {
                Ok(())
            }
        }
    }
}

/// No file exists, every directory can be entered.
pub(super) struct OnlyStdin<'a>(pub(super) &'a [u8]);

impl Files for OnlyStdin<'_> {
    fn read(&mut self, _: &Path) -> io::Result<Vec<u8>> {
        Err(ErrorKind::NotFound.into())
    }

    fn read_stdin(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn matching(&mut self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn enter(&mut self, dir: &Path) -> io::Result<PathBuf> {
        Ok(dir.to_owned())
    }

    fn check_log(&mut self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

const PIECES: [&[u8]; 16] = [
    b"\n",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"\\x",
    b"\\x4",
    b"\0",
    b"#",
    b"\r\n",
    b"yes",
    b"-1",
    b"1gb",
    b"\xff",
    b"include x\n",
    b"99999999999999999999",
];

const DIRECTIVES: [&[u8]; 12] = [
    b"port",
    b"bind",
    b"maxmemory",
    b"save",
    b"requirepass",
    b"dir",
    b"databases",
    b"rename-command",
    b"client-output-buffer-limit",
    b"loglevel",
    b"appendonly",
    b"nosuch",
];

/// Directives with arguments of all kinds, or a seed, then changed in a few places.
pub fn generate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    if !seeds.is_empty() && random.below(3) == 0 {
        text.extend(&seeds[random.below(seeds.len())]);
    }
    for _ in 0..random.below(4) {
        text.extend(random.one_of(&DIRECTIVES));
        for _ in 0..random.below(4) {
            text.push(b' ');
            text.extend(random.one_of(&PIECES));
        }
        text.push(b'\n');
    }
    mutate(random, text, &PIECES)
}
