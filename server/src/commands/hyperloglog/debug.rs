//! PFDEBUG and PFSELFTEST: what tests and curious people look at.

use std::fmt::Write as _;

use rand_pcg::rand_core::Rng as _;

use super::{GROWS, HYPERLOGLOG, store, view};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::{Args, Call};
use crate::error::{self, Error, Result};
use crate::types::hyperloglog::{Encoding, HyperLogLog, REGISTERS, Run};

pub(super) const PFDEBUG: Command = Command {
    name: "pfdebug",
    syntax: "subcommand key",
    summary: "Internal commands for debugging HyperLogLog values.",
    complexity: "N/A",
    flags: GROWS.union(Flags::ADMIN),
    keys: &[KeySpec::one(2, Access::ReadWrite, &["access"])],
    handler: Some(pfdebug),
    ..HYPERLOGLOG
};

fn pfdebug(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    if args.keyword("simd") {
        return simd(call, args);
    }
    let (word, key) = (args.required()?, args.required()?);
    args.finish()?;
    let max_bytes = call.settings().hll_sparse_max_bytes;
    let found = call.read_string(key)?.ok_or(error::NO_SUCH_HYPERLOGLOG)?;
    let mut log = HyperLogLog::of(view(found)?, max_bytes);
    match word.to_ascii_lowercase().as_slice() {
        b"getreg" => {
            make_dense(call, key, &mut log)?;
            let mut registers = [0; REGISTERS];
            log.view().merge_into(&mut registers).or(Err(error::CORRUPT_HYPERLOGLOG))?;
            call.reply.array(REGISTERS);
            registers.iter().for_each(|register| call.reply.int(i64::from(*register)));
        }
        b"decode" => {
            if log.view().encoding() != Encoding::Sparse {
                return Err(error::HYPERLOGLOG_NOT_SPARSE);
            }
            call.reply.bulk(decoded(log.view().runs()).as_bytes());
        }
        b"encoding" => call.reply.simple(match log.view().encoding() {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }),
        b"todense" => {
            let was_sparse = make_dense(call, key, &mut log)?;
            call.reply.int(i64::from(was_sparse));
        }
        _ => {
            let word = error::printable(word);
            return Err(Error::owned(format!("ERR Unknown PFDEBUG subcommand '{word}'")));
        }
    }
    Ok(())
}

/// There is no vector code to be turned off: what there is, the compiler made.
fn simd(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    if !args.keyword("on") && !args.keyword("off") {
        return Err(error::NOT_ON_OR_OFF);
    }
    call.reply.simple("disabled");
    Ok(())
}

fn make_dense(call: &mut Call<'_>, key: &[u8], log: &mut HyperLogLog) -> Result<bool> {
    let was_sparse = log.make_dense().or(Err(error::CORRUPT_HYPERLOGLOG))?;
    if was_sparse {
        store(call, key, log.clone().into_bytes());
        call.dirty(1);
    }
    Ok(was_sparse)
}

/// Runs as `Z:16384`, `z:3`, `v:2,1`.
fn decoded(runs: impl Iterator<Item = Run>) -> String {
    let mut text = String::new();
    for run in runs {
        let space = if text.is_empty() { "" } else { " " };
        match run {
            Run::Zeros(len) => write!(text, "{space}z:{len}"),
            Run::LongZeros(len) => write!(text, "{space}Z:{len}"),
            Run::Values { value, len } => write!(text, "{space}v:{value},{len}"),
        }
        .expect("writing to a String does not fail");
    }
    text
}

pub(super) const PFSELFTEST: Command = Command {
    name: "pfselftest",
    syntax: "",
    summary: "An internal command for testing HyperLogLog values.",
    complexity: "N/A",
    flags: Flags::ADMIN,
    handler: Some(pfselftest),
    ..HYPERLOGLOG
};

/// Adds random elements to one of each encoding and looks whether they agree and come close.
fn pfselftest(call: &mut Call<'_>) -> Result {
    const ELEMENTS: u64 = 1_000_000;
    /// The standard error of an estimate, times six: hardly ever exceeded.
    const TOLERANCE: f64 = 6.0 * 1.04 / 128.0;
    let seed = call.engine.rng.next_u64();
    let mut dense = HyperLogLog::new(0);
    let mut either = HyperLogLog::new(call.settings().hll_sparse_max_bytes);
    let mut checkpoint = 1;
    for count in 1..=ELEMENTS {
        let element = (count ^ seed).to_le_bytes();
        for log in [&mut dense, &mut either] {
            log.add(&element).or(Err(error::CORRUPT_HYPERLOGLOG))?;
        }
        if count < checkpoint {
            continue;
        }
        checkpoint *= 10;
        let estimate = dense.view().count();
        if estimate != either.view().count() {
            return Err(error::HYPERLOGLOG_DISAGREES);
        }
        let error = estimate.map_or(u64::MAX, |estimate| estimate.abs_diff(count));
        if error as f64 > (TOLERANCE * count as f64).ceil() {
            return Err(Error::owned(format!(
                "ERR TESTFAILED Too big error. card:{count} abserr:{error}"
            )));
        }
    }
    call.reply.ok();
    Ok(())
}
