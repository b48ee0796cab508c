//! What may be wrong with a file, and how far it was right.

use std::fmt;
use std::io;

use crate::rdb::Error;

/// Why a file was not read to its end.
#[derive(Debug)]
pub struct Failure {
    pub fault: Fault,
    /// Where reading stopped.
    pub offset: u64,
    pub proven: Proven,
}

/// The part of a file that a check has shown to be as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    /// Where it ends. As [`Options::until`](super::Options::until) it lets the file be read so far.
    pub bytes: u64,
    /// Keys within, those that were skipped among them.
    pub keys: u64,
}

#[derive(Debug)]
pub enum Fault {
    Io(io::Error),
    /// The file ends before it should.
    Ends,
    /// The bytes at the start are not those of such a file.
    Signature(Vec<u8>),
    /// The file's version is not known here.
    Version(u32),
    /// A byte begins nothing that is known.
    Unknown(u8),
    /// A byte of a version of Redis begins nothing that is known.
    Foreign {
        byte: u8,
        version: u16,
    },
    Corrupt(&'static str),
    /// The value of a module's type.
    Module(String),
    /// What a module keeps outside keys.
    ModuleAux(String),
    /// A function of a release candidate of Redis 7.
    FunctionRc,
    /// Slots on their way into a node of a cluster.
    SlotImport,
    Database {
        index: u64,
        databases: usize,
    },
    /// A key is there twice.
    Duplicate {
        database: usize,
        key: Vec<u8>,
    },
    /// The checksum of the file, or of a part, is not the one that is written.
    Checksum {
        written: u64,
        computed: u64,
    },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Ends => Self::Ends,
            Error::Corrupt(what) => Self::Corrupt(what),
            Error::Empty => Self::Corrupt("a collection without elements"),
            Error::Module(name) => Self::Module(name),
        }
    }
}

impl Fault {
    /// Whether the file was damaged after it was written. The others are sound, but not for this
    /// server, or could not be read.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Ends | Self::Unknown(_) | Self::Foreign { .. } => true,
            Self::Corrupt(_) | Self::Duplicate { .. } | Self::Checksum { .. } => true,
            Self::Io(_) | Self::Signature(_) | Self::Version(_) | Self::Database { .. } => false,
            Self::Module(_) | Self::ModuleAux(_) | Self::FunctionRc | Self::SlotImport => false,
        }
    }
}

/// In the words of Valkey's log, where it has any.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "Error reading RDB file: {error}"),
            Self::Ends => {
                write!(f, "Short read or OOM loading DB. Unrecoverable error, aborting now.")
            }
            Self::Signature(bytes) => {
                write!(f, "Wrong signature trying to load DB from file: {}", bytes.escape_ascii())
            }
            Self::Version(version) => write!(f, "Can't handle RDB format version {version}"),
            Self::Unknown(byte) => write!(
                f,
                "Unknown type or opcode when loading DB. Unrecoverable error, aborting now. ({byte})"
            ),
            Self::Foreign { byte, version } => write!(
                f,
                "Can't handle foreign type or opcode {byte} in RDB with version {version}"
            ),
            Self::Corrupt(what) => write!(f, "{what}"),
            Self::Module(name) => write!(
                f,
                "The RDB file contains module data I can't load: no matching module type '{name}'"
            ),
            Self::ModuleAux(name) => write!(
                f,
                "The RDB file contains AUX module data I can't load: no matching module '{name}'"
            ),
            Self::FunctionRc => write!(f, "Pre-release function format not supported."),
            Self::SlotImport => {
                write!(f, "The RDB file contains slots on their way into a node of a cluster")
            }
            Self::Database { index, databases } => write!(
                f,
                "FATAL: Data file was created with a server configured to handle more than \
                 {databases} databases: it has a database {index}"
            ),
            Self::Duplicate { database, key } => {
                write!(f, "RDB has duplicated key '{}' in DB {database}", key.escape_ascii())
            }
            Self::Checksum { written, computed } => {
                write!(f, "Wrong RDB checksum expected: ({computed:x}) but got ({written:x})")
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.fault, self.offset)
    }
}
