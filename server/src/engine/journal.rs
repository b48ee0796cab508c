//! What goes into the log: every change as a command that makes the same change again, whenever and
//! wherever it is executed.
//!
//! A handler need not know of it: a command that changed something is logged as it came. One whose
//! effect depends on time, chance or what is there says what it comes to instead
//! ([`Call::log_as`](super::Call::log_as)). What belongs to one command, or one transaction, is one
//! *unit*: several commands of a unit are put between MULTI and EXEC, so that a log that ends anywhere
//! has all of it or nothing.

use crate::resp::Argv;

/// The log as the engine sees it: bytes that wait to be handed to whoever writes them.
#[derive(Debug, Default)]
pub struct Journal {
    is_on: bool,
    /// Whole units.
    bytes: Vec<u8>,
    /// Commands of the unit that is not over.
    unit: Vec<u8>,
    /// How many they are.
    commands: usize,
    /// The database that the log has selected.
    db: Option<usize>,
    /// The command being executed has said itself what is to be logged.
    is_settled: bool,
}

impl Journal {
    /// Begins to record. The first unit will select its database.
    pub fn start(&mut self) {
        *self = Self { is_on: true, ..Self::default() };
    }

    /// Records nothing any more.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// The next unit selects its database anew: it will be the first of a file.
    pub fn forget_db(&mut self) {
        self.db = None;
    }

    /// Adds a command to the unit.
    pub fn add<'p>(&mut self, db: usize, parts: impl ExactSizeIterator<Item = &'p [u8]>) {
        if !self.is_on {
            return;
        }
        if self.db != Some(db) {
            self.db = Some(db);
            let mut digits = itoa::Buffer::new();
            let index = digits.format(db).as_bytes();
            append(&mut self.unit, [&b"SELECT"[..], index].into_iter());
        }
        append(&mut self.unit, parts);
        self.commands += 1;
    }

    /// The command being executed is logged by what was [added](Self::add), and not as it came.
    pub fn settle(&mut self) {
        self.is_settled = true;
    }

    /// A command is over that was not logged by another name: it is, as it came, if it `changed`
    /// anything.
    #[inline]
    pub(super) fn command_is_over(&mut self, db: usize, argv: Argv<'_>, changed: bool) {
        if !self.is_on {
            return;
        }
        if changed && !self.is_settled {
            self.add(db, (0..argv.len()).map(|at| argv.get(at).unwrap_or_default()));
        }
        self.is_settled = false;
    }

    /// What happened since the last call belongs together and is over.
    #[inline]
    pub(super) fn unit_is_over(&mut self) {
        if self.commands == 0 {
            return;
        }
        if self.commands == 1 {
            self.bytes.append(&mut self.unit);
        } else {
            append(&mut self.bytes, [&b"MULTI"[..]].into_iter());
            self.bytes.append(&mut self.unit);
            append(&mut self.bytes, [&b"EXEC"[..]].into_iter());
        }
        self.commands = 0;
    }

    /// Whole units since the last call. The buffer is the caller's to clear.
    pub(super) fn recorded(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

/// A command as clients send it.
fn append<'p>(out: &mut Vec<u8>, parts: impl ExactSizeIterator<Item = &'p [u8]>) {
    let mut digits = itoa::Buffer::new();
    let mut number = |out: &mut Vec<u8>, kind: u8, number: usize| {
        out.push(kind);
        out.extend_from_slice(digits.format(number).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    number(out, b'*', parts.len());
    for part in parts {
        number(out, b'$', part.len());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}
