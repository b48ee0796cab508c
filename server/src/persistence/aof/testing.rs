//! A log on a simulated disk, driven step by step, and data that tells what of it was loaded: units
//! numbered in the order in which they were appended.
//!
//! ```text
//! base        REDIS0011 (id u64)… C (CRC-64 so far) … 0xff (CRC-64 of all)
//! increment   *2 ADD <id> and padding, some between MULTI and EXEC
//! ```

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::files::Files;
use super::open::{Prepared, prepare};
use super::shared::{Shared, lock};
use super::writer::{Leapt, Writer};
use super::{Apply, BaseFault, Fatal, Fsync, Options, Report};
use crate::rdb::crc64::Crc64;
use crate::resp::Argv;
use crate::storage::sim::Sim;
use crate::storage::{Purpose, Storage};

const MAGIC: &[u8] = b"REDIS0011";
const ENTRY: u8 = b'E';
const CHECK: u8 = b'C';
const END: u8 = 0xff;

pub(super) fn options(fsync: Fsync) -> Options {
    Options {
        dir: PathBuf::from("/data"),
        folder: "appendonlydir".to_owned(),
        name: "appendonly.aof".to_owned(),
        fsync,
        load_truncated: true,
        timestamps: false,
        keep_history: false,
        empty_base: Some(base(0..0)),
    }
}

pub(super) fn in_folder(name: &str) -> PathBuf {
    Path::new("/data/appendonlydir").join(name)
}

/// A base that has these units.
pub(super) fn base(units: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for (index, unit) in units.enumerate() {
        bytes.push(ENTRY);
        bytes.extend(unit.to_le_bytes());
        if index % 4 == 3 {
            bytes.push(CHECK);
            let crc = Crc64::of(&bytes);
            bytes.extend(crc.to_le_bytes());
        }
    }
    bytes.push(END);
    let crc = Crc64::of(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// A unit of `size` bytes or so; now and then a transaction of several commands.
pub(super) fn unit(id: u64, size: usize) -> Vec<u8> {
    let padding = vec![b'a' + (id % 26) as u8; size];
    let id = id.to_string();
    let parts: [&[u8]; 3] = [b"ADD", id.as_bytes(), &padding];
    if !size.is_multiple_of(5) {
        return command(&parts);
    }
    let also: [&[u8]; 2] = [b"ALSO", id.as_bytes()];
    [command(&[b"MULTI"]), command(&parts), command(&also), command(&[b"EXEC"])].concat()
}

pub(super) fn command(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// What was loaded.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) units: Vec<u64>,
    /// Commands between MULTI and EXEC.
    transaction: Option<Vec<u64>>,
    /// Files that ended.
    pub(super) files: usize,
}

impl Data {
    fn add(&mut self, argv: Argv<'_>) -> Result<(), String> {
        let text = argv.get(1).and_then(|text| std::str::from_utf8(text).ok());
        let id: u64 = text.and_then(|text| text.parse().ok()).ok_or("no number")?;
        let padding = argv.get(2).unwrap_or_default();
        if padding.iter().any(|&byte| byte != b'a' + (id % 26) as u8) {
            return Err(format!("unit {id} has another's padding"));
        }
        match &mut self.transaction {
            Some(transaction) => transaction.push(id),
            None => self.units.push(id),
        }
        Ok(())
    }
}

impl Apply for Data {
    fn base(&mut self, file: &mut dyn Read, until: Option<u64>) -> Result<u64, BaseFault> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(BaseFault::Unreadable)?;
        let mut proved = 0;
        let mut at = MAGIC.len();
        let damaged = |proved: usize| {
            let proved = Some(proved as u64).filter(|&bytes| bytes > 0);
            Err(BaseFault::Damaged { text: "wrong bytes".into(), proved })
        };
        while until != Some(at as u64) {
            let number = bytes.get(at + 1..at + 9).and_then(|bytes| bytes.try_into().ok());
            let (Some(&kind), Some(number)) = (bytes.get(at), number.map(u64::from_le_bytes))
            else {
                return damaged(proved);
            };
            let is_right = number == Crc64::of(&bytes[..at + usize::from(kind == END)])
                || kind == CHECK && number == Crc64::of(&bytes[..=at]);
            at += 9;
            match kind {
                ENTRY => self.units.push(number),
                CHECK if is_right => proved = at,
                END if is_right => return Ok(at as u64),
                _ => return damaged(proved),
            }
        }
        Ok(at as u64)
    }

    fn command(&mut self, argv: Argv<'_>) -> Result<(), String> {
        match argv.get(0).unwrap_or_default() {
            b"ADD" => self.add(argv),
            b"ALSO" if self.transaction.is_some() => Ok(()),
            b"MULTI" if self.transaction.is_none() => {
                self.transaction = Some(Vec::new());
                Ok(())
            }
            b"EXEC" => {
                let ids = self.transaction.take().ok_or("EXEC without MULTI")?;
                self.units.extend(ids);
                Ok(())
            }
            other => Err(format!("unknown command '{}'", String::from_utf8_lossy(other))),
        }
    }

    fn file_is_over(&mut self) {
        assert!(self.transaction.is_none(), "half a transaction was applied");
        self.files += 1;
    }

    fn forget(&mut self) {
        self.units.clear();
    }
}

/// A log that is written without a thread of its own.
pub(super) struct Rig {
    pub(super) sim: Sim,
    pub(super) options: Options,
    pub(super) shared: Shared,
    pub(super) files: Mutex<Files>,
    writer: Writer,
    pub(super) now: Duration,
    pub(super) report: Report,
    /// Units that the log has, in order, and the offset at which each is durable: 0 for those loaded.
    pub(super) units: Vec<u64>,
    ends: Vec<u64>,
    /// How many units there were when the last rewrite began.
    rewritten: Option<usize>,
}

impl Rig {
    /// Opens the log that is on the disk.
    pub(super) fn open(sim: &Sim, options: &Options) -> Result<Self, Fatal> {
        be_quiet();
        let storage: Arc<dyn Storage> = Arc::new(sim.clone());
        let mut data = Data::default();
        let Prepared { files, writer, report, statement } = prepare(storage, options, &mut data)?;
        let shared = Shared::new(options);
        shared.append(&statement);
        let ends = vec![0; data.units.len()];
        Ok(Self {
            sim: sim.clone(),
            options: options.clone(),
            shared,
            files: Mutex::new(files),
            writer,
            now: Duration::ZERO,
            report,
            units: data.units,
            ends,
            rewritten: None,
        })
    }

    pub(super) fn new(seed: u64, fsync: Fsync) -> Self {
        let sim = Sim::new(seed);
        sim.create_dir(Path::new("/data")).unwrap();
        Self::open(&sim, &options(fsync)).unwrap()
    }

    pub(super) fn append(&mut self, size: usize) {
        let id = self.units.len() as u64;
        self.ends.push(self.shared.append(&unit(id, size)));
        self.units.push(id);
    }

    /// Lets the thread take a turn, so much later.
    pub(super) fn turn(&mut self, later: Duration) {
        self.now += later;
        let work = self.shared.work_now();
        self.writer.turn(work, &self.shared, &self.files, self.now);
    }

    pub(super) fn begin_rewrite(&mut self) {
        self.shared.rotate();
        self.rewritten = Some(self.units.len());
    }

    /// The rewrite's file is written and adopted, as far as the disk lets it.
    pub(super) fn end_rewrite(&mut self) -> io::Result<()> {
        let Some(count) = self.rewritten.take() else { return Ok(()) };
        let temp = Path::new("/data/temp-rewriteaof-bg-1.aof");
        let mut file = self.sim.create(temp, Purpose::Rewrite)?;
        file.write_all(&base(self.units[..count].iter().copied()))?;
        file.sync()?;
        if !self.shared.has_rotated_all() {
            return self.leap(temp);
        }
        let statement = lock(&self.files).adopt(temp)?;
        let end = self.shared.append_and_sync(&statement);
        self.turn(Duration::from_millis(1));
        if self.shared.durable() >= end {
            lock(&self.files).remove_history()?;
        }
        Ok(())
    }

    /// As [`Log::adopt_base`](super::Log::adopt_base) has it done by the thread.
    fn leap(&mut self, temp: &Path) -> io::Result<()> {
        let Self { shared, writer, files, now, .. } = self;
        let leapt =
            shared.leap_now(temp, || _ = writer.turn(shared.work_now(), shared, files, *now));
        if leapt.is_err() {
            let _ = self.sim.remove(temp);
        }
        leapt.map(|leapt| assert_eq!(leapt, Leapt::Done, "the rotation waits"))
    }

    /// Everything written and synced.
    pub(super) fn flush(&mut self) {
        for _ in 0..10 {
            self.turn(Duration::from_secs(2));
        }
        assert_eq!(self.acknowledged(), self.units.len());
    }

    /// How many units no power cut may take.
    pub(super) fn acknowledged(&self) -> usize {
        let durable = self.shared.durable();
        self.ends.iter().take_while(|&&end| end <= durable).count()
    }
}

/// Thousands of starts have a lot to say.
fn be_quiet() {
    use crate::log::{Format, Level, Settings, Timestamp, configure};
    configure(&Settings {
        level: Level::Nothing,
        file: None,
        format: Format::Legacy,
        timestamp: Timestamp::Legacy,
        syslog: None,
    });
}

/// Chance that repeats.
pub(super) struct Dice(Pcg64Mcg);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % (end as u64).max(1)) as usize
    }

    pub(super) fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }
}
