//! How late a key's `expired` event comes: many volatile keys that nobody looks at.
//!
//! `cargo bench -p holdfast-tests --bench expiry_lag [-- --keys N] [-- valkey]` (default a million
//! keys of Holdfast, whose deadlines are spread over ten seconds). A listener notes when each event
//! comes; the lag is that time less the deadline. Client and server run on one machine and one clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_tests::binaries::Flavour;
use holdfast_tests::client::Client;
use holdfast_tests::progress::say;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;

const KEYS: usize = 1_000_000;
/// Over how long the deadlines are spread.
const SPREAD_MS: u64 = 10_000;
/// Loading takes less than this for a million keys; no key is due before.
const LOAD_MS: u64 = 15_000;
/// How long to wait for an event before those that are missing count as lost.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let keys = args.iter().skip_while(|arg| *arg != "--keys").nth(1);
    let keys = keys.map_or(KEYS, |text| text.parse().expect("--keys N"));
    let is_valkey = args.iter().any(|arg| arg == "valkey");
    let flavour = if is_valkey { Flavour::OptimisedValkey } else { Flavour::Holdfast };
    let server = Server::start_flavour(flavour, &["--notify-keyspace-events", "Ex"]);
    let mut listener = server.client();
    listener.run("SUBSCRIBE __keyevent@0__:expired");
    listener.set_read_timeout(PATIENCE).expect("a socket has timeouts");
    let start_ms = unix_ms() + LOAD_MS;
    load(&mut server.client(), keys, start_ms);
    assert!(unix_ms() < start_ms, "loading took longer than {LOAD_MS} ms: give fewer --keys");
    let lags = listen(&mut listener, keys, start_ms);
    report(flavour, keys, lags);
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(now.as_millis()).expect("before the year 500 million")
}

/// When key `nth` is due, after the first: spread evenly, in no order.
fn due_after_ms(nth: usize) -> u64 {
    (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % SPREAD_MS
}

fn load(client: &mut Client, keys: usize, start_ms: u64) {
    say(format!("loading {keys} keys"));
    let command = |nth: usize| {
        let due = start_ms + due_after_ms(nth);
        ["SET".to_owned(), nth.to_string(), "x".to_owned(), "PXAT".to_owned(), due.to_string()]
            .to_vec()
    };
    client.pipeline(0..keys, command).unwrap_or_else(|why| panic!("{why}"));
}

/// The lag of every event, in milliseconds.
fn listen(listener: &mut Client, keys: usize, start_ms: u64) -> Vec<u64> {
    let mut lags = Vec::with_capacity(keys);
    while lags.len() < keys {
        let Ok(Value::Array(message)) = listener.read() else { break };
        let Some(Value::Bulk(key)) = message.get(2) else { continue };
        let nth = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
        let due_ms = start_ms + due_after_ms(nth.expect("a key of ours"));
        let now_ms = unix_ms();
        assert!(now_ms + 1 >= due_ms, "key {nth:?} expired {} ms early", due_ms - now_ms);
        lags.push(now_ms.saturating_sub(due_ms));
        if lags.len() % 100_000 == 0 {
            say(format!("{} events", lags.len()));
        }
    }
    lags
}

fn report(flavour: Flavour, keys: usize, mut lags: Vec<u64>) {
    lags.sort_unstable();
    let at =
        |percent: f64| lags.get((lags.len() as f64 * percent / 100.0) as usize).or(lags.last());
    let [p50, p99, p999, max] = [50.0, 99.0, 99.9, 100.0].map(|p| at(p).copied().unwrap_or(0));
    println!(
        "{flavour:?}: {} of {keys} events; lag in ms: p50 {p50}, p99 {p99}, p99.9 {p999}, max {max} (goals 50 and 250)",
        lags.len()
    );
}
