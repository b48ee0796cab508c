//! Libraries of functions: kept, and written back, though nothing here runs them yet.

use super::Engine;
use crate::resp::Argv;

impl Engine {
    /// A FUNCTION command of a log; whether it is one that a log may have.
    pub(super) fn replay_function(&mut self, argv: Argv<'_>) -> bool {
        let word = |at: usize| argv.get(at).unwrap_or_default().to_ascii_lowercase();
        match (&*word(1), argv.len()) {
            (b"load", 3) => self.add_library(argv.get(2)),
            (b"load", 4) if word(2) == b"replace" => self.add_library(argv.get(3)),
            (b"delete", 3) => self.functions.retain(|code| library_name(code) != argv.get(2)),
            (b"flush", 2 | 3) => self.functions.clear(),
            _ => return false,
        }
        true
    }

    /// In place of the one of the same name.
    fn add_library(&mut self, code: Option<&[u8]>) {
        let Some(code) = code else { return };
        self.functions.retain(|known| library_name(known) != library_name(code));
        self.functions.push(code.into());
    }
}

/// From the first line: `#!lua name=mylib`.
fn library_name(code: &[u8]) -> Option<&[u8]> {
    let line = code.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    line.split(u8::is_ascii_whitespace).find_map(|word| word.strip_prefix(b"name="))
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;

    #[test]
    fn libraries_come_and_go_with_the_log() {
        let mut world = World::new();
        let mut run = |words: &[&str]| {
            assert_eq!(world.replay_words(words), Ok(()), "{words:?}");
            let names = world.engine.functions.iter().filter_map(|code| super::library_name(code));
            names.map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(run(&["FUNCTION", "LOAD", "#!lua name=a\nreturn 1"]), ["a"]);
        assert_eq!(run(&["FUNCTION", "LOAD", "#!lua name=b\n"]), ["a", "b"]);
        assert_eq!(run(&["function", "load", "REPLACE", "#!lua name=a\nreturn 2"]), ["b", "a"]);
        assert_eq!(run(&["FUNCTION", "DELETE", "b"]), ["a"]);
        assert_eq!(run(&["FUNCTION", "FLUSH", "ASYNC"]), [""; 0]);
        assert!(world.replay("FUNCTION KILL").is_err());
    }
}
