//! `watchdog-resets [--count N] [--timeout SECONDS] [--fault loop|agent|disk]`: kills the loop, the
//! agent and the data disk of the booted appliance, or one of them, N times each, and says how long the
//! reset took. See src/appliance/watchdog.rs.

use std::process::ExitCode;
use std::time::Duration;

use holdfast_tests::appliance::Appliance;
use holdfast_tests::appliance::watchdog::{Fault, Reset, reset_by};

const DEFAULT_COUNT: usize = 20;
const DEFAULT_TIMEOUT_S: u16 = 30;

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    count: usize,
    timeout_s: u16,
    faults: Vec<Fault>,
}

fn options() -> Result<Options, String> {
    let (count, timeout_s) = (DEFAULT_COUNT, DEFAULT_TIMEOUT_S);
    let mut options = Options { count, timeout_s, faults: Fault::ALL.to_vec() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().unwrap_or_default();
        let bad = |_| format!("{arg}: {value} is no number");
        match arg.as_str() {
            "--count" => options.count = value.parse().map_err(bad)?,
            "--timeout" => options.timeout_s = value.parse().map_err(bad)?,
            "--fault" => {
                let named = |fault: &Fault| format!("{fault:?}").eq_ignore_ascii_case(&value);
                options.faults.retain(named);
                if options.faults.is_empty() {
                    return Err(format!("{arg}: {value} is no fault"));
                }
            }
            other => return Err(format!("unknown argument {other}: see the head of this file")),
        }
    }
    Ok(options)
}

fn run(Options { count, timeout_s, faults }: &Options) -> Result<(), String> {
    let word = format!("holdfast.watchdog={timeout_s}");
    let (count, mut failed) = (*count, 0);
    for fault in faults.iter().copied() {
        let mut after = Vec::new();
        for nth in 1..=count {
            // A machine of its own each time: three resets in a row would be its safe mode.
            let mut appliance = Appliance::boot_with_disk(&[&word], |_| ());
            match reset_by(fault, &mut appliance) {
                Ok(reset) if reset.is_in_time() => {
                    println!("{fault:?} {nth}: {reset}");
                    after.push(reset);
                }
                Ok(reset) => eprintln!("{fault:?} {nth}: too late: {reset}"),
                Err(why) => eprintln!("{fault:?} {nth}: {why}"),
            }
        }
        failed += count - after.len();
        println!("{fault:?}: {} of {count} in time, {}", after.len(), range(&after));
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} failed")) }
}

fn range(resets: &[Reset]) -> String {
    let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64();
    let after = || resets.iter().map(|reset| reset.after);
    format!("{:.2} to {:.2} s", seconds(after().min()), seconds(after().max()))
}
