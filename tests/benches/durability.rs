//! What durability costs, side by side with Valkey.
//!
//! `cargo bench -p holdfast-tests --bench durability [-- WORD …] [-- --scale N]`, where a WORD chooses
//! the rows whose name contains it and N divides the sizes.
//!
//! * `always`: 50 connections that set keys, each reply after its sync; and how long a GET of another
//!   connection takes meanwhile, beside the same without a log.
//! * `flash`: the same 50 connections, server on one core and clients on the other, on a disk that
//!   takes 2 ms longer to sync, as a good SD card does (strace delays the system call).
//! * `everysec`: the same load, one command at a time and in batches of 16, with and without the log.
//! * `slow`: every sync takes half a second longer (strace delays the system call); how long GET and
//!   SET of one connection take under `everysec`.
//! * `load`: a start with 10 M small keys, from the RDB file and from the log.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use holdfast_tests::bench_args::BenchArgs;
use holdfast_tests::binaries::Flavour;
use holdfast_tests::client::Client;
use holdfast_tests::load::Load;
use holdfast_tests::load::commands::named;
use holdfast_tests::load::sample::{Sample, median};
use holdfast_tests::progress::say;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::wait;

const BOTH: [Flavour; 2] = [Flavour::Holdfast, Flavour::OptimisedValkey];
const ROUNDS: usize = 3;
const NO_LOG: [&str; 2] = ["--save", ""];
/// The longest that saving or loading may take.
const LOAD_LIMIT: Duration = Duration::from_secs(600);
/// Starts a server on core 0 whose syncs take 2 ms longer; nothing else is slowed.
const SLOW_DISK: [&str; 14] = [
    "taskset",
    "-c",
    "0",
    "strace",
    "-D",
    "-f",
    "--seccomp-bpf",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=fdatasync",
    "-e",
    "inject=fdatasync:delay_enter=2000",
];
/// How long `slow` measures.
const SLOW_TIME: Duration = Duration::from_secs(10);

type Row = (&'static str, fn(usize));

const ROWS: [Row; 5] = [
    ("always", always),
    ("flash", always_on_flash),
    ("everysec", every_second),
    ("slow", slow_syncs),
    ("load", load_rate),
];

fn main() {
    let args = BenchArgs::read();
    let scale = args.scale;
    for (name, run) in ROWS {
        if args.chooses(name) {
            run(scale);
        }
    }
}

fn logged(fsync: &str) -> Vec<&str> {
    vec!["--save", "", "--appendonly", "yes", "--appendfsync", fsync]
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// ── always ──────────────────────────────────────────────────────────────────────────────────────

fn always(scale: usize) {
    let requests = 100_000 / scale;
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (which, flavour) in BOTH.into_iter().enumerate() {
            say(format!("always: {flavour:?}, round {}", round + 1));
            let (rate, with) = set_and_probe(flavour, &logged("always"), requests);
            let (_, without) = set_and_probe(flavour, &NO_LOG, requests * 4);
            rates[which].push(rate);
            println!(
                "always   {flavour:?}: {rate:>8.0} SET/s; GET p50 {:.0} p99 {:.0} µs, without log p50 {:.0} p99 {:.0} µs, p99 ratio {:.2}",
                with.0,
                with.1,
                without.0,
                without.1,
                with.1 / without.1
            );
        }
    }
    let [ours, theirs] = rates.map(middle);
    println!("always   SET/s ratio to Valkey: {:.2}", ours / theirs);
}

/// SETs a second, and p50 and p99 in µs of a GET meanwhile.
fn set_and_probe(flavour: Flavour, args: &[&str], requests: usize) -> (f64, (f64, f64)) {
    let server = Server::start_flavour(flavour, args);
    server.client().run("SET probe value");
    let set = named("SET").expect("it is in the list");
    let mut load = Load::prepare(server.address(), &set, 1).expect("it accepts");
    let probe = Probe::start(server.address(), &["GET", "probe"]);
    let began = Instant::now();
    let done = load.run(requests).expect("it answers");
    let rate = done as f64 / began.elapsed().as_secs_f64();
    let times = probe.stop();
    (rate, (percentile(&times, 50.0), percentile(&times, 99.0)))
}

fn always_on_flash(scale: usize) {
    let requests = 40_000 / scale;
    if !has_strace() {
        println!("flash    needs strace (apt-get install strace)");
        return;
    }
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (which, flavour) in BOTH.into_iter().enumerate() {
            say(format!("flash: {flavour:?}, round {}", round + 1));
            let server = Server::start_behind(&SLOW_DISK, flavour, &logged("always"));
            rates[which].push(valkey_benchmark(server.address(), requests));
        }
    }
    let [ours, theirs] = rates.map(middle);
    println!("flash    {ours:.0} SET/s, Valkey {theirs:.0}: ratio {:.2}", ours / theirs);
}

/// SETs a second, by Valkey's own benchmark on core 1. Its clients do not come in step, as ours do.
fn valkey_benchmark(server: SocketAddr, requests: usize) -> f64 {
    let program = holdfast_tests::valkey::optimised_programs().expect("Valkey's programs");
    let run = Command::new("taskset")
        .args(["-c", "1"])
        .arg(program.join("valkey-benchmark"))
        .args(["-p", &server.port().to_string(), "-n", &requests.to_string()])
        .args(["-t", "set", "-c", "50", "-d", "32", "-r", "100000", "--csv"])
        .output()
        .expect("taskset is there");
    let table = String::from_utf8_lossy(&run.stdout);
    let set = table.lines().find_map(|line| line.strip_prefix("\"SET\",\""));
    let rate = set.and_then(|rest| rest.split('"').next()).and_then(|rate| rate.parse().ok());
    rate.unwrap_or_else(|| panic!("valkey-benchmark says {table}"))
}

fn has_strace() -> bool {
    Command::new("strace").arg("-V").output().is_ok()
}

// ── everysec ────────────────────────────────────────────────────────────────────────────────────

fn every_second(scale: usize) {
    for (depth, requests) in [(1, 1_000_000), (16, 4_000_000)] {
        every_second_in_batches(depth, requests / scale);
    }
}

fn every_second_in_batches(depth: usize, requests: usize) {
    let set = named("SET").expect("it is in the list");
    for flavour in BOTH {
        let mut samples = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            say(format!("everysec: P={depth}, {flavour:?}, round {}", round + 1));
            for (which, args) in [logged("everysec"), NO_LOG.to_vec()].into_iter().enumerate() {
                let server = Server::start_pinned(flavour, &args, "0");
                samples[which].push(Sample::take(&server, &set, depth, requests));
            }
        }
        let [with, without] = &samples;
        println!(
            "everysec P={depth} {flavour:?}: {:.0} K SET/s with the log, {:.0} K without, ratio {:.3}; server CPU {:.0} and {:.0} ns a SET",
            median(with, Sample::per_second) / 1e3,
            median(without, Sample::per_second) / 1e3,
            median(with, Sample::per_second) / median(without, Sample::per_second),
            median(with, Sample::cpu_ns),
            median(without, Sample::cpu_ns),
        );
    }
}

// ── slow syncs ──────────────────────────────────────────────────────────────────────────────────

fn slow_syncs(scale: usize) {
    for flavour in BOTH {
        say(format!("slow: {flavour:?}"));
        let server = Server::start_flavour(flavour, &logged("everysec"));
        let Some(mut tracer) = delay_syncs(server.pid()) else {
            println!("slow     needs strace (apt-get install strace)");
            return;
        };
        let reads = Probe::start(server.address(), &["GET", "probe"]);
        let writes = Probe::start(server.address(), &["SET", "probe", &"v".repeat(1000)]);
        thread::sleep(SLOW_TIME / u32::try_from(scale).expect("a small number"));
        for (name, probe) in [("GET", reads), ("SET", writes)] {
            let times = probe.stop();
            println!(
                "slow     {flavour:?}: {name} p50 {:.0} p99.9 {:.0} max {:.0} µs of {}",
                percentile(&times, 50.0),
                percentile(&times, 99.9),
                percentile(&times, 100.0),
                times.len()
            );
        }
        // It detaches when it is told to end.
        let _ = Command::new("kill").arg(tracer.id().to_string()).status();
        let _ = tracer.wait();
    }
}

/// Has every sync of a process take half a second longer.
fn delay_syncs(pid: u32) -> Option<Child> {
    let tracer = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", "/dev/null"])
        .args(["-e", "inject=fsync,fdatasync:delay_enter=500000", "-p", &pid.to_string()])
        .stderr(Stdio::null())
        .spawn();
    let tracer = tracer.ok()?;
    // It says nothing once it has every thread.
    thread::sleep(Duration::from_secs(1));
    Some(tracer)
}

// ── load rate ───────────────────────────────────────────────────────────────────────────────────

fn load_rate(scale: usize) {
    let keys = 10_000_000 / scale;
    for kind in ["RDB file", "log"] {
        let mut seconds = [0.0; 2];
        for (which, flavour) in BOTH.into_iter().enumerate() {
            say(format!("load from {kind}: {flavour:?}"));
            seconds[which] = time_of_start(flavour, keys, kind == "log");
            println!(
                "load     {flavour:?}: {keys} keys from the {kind} in {:.2} s",
                seconds[which]
            );
        }
        println!("load     from the {kind}: rate ratio to Valkey {:.2}", seconds[1] / seconds[0]);
    }
}

/// Seconds from exec to the first answer that is not LOADING.
fn time_of_start(flavour: Flavour, keys: usize, from_log: bool) -> f64 {
    let log = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"];
    let args: &[&str] = if from_log { &log } else { &[] };
    let mut server = Server::start_flavour(flavour, args);
    let mut client = server.client();
    client.set_read_timeout(LOAD_LIMIT).expect("a socket");
    let set = |n: usize| vec!["SET".to_owned(), format!("key:{n:011}"), "value678".to_owned()];
    client.pipeline(0..keys, set).expect("it answers");
    if !from_log {
        client.run("SAVE");
    }
    // The log is whole once the server has ended by itself.
    client.send(&["SHUTDOWN", "NOSAVE"]).expect("it reads");
    server.exit_status(LOAD_LIMIT).expect("it ends");
    let began = Instant::now();
    server.start_again().expect("it starts");
    let mut client = server.client();
    let is_loaded = || matches!(client.run("PING"), Value::Status(_)).then_some(());
    wait::until(LOAD_LIMIT, is_loaded).expect("it loads");
    began.elapsed().as_secs_f64()
}

// ── Latency ─────────────────────────────────────────────────────────────────────────────────────

/// One connection that sends the same command again and again.
struct Probe {
    ends: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<f64>>,
}

impl Probe {
    fn start(address: SocketAddr, words: &[&str]) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let until = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let mut client = Client::connect(address).expect("it accepts");
            let mut times = Vec::new();
            while !until.load(Ordering::Relaxed) {
                let began = Instant::now();
                client.command(&words).expect("it answers");
                times.push(began.elapsed().as_secs_f64() * 1e6);
                // A client of its own pace, not one more that fills a core.
                thread::sleep(Duration::from_micros(500));
            }
            times
        });
        Self { ends, thread }
    }

    /// Times in µs, shortest first.
    fn stop(self) -> Vec<f64> {
        self.ends.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().expect("the probe ends");
        times.sort_by(f64::total_cmp);
        times
    }
}

fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let at = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted[at.min(sorted.len() - 1)]
}
