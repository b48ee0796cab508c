//! Reading a transcript file into sections and steps.

use std::fs;
use std::path::{Path, PathBuf};

/// One file.
#[derive(Debug)]
pub struct Transcript {
    pub path: PathBuf,
    pub sections: Vec<Section>,
}

/// Steps that share connections and begin with an empty keyspace.
#[derive(Debug, Default)]
pub struct Section {
    pub title: String,
    pub line: usize,
    /// `@args`: the section gets a server of its own, with these arguments.
    pub args: Option<Vec<String>>,
    /// `@skip`: ways, protocols or servers that this section is not for.
    pub skip: Vec<String>,
    pub steps: Vec<Step>,
}

/// One command line and the reply expected.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub connection: String,
    pub action: Action,
    /// The words or raw bytes after the `>`.
    pub text: String,
    pub expected: Vec<Expected>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send and compare the reply.
    Command,
    /// As `Command`, with the outermost array sorted first.
    Sorted,
    /// Send again and again until the reply is the expected one.
    Until,
    /// Send only.
    Send,
    /// Read and compare one more reply.
    Receive,
    /// Send the bytes as they are, then compare one reply.
    Raw,
    /// Close the connection from this side.
    Close,
}

/// One expected line and where it applies.
#[derive(Debug)]
pub struct Expected {
    pub only: Vec<String>,
    pub text: String,
}

const ACTIONS: [(&str, Action); 6] = [
    ("sorted", Action::Sorted),
    ("until", Action::Until),
    ("send", Action::Send),
    ("recv", Action::Receive),
    ("raw", Action::Raw),
    ("close", Action::Close),
];

/// The connection of a step that names none.
const MAIN: &str = "main";

impl Transcript {
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let sections =
            parse(&text).map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))?;
        Ok(Self { path: path.to_owned(), sections })
    }
}

fn parse(text: &str) -> Result<Vec<Section>, (usize, String)> {
    let mut sections: Vec<Section> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fail = |why: &str| (number, why.to_owned());
        if line.trim().is_empty() || line.starts_with("# ") || line == "#" {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            let title = title.to_owned();
            sections.push(Section { title, line: number, ..Section::default() });
            continue;
        }
        let section =
            sections.last_mut().ok_or_else(|| fail("a line before the first `== title`"))?;
        if let Some(mark) = line.strip_prefix('@') {
            parse_mark(section, mark).map_err(|why| (number, why))?;
        } else if let Some((connection, action, text)) = parse_step(line) {
            section.steps.push(Step {
                line: number,
                connection,
                action,
                text,
                expected: Vec::new(),
            });
        } else {
            let step =
                section.steps.last_mut().ok_or_else(|| fail("a reply before any command"))?;
            step.expected.push(parse_expected(line));
        }
    }
    Ok(sections)
}

fn parse_mark(section: &mut Section, mark: &str) -> Result<(), String> {
    let (name, rest) = mark.split_once(' ').unwrap_or((mark, ""));
    match name {
        "args" => {
            let words = split_words(rest)?;
            let lossy = |word: Vec<u8>| String::from_utf8_lossy(&word).into_owned();
            section.args = Some(words.into_iter().map(lossy).collect());
        }
        "skip" => {
            let (words, reason) = rest.split_once(':').ok_or("@skip needs `: reason`")?;
            if reason.trim().is_empty() {
                return Err("@skip needs a reason after the colon".to_owned());
            }
            section.skip.extend(words.split_whitespace().map(str::to_owned));
        }
        _ => return Err(format!("unknown mark @{name}")),
    }
    Ok(())
}

/// `[connection] [action]> text`; `None` when the line is a reply.
fn parse_step(line: &str) -> Option<(String, Action, String)> {
    let (head, text) = line.split_once('>')?;
    let mut connection = MAIN.to_owned();
    let mut action = Action::Command;
    for word in head.split(' ').filter(|word| !word.is_empty()) {
        if !word.chars().all(|c| c.is_ascii_lowercase()) {
            return None;
        }
        match ACTIONS.iter().find(|(name, _)| *name == word) {
            Some((_, named)) => action = *named,
            None => connection = word.to_owned(),
        }
    }
    let well_formed = head.split(' ').count() <= 2 && !head.starts_with(' ');
    well_formed.then(|| (connection, action, text.trim_start().to_owned()))
}

/// `2,valkey| text` or just `text`.
fn parse_expected(line: &str) -> Expected {
    let known = |word: &str| ["2", "3"].contains(&word) || super::SERVERS.contains(&word);
    if let Some((head, text)) = line.split_once('|') {
        let words: Vec<&str> = head.split(',').collect();
        if words.iter().all(|word| known(word)) {
            let only = words.into_iter().map(str::to_owned).collect();
            return Expected { only, text: text.strip_prefix(' ').unwrap_or(text).to_owned() };
        }
    }
    Expected { only: Vec::new(), text: line.to_owned() }
}

/// Splits into words as redis-cli does: double quotes with C escapes, single quotes without.
pub fn split_words(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    let mut rest = line.as_bytes();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(words);
        }
        let mut word = Vec::new();
        rest = match rest[0] {
            b'"' => double_quoted(&rest[1..], &mut word)?,
            b'\'' => single_quoted(&rest[1..], &mut word)?,
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                word.extend_from_slice(&rest[..end]);
                &rest[end..]
            }
        };
        words.push(word);
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], String> {
    loop {
        let (byte, after) = rest.split_first().ok_or("an unclosed double quote")?;
        rest = after;
        match byte {
            b'"' => return Ok(rest),
            b'\\' => rest = escape(rest, word)?,
            _ => word.push(*byte),
        }
    }
}

fn escape<'a>(rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], String> {
    let (byte, after) = rest.split_first().ok_or("a backslash at the end")?;
    word.push(match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 7,
        b'b' => 8,
        b'x' => {
            let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
            let value = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
            word.push(value.ok_or("\\x needs two hexadecimal digits")?);
            return Ok(&after[2..]);
        }
        other => *other,
    });
    Ok(after)
}

fn single_quoted<'a>(rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], String> {
    let end = rest.iter().position(|b| *b == b'\'').ok_or("an unclosed single quote")?;
    word.extend_from_slice(&rest[..end]);
    Ok(&rest[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_sections_and_steps() {
        let text = "# note\n== one\n@skip multi: why\n> SET a b\nOK\nb sorted> KEYS *\n2| 1) \"a\"\n3| 1) \"a\"\n";
        let sections = parse(text).unwrap();
        assert_eq!(sections.len(), 1);
        assert_eq!(sections[0].skip, ["multi"]);
        let steps = &sections[0].steps;
        assert_eq!((steps[0].connection.as_str(), steps[0].text.as_str()), ("main", "SET a b"));
        assert_eq!((steps[1].connection.as_str(), steps[1].action), ("b", Action::Sorted));
        assert_eq!(steps[1].expected[1].only, ["3"]);
    }

    #[test]
    fn a_skip_without_a_reason_is_refused() {
        assert!(parse("== one\n@skip multi\n").is_err());
        assert!(parse("== one\n@skip multi: \n").is_err());
    }

    #[test]
    fn words_are_split_as_in_redis_cli() {
        let words = split_words(r#"SET "a\x00\n" 'b\n' c"#).unwrap();
        assert_eq!(words, [b"SET".to_vec(), b"a\0\n".to_vec(), b"b\\n".to_vec(), b"c".to_vec()]);
        assert!(split_words("\"open").is_err());
    }
}
