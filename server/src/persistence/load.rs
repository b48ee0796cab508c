//! Files read into an engine, which may be serving others meanwhile: what can be done without it is.

use std::io;
use std::time::Duration;

use super::aof::{Apply, BaseFault};
use crate::clock::Clock;
use crate::engine::{Engine, LoadMode, Loaded};
use crate::rdb::file::{Batch, Failure, Fault, FileReader, Proven, Step};
use crate::resp::Argv;

/// Commands of a log executed under one taking of the lock.
const COMMANDS_AT_ONCE: usize = 64;

/// An engine that data goes into: one that is at hand, or one behind a lock that is taken each time.
pub trait Target {
    fn with<R>(&mut self, act: impl FnOnce(&mut Engine) -> R) -> R;
}

impl Target for &mut Engine {
    fn with<R>(&mut self, act: impl FnOnce(&mut Engine) -> R) -> R {
        act(self)
    }
}

pub struct Loader<'a, T> {
    target: T,
    clock: &'a Clock,
    batch: Batch,
    /// `key-load-delay`: a pause for each key, for tests.
    delay: Duration,
}

impl<'a, T: Target> Loader<'a, T> {
    pub fn new(mut target: T, clock: &'a Clock) -> Self {
        let delay_us = target.with(|engine| engine.config.settings().rdb.key_load_delay_us);
        let delay = Duration::from_micros(u64::try_from(delay_us).unwrap_or(0));
        Self { target, clock, batch: Batch::default(), delay }
    }

    /// `key-load-delay` asks for this sleep, so that tests can look at a server that is loading.
    fn slow_down(&self, keys: usize) {
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay * keys as u32);
        }
    }

    /// Reads an RDB file, or the part that was proved before; how many bytes it has.
    pub fn rdb(
        &mut self,
        file: &mut dyn io::Read,
        mode: LoadMode,
        until: Option<Proven>,
    ) -> Result<u64, Failure> {
        let now = self.clock.now();
        let mut options = self.target.with(|engine| engine.load_options(mode, now));
        options.until = until.map(|proven| proven.bytes);
        let mut reader = FileReader::new(file, options);
        // What an earlier file broke off with is no part of this one.
        self.batch.clear();
        let (mut reported, mut empties) = (0, mode.empties);
        loop {
            let step = reader.fill(&mut self.batch)?;
            if std::mem::take(&mut empties) {
                crate::log::notice!("RDB signature and version check passed. Flushing old data");
                self.target.with(Engine::forget_everything);
            }
            self.slow_down(self.batch.keys());
            let batch = &mut self.batch;
            let taken = self.target.with(|engine| engine.take_items(batch, mode, now));
            taken.map_err(|fault| reader.failure(fault))?;
            self.progress(reader.position() - reported);
            reported = reader.position();
            if let Step::End(_) = step {
                let loaded = Loaded::from(reader.counts());
                self.target.with(|engine| {
                    engine.persistence.loaded += loaded;
                    engine.keyspace.iter_mut().for_each(|(_, db)| db.trim());
                });
                return Ok(reported);
            }
        }
    }
}

impl<T: Target> Apply for Loader<'_, T> {
    fn base(&mut self, file: &mut dyn io::Read, until: Option<u64>) -> Result<u64, BaseFault> {
        let mode = LoadMode { keeps_due: true, ..LoadMode::default() };
        let until = until.map(|bytes| Proven { bytes, ..Proven::default() });
        self.rdb(file, mode, until).map_err(|failure| match failure.fault {
            Fault::Io(error) => BaseFault::Unreadable(error),
            _ => BaseFault::Damaged {
                text: failure.to_string(),
                proved: Some(failure.proven.bytes).filter(|bytes| *bytes > 0),
            },
        })
    }

    fn command(&mut self, argv: Argv<'_>) -> Result<(), String> {
        self.commands(&mut std::iter::once(argv)).map(drop)
    }

    fn commands<'c>(
        &mut self,
        commands: &mut dyn Iterator<Item = Argv<'c>>,
    ) -> Result<u64, String> {
        let mut count = 0;
        let mut some = Vec::with_capacity(COMMANDS_AT_ONCE);
        loop {
            some.clear();
            some.extend(commands.take(COMMANDS_AT_ONCE));
            if some.is_empty() {
                return Ok(count);
            }
            let (now, clock) = (self.clock.now(), self.clock);
            self.target.with(|engine| engine.replay_some(&some, now, clock))?;
            count += some.len() as u64;
            self.slow_down(some.len());
        }
    }

    fn file_is_over(&mut self) {
        let now = self.clock.now();
        self.target.with(|engine| engine.end_log(now));
    }

    fn forget(&mut self) {
        self.target.with(Engine::forget_everything);
    }

    fn progress(&mut self, bytes: u64) {
        self.target.with(|engine| {
            if let Some(loading) = &mut engine.persistence.loading {
                loading.loaded_bytes += bytes;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::World;
    use crate::rdb::crc64::Crc64;
    use crate::rdb::file::write_check;

    /// Two keys, a check, another key, and a byte that begins nothing.
    fn damaged() -> Vec<u8> {
        let mut bytes = b"REDIS0011\0\x01a\x01b\0\x01c\x01d".to_vec();
        let checksum = Crc64::of(&bytes);
        write_check(&mut bytes, checksum);
        bytes.extend(b"\0\x01e\x01f\x08");
        bytes
    }

    #[test]
    fn the_proved_part_of_a_damaged_base_is_read_again_by_itself() {
        let mut world = World::new();
        let clock = Clock::frozen(world.now);
        let bytes = damaged();
        let mut loader = Loader::new(&mut world.engine, &clock);
        let proved = match loader.base(&mut &bytes[..], None) {
            Err(BaseFault::Damaged { proved: Some(bytes), .. }) => bytes,
            _ => panic!("a damaged base, part of which is proved"),
        };
        loader.forget();
        assert!(loader.base(&mut &bytes[..], Some(proved)).is_ok_and(|len| len == proved));
        assert_eq!(world.engine.keyspace.len(), 2);
        assert!(!world.engine.keyspace.db(0).contains(b"e"));
    }

    #[test]
    fn data_goes_only_for_a_file_that_can_be_read() {
        let mut world = World::new();
        let client = world.connect();
        world.run(client, "SET old value");
        let clock = Clock::frozen(world.now);
        let mode = LoadMode { empties: true, ..LoadMode::default() };
        let mut loader = Loader::new(&mut world.engine, &clock);
        assert!(loader.rdb(&mut &b"VALKEY987\xff"[..], mode, None).is_err());
        assert!(world.engine.keyspace.db(0).contains(b"old"));
        let good = b"REDIS0011\0\x01a\x01b\xff\0\0\0\0\0\0\0\0";
        let mut loader = Loader::new(&mut world.engine, &clock);
        assert!(loader.rdb(&mut &good[..], mode, None).is_ok());
        assert_eq!(world.run(client, "KEYS *"), "*1\r\n$1\r\na\r\n");
    }
}
