//! What a key holds, owned or in place.

use super::entry::CollectionRef;
use crate::types::collection::{Collection, Kind};
use crate::types::string::{Str, StrRef, StringEncoding};

/// An owned value, on its way into the keyspace or out of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Str(Str),
    Collection(Collection),
}

/// A value, for reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    Str(StrRef<'a>),
    Collection(&'a Collection),
}

impl<'a> ValueRef<'a> {
    pub fn kind(self) -> Kind {
        match self {
            Self::Str(_) => Kind::String,
            Self::Collection(collection) => collection.kind(),
        }
    }

    pub fn as_str(self) -> Option<StrRef<'a>> {
        match self {
            Self::Str(string) => Some(string),
            Self::Collection(_) => None,
        }
    }
}

/// A value where it lies in the keyspace, or made of what lies there.
pub enum Held<'a> {
    Str(StrRef<'a>),
    Collection(CollectionRef<'a>),
}

impl<'a> Held<'a> {
    pub fn view(&self) -> ValueRef<'_> {
        match self {
            Self::Str(string) => ValueRef::Str(*string),
            Self::Collection(collection) => ValueRef::Collection(collection),
        }
    }

    pub fn kind(&self) -> Kind {
        self.view().kind()
    }

    pub fn as_str(&self) -> Option<StrRef<'a>> {
        match self {
            Self::Str(string) => Some(*string),
            Self::Collection(_) => None,
        }
    }
}

/// How a value is laid out, as `OBJECT ENCODING` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    String(StringEncoding),
    Collection(&'static str),
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Self::String(encoding) => encoding.name(),
            Self::Collection(name) => name,
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
