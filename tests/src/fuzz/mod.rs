//! Fuzzing's entry points, shared by the cargo-fuzz targets in fuzz/ and by the short run of every
//! `cargo test`: inputs are made from a seed here, from coverage there; the checks are the same.

pub mod resp;

pub mod commands;

pub mod packed;
pub mod rdb_file;
pub mod restore;

pub mod aof;

pub mod conf;
pub mod sh;

pub mod agent;
pub mod control;
pub mod supervisor;

mod world;

use std::fs;

/// xorshift64*: the same inputs for the same seed, everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn from_seed(seed: u64) -> Self {
        Self(seed.max(1))
    }

    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }

    pub fn one_of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// Changes a few places of `input`: a byte, a cut, a repetition, a piece from `pieces`.
pub fn mutate(random: &mut Random, mut input: Vec<u8>, pieces: &[&[u8]]) -> Vec<u8> {
    for _ in 0..random.below(5) {
        let at = random.below(input.len() + 1);
        match random.below(5) {
            0 if at < input.len() => input[at] = random.number() as u8,
            1 => input.truncate(at),
            2 => {
                let end = at + random.below(input.len() - at + 1);
                let copy = input[at..end].to_vec();
                input.splice(end..end, copy);
            }
            3 if at < input.len() => {
                input.remove(at);
            }
            _ => {
                input.splice(at..at, random.one_of(pieces).iter().copied());
            }
        }
    }
    input
}

/// The files of fuzz/seeds/`kind`: inputs worth starting from, and those that once failed.
pub fn seeds(kind: &str) -> Vec<Vec<u8>> {
    let directory = crate::paths::tests().join("fuzz/seeds").join(kind);
    let entries =
        fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap_or_else(|e| panic!("{e}"))).collect()
}
