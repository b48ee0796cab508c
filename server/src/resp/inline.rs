//! Splitting of a line into arguments as `sdssplitargs` does it: inline commands and redis.conf
//! share this grammar.
//!
//! `"…"` knows `\xHH \n \r \t \b \a` and `\c` for c; `'…'` knows only `\'`. A closing quote must be
//! followed by a space or the end.

/// The arguments of a line, or `None` when quotes are unbalanced.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut args = Vec::new();
    let mut rest = line;
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

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn skip_space(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|&b| !is_space(b)).unwrap_or(line.len());
    &line[start..]
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut arg = Vec::new();
    loop {
        match rest {
            // A NUL ends the line, as C strings do.
            [] | [0, ..] => return Some((arg, &[])),
            [space, ..] if is_space(*space) => return Some((arg, rest)),
            [b'"', behind @ ..] => rest = quoted(behind, &mut arg)?,
            [b'\'', behind @ ..] => rest = single_quoted(behind, &mut arg)?,
            [byte, behind @ ..] => {
                arg.push(*byte);
                rest = behind;
                continue;
            }
        }
        // Behind a closing quote only space or the end may follow.
        return match rest {
            [] => Some((arg, rest)),
            [space, ..] if is_space(*space) => Some((arg, rest)),
            _ => None,
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
        check(r#""a"b"#, None);
        check(r#""a"#, None);
        check("'a", None);
        check(r#""a\"#, None);
    }
}
