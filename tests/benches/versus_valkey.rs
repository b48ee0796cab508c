//! Side by side with Valkey: CPU per command and throughput, one core for the server.
//!
//! `cargo bench -p holdfast-tests --bench versus_valkey [-- A B] [-- --rounds N]`, where A and B are
//! `holdfast`, `valkey` or `redis` (default `holdfast valkey`; `redis valkey` shows the method at
//! work on two servers that everybody knows).
//!
//! The server is pinned to one core and this program, the client, to another. Both servers run the
//! whole time, and every measurement is taken in turn, A B A B, several rounds; the table shows
//! medians. CPU time is the kernel's count for the server's process: user and system.

use std::process::Command;
use std::time::{Duration, Instant};

use holdfast_tests::binaries::Flavour;
use holdfast_tests::commands;
use holdfast_tests::load::{CONNECTIONS, KEYS, Kind, Load, VALUE_BYTES};
use holdfast_tests::process::{self, CpuTime};
use holdfast_tests::progress::say;
use holdfast_tests::server::Server;

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
const DEFAULT_ROUNDS: usize = 5;

/// Pipeline depth and how many requests one measurement sends at that depth.
const DEPTHS: [(usize, usize); 3] = [(1, 1_500_000), (16, 2_000_000), (100, 4_000_000)];

/// One measurement.
#[derive(Debug, Clone, Copy)]
struct Sample {
    requests: usize,
    wall: Duration,
    cpu: CpuTime,
}

impl Sample {
    fn user_ns(&self) -> f64 {
        self.cpu.user.as_nanos() as f64 / self.requests as f64
    }

    fn cpu_ns(&self) -> f64 {
        (self.cpu.user + self.cpu.system).as_nanos() as f64 / self.requests as f64
    }

    fn per_second(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }

    /// How busy the server's core was: near 1, the server was the limit and not the client.
    fn busy(&self) -> f64 {
        (self.cpu.user + self.cpu.system).as_secs_f64() / self.wall.as_secs_f64()
    }
}

fn main() {
    let (flavours, rounds) = arguments();
    pin_this_process();
    let servers = flavours.map(|flavour| Server::start_pinned(flavour, &[], SERVER_CORE));
    for server in &servers {
        measure(server, Kind::Set, 100, KEYS);
    }
    println!("{}", heading(&servers, rounds));
    for (depth, requests) in DEPTHS {
        for kind in [Kind::Get, Kind::Set] {
            let mut samples = [Vec::new(), Vec::new()];
            for round in 0..rounds {
                say(format!("{kind:?} P={depth}, round {} of {rounds}", round + 1));
                for (server, samples) in servers.iter().zip(&mut samples) {
                    samples.push(measure(server, kind, depth, requests));
                }
            }
            print_rows(kind, depth, &samples);
        }
    }
}

fn arguments() -> ([Flavour; 2], usize) {
    let mut names = Vec::new();
    let mut rounds = DEFAULT_ROUNDS;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // Cargo passes it to every bench.
            "--bench" => {}
            "--rounds" => rounds = args.next().and_then(|n| n.parse().ok()).expect("a number"),
            "holdfast" => names.push(Flavour::Holdfast),
            "valkey" => names.push(Flavour::Valkey),
            "redis" => names.push(Flavour::Redis),
            other => panic!("unknown argument {other}: see the head of this file"),
        }
    }
    match names.as_slice() {
        [] => ([Flavour::Holdfast, Flavour::Valkey], rounds),
        [a, b] => ([*a, *b], rounds),
        _ => panic!("two servers, please"),
    }
}

fn pin_this_process() {
    let mut taskset = Command::new("taskset");
    let own = std::process::id().to_string();
    taskset.args(["-a", "-p", "-c", &CLIENT_CORE.to_string(), &own]);
    commands::run(&mut taskset).unwrap_or_else(|why| panic!("two cores are needed: {why}"));
}

fn measure(server: &Server, kind: Kind, depth: usize, requests: usize) -> Sample {
    let mut load = Load::prepare(server.address(), kind, depth).expect("connections");
    // Buffers and branch predictors warm up outside the measurement.
    load.run(requests / 20).expect("right replies");
    let before = process::cpu_time(server.pid());
    let start = Instant::now();
    let requests = load.run(requests).expect("right replies");
    let wall = start.elapsed();
    let after = process::cpu_time(server.pid());
    let cpu = CpuTime { user: after.user - before.user, system: after.system - before.system };
    Sample { requests, wall, cpu }
}

fn heading(servers: &[Server; 2], rounds: usize) -> String {
    let date = commands::run(Command::new("date").arg("+%Y-%m-%d")).unwrap_or_default();
    let kernel = commands::run(Command::new("uname").arg("-r")).unwrap_or_default();
    let names = servers.each_ref().map(version);
    format!(
        "{}, {}, Linux {}. Server on one core, client on another, {CONNECTIONS} connections, {KEYS} \
         keys, values of {VALUE_BYTES} bytes; medians of {rounds} rounds taken in turn.\n\n\
         | | {} | {} | ratio |\n|---|---|---|---|",
        date.trim(),
        processor(),
        kernel.trim(),
        names[0],
        names[1]
    )
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
        Flavour::Holdfast => format!("Holdfast {}", env!("CARGO_PKG_VERSION")),
        Flavour::Valkey => format!("Valkey {}", field("valkey_version")),
        Flavour::Redis | Flavour::Redis8 => format!("Redis {}", field("redis_version")),
    }
}

fn print_rows(kind: Kind, depth: usize, samples: &[Vec<Sample>; 2]) {
    let name = format!("{kind:?}").to_uppercase();
    let row = |what: &str, show: fn(f64) -> String, of: fn(&Sample) -> f64| {
        let [a, b] = samples.each_ref().map(|samples| median(samples, of));
        println!("| {name}, P={depth}: {what} | {} | {} | {:.2} |", show(a), show(b), a / b);
    };
    if depth == 1 {
        row("server CPU per command, user part", microseconds, Sample::user_ns);
    }
    row("server CPU per command", microseconds, Sample::cpu_ns);
    row("commands a second", thousands, Sample::per_second);
    row("server's core busy", percent, Sample::busy);
}

fn median(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn microseconds(nanoseconds: f64) -> String {
    format!("{:.2} µs", nanoseconds / 1000.0)
}

fn thousands(per_second: f64) -> String {
    format!("{:.0} K", per_second / 1000.0)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
