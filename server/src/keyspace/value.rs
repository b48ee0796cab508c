//! What a key holds, owned or in place. Room for list, set, sorted set, hash and stream.

use crate::types::string::{Str, StrRef, StringEncoding};

/// An owned value, on its way into the keyspace or out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Str(Str),
}

/// A value where it lies in the keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'a> {
    Str(StrRef<'a>),
}

impl<'a> ValueRef<'a> {
    pub fn kind(self) -> Kind {
        match self {
            Self::Str(_) => Kind::String,
        }
    }

    pub fn as_str(self) -> Option<StrRef<'a>> {
        match self {
            Self::Str(string) => Some(string),
        }
    }
}

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    String,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
        }
    }
}

/// How a value is laid out, as `OBJECT ENCODING` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    String(StringEncoding),
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Self::String(encoding) => encoding.name(),
        }
    }
}

/// What a write does to the key's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    Keep,
    Clear,
    /// Unix milliseconds on the server's timeline.
    At(i64),
}

impl Ttl {
    pub(super) fn applied_to(self, old: Option<i64>) -> Option<i64> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::At(at) => Some(at),
        }
    }
}
