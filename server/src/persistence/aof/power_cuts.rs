//! Power cuts at any moment of a log's life, over and over. However the disk comes back, the log
//! opens, has a prefix of what was appended, and everything that was told to be durable.
//!
//! `HOLDFAST_POWER_CUTS=10000` sets how many there are, `HOLDFAST_SEED` which.

use std::time::Duration;

use super::Fsync;
use super::testing::{Dice, Rig};
use crate::storage::sim::{EIO, ENOSPC, Failing, Sim};

/// Power cuts that one disk lives through.
const CUTS_OF_A_DISK: u64 = 5;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_power_cut_loses_what_is_durable_or_makes_wrong_data() {
    let cuts = number("HOLDFAST_POWER_CUTS", 1000);
    let seed = number("HOLDFAST_SEED", 1);
    let mut sums = Sums::default();
    for disk in 0..cuts.div_ceil(CUTS_OF_A_DISK) {
        live(seed.wrapping_mul(1_000_003) + disk, &mut sums);
    }
    println!("{sums:?}");
    // A test whose cuts never hurt would prove nothing.
    assert!(sums.cuts >= cuts && sums.lost > 0 && sums.repaired > cuts / 20, "{sums:?}");
}

#[derive(Debug, Default)]
struct Sums {
    cuts: u64,
    /// Units that were appended and, not durable yet, were gone.
    lost: usize,
    kept: usize,
    /// Logs that had something to repair.
    repaired: u64,
    adopted: u64,
}

fn live(seed: u64, sums: &mut Sums) {
    let mut dice = Dice::new(seed);
    let fsync = [Fsync::Always, Fsync::EverySec, Fsync::No][dice.below(3)];
    let mut rig = Rig::new(seed, fsync);
    rig.options.timestamps = dice.one_in(4);
    for cut in 0..CUTS_OF_A_DISK {
        // Every call may be the last one: from it on nothing reaches the disk.
        let last_call = Failing { after: dice.below(120) as u64, times: u64::MAX, error: EIO };
        work(&mut rig, &mut dice, last_call, sums);
        let acknowledged = rig.acknowledged();
        let appended = rig.units.len();
        rig.sim.cut_power();
        if dice.one_in(4) {
            cut_while_opening(&rig, &mut dice);
        }
        let (sim, options) = (rig.sim.clone(), rig.options.clone());
        rig = Rig::open(&sim, &options)
            .unwrap_or_else(|fatal| panic!("seed {seed}, cut {cut}: {fatal}\n{:?}", sim.paths()));
        let loaded = rig.units.len();
        let is_prefix = rig.units.iter().copied().eq(0..loaded as u64);
        assert!(is_prefix, "seed {seed}, cut {cut}: {:?}", rig.units);
        assert!(
            (acknowledged..=appended).contains(&loaded),
            "seed {seed}, cut {cut}: {acknowledged} of {appended} were durable, {loaded} are there: {:?}",
            rig.report,
        );
        is_tidy(&rig, seed);
        sums.cuts += 1;
        sums.lost += appended - loaded;
        sums.kept += loaded;
        sums.repaired += u64::from(!rig.report.is_clean());
    }
}

/// What a server does with its log, until the power goes.
fn work(rig: &mut Rig, dice: &mut Dice, last_call: Failing, sums: &mut Sums) {
    let steps = 20 + dice.below(60);
    let power_goes_at = dice.below(steps);
    for step in 0..steps {
        if step == power_goes_at {
            rig.sim.fail(last_call);
        } else if step < power_goes_at && dice.one_in(12) {
            let error = if dice.one_in(2) { EIO } else { ENOSPC };
            let (after, times) = (dice.below(10) as u64, 1 + dice.below(6) as u64);
            rig.sim.fail(Failing { after, times, error });
        }
        match dice.below(20) {
            0 => rig.begin_rewrite(),
            1 => sums.adopted += u64::from(rig.end_rewrite().is_ok()),
            2..8 => rig.turn(Duration::from_millis(dice.below(1500) as u64)),
            _ => {
                let size = if dice.one_in(8) { dice.below(6000) } else { dice.below(60) };
                rig.append(size);
            }
        }
    }
}

/// The power goes again while the log is being repaired.
fn cut_while_opening(rig: &Rig, dice: &mut Dice) {
    rig.sim.fail(Failing { after: dice.below(15) as u64, times: u64::MAX, error: EIO });
    // Whether it came to its end does not matter here.
    let _ = Rig::open(&rig.sim, &rig.options);
    rig.sim.cut_power();
}

/// Nothing is left that belongs to no log.
fn is_tidy(rig: &Rig, seed: u64) {
    let listed: Vec<String> = {
        let files = rig.files.lock().unwrap();
        files.manifest().entries().map(|entry| entry.name.clone()).collect()
    };
    for path in rig.sim.paths() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_known = listed.iter().any(|other| other == name)
            || name == "appendonly.aof.manifest"
            || name.contains(".damaged-");
        assert!(is_known, "seed {seed}: {name} was left behind: {listed:?}");
    }
}

#[test]
fn a_full_disk_is_recovered_from_without_a_restart() {
    for fsync in [Fsync::Always, Fsync::EverySec] {
        let mut rig = Rig::new(1, fsync);
        let sim: Sim = rig.sim.clone();
        rig.append(100);
        rig.flush();
        sim.set_capacity(3000);
        for _ in 0..10 {
            rig.append(1000);
            rig.turn(Duration::from_secs(1));
        }
        assert!(rig.shared.is_failing() && rig.acknowledged() < rig.units.len());
        sim.set_capacity(1 << 20);
        rig.flush();
        assert!(!rig.shared.is_failing());
        let opened = Rig::open(&sim, &rig.options).unwrap();
        assert!(opened.report.is_clean(), "{:?}", opened.report);
        assert_eq!(opened.units, rig.units);
    }
}

/// The log fills the disk with what was overwritten since: its rewrite makes the room that it needs.
#[test]
fn a_disk_that_the_log_filled_is_freed_by_a_rewrite() {
    for (seed, fsync) in [(1, Fsync::Always), (2, Fsync::EverySec)] {
        let mut rig = Rig::new(seed, fsync);
        (0..20).for_each(|_| rig.append(1000));
        rig.flush();
        // Too little for the next group, and enough for a base of numbers.
        rig.sim.set_capacity(25_000);
        rig.append(8000);
        rig.turn(Duration::from_secs(2));
        assert!(rig.shared.is_failing() && rig.acknowledged() == 20);
        rig.begin_rewrite();
        rig.append(100);
        rig.turn(Duration::from_secs(2));
        assert_eq!(rig.acknowledged(), 20, "what is not on the disk does not count");
        rig.end_rewrite().unwrap();
        assert!(rig.acknowledged() >= 21, "the base has it");
        rig.flush();
        assert!(!rig.shared.is_failing());
        rig.append(8000);
        rig.flush();
        rig.sim.cut_power();
        let opened = Rig::open(&rig.sim, &rig.options).unwrap();
        assert!(opened.report.is_clean(), "{:?}", opened.report);
        assert_eq!(opened.units, rig.units);
    }
}

/// Without room for the base everything is as before, and nothing is left of the attempt.
#[test]
fn a_rewrite_that_finds_no_room_leaves_the_log_as_it_was() {
    for capacity in (20_500..22_500).step_by(20) {
        let mut rig = Rig::new(capacity as u64, Fsync::Always);
        (0..20).for_each(|_| rig.append(1000));
        rig.flush();
        rig.sim.set_capacity(capacity);
        rig.append(8000);
        rig.turn(Duration::from_secs(2));
        rig.begin_rewrite();
        let is_adopted = rig.end_rewrite().is_ok();
        let acknowledged = rig.acknowledged();
        assert_eq!(acknowledged, if is_adopted { 21 } else { 20 });
        let sim = rig.sim.clone();
        sim.cut_power();
        sim.set_capacity(1 << 20);
        let opened = Rig::open(&sim, &rig.options).unwrap();
        assert!(opened.units.len() >= acknowledged, "{capacity}: {:?}", opened.report);
        is_tidy(&opened, capacity as u64);
    }
}

#[test]
fn what_a_failed_sync_lost_is_written_again() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed, Fsync::Always);
        rig.append(100);
        rig.flush();
        rig.append(3000);
        // The write succeeds, the sync does not.
        rig.sim.fail(Failing { after: 1, times: 1, error: EIO });
        rig.turn(Duration::from_secs(1));
        assert_eq!(rig.acknowledged(), 1);
        rig.flush();
        rig.sim.cut_power();
        let opened = Rig::open(&rig.sim, &rig.options).unwrap();
        assert_eq!(opened.units, rig.units);
    }
}
