//! Power cuts under write load: what was acknowledged is there afterwards, and nothing is wrong.
//!
//! Several connections write, each to keys of its own, and note what was acknowledged. At a moment
//! that the seed chooses everything ends at once; the server starts again on what is left, and each
//! connection's data must be what it was after one of its own commands: not before the last one
//! whose reply had come (`appendfsync always`), or not before the last one acknowledged
//! [`EVERYSEC_WINDOW`] earlier (`everysec`). Then the load goes on from there.
//!
//! Two kinds of end: [`process`] kills the real server as `kill -9` does, which loses what the
//! process had not handed to the kernel. [`appliance`] cuts a booted machine's power, with a disk
//! ([`disk`]) whose write cache is lost, too.

pub mod appliance;
pub mod disk;
pub mod process;
mod workload;

use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::fuzz::Random;
use crate::progress::say;
use workload::{Round, Writer};

/// Connections that write.
const WRITERS: usize = 8;

/// A cut comes so long after the load's start, at the latest.
const LONGEST_LOAD_MS: u64 = 1_500;

/// Redis' own promise: the log is synced each second, and a second later when the disk was slow.
pub const EVERYSEC_WINDOW: Duration = Duration::from_secs(2);

/// `appendfsync`, and so what may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Always,
    EverySec,
}

impl Policy {
    pub fn word(self) -> &'static str {
        match self {
            Policy::Always => "always",
            Policy::EverySec => "everysec",
        }
    }

    fn window(self) -> Duration {
        match self {
            Policy::Always => Duration::ZERO,
            Policy::EverySec => EVERYSEC_WINDOW,
        }
    }
}

/// Something with a server in it whose power can be cut.
pub trait Victim {
    fn address(&self) -> SocketAddr;

    /// Ends everything at once; what survives is chosen by `random` where there is a choice.
    fn cut(&mut self, random: &mut Random) -> Result<(), String>;

    /// Starts it again, until it answers.
    fn restore(&mut self) -> Result<(), String>;

    /// What it said about its start, for a report of a failure.
    fn words(&self) -> String;
}

/// What came of a number of cuts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    pub cuts: usize,
    pub written: u64,
    /// Acknowledged commands that were gone after a cut, all within what the policy allows.
    pub lost: u64,
    pub most_lost_at_once: u64,
    pub longest_start: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts, 0 refusals to start, 0 wrong values; {} commands acknowledged, {} of them lost \
             ({} at once at most); longest start {:.1} s",
            self.cuts,
            self.written,
            self.lost,
            self.most_lost_at_once,
            self.longest_start.as_secs_f64()
        )
    }
}

/// Cuts `victim`'s power `count` times; what was wrong, with what the server said.
pub fn run(
    victim: &mut impl Victim,
    policy: Policy,
    seed: u64,
    count: usize,
) -> Result<Summary, String> {
    let mut random = Random::from_seed(seed);
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut summary = Summary::default();
    for cut in 1..=count {
        let outcome = cut_once(victim, policy, &mut random, &mut writers, &mut summary);
        outcome.map_err(|why| {
            format!("cut {cut} of seed {seed}, {}: {why}\n{}", policy.word(), victim.words())
        })?;
        if cut % 10 == 0 || cut == count {
            say(format!("{}: {summary}", policy.word()));
        }
    }
    Ok(summary)
}

fn cut_once(
    victim: &mut impl Victim,
    policy: Policy,
    random: &mut Random,
    writers: &mut [Writer],
    summary: &mut Summary,
) -> Result<(), String> {
    let load = Duration::from_millis(50 + random.below(LONGEST_LOAD_MS as usize) as u64);
    let rewrite_after = load.mul_f64(random.below(200) as f64 / 100.0);
    let address = victim.address();
    let (rounds, before): (Vec<Round>, Instant) = thread::scope(|scope| {
        let running: Vec<_> =
            writers.iter().map(|writer| scope.spawn(move || writer.write(address))).collect();
        rewrite_and_wait(address, load, rewrite_after);
        let before = Instant::now();
        let outcome = victim.cut(random);
        let rounds = running.into_iter().map(|thread| thread.join().expect("a writer's end"));
        let rounds: Result<Vec<Round>, String> = rounds.collect();
        outcome.and(rounds).map(|rounds| (rounds, before))
    })?;
    let last = rounds.iter().filter_map(Round::last_acknowledged).max();
    let cut_at = match policy {
        Policy::Always => last,
        // It acknowledges for as long as its processor outlives its disk.
        Policy::EverySec => last.map(|at| at.min(before)),
    };
    let start = Instant::now();
    victim.restore()?;
    summary.longest_start = summary.longest_start.max(start.elapsed());
    let mut client = Client::connect(victim.address()).map_err(|e| e.to_string())?;
    let still_safe = cut_at.and_then(|at| at.checked_sub(policy.window()));
    let mut lost_now = 0;
    for (writer, round) in writers.iter_mut().zip(&rounds) {
        let survived = writer.settle(&mut client, round, still_safe)?;
        lost_now += round.acknowledged().saturating_sub(survived);
        summary.written += round.count();
    }
    summary.cuts += 1;
    summary.lost += lost_now;
    summary.most_lost_at_once = summary.most_lost_at_once.max(lost_now);
    Ok(())
}

/// Lets the load go on for `load`; a rewrite of the log begins in its midst, or never.
fn rewrite_and_wait(address: SocketAddr, load: Duration, rewrite_after: Duration) {
    let first = rewrite_after.min(load);
    thread::sleep(first);
    if rewrite_after < load {
        // A rewrite that goes on already is as good.
        let asked = Client::connect(address).and_then(|mut c| c.command(&["BGREWRITEAOF"]));
        drop(asked);
    }
    thread::sleep(load - first);
}
