//! A file, read item by item. Everything in it is hostile until the opposite is proved; memory is
//! taken for bytes that are there, and every error says where.

use std::io;
use std::ops::Range;

use super::batch::{Batch, Held, HeldKey, HeldValue};
use super::fault::{Failure, Fault, Proven};
use super::input::Input;
use super::opcode;
use super::write::{Access, CHECK};
use crate::clock::Now;
use crate::keyspace::Value;
use crate::rdb::form::{FIRST_OF_VALKEY, LAST_OF_REDIS, LAST_OF_VALKEY};
use crate::rdb::{Error, Form, Limits, Reader, read_value};
use crate::types::collection::Collection;

/// The first version with a checksum at the end.
pub(super) const FIRST_CHECKED: u16 = 5;
/// Keys that are handed over at once: as much work as a lock should be held for.
const BATCH_KEYS: usize = 512;
/// Bytes of the file that these come from, at most, but for one item.
const BATCH_BYTES: u64 = 256 * 1024;

/// Keys without elements that are named.
const EMPTY_NAMED: u64 = 10;

/// How a file is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub limits: Limits,
    /// Turns Unix times into the server's, and says what is due.
    pub now: Now,
    pub databases: usize,
    /// Keys and fields that are due are kept: those of a log's base, which the log may go on with.
    pub keeps_due: bool,
    /// Checksums are compared (`rdbchecksum`).
    pub checks: bool,
    /// Versions that are not known here are read as far as they are understood
    /// (`rdb-version-check relaxed`).
    pub any_version: bool,
    /// Bytes of the file; zero if that is not known.
    pub len: u64,
    /// The file is taken to end here, in front of an item: where a check has proved it.
    pub until: Option<u64>,
}

/// What was read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that were handed over.
    pub keys: u64,
    /// Keys that were due already.
    pub due: u64,
    /// Keys whose collections have no elements: some old servers wrote them by mistake.
    pub empty: u64,
    /// Hashes all of whose fields were due.
    pub hashes_due: u64,
}

impl Counts {
    fn all(self) -> u64 {
        self.keys + self.due + self.empty + self.hashes_due
    }
}

/// What the checksum at the end has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    Whole,
    /// The file was written without one, or by a server that had none.
    Absent,
    /// Nobody wanted to know, or the end was not read.
    Skipped,
}

/// Whether there is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    More,
    End(Checked),
}

pub struct FileReader<'f> {
    reader: Reader<Input<'f>>,
    options: Options,
    /// Zero until the start was read.
    version: u16,
    database: usize,
    pending: Attributes,
    counts: Counts,
    proven: Proven,
    doing: Doing,
}

/// What is being read, for whoever tells where a file is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    Start,
    Opcode,
    Expiry,
    /// A length.
    Number,
    Aux,
    ModuleAux,
    Function,
    Name,
    /// The value of a key whose name is in the batch.
    Value {
        form: Form,
        name: Range<usize>,
    },
    Checksum,
}

impl Doing {
    /// As Valkey's checker calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Opcode => "read-type",
            Self::Expiry => "read-expire",
            Self::Number => "read-len",
            Self::Aux => "read-aux",
            Self::ModuleAux => "read-module-aux",
            Self::Function => "read-functions",
            Self::Name => "read-key",
            Self::Value { .. } => "read-object-value",
            Self::Checksum => "check-sum",
        }
    }
}

/// What stands in front of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Attributes {
    expire_at: Option<i64>,
    access: Option<Access>,
}

impl<'f> FileReader<'f> {
    pub fn new(file: &'f mut dyn io::Read, options: Options) -> Self {
        let reader = Reader::new(Input::new(file, options.checks), options.now);
        Self {
            reader,
            options,
            version: 0,
            database: 0,
            pending: Attributes::default(),
            counts: Counts::default(),
            proven: Proven::default(),
            doing: Doing::Start,
        }
    }

    /// How many bytes were read: behind the end, where whatever follows the file begins.
    pub fn position(&self) -> u64 {
        self.reader.source().position()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The part of the file that a check has proved so far.
    pub fn proven(&self) -> Proven {
        self.proven
    }

    /// What was being read last.
    pub fn doing(&self) -> &Doing {
        &self.doing
    }

    /// Whether nothing but the version was read.
    pub fn is_at_start(&self) -> bool {
        self.doing == Doing::Start
    }

    /// The file's version, once something was read.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Reads items until the batch is full, or the file ends.
    pub fn fill(&mut self, batch: &mut Batch) -> Result<Step, Failure> {
        self.reader.trim();
        let start = self.position();
        while batch.keys() < BATCH_KEYS && self.position() - start < BATCH_BYTES {
            if let end @ Step::End(_) = self.step(batch)? {
                return Ok(end);
            }
        }
        Ok(Step::More)
    }

    /// Reads one opcode or key; most, but not all, put an item into the batch.
    pub fn step(&mut self, batch: &mut Batch) -> Result<Step, Failure> {
        self.try_step(batch).map_err(|fault| self.failure(fault))
    }

    /// `fault`, found here.
    pub fn failure(&mut self, fault: Fault) -> Failure {
        let fault = match self.reader.source_mut().take_failure() {
            Some(error) => Fault::Io(error),
            None => fault,
        };
        Failure { fault, offset: self.position(), proven: self.proven }
    }

    fn try_step(&mut self, batch: &mut Batch) -> Result<Step, Fault> {
        if self.version == 0 {
            self.version = self.read_start()?;
            return Ok(Step::More);
        }
        if self.options.until == Some(self.position()) {
            return Ok(Step::End(Checked::Skipped));
        }
        self.doing = Doing::Opcode;
        let [byte] = self.reader.array()?;
        self.doing = doing(byte);
        match byte {
            opcode::EXPIRY_MS => self.read_expiry_ms()?,
            opcode::EXPIRY_SECONDS => {
                let seconds = i32::from_le_bytes(self.reader.array()?);
                self.pending.expire_at =
                    Some(self.reader.deadline(i64::from(seconds.max(0)) * 1000));
            }
            opcode::IDLE => self.pending.access = Some(Access::Idle(self.reader.number()?)),
            opcode::FREQUENCY => {
                let [count] = self.reader.array()?;
                self.pending.access = Some(Access::Frequency(count));
            }
            opcode::AUX => self.read_aux(batch)?,
            opcode::FUNCTION => {
                let code = batch.keep(self.reader.text()?);
                batch.push(Held::Function(code));
            }
            opcode::DATABASE => self.read_database(batch)?,
            opcode::SIZES => {
                let (keys, volatile) = (self.reader.number()?, self.reader.number()?);
                let credible = self.credible_keys(keys);
                batch.push(Held::Sizes { database: self.database, keys, volatile, credible });
            }
            opcode::SLOT_INFO => {
                for _of in ["slot", "keys", "volatile"] {
                    self.reader.number()?;
                }
            }
            opcode::SLOT_IMPORT if self.version >= FIRST_OF_VALKEY => {
                return Err(Fault::SlotImport);
            }
            opcode::FUNCTION_RC => return Err(Fault::FunctionRc),
            opcode::MODULE_AUX => return Err(self.read_module_aux()?),
            opcode::END => return Ok(Step::End(self.read_end()?)),
            form => self.read_key(form, batch)?,
        }
        Ok(Step::More)
    }

    /// The version, which the first nine bytes tell.
    fn read_start(&mut self) -> Result<u16, Fault> {
        let start: [u8; 9] = self.reader.array()?;
        let (name, digits) = start.split_at(6);
        let is_valkeys = name == b"VALKEY";
        if !is_valkeys && name != b"REDIS0" {
            return Err(Fault::Signature(start.to_vec()));
        }
        let version = digits.iter().try_fold(0, |version, digit| match digit {
            b'0'..=b'9' => Some(version * 10 + u16::from(digit - b'0')),
            _ => None,
        });
        let version = version.unwrap_or(0);
        let known = if is_valkeys { FIRST_OF_VALKEY..=LAST_OF_VALKEY } else { 1..=LAST_OF_REDIS };
        let named = if is_valkeys { version >= FIRST_OF_VALKEY } else { version < FIRST_OF_VALKEY };
        if known.contains(&version) || (self.options.any_version && named && version > 0) {
            return Ok(version);
        }
        Err(Fault::Version(version.into()))
    }

    /// How many keys there may be behind this: memory is not taken on the word of a file.
    fn credible_keys(&self, keys: u64) -> usize {
        /// Form, name and value of the shortest.
        const SHORTEST_KEY: u64 = 4;
        let rest = self.options.len.saturating_sub(self.position());
        usize::try_from(keys.min(rest / SHORTEST_KEY)).unwrap_or(usize::MAX)
    }

    fn read_expiry_ms(&mut self) -> Result<(), Fault> {
        let unix_ms = self.reader.unix_ms()?;
        // What Redis and Valkey take for none.
        let is_none = unix_ms == -1;
        // What was due before 1970 is as due in 1970.
        self.pending.expire_at = (!is_none).then(|| self.reader.deadline(unix_ms.max(0)));
        Ok(())
    }

    fn read_aux(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        const OPCODE: usize = 1;
        let computed = self.reader.source_mut().checksum_before(OPCODE);
        let name = batch.keep(self.reader.text()?);
        let text = batch.keep(self.reader.text()?);
        if batch.text(&name) != CHECK.as_bytes() {
            batch.push(Held::Aux { name, text });
            return Ok(());
        }
        let written = parse_hex(batch.text(&text));
        batch.forget(&name);
        let written = written.ok_or(Fault::Corrupt("a check is not a checksum"))?;
        match computed {
            Some(computed) if computed != written => Err(Fault::Checksum { written, computed }),
            Some(_) => {
                self.prove();
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn prove(&mut self) {
        self.proven = Proven { bytes: self.position(), keys: self.counts.all() };
    }

    fn read_database(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let (index, databases) = (self.reader.number()?, self.options.databases);
        let known = usize::try_from(index).ok().filter(|index| *index < databases);
        self.database = known.ok_or(Fault::Database { index, databases })?;
        batch.push(Held::Database(self.database));
        Ok(())
    }

    /// The fault that it is.
    fn read_module_aux(&mut self) -> Result<Fault, Fault> {
        let id = self.reader.number()?;
        Ok(Fault::ModuleAux(crate::rdb::module_name(id)))
    }

    fn read_key(&mut self, byte: u8, batch: &mut Batch) -> Result<(), Fault> {
        let form = Form::of_byte(byte, self.version).ok_or_else(|| self.unknown(byte))?;
        self.doing = Doing::Name;
        let attributes = std::mem::take(&mut self.pending);
        let name = batch.keep(self.reader.text()?);
        self.doing = Doing::Value { form, name: name.clone() };
        let value = match form {
            Form::String => batch.string(self.reader.text()?),
            _ => match read_value(&mut self.reader, form, &self.options.limits) {
                Ok(value) => HeldValue::Owned(value),
                Err(Error::Empty) => {
                    self.counts.empty += 1;
                    match self.counts.empty {
                        0..=EMPTY_NAMED => batch.push(Held::Empty(name)),
                        _ => batch.forget(&name),
                    }
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            },
        };
        let Attributes { expire_at, access } = attributes;
        let key = HeldKey { database: self.database, name, value, expire_at, access };
        self.count_and_push(key, batch);
        Ok(())
    }

    fn count_and_push(&mut self, mut key: HeldKey, batch: &mut Batch) {
        let now_ms = self.options.now.ms();
        if !self.options.keeps_due {
            if key.expire_at.is_some_and(|at| at < now_ms) {
                self.counts.due += 1;
                return batch.forget(&key.name);
            }
            if lost_all_fields(&mut key.value, now_ms) {
                self.counts.hashes_due += 1;
                return batch.forget(&key.name);
            }
        }
        self.counts.keys += 1;
        batch.push(Held::Key(key));
    }

    fn unknown(&self, byte: u8) -> Fault {
        let version = self.version;
        if byte > opcode::LAST_FORM_OF_BOTH && version < FIRST_OF_VALKEY {
            Fault::Foreign { byte, version }
        } else {
            Fault::Unknown(byte)
        }
    }

    fn read_end(&mut self) -> Result<Checked, Fault> {
        if self.version < FIRST_CHECKED {
            return Ok(Checked::Absent);
        }
        let computed = self.reader.source_mut().checksum_before(0);
        let written = u64::from_le_bytes(self.reader.array()?);
        match computed {
            None => Ok(Checked::Skipped),
            Some(_) if written == 0 => Ok(Checked::Absent),
            Some(computed) if computed == written => {
                self.prove();
                Ok(Checked::Whole)
            }
            Some(computed) => Err(Fault::Checksum { written, computed }),
        }
    }
}

fn doing(byte: u8) -> Doing {
    match byte {
        opcode::EXPIRY_MS | opcode::EXPIRY_SECONDS => Doing::Expiry,
        opcode::DATABASE | opcode::SIZES => Doing::Number,
        opcode::AUX => Doing::Aux,
        opcode::MODULE_AUX => Doing::ModuleAux,
        opcode::FUNCTION => Doing::Function,
        opcode::END => Doing::Checksum,
        _ => Doing::Opcode,
    }
}

/// Whether a hash has only fields that are due; those that are go.
fn lost_all_fields(value: &mut HeldValue, now_ms: i64) -> bool {
    let HeldValue::Owned(Value::Collection(collection)) = value else { return false };
    let has_due = collection.next_deadline().is_some_and(|at| at < now_ms);
    let Collection::Hash(hash) = collection else { return false };
    if has_due {
        hash.remove_due(now_ms, usize::MAX, |_| {});
    }
    has_due && collection.is_void()
}

/// A checksum as a check has it.
fn parse_hex(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}
