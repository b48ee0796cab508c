//! The forms a value may have in RDB, as the byte before it tells; and the versions that have them.
//!
//! Redis and Valkey count versions together up to 11 (Redis 7.2). From then on Redis has 12 to 79,
//! Valkey 80 and above, and byte 22 means one thing there and another here.

use crate::keyspace::ValueRef;
use crate::types::collection::Collection;
use crate::types::{hash, set};

/// The last version of both.
pub(super) const LAST_COMMON: u16 = 11;
/// The last version of Redis that is known here: 7.4 to 8.
pub(super) const LAST_OF_REDIS: u16 = 12;
/// The first version of Valkey's own.
pub(super) const FIRST_OF_VALKEY: u16 = 80;
/// The last version of Valkey that is known here: 9.0 and 9.1.
pub(super) const LAST_OF_VALKEY: u16 = 80;

/// How the bytes of a value are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    String,
    List,
    Set,
    /// Scores as decimal text.
    SortedSetOfTexts,
    Hash,
    SortedSet,
    /// Of a release candidate of Redis 4.
    ModuleRc,
    Module,
    HashZipmap,
    ListZiplist,
    SetIntset,
    SortedSetZiplist,
    HashZiplist,
    ListOfZiplists,
    Stream1,
    HashListpack,
    SortedSetListpack,
    ListOfListpacks,
    Stream2,
    SetListpack,
    Stream3,
    /// Valkey 9: each field with the time when it is due, or none.
    HashWithTimes,
    /// Of release candidates of Redis 7.4, without the nearest time in front.
    HashWithTtlsRc,
    HashListpackWithTtlsRc,
    /// Redis 7.4: fields may have a time to live, beyond the nearest one of them.
    HashWithTtls,
    HashListpackWithTtls,
}

/// Each with its byte and the first version that has it: what is older than 9 counts as 9, which
/// Redis 5 reads.
const FORMS: &[(Form, u8, u16)] = &[
    (Form::String, 0, 9),
    (Form::List, 1, 9),
    (Form::Set, 2, 9),
    (Form::SortedSetOfTexts, 3, 9),
    (Form::Hash, 4, 9),
    (Form::SortedSet, 5, 9),
    (Form::ModuleRc, 6, 9),
    (Form::Module, 7, 9),
    (Form::HashZipmap, 9, 9),
    (Form::ListZiplist, 10, 9),
    (Form::SetIntset, 11, 9),
    (Form::SortedSetZiplist, 12, 9),
    (Form::HashZiplist, 13, 9),
    (Form::ListOfZiplists, 14, 9),
    (Form::Stream1, 15, 9),
    (Form::HashListpack, 16, 10),
    (Form::SortedSetListpack, 17, 10),
    (Form::ListOfListpacks, 18, 10),
    (Form::Stream2, 19, 10),
    (Form::SetListpack, 20, 11),
    (Form::Stream3, 21, 11),
    (Form::HashWithTimes, 22, FIRST_OF_VALKEY),
    (Form::HashWithTtlsRc, 22, 12),
    (Form::HashListpackWithTtlsRc, 23, 12),
    (Form::HashWithTtls, 24, 12),
    (Form::HashListpackWithTtls, 25, 12),
];

impl Form {
    /// The form that a value is written in.
    pub fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Str(_) => Self::String,
            ValueRef::Collection(Collection::List(_)) => Self::ListOfListpacks,
            ValueRef::Collection(Collection::Set(set)) => match set.view() {
                set::View::Intset(_) => Self::SetIntset,
                set::View::Listpack(_) => Self::SetListpack,
                set::View::Table(_) => Self::Set,
            },
            ValueRef::Collection(Collection::Hash(hash)) => match hash.view() {
                hash::View::Listpack(_) => Self::HashListpack,
                hash::View::Table(_) if super::hash::has_times(hash) => Self::HashWithTimes,
                hash::View::Table(_) => Self::Hash,
            },
            ValueRef::Collection(Collection::SortedSet(set)) => match set.as_listpack() {
                Some(_) => Self::SortedSetListpack,
                None => Self::SortedSet,
            },
            ValueRef::Collection(Collection::Stream(_)) => Self::Stream3,
        }
    }

    /// The form that `byte` means in a version; `None` if it means none there.
    pub fn of_byte(byte: u8, version: u16) -> Option<Self> {
        let is_valkeys = |version| version >= FIRST_OF_VALKEY;
        let has = |since| {
            since <= LAST_COMMON || (since <= version && is_valkeys(since) == is_valkeys(version))
        };
        let known = |&&(_, own, since): &&(Self, u8, u16)| own == byte && has(since);
        FORMS.iter().find(known).map(|(form, ..)| *form)
    }

    /// The byte that goes before a value.
    pub fn byte(self) -> u8 {
        self.entry().1
    }

    /// As Valkey's checker calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list-linked",
            Self::Set => "set-hashtable",
            Self::SortedSetOfTexts => "zset-v1",
            Self::Hash => "hash-hashtable",
            Self::SortedSet => "zset-v2",
            Self::ModuleRc => "module-pre-release",
            Self::Module => "module-value",
            Self::HashZipmap => "hash-zipmap",
            Self::ListZiplist => "list-ziplist",
            Self::SetIntset => "set-intset",
            Self::SortedSetZiplist => "zset-ziplist",
            Self::HashZiplist => "hash-ziplist",
            Self::ListOfZiplists => "quicklist",
            Self::Stream1 => "stream",
            Self::HashListpack => "hash-listpack",
            Self::SortedSetListpack => "zset-listpack",
            Self::ListOfListpacks => "quicklist-v2",
            Self::Stream2 => "stream-v2",
            Self::SetListpack => "set-listpack",
            Self::Stream3 => "stream-v3",
            Self::HashWithTimes => "hash-volatile-items",
            Self::HashWithTtlsRc => "hash-hashtable-md-pre-release",
            Self::HashListpackWithTtlsRc => "hash-listpack-md-pre-release",
            Self::HashWithTtls => "hash-hashtable-md",
            Self::HashListpackWithTtls => "hash-listpack-md",
        }
    }

    /// The first version that has it, so that the oldest server possible reads the value.
    pub fn version(self) -> u16 {
        self.entry().2
    }

    fn entry(self) -> &'static (Self, u8, u16) {
        FORMS.iter().find(|(form, ..)| *form == self).expect("every form is in the table")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_means_what_its_version_says() {
        for &(form, byte, version) in FORMS {
            assert_eq!(Form::of_byte(byte, version), Some(form));
            assert_eq!((form.byte(), form.version()), (byte, version));
        }
        assert_eq!(Form::of_byte(22, 80), Some(Form::HashWithTimes));
        assert_eq!(Form::of_byte(22, 12), Some(Form::HashWithTtlsRc));
        assert_eq!(Form::of_byte(0, 80), Some(Form::String));
        for (byte, version) in [(8, 11), (22, 11), (24, 80), (26, 12), (23, 81), (255, 9)] {
            assert_eq!(Form::of_byte(byte, version), None, "{byte} of {version}");
        }
    }
}
