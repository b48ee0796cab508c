//! `power-cuts [--seed S] [--count N] [--appliance] [--on valkey] [always] [everysec]`: cuts the
//! power under write load, again and again, and checks what is left. See src/power_cuts.

use std::process::ExitCode;

use holdfast_tests::binaries::Flavour;
use holdfast_tests::power_cuts::appliance::Appliance;
use holdfast_tests::power_cuts::process::Process;
use holdfast_tests::power_cuts::{self, Policy, Summary};

const DEFAULT_SEED: u64 = 1;
const DEFAULT_COUNT: usize = 100;

struct Options {
    seed: u64,
    count: usize,
    appliance: bool,
    flavour: Flavour,
    policies: Vec<Policy>,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seed: DEFAULT_SEED,
        count: DEFAULT_COUNT,
        appliance: false,
        flavour: Flavour::Holdfast,
        policies: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => options.seed = number(args.next())?,
            "--count" => options.count = number(args.next())?,
            "--appliance" => options.appliance = true,
            "--on" if args.next().as_deref() == Some("valkey") => options.flavour = Flavour::Valkey,
            "always" => options.policies.push(Policy::Always),
            "everysec" => options.policies.push(Policy::EverySec),
            other => return Err(format!("unknown argument {other}: see the head of this file")),
        }
    }
    if options.policies.is_empty() {
        options.policies = vec![Policy::Always, Policy::EverySec];
    }
    Ok(options)
}

fn number<N: std::str::FromStr>(text: Option<String>) -> Result<N, String> {
    let text = text.unwrap_or_default();
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn run(options: &Options) -> Result<(), String> {
    for policy in &options.policies {
        println!("appendfsync {}: {}", policy.word(), cut(options, *policy)?);
    }
    Ok(())
}

fn cut(options: &Options, policy: Policy) -> Result<Summary, String> {
    let Options { seed, count, flavour, .. } = *options;
    if options.appliance {
        return power_cuts::run(&mut Appliance::start(policy)?, policy, seed, count);
    }
    power_cuts::run(&mut Process::start(flavour, policy)?, policy, seed, count)
}
