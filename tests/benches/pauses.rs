//! How long one client's big command keeps another waiting, side by side with Valkey.
//!
//! `cargo bench -p holdfast-tests --bench pauses [-- WORD …] [-- --scale N]`, where a WORD chooses
//! the rows whose name contains it and N divides the sizes. While the row's command runs, and for two
//! seconds after, a probe sends PING after PING, some 20,000, and notes how long each takes; the table
//! shows the 99.99th percentile and the longest, beside those of two idle seconds before, and what of
//! them was the server's own ([`Stopwatch`]). The client's own command is not judged.

use std::fmt;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use holdfast_tests::bench_args::BenchArgs;
use holdfast_tests::binaries::Flavour;
use holdfast_tests::client::Client;
use holdfast_tests::process::{Stopwatch, Took};
use holdfast_tests::progress::say;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;

const AFTER: Duration = Duration::from_secs(2);

/// Something that could make others wait.
struct Row {
    name: &'static str,
    /// How many keys, fields or members there are, and the commands that make them.
    items: usize,
    item: fn(nth: usize) -> Vec<String>,
    act: Act,
}

/// What is felt.
#[derive(Clone, Copy)]
enum Act {
    /// A command about what is there.
    Run(&'static str),
    /// The making itself.
    Make,
    /// All keys asked for at once, again and again.
    GetAll,
    /// All keys' deadline.
    FallDue,
}

fn words(text: String) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

const ROWS: [Row; 10] = [
    Row {
        name: "FLUSHALL of 10 M keys",
        items: 10_000_000,
        item: |n| words(format!("SET key:{n} value")),
        act: Act::Run("FLUSHALL"),
    },
    Row {
        name: "DEL of a hash of 10 M fields",
        items: 10_000_000,
        item: |n| words(format!("HSET big field:{n} value")),
        act: Act::Run("DEL big"),
    },
    Row {
        name: "DEL of a set of 10 M members",
        items: 10_000_000,
        item: |n| words(format!("SADD big member:{n}")),
        act: Act::Run("DEL big"),
    },
    Row {
        name: "DEL of a sorted set of 10 M members",
        items: 10_000_000,
        item: |n| words(format!("ZADD big {n} member:{n}")),
        act: Act::Run("DEL big"),
    },
    Row {
        name: "DEL of a list of 10 M elements",
        items: 10_000_000,
        item: |n| words(format!("RPUSH big element:{n}")),
        act: Act::Run("DEL big"),
    },
    Row {
        name: "SET over a hash of 10 M fields",
        items: 10_000_000,
        item: |n| words(format!("HSET big field:{n} value")),
        act: Act::Run("SET big small"),
    },
    Row {
        name: "1 M keys due at once",
        items: 1_000_000,
        item: |n| words(format!("SET key:{n} value PX 600000")),
        act: Act::FallDue,
    },
    Row {
        name: "growth to 10 M keys",
        items: 10_000_000,
        item: |n| words(format!("SET key:{n} value")),
        act: Act::Make,
    },
    Row {
        name: "MGET of 10,000 keys, in a loop",
        items: 10_000,
        item: |n| words(format!("SET key:{n} value")),
        act: Act::GetAll,
    },
    Row {
        name: "MGET of 100,000 keys, in a loop",
        items: 100_000,
        item: |n| words(format!("SET key:{n} value")),
        act: Act::GetAll,
    },
];

fn main() {
    let args = BenchArgs::read();
    let scale = args.scale;
    println!(
        "PING in ms: p99.99 / longest, idle and with the command (in the server) · 1/{scale} of the size"
    );
    for row in ROWS.iter().filter(|row| args.chooses(row.name)) {
        let shown = [Flavour::Holdfast, Flavour::OptimisedValkey]
            .map(|flavour| measure(row, flavour, scale));
        println!("{:<38} Holdfast {}   Valkey {}", row.name, shown[0], shown[1]);
    }
}

fn measure(row: &Row, flavour: Flavour, scale: usize) -> String {
    say(format!("{}: {flavour:?}", row.name));
    let server = Server::start_flavour(flavour, &["--enable-debug-command", "yes"]);
    let mut client = server.client();
    let items = row.items / scale;
    if !matches!(row.act, Act::Make) {
        pipeline(&mut client, items, row.item);
    }
    if matches!(row.act, Act::FallDue) {
        give_one_deadline(&mut client, items);
    }
    let idle = pings_while(&server, || thread::sleep(AFTER));
    let felt = pings_while(&server, || {
        act(row, &mut client, items);
        thread::sleep(AFTER);
    });
    format!("{}  {} ({})", idle.all, felt.all, felt.served)
}

fn act(row: &Row, client: &mut Client, items: usize) {
    match row.act {
        Act::Run(command) => _ = client.run(command),
        Act::Make => pipeline(client, items, row.item),
        Act::GetAll => get_all(client, items),
        Act::FallDue => wait_for_deadline(client),
    }
}

/// For as long as is probed after other commands.
fn get_all(client: &mut Client, items: usize) {
    let keys = (0..items).map(|nth| format!("key:{nth}"));
    let request: Vec<String> = iter::once("MGET".to_owned()).chain(keys).collect();
    let began = Instant::now();
    while began.elapsed() < AFTER {
        let reply = client.command(&request).expect("the server answers");
        assert!(matches!(reply, Value::Array(values) if values.len() == items));
    }
}

/// What PINGs took, and what of that in the server.
struct Pings {
    all: Longest,
    served: Longest,
}

/// Of some thousand times.
struct Longest {
    p99_99: Duration,
    longest: Duration,
}

impl Longest {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        let nth_longest = |nth: usize| times[times.len() - 1 - nth];
        Self { p99_99: nth_longest(times.len() / 10_000), longest: nth_longest(0) }
    }
}

impl fmt::Display for Longest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p99_99, longest] = [self.p99_99, self.longest].map(|time| time.as_secs_f64() * 1000.0);
        write!(f, "{p99_99:6.2} /{longest:7.2}")
    }
}

fn pipeline(client: &mut Client, items: usize, command: impl Fn(usize) -> Vec<String>) {
    client.pipeline(0..items, command).unwrap_or_else(|why| panic!("{why}"));
}

/// Not before all of them have it, and an idle server was probed.
fn give_one_deadline(client: &mut Client, items: usize) {
    let seconds = 5 + items / 100_000;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let due = now.expect("the clock is past 1970").as_secs() + seconds as u64;
    pipeline(client, items, |n| words(format!("EXPIREAT key:{n} {due}")));
}

fn wait_for_deadline(client: &mut Client) {
    while !matches!(client.run("DBSIZE"), Value::Integer(0)) {
        thread::sleep(Duration::from_millis(100));
    }
}

fn pings_while(server: &Server, act: impl FnOnce()) -> Pings {
    let over = Arc::new(AtomicBool::new(false));
    let (mut probe, pid) = (server.client(), server.pid());
    let flag = Arc::clone(&over);
    let prober = thread::spawn(move || {
        let stopwatch = Stopwatch::of(pid);
        let mut pings: Vec<Took> = Vec::new();
        while !flag.load(Ordering::Relaxed) {
            pings.push(stopwatch.time(|| drop(probe.run("PING"))));
            thread::sleep(Duration::from_micros(50));
        }
        pings
    });
    act();
    over.store(true, Ordering::Relaxed);
    let pings = prober.join().expect("the probe lives as long as the server");
    Pings {
        all: Longest::of(pings.iter().map(|ping| ping.all)),
        served: Longest::of(pings.iter().map(|ping| ping.served)),
    }
}
