//! `check`: every mistake in a holdfast.toml, with the line it is in and a mark under its place.

use std::path::Path;
use std::process::ExitCode;

use holdfast_supervisor::paths;

use super::words::{Words, only};
use super::{EXIT_CONFIG, Outcome, print};
use crate::config::{Config, Problem};

/// Of a line that is shown.
const MAX_SHOWN: usize = 120;

pub(super) fn main(mut words: Words) -> Outcome {
    let mut file = None;
    while let Some(word) = words.next() {
        only(&mut file, &word)?;
    }
    let file = file.unwrap_or_else(|| paths::CONFIG.to_owned());
    Ok(match Config::load(Path::new(&file)) {
        Ok(Some(_)) => print(&format!("{file}: good\n")),
        Ok(None) => {
            eprintln!("{file}: there is no such file");
            ExitCode::from(EXIT_CONFIG)
        }
        Err(problems) => {
            let text = std::fs::read(&file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            for problem in problems {
                eprint!("{file}:{problem}\n{}", excerpt(&text, &problem));
            }
            ExitCode::from(EXIT_CONFIG)
        }
    })
}

/// The line, and a caret under the column; nothing where the mistake is the whole file.
fn excerpt(text: &str, problem: &Problem) -> String {
    let Some(line) = text.lines().nth(problem.line - 1) else { return String::new() };
    let shown: String = line.chars().take(MAX_SHOWN).map(plain).collect();
    let before = problem.column - 1;
    if shown.trim().is_empty() || before > shown.chars().count() {
        return String::new();
    }
    let number = problem.line.to_string();
    let gap = " ".repeat(number.len());
    format!("{number} | {shown}\n{gap} | {}^\n", " ".repeat(before))
}

/// A terminal obeys no file.
fn plain(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_the_mistake() {
        let at = |line, column| Problem { line, column, message: String::new() };
        let text = "hostname = \"x\"\n\tärg = 7\u{1b}\n\n";
        assert_eq!(excerpt(text, &at(1, 12)), "1 | hostname = \"x\"\n  |            ^\n");
        assert_eq!(excerpt(text, &at(2, 2)), "2 |  ärg = 7 \n  |  ^\n");
        for (line, column) in [(3, 1), (4, 1), (9, 9), (1, 999)] {
            assert_eq!(excerpt(text, &at(line, column)), "");
        }
    }
}
