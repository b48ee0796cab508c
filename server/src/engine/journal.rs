//! What goes into the log: every change as a command that makes the same change again, whenever and
//! wherever it is executed.
//!
//! A handler need not know of it: a command that changed something is logged as it came. One whose
//! effect depends on time, chance or what else is there says what it comes to instead
//! ([`Call::log`](super::Call::log)). What belongs to one command, or one transaction, is one *unit*:
//! several commands of a unit are put between MULTI and EXEC, so that a log that ends anywhere has all
//! of it or nothing.
//!
//! Time is the log's, not the clock's: what was due is there until a command in the log removes it. So
//! a key that a command finds due is logged as removed before what the command itself does.

use std::sync::atomic::Ordering;

use super::Engine;
use crate::resp::Argv;

/// The log as the engine sees it: bytes that wait to be handed to whoever writes them.
#[derive(Debug, Default)]
pub struct Journal {
    is_on: bool,
    /// Whole units, and behind them the one that is not over.
    bytes: Vec<u8>,
    /// Where that begins.
    unit: usize,
    /// How many commands it has.
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

    /// Adds a command of `len` words, which `write` writes, to the unit.
    #[inline]
    pub fn add(&mut self, db: usize, len: usize, write: impl FnOnce(&mut Line<'_>)) {
        if self.is_on {
            self.select(db);
            let mut line = Line::of(&mut self.bytes, len);
            write(&mut line);
            line.end();
            self.commands += 1;
        }
    }

    /// A key goes for another reason than a command.
    pub fn add_removal(&mut self, db: usize, key: &[u8], lazily: bool) {
        let name: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
        self.add(db, 2, |line| line.word(name).word(key).done());
    }

    fn select(&mut self, db: usize) {
        if self.db == Some(db) {
            return;
        }
        self.db = Some(db);
        Line::of(&mut self.bytes, 2).word(b"SELECT").int(db as i64).end();
    }

    /// The command being executed is logged by what was [added](Self::add), and not as it came.
    #[inline]
    pub(super) fn settle(&mut self) {
        self.is_settled = self.is_on;
    }

    /// A command is over that was not logged by another name: it is, as it came, if it `changed`
    /// anything. `name` is its own where clients call it by another.
    #[inline]
    pub(super) fn command_is_over(
        &mut self,
        db: usize,
        name: Option<&str>,
        argv: Argv<'_>,
        changed: bool,
    ) {
        if !self.is_on {
            return;
        }
        if changed && !self.is_settled {
            self.add_as_it_came(db, name, argv);
        }
        self.is_settled = false;
    }

    fn add_as_it_came(&mut self, db: usize, name: Option<&str>, argv: Argv<'_>) {
        self.select(db);
        self.commands += 1;
        let (None, Some(body)) = (name, argv.wire_body()) else {
            let name = name.map(str::as_bytes).or(argv.get(0)).unwrap_or_default();
            let mut line = Line::of(&mut self.bytes, argv.len());
            return line.word(name).words(argv.iter().skip(1)).end();
        };
        // Frames between arguments are the wire's; that of the command and its name is not in `body`.
        self.bytes.reserve(body.len() + 16);
        match (argv.len(), argv.get(0).map_or(0, <[u8]>::len)) {
            (words @ ..10, len @ ..10) => {
                let (words, len) = (b'0' + words as u8, b'0' + len as u8);
                let head = [b'*', words, b'\r', b'\n', b'$', len, b'\r', b'\n'];
                self.bytes.extend_from_slice(&head);
            }
            (words, len) => {
                number(&mut self.bytes, b'*', words);
                number(&mut self.bytes, b'$', len);
            }
        }
        self.bytes.extend_from_slice(body);
    }

    /// What happened since the last call belongs together and is over.
    #[inline]
    pub(super) fn unit_is_over(&mut self) {
        if self.commands > 1 {
            self.make_transaction();
        }
        if self.commands > 0 {
            self.commands = 0;
            self.unit = self.bytes.len();
        }
    }

    fn make_transaction(&mut self) {
        const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
        self.bytes.splice(self.unit..self.unit, MULTI.iter().copied());
        self.bytes.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
    }

    /// Whole units since they were last cleared.
    #[inline]
    fn units(&self) -> &[u8] {
        &self.bytes[..self.unit]
    }

    fn clear(&mut self) {
        /// A buffer that grew beyond this is not kept.
        const KEPT: usize = 1 << 20;
        self.bytes.drain(..self.unit);
        self.bytes.shrink_to(KEPT);
        self.unit = 0;
    }
}

impl Engine {
    /// The rest of a batch waits where what was recorded takes the room that a rewrite needs.
    #[inline]
    pub(super) fn hand_over_too_much(&mut self) {
        if self.persistence.is_too_much(self.journal.units().len() as u64) {
            self.hand_over_journal();
        }
    }

    /// A batch is over. What it recorded stays for a log that comes for it, unless that is much.
    #[inline]
    pub(super) fn offer_journal(&mut self) {
        const LEFT_MAX: usize = 64 << 10;
        if self.journal.units().len() > LEFT_MAX || !self.log_comes.load(Ordering::Relaxed) {
            self.hand_over_journal();
        }
    }

    /// Hands what was recorded for the log to whoever writes it.
    #[inline]
    pub(crate) fn hand_over_journal(&mut self) {
        let Self { journal, host, .. } = self;
        if !journal.units().is_empty() {
            let is_too_much = self.persistence.count_logged(journal.units().len() as u64);
            self.durable = host.log(journal.units());
            self.batch_durable.clone_from(&self.durable);
            journal.clear();
            if is_too_much {
                self.look_after_persistence_now();
            }
        }
    }
}

/// A command being written, word by word.
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// Words that are still to come.
    left: usize,
}

impl<'a> Line<'a> {
    /// A command of `len` words, its name among them.
    pub fn of(out: &'a mut Vec<u8>, len: usize) -> Self {
        number(out, b'*', len);
        Self { out, left: len }
    }

    /// The last `left` words of a command.
    pub fn go_on(out: &'a mut Vec<u8>, left: usize) -> Self {
        Self { out, left }
    }

    #[inline]
    pub fn word(&mut self, text: &[u8]) -> &mut Self {
        debug_assert!(self.left > 0, "more words than announced");
        self.left -= 1;
        number(self.out, b'$', text.len());
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    pub fn int(&mut self, number: i64) -> &mut Self {
        self.word(itoa::Buffer::new().format(number).as_bytes())
    }

    pub fn words<'w>(&mut self, texts: impl Iterator<Item = &'w [u8]>) -> &mut Self {
        texts.for_each(|text| _ = self.word(text));
        self
    }

    /// For the end of a chain within a closure.
    pub fn done(&mut self) {}

    fn end(&mut self) {
        debug_assert_eq!(self.left, 0, "fewer words than announced");
    }
}

#[inline]
fn number(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    if number < 10 {
        out.push(b'0' + number as u8);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
