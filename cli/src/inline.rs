//! Splitting of a line into arguments as `sdssplitargs` does it: inline commands and redis.conf
//! share this grammar.
//!
//! `"…"` knows `\xHH \n \r \t \b \a` and `\c` for c; `'…'` knows only `\'`. As in Valkey 9, quoted and
//! plain parts may be joined (`a"b c"d`); Redis wants a space behind a closing quote.

/// The arguments of a line, or `None` when quotes are unbalanced.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut args = Vec::new();
    // A NUL ends the line, as C strings do.
    let mut rest = line.split(|&byte| byte == 0).next().unwrap_or_default();
    loop {
        rest = skip_space(rest);
        if rest.is_empty() {
            return Some(args);
        }
        let (arg, behind) = word(rest)?;
        args.push(arg);
        rest = behind;
    }
}

/// C's `isspace` in the "C" locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn skip_space(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|&b| !is_space(b)).unwrap_or(line.len());
    &line[start..]
}

/// Quoted and plain parts without space between them are one argument.
fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut arg = Vec::new();
    loop {
        rest = match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Some((arg, rest)),
            [b'"', behind @ ..] => quoted(behind, &mut arg)?,
            [b'\'', behind @ ..] => single_quoted(behind, &mut arg)?,
            [byte, behind @ ..] => {
                arg.push(*byte);
                behind
            }
        };
    }
}

fn quoted<'a>(mut rest: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', b'x', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                arg.push(hex(*high) << 4 | hex(*low));
                rest = behind;
            }
            [b'\\', escaped, behind @ ..] => {
                arg.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = behind;
            }
            [byte, behind @ ..] => {
                arg.push(*byte);
                rest = behind;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\'', behind @ ..] => return Some(behind),
            [b'\\', b'\'', behind @ ..] => {
                arg.push(b'\'');
                rest = behind;
            }
            [byte, behind @ ..] => {
                arg.push(*byte);
                rest = behind;
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&[&[u8]]>) {
        let expected = expected.map(|args| args.iter().map(|a| a.to_vec()).collect::<Vec<_>>());
        assert_eq!(split(line.as_bytes()), expected, "{line:?}");
    }

    #[test]
    fn lines_split_as_sdssplitargs_splits_them() {
        check("", Some(&[]));
        check("  set a\tb  ", Some(&[b"set", b"a", b"b"]));
        check(r#"set a "b c""#, Some(&[b"set", b"a", b"b c"]));
        check(r#""\x41\n\"\\" x"#, Some(&[b"A\n\"\\", b"x"]));
        check(r#""\xZZ""#, Some(&[b"xZZ"]));
        check(r"'it\'s' '\n'", Some(&[b"it's", b"\\n"]));
        check(r#"pre"fix""#, Some(&[b"prefix"]));
        check(r#""""#, Some(&[b""]));
        check(r#""a"b 'c'"d"e"#, Some(&[b"ab", b"cde"]));
        check("a\0b", Some(&[b"a"]));
        check(r#""a"#, None);
        check("'a", None);
        check(r#""a\"#, None);
    }
}
