//! The grammar of redis.conf: text to lines of arguments, and an argument back to quoted text.
//!
//! Nothing here knows a directive's name or opens a file. The rules are those of Redis' config
//! files, where they differ from a shell's: a comment is a whole line, and a NUL ends the line.
//! Quoted and plain parts of a word join, as in Valkey 9; Redis refuses what follows a closing
//! quote.

use std::fmt;

/// A line that holds at least one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1 in the text given to [`parse`].
    pub number: usize,
    /// The line without the blanks around it, for error texts and for `CONFIG REWRITE`.
    pub text: Vec<u8>,
    /// Never empty.
    pub args: Vec<Vec<u8>>,
}

/// A line that cannot be split into arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub line: usize,
    pub text: Vec<u8>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unbalanced quotes in configuration line")
    }
}

/// Splits a whole file into its lines, leaving out comments and blank ones.
pub fn parse(text: &[u8]) -> Result<Vec<Line>, SyntaxError> {
    lines(text).collect()
}

/// As [`parse`], one line at a time: what stands before a bad line still takes effect, as in
/// Redis, so that the first error reported is the first in the file.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Result<Line, SyntaxError>> {
    text.split(|byte| *byte == b'\n').enumerate().filter_map(|(index, raw)| {
        let text = trim(raw);
        if is_comment_or_blank(text) {
            return None;
        }
        match split_args(text) {
            None => Some(Err(SyntaxError { line: index + 1, text: text.to_vec() })),
            Some(args) if args.is_empty() => None,
            Some(args) => Some(Ok(Line { number: index + 1, text: text.to_vec(), args })),
        }
    })
}

/// True for lines that carry no directive.
pub fn is_comment_or_blank(trimmed: &[u8]) -> bool {
    matches!(trimmed.first(), None | Some(b'#' | 0))
}

/// Takes the blanks Redis trims off both ends of a line.
pub fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let Some(start) = line.iter().position(|byte| !blank(byte)) else { return &[] };
    let end = line.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

/// Splits one line into arguments; `None` when its quotes do not balance.
pub use crate::resp::inline::split as split_args;

/// Writes an argument in double quotes so that [`split_args`] gives it back.
pub use holdfast_cli::quote::quoted as quote;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&[&str]>) {
        let args = split_args(line.as_bytes());
        let expected =
            expected.map(|args| args.iter().map(|arg| arg.as_bytes().to_vec()).collect());
        assert_eq!(args, expected, "{line:?}");
    }

    #[test]
    fn a_line_splits_at_blanks_and_keeps_quoted_ones() {
        check("", Some(&[]));
        check("  \t ", Some(&[]));
        check("port 6379", Some(&["port", "6379"]));
        check("save\t900   1", Some(&["save", "900", "1"]));
        check(r#"a "b c" d"#, Some(&["a", "b c", "d"]));
        check(r#"logfile """#, Some(&["logfile", ""]));
        check("logfile ''", Some(&["logfile", ""]));
        check("a 'b \"c\"'", Some(&["a", "b \"c\""]));
        check("a pre\"post\"", Some(&["a", "prepost"]));
        check("a #b", Some(&["a", "#b"]));
    }

    #[test]
    fn double_quotes_know_escapes() {
        check(r#"a "\n\r\t\b\a\"\\\q""#, Some(&["a", "\n\r\t\x08\x07\"\\q"]));
        check(r#"a "\x41\x7a\x7A""#, Some(&["a", "Azz"]));
        check(r#"a "\x4""#, Some(&["a", "x4"]));
        check(r#"a "\xg1""#, Some(&["a", "xg1"]));
    }

    #[test]
    fn single_quotes_know_only_their_own() {
        check(r"a '\n'", Some(&["a", r"\n"]));
        check(r"a 'it\'s'", Some(&["a", "it's"]));
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        check(r#"a "b"#, None);
        check("a 'b", None);
        check(r#"a "b"c"#, Some(&["a", "bc"]));
        check("a 'b'c", Some(&["a", "bc"]));
        check(r#"a "b\"#, None);
        check("set foo 'b'a'r", None);
    }

    #[test]
    fn a_nul_ends_the_line() {
        check("port 1\0 2", Some(&["port", "1"]));
        check("\0port 1", Some(&[]));
    }

    #[test]
    fn comments_and_blank_lines_are_counted_but_left_out() {
        let lines = parse(b"# one\r\n\r\n  port 1 \r\n#\n bind a b").unwrap();
        let seen: Vec<_> = lines.iter().map(|line| (line.number, line.text.as_slice())).collect();
        assert_eq!(seen, [(3, b"port 1".as_slice()), (5, b"bind a b")]);
    }

    #[test]
    fn an_error_names_its_line() {
        let error = parse(b"port 1\nbind \"x").unwrap_err();
        assert_eq!((error.line, error.text.as_slice()), (2, b"bind \"x".as_slice()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_or_refused(text: Vec<u8>) {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_quoted_splits_back(args: Vec<Vec<u8>>) {
            let mut line = Vec::new();
            for arg in &args {
                quote(&mut line, arg);
                line.push(b' ');
            }
            prop_assert_eq!(split_args(&line), Some(args));
        }
    }
}
