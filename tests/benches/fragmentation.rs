//! RSS of a full cache whose values change their sizes, side by side with Valkey.
//!
//! `cargo bench -p holdfast-tests --bench fragmentation [-- --scale N] [-- holdfast | valkey]`
//! (`--scale` divides how much is written). `maxmemory` is 100 MiB with `allkeys-lru`. Values of one
//! size fill it, then those of another push them out, again and again: what one size leaves behind
//! has to serve the next. For each size: the highest RSS while it is written, and RSS once settled.
//! `HOLDFAST_BIN_DIR` names another build of ours; it must be one with the allocator that ships.

use std::thread;
use std::time::Duration;

use holdfast_tests::bench_args::BenchArgs;
use holdfast_tests::binaries::Flavour;
use holdfast_tests::client::Client;
use holdfast_tests::process::resident_bytes;
use holdfast_tests::progress::say;
use holdfast_tests::server::Server;

const MAXMEMORY: &str = "100mb";
/// Promised: `maxmemory` × 1.05 + 8 MiB.
const GOAL_MIB: f64 = 100.0 * 1.05 + 8.0;

/// Sizes of values in bytes, in the order of writing; each value is up to a quarter longer.
const SIZES: [usize; 10] = [40, 200, 60, 400, 24, 1000, 100, 5000, 50, 300];

/// How much of each size is written, a key's own cost included.
const WRITTEN_BYTES: usize = 150_000_000;
const KEY_BYTES: usize = 60;

/// RSS is looked at after so much more.
const LOOK_EVERY_BYTES: usize = 2_000_000;

/// Free memory goes back in the background.
const SETTLE: Duration = Duration::from_secs(2);

fn main() {
    let args = BenchArgs::read();
    let scale = args.scale;
    let flavours = args.flavours();
    println!(
        "RSS in MiB with maxmemory {MAXMEMORY}: highest, settled (goal for both {GOAL_MIB})\n"
    );
    let rows: Vec<Vec<Rss>> = flavours.iter().map(|flavour| measure(*flavour, scale)).collect();
    println!("| values of | {} |", cells(flavours.iter().map(|flavour| format!("{flavour:?}"))));
    println!("|---|{}", "---|".repeat(flavours.len()));
    for (nth, size) in SIZES.iter().enumerate() {
        println!("| {size} bytes | {} |", cells(rows.iter().map(|row| row[nth].shown())));
    }
    let worst = |row: &Vec<Rss>| row.iter().copied().fold(Rss::default(), Rss::worse).shown();
    println!("| the worst of all | {} |", cells(rows.iter().map(worst)));
}

fn cells(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(" | ")
}

/// MiB while one size was written.
#[derive(Debug, Clone, Copy, Default)]
struct Rss {
    highest: f64,
    settled: f64,
}

impl Rss {
    fn worse(self, other: Rss) -> Rss {
        let highest = self.highest.max(other.highest);
        Rss { highest, settled: self.settled.max(other.settled) }
    }

    fn shown(self) -> String {
        format!("{:.1}, {:.1}", self.highest, self.settled)
    }
}

fn measure(flavour: Flavour, scale: usize) -> Vec<Rss> {
    let cache = ["--maxmemory", MAXMEMORY, "--maxmemory-policy", "allkeys-lru"];
    let server = Server::start_flavour(flavour, &cache);
    let mut client = server.client();
    let mut next_key = 0;
    let fill = |size: &usize| {
        say(format!("{flavour:?}: values of {size} bytes"));
        fill(&server, &mut client, &mut next_key, *size, WRITTEN_BYTES / scale)
    };
    SIZES.iter().map(fill).collect()
}

fn fill(server: &Server, client: &mut Client, next: &mut usize, size: usize, bytes: usize) -> Rss {
    let at_once = LOOK_EVERY_BYTES / (size + KEY_BYTES);
    let end = *next + bytes / (size + KEY_BYTES);
    let mut highest = 0.0_f64;
    while *next < end {
        let batch = *next..end.min(*next + at_once);
        *next = batch.end;
        let set =
            |nth| ["SET".to_owned(), format!("key:{nth}"), "x".repeat(len(nth, size))].to_vec();
        client.pipeline(batch, set).unwrap_or_else(|why| panic!("{why}"));
        highest = highest.max(resident_mib(server));
    }
    thread::sleep(SETTLE);
    Rss { highest, settled: resident_mib(server) }
}

/// Up to a quarter more than `size`, in no order.
fn len(nth: usize, size: usize) -> usize {
    size + nth.wrapping_mul(0x9e37_79b9) % (size / 4 + 1)
}

fn resident_mib(server: &Server) -> f64 {
    resident_bytes(server.pid()) as f64 / 1048576.0
}
