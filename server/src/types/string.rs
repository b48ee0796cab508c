//! The string value: an integer where the text is a canonical one, bytes otherwise; and the name
//! that `OBJECT ENCODING` gives it. Not here: how the bytes lie in memory (`keyspace::entry`).

use std::borrow::Cow;

use crate::number::parse_int;

/// Scratch room for the decimal text of an integer value.
pub type Digits = itoa::Buffer;

/// An owned string value, on its way into the keyspace or out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Str {
    /// The text is exactly this integer's decimal form.
    Int(i64),
    Bytes(Vec<u8>),
    /// Bytes that were edited in place (APPEND, SETRANGE, SETBIT): reported as `raw` for as long as
    /// they are not set anew.
    Raw(Vec<u8>),
}

impl Str {
    /// The value that SET stores for `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        match parse_int(&bytes) {
            Some(int) => Self::Int(int),
            None => Self::Bytes(bytes),
        }
    }

    pub fn view(&self) -> StrRef<'_> {
        match self {
            Self::Int(int) => StrRef::Int(*int),
            Self::Bytes(bytes) | Self::Raw(bytes) => StrRef::Bytes(bytes),
        }
    }
}

/// A string value where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrRef<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> StrRef<'a> {
    /// The text; an integer's is written into `digits`.
    #[inline]
    pub fn bytes<'b>(self, digits: &'b mut Digits) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Int(int) => digits.format(int).as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The text, allocated only for an integer.
    pub fn to_cow(self) -> Cow<'a, [u8]> {
        match self {
            Self::Int(int) => Cow::Owned(Digits::new().format(int).as_bytes().to_vec()),
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
        }
    }

    /// Length of the text in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty string value is nothing special")]
    pub fn len(self) -> usize {
        match self {
            Self::Int(int) => decimal_len(int),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// The value as INCR reads it: stored as an integer, or text that is a canonical one.
    #[inline]
    pub fn as_int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Bytes(bytes) => parse_int(bytes),
        }
    }
}

/// The name `OBJECT ENCODING` reports for a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringEncoding {
    Int,
    Embstr,
    Raw,
}

impl StringEncoding {
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Embstr => "embstr",
            Self::Raw => "raw",
        }
    }
}

/// Whether Valkey 9.1 would call a freshly set string `embstr`: its object (8 bytes of header), the
/// expiry, the key and the value with their string headers fit in 128 bytes, two cache lines.
/// We lay values out differently, but clients and test suites look at the name.
pub fn embeds(key_len: usize, value_len: usize, has_expiry: bool) -> bool {
    const OBJECT: usize = 8;
    const LIMIT: usize = 128;
    let key_header = if key_len < 32 { 1 } else { 3 };
    let key = key_len + key_header + 2; // NUL and the header's size
    let value = value_len.saturating_add(4); // 8-bit string header and NUL
    let expiry = if has_expiry { 8 } else { 0 };
    value.saturating_add(OBJECT + key + expiry) <= LIMIT
}

fn decimal_len(int: i64) -> usize {
    let digits = int.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
    digits + usize::from(int < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_that_an_integer_prints_as_is_an_integer() {
        for int in [0, 7, -7, 10, 1234567890, i64::MAX, i64::MIN, i64::MIN + 1] {
            let text = int.to_string();
            assert_eq!(parse_int(text.as_bytes()), Some(int));
            assert_eq!(decimal_len(int), text.len());
        }
        for text in [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "0x10",
            "1e3",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "100000000000000000000",
        ] {
            assert_eq!(parse_int(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn embstr_ends_where_valkeys_does() {
        // 8 of object, 1 + 1 + 3 + 1 of key, 3 + 110 + 1 of value: 128.
        assert!(embeds(3, 110, false));
        assert!(!embeds(3, 111, false));
        assert!(embeds(3, 102, true));
        assert!(!embeds(3, 103, true));
        assert!(!embeds(200, 1, false));
    }

    #[test]
    fn text_of_either_form_is_the_same() {
        let mut digits = Digits::new();
        assert_eq!(Str::new(b"-42".to_vec()), Str::Int(-42));
        assert_eq!(Str::new(b"-42".to_vec()).view().bytes(&mut digits), b"-42");
        assert_eq!(Str::new(b"042".to_vec()).view().bytes(&mut digits), b"042");
        assert_eq!(StrRef::Int(-42).to_cow(), StrRef::Bytes(b"-42").to_cow());
    }
}
