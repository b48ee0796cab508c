//! The power goes while the first boot makes the data partition: the next boot comes up all the same,
//! and what is kept then is never formatted away.
//!
//! `HOLDFAST_FIRST_BOOTS=50 HOLDFAST_SEED=1` does more of them.

use holdfast_tests::appliance::{BOOT, DATA_MIB, blank_disk};
use holdfast_tests::fuzz::Random;
use holdfast_tests::wait;

use crate::appliance::partition::MIB;
use crate::appliance::rig::{Appliance, command, is_degraded};

const FIRST_BOOTS: u64 = 2;
const SEED: u64 = 20_261_122;
/// A first boot that nobody disturbs does about sixty until its server is ready.
const MOST_WRITES: usize = 60;

fn number(name: &str, otherwise: u64) -> u64 {
    let told = std::env::var(name).ok();
    told.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Scenario 34. The disk is larger than its image: there is a partition table to write anew, and a
/// file system to grow.
#[test]
fn a_power_cut_at_any_write_of_the_first_boot_is_made_good_by_the_next() {
    let seed = number("HOLDFAST_SEED", SEED);
    let mut random = Random::from_seed(seed);
    let count = number("HOLDFAST_FIRST_BOOTS", FIRST_BOOTS);
    for nth in 1..=count {
        let at = 1 + random.below(MOST_WRITES) as u64;
        let what = format!("first boot {nth} of seed {seed}, cut at write {at}");
        let disk = cut_first_boot(at, &mut random);
        let disk = keep_and_cut(disk, &what, &mut random);
        // A boot takes its time: a few rounds look once.
        if nth == count || count > FIRST_BOOTS {
            assert_kept(disk, &what);
        }
        eprintln!("{what}: well");
    }
}

/// What the disk has then.
fn cut_first_boot(at: u64, random: &mut Random) -> Vec<u8> {
    let mut disk = blank_disk(DATA_MIB);
    disk.resize(disk.len() + 64 * MIB, 0);
    let seed = random.number();
    let first = Appliance::power_on_from(disk, &[], |_| ());
    first.disk().cut_at_write(at, seed);
    let is_ready = || first.guest.console().tail().contains("server is ready");
    let over = wait::until(BOOT, || (!first.disk().is_on() || is_ready()).then_some(()));
    assert!(over.is_some(), "neither cut nor ready: {}", first.guest.console().tail());
    if first.disk().is_on() {
        first.disk().cut(random);
    }
    eprintln!("{}", first.disk().words());
    first.disk().bytes()
}

/// The second boot, and its own end without a word.
fn keep_and_cut(disk: Vec<u8>, what: &str, random: &mut Random) -> Vec<u8> {
    let second = Appliance::boot_from(disk, &[], |_| ());
    assert_is_on_disk(&second, what);
    let reply = command(second.guest.port(), &["SET", "kept", "before"]);
    assert_eq!(reply.as_deref(), Some("+OK\r\n"), "{what}");
    assert_eq!(second.redis("redis-cli", &["waitaof", "1", "0", "0"]), "1\n0\n", "{what}");
    second.disk().cut(random);
    second.disk().bytes()
}

fn assert_kept(disk: Vec<u8>, what: &str) {
    let third = Appliance::boot_from(disk, &[], |_| ());
    assert_is_on_disk(&third, what);
    assert_eq!(third.redis("redis-cli", &["get", "kept"]), "before\n", "{what}");
}

#[track_caller]
fn assert_is_on_disk(appliance: &Appliance, what: &str) {
    let status = appliance.wait_for_status("ready", |status| status["ready"] == true);
    for code in ["volatile-data", "data-unsound"] {
        let console = || appliance.guest.console().text();
        assert!(!is_degraded(&status, code), "{what}: {code}\n{}", console());
    }
}
