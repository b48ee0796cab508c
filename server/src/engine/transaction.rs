//! MULTI's queue.

use crate::commands::Id;
use crate::error::Error;
use crate::resp::{Argv, OwnedArgv};

/// The state between MULTI and EXEC.
#[derive(Debug, Default)]
pub struct Transaction {
    queue: Vec<(Id, OwnedArgv)>,
    /// Why EXEC will refuse: the error of a command that could not be queued.
    pub refused: Option<Refused>,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// EXEC answers the plain EXECABORT.
    Error,
    /// EXEC names the reason: a command was refused for want of memory or the like.
    Because(Error),
}

impl Transaction {
    pub fn push(&mut self, id: Id, argv: Argv<'_>) {
        let owned = OwnedArgv::copy_of(argv);
        self.bytes += owned.len_bytes() + size_of::<(Id, OwnedArgv)>();
        self.queue.push((id, owned));
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn len_bytes(&self) -> usize {
        self.bytes
    }

    /// The commands queued.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.queue.iter().map(|(id, _)| *id)
    }

    pub fn queue(&self) -> impl Iterator<Item = (Id, Argv<'_>)> {
        self.queue.iter().map(|(id, argv)| (*id, argv.view()))
    }
}
