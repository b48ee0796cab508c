//! `fuzz [--seconds N] [TARGET …]`: runs the targets of fuzz/ under libFuzzer, one after the other, all
//! or these, each for so long, and says how far each came. Takes a nightly compiler from rustup and
//! installs cargo-fuzz where cargo keeps what it builds. What was found stays in fuzz/artifacts, the
//! inputs that reached something new in fuzz/corpus.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use holdfast_tests::paths;

const DEFAULT_SECONDS: u32 = 240;
const CARGO_FUZZ: &str = "0.13.2";
/// libFuzzer's: memory that is a leak or a bomb, and the seconds that no input takes, even where the
/// processor is another's most of the time.
const LIMITS: [&str; 3] = ["-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=1"];

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
    seconds: u32,
    targets: Vec<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seconds: DEFAULT_SECONDS, targets: Vec::new() };
    let all = targets()?;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let value = args.next().unwrap_or_default();
            options.seconds = value.parse().map_err(|_| format!("{arg}: {value} is no number"))?;
        } else if all.contains(&arg) {
            options.targets.push(arg);
        } else {
            return Err(format!("{arg} is none of {}", all.join(" ")));
        }
    }
    if options.targets.is_empty() {
        options.targets = all;
    }
    Ok(options)
}

/// Each is a file of its own.
fn targets() -> Result<Vec<String>, String> {
    let folder = folder().join("fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let name = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| name(entry.path())).collect();
    names.sort();
    Ok(names)
}

fn folder() -> PathBuf {
    paths::tests().join("fuzz")
}

fn run(options: &Options) -> Result<(), String> {
    let tool = install()?;
    let mut failed = Vec::new();
    for target in &options.targets {
        match fuzz(&tool, target, options.seconds) {
            Ok(how_far) => println!("{target}: {how_far}"),
            Err(why) => {
                println!("{target}: {why}");
                failed.push(target.as_str());
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(" "))) }
}

/// cargo-fuzz of this version, installed once.
fn install() -> Result<PathBuf, String> {
    let root = folder().join("target/cargo-fuzz");
    let tool = root.join("bin/cargo-fuzz");
    if tool.exists() {
        return Ok(tool);
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ, "--root"]);
    let status = cargo.arg(&root).status().map_err(|why| format!("cargo install: {why}"))?;
    if status.success() { Ok(tool) } else { Err("cargo-fuzz cannot be installed".to_owned()) }
}

/// libFuzzer's last line with its numbers, and its sum of executions.
fn fuzz(tool: &Path, target: &str, seconds: u32) -> Result<String, String> {
    let corpus = folder().join("corpus").join(target);
    fs::create_dir_all(&corpus).map_err(|why| format!("{}: {why}", corpus.display()))?;
    let mut fuzz = Command::new(tool);
    // The sanitizers' runtime is a dynamic one.
    fuzz.args(["fuzz", "run", "--fuzz-dir"]).arg(folder()).env("RUSTUP_TOOLCHAIN", "nightly");
    fuzz.env_remove("CARGO").env_remove("RUSTFLAGS").arg(target).arg(&corpus);
    let seeds = folder().join("seeds").join(target);
    fuzz.args(seeds.exists().then_some(&seeds)).arg("--").args(LIMITS);
    fuzz.arg(format!("-max_total_time={seconds}")).stdin(Stdio::null());
    let output = fuzz.output().map_err(|why| format!("cargo-fuzz: {why}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(said.into_owned());
    }
    let line = |marker| said.lines().rev().find(|line| line.contains(marker)).unwrap_or_default();
    Ok(format!("{} {}", line("number_of_executed_units").trim(), line("cov: ").trim()))
}
