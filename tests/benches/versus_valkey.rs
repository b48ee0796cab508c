//! Side by side with Valkey: CPU per command and throughput, one core for the server.
//!
//! `cargo bench -p holdfast-tests --bench versus_valkey [-- A B] [-- NAME …] [-- --rounds N]
//! [-- --depths 1,16] [-- --scale N]`, where A and B are `holdfast`, `valkey` or `redis` (default
//! `holdfast valkey`; `redis valkey` shows the method at work on two servers that everybody knows),
//! a NAME is a command of src/load/commands.rs, `big-replies` or `workers`, and `--scale` divides how
//! much is sent.
//!
//! `big-replies` are megabytes to one client, and none of what runs without a NAME.
//!
//! The server is pinned to one core and this program, the client, to another. Both servers run the
//! whole time, and every measurement is taken in turn, A B A B, several rounds; the table shows
//! medians. CPU time is the kernel's count for the server's process: user and system.
//!
//! `workers` measures each server alone: with two worker threads on both cores, which they share with
//! the client; with one worker on the same two cores, which tells what the second worker costs; and
//! with one as above, which tells what sharing with the client costs.

use std::process::Command as Program;

use holdfast_tests::binaries::Flavour;
use holdfast_tests::commands::run;
use holdfast_tests::load::CONNECTIONS;
use holdfast_tests::load::commands::{self, COMMANDS, Command, ELEMENT_BYTES, KEYS, VALUE_BYTES};
use holdfast_tests::load::sample::{Sample, geometric_mean, median};
use holdfast_tests::progress::say;
use holdfast_tests::server::Server;

const SERVER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";
const BOTH_CORES: &str = "0,1";
const DEFAULT_ROUNDS: usize = 5;

/// Pipeline depths, and how many of the cheapest requests one measurement sends.
const DEPTHS: [(usize, usize); 3] = [(1, 1_500_000), (16, 2_000_000), (100, 4_000_000)];

/// What two workers are measured with.
const WORKERS_COMMANDS: [&str; 2] = ["GET", "SET"];
const WORKERS_DEPTHS: [usize; 2] = [1, 16];
/// Worker threads, the server's cores, the client's.
const WORKERS: [(&str, &str, &str); 3] =
    [("2", BOTH_CORES, BOTH_CORES), ("1", BOTH_CORES, BOTH_CORES), ("1", SERVER_CORE, CLIENT_CORE)];

/// What to measure.
struct Plan {
    flavours: [Flavour; 2],
    commands: Vec<Command>,
    workers: bool,
    depths: Vec<usize>,
    rounds: usize,
    scale: usize,
}

fn main() {
    let plan = Plan::read();
    println!("{}\n", plan.heading());
    if !plan.commands.is_empty() {
        plan.compare();
    }
    if plan.workers {
        plan.compare_workers();
    }
}

impl Plan {
    fn read() -> Self {
        let (mut names, mut commands, mut workers) = (Vec::new(), Vec::new(), false);
        let (mut rounds, mut scale) = (DEFAULT_ROUNDS, 1);
        let mut depths: Vec<usize> = DEPTHS.iter().map(|(depth, _)| *depth).collect();
        let mut args = std::env::args().skip(1);
        let number = |text: Option<String>| text.and_then(|n| n.parse().ok()).expect("a number");
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Cargo passes it to every bench.
                "--bench" => {}
                "--rounds" => rounds = number(args.next()),
                "--scale" => scale = number(args.next()),
                "--depths" => {
                    let list = args.next().expect("depths, as in 1,16");
                    depths = list.split(',').map(|n| number(Some(n.to_owned()))).collect();
                }
                "holdfast" => names.push(Flavour::Holdfast),
                "valkey" => names.push(Flavour::OptimisedValkey),
                "redis" => names.push(Flavour::Redis),
                "workers" => workers = true,
                "big-replies" => {
                    commands.extend(commands::BIG_REPLIES);
                    depths = vec![1];
                }
                name => {
                    let known = || panic!("unknown argument {name}: see the head of this file");
                    commands.push(commands::named(name).unwrap_or_else(known));
                }
            }
        }
        let flavours = match names.as_slice() {
            [] => [Flavour::Holdfast, Flavour::OptimisedValkey],
            [a, b] => [*a, *b],
            _ => panic!("two servers, please"),
        };
        if commands.is_empty() && !workers {
            (commands, workers) = (COMMANDS.to_vec(), true);
        }
        Self { flavours, commands, workers, depths, rounds, scale }
    }

    fn heading(&self) -> String {
        let date = run(Program::new("date").arg("+%Y-%m-%d")).unwrap_or_default();
        let kernel = run(Program::new("uname").arg("-r")).unwrap_or_default();
        format!(
            "{}, {}, Linux {}. {CONNECTIONS} connections (one for big replies), {KEYS} keys, fields or members, values of \
             {VALUE_BYTES} bytes (GET, SET) and {ELEMENT_BYTES} (others); medians of {} rounds taken \
             in turn.",
            date.trim(),
            processor(),
            kernel.trim(),
            self.rounds
        )
    }

    /// How many requests one measurement sends.
    fn requests(&self, command: &Command, depth: usize) -> usize {
        let known = DEPTHS.iter().rfind(|(known, _)| *known <= depth).unwrap_or(&DEPTHS[0]);
        known.1 / command.share / self.scale
    }

    /// Every command at every depth, one server's core against the other's.
    fn compare(&self) {
        pin_this_process(CLIENT_CORE);
        let servers = self.flavours.map(|flavour| Server::start_pinned(flavour, &[], SERVER_CORE));
        let [a, b] = servers.each_ref().map(version);
        println!("Server on one core, client on another.\n\n| | {a} | {b} | ratio |");
        println!("|---|---|---|---|");
        let (mut user_at_1, mut rate_at_16) = (Vec::new(), Vec::new());
        for command in &self.commands {
            for depth in self.depths.iter().copied() {
                let samples = self.measure(&servers, command, depth);
                let ratios = print_rows(command, depth, &samples);
                user_at_1.extend((depth == 1).then_some(ratios.user_ns));
                rate_at_16.extend((depth == 16).then_some(ratios.per_second));
            }
        }
        println!("| geometric mean of user CPU at P=1 | | | {:.2} |", geometric_mean(&user_at_1));
        println!(
            "| geometric mean of throughput at P=16 | | | {:.2} |\n",
            geometric_mean(&rate_at_16)
        );
    }

    /// Samples of both servers, taken in turn.
    fn measure(&self, servers: &[Server; 2], command: &Command, depth: usize) -> [Vec<Sample>; 2] {
        let mut samples = [Vec::new(), Vec::new()];
        let requests = self.requests(command, depth);
        for round in 1..=self.rounds {
            say(format!("{} P={depth}, round {round} of {}", command.name, self.rounds));
            for (server, samples) in servers.iter().zip(&mut samples) {
                samples.push(Sample::take(server, command, depth, requests));
            }
        }
        samples
    }

    /// Each server alone: two worker threads against one, on the same cores and on one of its own.
    fn compare_workers(&self) {
        println!(
            "| | two workers | one worker, same cores | ratio | one worker, own core | ratio |"
        );
        println!("|---|---|---|---|---|---|");
        for flavour in self.flavours {
            let servers = WORKERS.map(|(threads, cores, _)| {
                Server::start_pinned(flavour, &["--io-threads", threads], cores)
            });
            for command in WORKERS_COMMANDS.iter().filter_map(|name| commands::named(name)) {
                for depth in WORKERS_DEPTHS {
                    let samples = self.measure_workers(&servers, &command, depth);
                    let name = format!("{}, {}, P={depth}", version(&servers[0]), command.name);
                    print_workers_row(&name, CPU, &samples);
                    print_workers_row(&name, RATE, &samples);
                }
            }
        }
    }

    fn measure_workers(
        &self,
        servers: &[Server; 3],
        command: &Command,
        depth: usize,
    ) -> [Vec<Sample>; 3] {
        let mut samples = [const { Vec::new() }; 3];
        let requests = self.requests(command, depth);
        for round in 1..=self.rounds {
            say(format!("workers: {} P={depth}, round {round}", command.name));
            for ((server, (.., cores)), samples) in servers.iter().zip(WORKERS).zip(&mut samples) {
                pin_this_process(cores);
                samples.push(Sample::take(server, command, depth, requests));
            }
        }
        samples
    }
}

fn pin_this_process(cores: &str) {
    let own = std::process::id().to_string();
    let mut taskset = Program::new("taskset");
    taskset.args(["-a", "-p", "-c", cores, &own]);
    run(&mut taskset).unwrap_or_else(|why| panic!("two cores are needed: {why}"));
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown processor", |(_, name)| name).to_owned()
}

fn version(server: &Server) -> String {
    let info = server.client().run("INFO server");
    let text = String::from_utf8_lossy(info.bytes().unwrap_or_default()).into_owned();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or("?").to_owned()
    };
    match server.flavour() {
        Flavour::Holdfast | Flavour::Counting => format!("Holdfast {}", env!("CARGO_PKG_VERSION")),
        Flavour::OptimisedValkey | Flavour::Valkey => format!("Valkey {}", field("valkey_version")),
        Flavour::Redis | Flavour::Redis8 => format!("Redis {}", field("redis_version")),
    }
}

/// A figure of the table.
struct Figure {
    name: &'static str,
    show: fn(f64) -> String,
    of: fn(&Sample) -> f64,
}

const USER: Figure =
    Figure { name: "server CPU per command, user part", show: microseconds, of: Sample::user_ns };
const CPU: Figure =
    Figure { name: "server CPU per command", show: microseconds, of: Sample::cpu_ns };
const RATE: Figure = Figure { name: "commands a second", show: thousands, of: Sample::per_second };
const BUSY: Figure = Figure { name: "server's core busy", show: percent, of: Sample::busy };

/// The ratios that the sums are made of.
struct Ratios {
    user_ns: f64,
    per_second: f64,
}

fn print_rows(command: &Command, depth: usize, samples: &[Vec<Sample>; 2]) -> Ratios {
    let name = format!("{}, P={depth}", command.name);
    let user_ns = if depth == 1 { print_row(&name, USER, samples) } else { f64::NAN };
    print_row(&name, CPU, samples);
    let per_second = print_row(&name, RATE, samples);
    print_row(&name, BUSY, samples);
    Ratios { user_ns, per_second }
}

/// Prints the medians; their ratio.
fn print_row(name: &str, figure: Figure, samples: &[Vec<Sample>; 2]) -> f64 {
    let [a, b] = samples.each_ref().map(|samples| median(samples, figure.of));
    let Figure { name: what, show, .. } = figure;
    println!("| {name}: {what} | {} | {} | {:.2} |", show(a), show(b), a / b);
    a / b
}

/// Prints the medians, and what the first is of each of the others.
fn print_workers_row(name: &str, figure: Figure, samples: &[Vec<Sample>; 3]) {
    let [two, one, apart] = samples.each_ref().map(|samples| median(samples, figure.of));
    let Figure { name: what, show, .. } = figure;
    let (shared, own) = (two / one, two / apart);
    println!(
        "| {name}: {what} | {} | {} | {shared:.2} | {} | {own:.2} |",
        show(two),
        show(one),
        show(apart)
    );
}

fn microseconds(nanoseconds: f64) -> String {
    format!("{:.2} µs", nanoseconds / 1000.0)
}

fn thousands(per_second: f64) -> String {
    match per_second {
        few if few < 10_000.0 => format!("{few:.0}"),
        many => format!("{:.0} K", many / 1000.0),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
