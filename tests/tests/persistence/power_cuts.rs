//! Power cuts under write load, a few of them; the program power-cuts does more.

use holdfast_tests::binaries::Flavour;
use holdfast_tests::power_cuts::appliance::Appliance;
use holdfast_tests::power_cuts::process::Process;
use holdfast_tests::power_cuts::{Policy, Victim, run};

const SEED: u64 = 20_261_122;

#[track_caller]
fn survives(mut victim: impl Victim, policy: Policy, count: usize) {
    match run(&mut victim, policy, SEED, count) {
        Ok(summary) => assert!(summary.written > 0, "nothing was written: {summary}"),
        Err(why) => panic!("{why}"),
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let process = Process::start(Flavour::Holdfast, Policy::Always);
    survives(process.unwrap_or_else(|why| panic!("{why}")), Policy::Always, 10);
}

#[test]
fn with_everysec_no_more_is_lost_than_its_window_when_the_server_is_killed() {
    let process = Process::start(Flavour::Holdfast, Policy::EverySec);
    survives(process.unwrap_or_else(|why| panic!("{why}")), Policy::EverySec, 10);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_appliances_power_is_cut() {
    let appliance = Appliance::start(Policy::Always);
    survives(appliance.unwrap_or_else(|why| panic!("{why}")), Policy::Always, 5);
}

#[test]
fn with_everysec_no_more_is_lost_than_its_window_when_the_appliances_power_is_cut() {
    let appliance = Appliance::start(Policy::EverySec);
    survives(appliance.unwrap_or_else(|why| panic!("{why}")), Policy::EverySec, 5);
}
