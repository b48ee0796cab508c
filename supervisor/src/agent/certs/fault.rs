//! What can be wrong with certificates: which file, what kind of fault, and a sentence.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unreadable,
    /// A section begins and does not end.
    Truncated,
    /// Not PEM, or PEM of something that is not what it says.
    Garbage,
    /// Well-formed, but what is needed is not in it.
    Absent,
    KeyMismatch,
    Expired,
    NotYetValid,
    WrongName,
    /// An authority's certificate where the server's belongs.
    IsAuthority,
    WrongUsage,
    /// No signature leads to the authority.
    NoChain,
    /// What is given as authority is none.
    NotAnAuthority,
    BadRevocationList,
    Revoked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) file: String,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Fault {
    /// What is in a file may be repeated in `text`; what in it moves a cursor is not.
    pub(crate) fn new(file: &str, kind: Kind, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), kind, text: text.into().replace(char::is_control, "?") }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.text)
    }
}
