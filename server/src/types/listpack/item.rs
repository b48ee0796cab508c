//! An element where it lies in a listpack.

use std::fmt;

use crate::number::parse_int;
use crate::types::string::Digits;

/// What an entry holds. Integers are kept as such; to clients they are their decimal text.
#[derive(Clone, Copy)]
pub enum Item<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The element's text, in `digits` if it is an integer.
    #[inline]
    pub fn write_to<'b>(self, digits: &'b mut Digits) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Int(value) => digits.format(value).as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    pub fn to_vec(self) -> Vec<u8> {
        self.write_to(&mut Digits::new()).to_vec()
    }

    /// Length of the text.
    pub fn text_len(self) -> usize {
        self.write_to(&mut Digits::new()).len()
    }

    /// The integer whose canonical text this is.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            Self::Bytes(bytes) => parse_int(bytes),
        }
    }
}

/// As text. Files of others may keep an integer's text as a string.
impl PartialEq for Item<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Int(int), Self::Bytes(bytes)) | (Self::Bytes(bytes), Self::Int(int)) => {
                parse_int(bytes) == Some(int)
            }
        }
    }
}

impl Eq for Item<'_> {}

impl PartialEq<[u8]> for Item<'_> {
    fn eq(&self, text: &[u8]) -> bool {
        *self == Item::Bytes(text)
    }
}

/// A text that elements are compared with; whether it is an integer is found out once.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    text: &'a [u8],
    int: Option<i64>,
}

impl<'a> Sought<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, int: parse_int(text) }
    }

    #[inline]
    pub fn is(&self, item: Item<'_>) -> bool {
        match item {
            Item::Bytes(bytes) => bytes == self.text,
            Item::Int(value) => self.int == Some(value),
        }
    }
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
        }
    }
}
