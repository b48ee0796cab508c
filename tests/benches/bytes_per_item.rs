//! What an item costs in memory, side by side with Valkey: growth of the resident set.
//!
//! `cargo bench -p holdfast-tests --bench bytes_per_item [-- WORD …] [-- --items N] [-- holdfast]`,
//! where a WORD chooses the rows whose name contains it, and `holdfast` or `valkey` leaves out the
//! other. `HOLDFAST_BIN_DIR` names another build of ours; it must be one with the allocator that ships.
//!
//! Rows whose commands a server lacks show a dash. Each row has servers of its own. Some items under
//! another key come first, and stay, so that code, buffers and allocator are warm; then the items are
//! loaded over one connection. Before and after `VmRSS` is read, each time when memory that is free has
//! been given back (MEMORY PURGE).

use std::thread;
use std::time::Duration;

use holdfast_tests::binaries::Flavour;
use holdfast_tests::client::Client;
use holdfast_tests::process::resident_bytes;
use holdfast_tests::progress::say;
use holdfast_tests::server::Server;

const ITEMS: usize = 1_000_000;
/// As many as make a table grow and a list have several nodes.
const WARM_ITEMS: usize = 10_000;

/// Valkey moves keys from an outgrown table to the next in the background.
const SETTLE: Duration = Duration::from_secs(2);

/// A row of the table. Its goal is issue 3's.
struct Row {
    name: &'static str,
    goal: f64,
    /// One item for so many commands' worth of [`ITEMS`]: hashes of ten fields are fewer.
    share: usize,
    /// The command that adds item `n` below a prefix for its keys.
    add: fn(prefix: &str, n: usize) -> Vec<String>,
    /// What the same item costs without that which the row is about.
    without: Option<fn(prefix: &str, n: usize) -> Vec<String>>,
}

const ROW: Row = Row { name: "", goal: 0.0, share: 1, add: string_15_8, without: None };

const ROWS: [Row; 9] = [
    Row { name: "string 15+8", goal: 42.0, ..ROW },
    Row {
        name: "string 15+8, its TTL alone",
        goal: 10.0,
        add: string_with_ttl,
        without: Some(string_15_8),
        ..ROW
    },
    Row { name: "string 16+64", goal: 100.0, add: string_16_64, ..ROW },
    Row { name: "sorted-set member 20", goal: 46.0, add: sorted_set_member, ..ROW },
    Row { name: "hash field 10+10", goal: 34.0, add: hash_field, ..ROW },
    Row { name: "set member 16", goal: 27.0, add: set_member, ..ROW },
    Row { name: "list element 16", goal: 18.0, add: list_element, ..ROW },
    Row { name: "small hash of ten fields", goal: 200.0, share: 10, add: small_hash, ..ROW },
    Row { name: "stream entry of two fields", goal: 20.0, add: stream_entry, ..ROW },
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// `n` in `digits` digits, scattered so that neither names nor scores come in order.
fn scattered(n: usize, digits: usize) -> String {
    // A prime without a common factor with any power of ten: each number comes once.
    format!("{:0digits$}", n * 7_919 % 10_usize.pow(digits.min(9) as u32))
}

fn string_15_8(prefix: &str, n: usize) -> Vec<String> {
    words(&["SET", &format!("{prefix}:{}", scattered(n, 13)), &value(n, 8)])
}

fn string_with_ttl(prefix: &str, n: usize) -> Vec<String> {
    let seconds = (100_000 + n % 1_000).to_string();
    [string_15_8(prefix, n), words(&["EX", &seconds])].concat()
}

fn string_16_64(prefix: &str, n: usize) -> Vec<String> {
    words(&["SET", &format!("{prefix}:{}", scattered(n, 14)), &value(n, 64)])
}

fn sorted_set_member(prefix: &str, n: usize) -> Vec<String> {
    let score = format!("{}.5", scattered(n, 7));
    words(&["ZADD", prefix, &score, &format!("member:{}", scattered(n, 13))])
}

fn hash_field(prefix: &str, n: usize) -> Vec<String> {
    words(&["HSET", prefix, &format!("f:{}", scattered(n, 8)), &value(n, 10)])
}

fn set_member(prefix: &str, n: usize) -> Vec<String> {
    words(&["SADD", prefix, &format!("m:{}", scattered(n, 14))])
}

fn list_element(prefix: &str, n: usize) -> Vec<String> {
    words(&["RPUSH", prefix, &value(n, 16)])
}

fn small_hash(prefix: &str, n: usize) -> Vec<String> {
    let mut command = words(&["HSET", &format!("{prefix}:{}", scattered(n, 13))]);
    for field in 0..10 {
        command.push(format!("f{field}"));
        command.push(value(n * 10 + field, 10));
    }
    command
}

fn stream_entry(prefix: &str, n: usize) -> Vec<String> {
    words(&["XADD", prefix, "*", "a", &value(n, 4), "b", &value(n, 4)])
}

/// `len` letters that are no number and differ from item to item.
fn value(n: usize, len: usize) -> String {
    let mut text = format!("{n:x}");
    let filler = "vwxyzuts".chars().cycle().take(len.saturating_sub(text.len()));
    text.extend(filler);
    text.chars().rev().take(len).collect()
}

fn main() {
    let (flavours, items, wanted) = arguments();
    println!("Growth of RSS in bytes an item, {items} items.\n");
    let heads: Vec<String> = flavours.iter().map(|flavour| format!("{flavour:?} | ")).collect();
    println!("| | {}goal |", heads.concat());
    println!("|---|{}", "---|".repeat(flavours.len() + 1));
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word));
    if is_wanted("idle") {
        let cells = flavours.iter().map(|flavour| format!("{:.1} MB | ", idle_mb(*flavour)));
        println!("| a server that has answered PING | {}4 MB |", cells.collect::<String>());
    }
    for row in ROWS.iter().filter(|row| is_wanted(row.name)) {
        let cell = |flavour: &Flavour| match measure_row(*flavour, row, items) {
            Ok(bytes) => format!("{bytes:.1} | "),
            Err(why) => {
                say(format!("{}: {why}", row.name));
                "– | ".to_owned()
            }
        };
        let cells: String = flavours.iter().map(cell).collect();
        println!("| {} | {cells}{} |", row.name, row.goal);
    }
}

fn arguments() -> (Vec<Flavour>, usize, Vec<String>) {
    let (mut flavours, mut items, mut wanted) = (Vec::new(), ITEMS, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // Cargo passes it to every bench.
            "--bench" => {}
            "--items" => items = args.next().and_then(|n| n.parse().ok()).expect("a number"),
            "holdfast" => flavours.push(Flavour::Holdfast),
            "valkey" => flavours.push(Flavour::OptimisedValkey),
            _ => wanted.push(arg),
        }
    }
    if flavours.is_empty() {
        flavours = vec![Flavour::Holdfast, Flavour::OptimisedValkey];
    }
    (flavours, items, wanted)
}

fn idle_mb(flavour: Flavour) -> f64 {
    let server = Server::start_flavour(flavour, &[]);
    resident_bytes(server.pid()) as f64 / 1e6
}

fn measure_row(flavour: Flavour, row: &Row, items: usize) -> Result<f64, String> {
    let items = items / row.share;
    say(format!("{}, {flavour:?}", row.name));
    let whole = bytes_per_item(flavour, row.add, items)?;
    let rest = row.without.map(|add| bytes_per_item(flavour, add, items)).transpose()?;
    Ok(whole - rest.unwrap_or(0.0))
}

fn bytes_per_item(
    flavour: Flavour,
    add: fn(&str, usize) -> Vec<String>,
    items: usize,
) -> Result<f64, String> {
    let server = Server::start_flavour(flavour, &[]);
    let mut client = server.client();
    client.pipeline(0..WARM_ITEMS, |n| add("w", n))?;
    let before = settled_bytes(&server, &mut client);
    client.pipeline(0..items, |n| add("k", n))?;
    let after = settled_bytes(&server, &mut client);
    Ok((after as f64 - before as f64) / items as f64)
}

fn settled_bytes(server: &Server, client: &mut Client) -> u64 {
    thread::sleep(SETTLE);
    // Whoever has no such command has nothing to give back.
    let _ = client.command(&["MEMORY", "PURGE"]);
    resident_bytes(server.pid())
}
