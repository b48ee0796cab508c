//! Bytes as text that any terminal or file takes: Redis' quoted form, and JSON's.

/// As `sdscatrepr` does it: what is not printable ASCII becomes an escape.
pub fn quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => escape(out, byte),
            b'\n' => escape(out, b'n'),
            b'\r' => escape(out, b'r'),
            b'\t' => escape(out, b't'),
            0x07 => escape(out, b'a'),
            0x08 => escape(out, b'b'),
            b' '..=b'~' => out.push(byte),
            _ => {
                escape(out, b'x');
                hex(out, byte);
            }
        }
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, letter: u8) {
    out.extend_from_slice(&[b'\\', letter]);
}

/// A JSON string of bytes taken for UTF-8 as they are.
pub(crate) fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => escape(out, byte),
            b'\n' => escape(out, b'n'),
            0x0c => escape(out, b'f'),
            b'\r' => escape(out, b'r'),
            b'\t' => escape(out, b't'),
            0x08 => escape(out, b'b'),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                hex(out, byte);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A JSON string in ASCII that holds the quoted form, its backslashes doubled.
pub(crate) fn json_of_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut plain = Vec::new();
    quoted(&mut plain, bytes);
    for byte in plain {
        if byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}
