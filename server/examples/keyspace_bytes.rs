//! What a key costs: bytes of resident memory and nanoseconds of CPU time, by kind and number of
//! keys. `max us` is the dearest run of 16 insertions.
//!
//!     cargo run --release -p holdfast-server --example keyspace_bytes [ROW…]
//!
//! Each row is measured in a process of its own, so that none inherits memory from another.

use std::{hint::black_box, process::Command, time::Duration};

use holdfast_server::keyspace::{Db, Entry, EntryMut, Hasher, Ttl};

struct Row {
    name: &'static str,
    keys: u64,
    key_len: usize,
    value: &'static [u8],
    ttl_ms: Option<i64>,
}

const TEXT: &[u8; 64] = &[b'v'; 64];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "15+8 100k", keys: 100_000, key_len: 15, value: TEXT.split_at(8).0, ttl_ms: None },
    Row { name: "15+8", keys: 1_000_000, key_len: 15, value: TEXT.split_at(8).0, ttl_ms: None },
    Row { name: "15+8 ttl", keys: 1_000_000, key_len: 15, value: TEXT.split_at(8).0, ttl_ms: Some(3_600_000) },
    Row { name: "15+int", keys: 1_000_000, key_len: 15, value: b"12345678", ttl_ms: None },
    Row { name: "16+64", keys: 1_000_000, key_len: 16, value: TEXT, ttl_ms: None },
    Row { name: "15+8 700k", keys: 700_000, key_len: 15, value: TEXT.split_at(8).0, ttl_ms: None },
    Row { name: "15+8 1400k", keys: 1_400_000, key_len: 15, value: TEXT.split_at(8).0, ttl_ms: None },
    Row { name: "15+8 10M", keys: 10_000_000, key_len: 15, value: TEXT.split_at(8).0, ttl_ms: None },
];

const HEADINGS: [&str; 11] = [
    "row",
    "RSS/key",
    "after 2 s",
    "used/key",
    "fill",
    "max us",
    "get",
    "get16",
    "set",
    "del+set",
    "expire",
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = wanted.as_slice()
        && flag == "--measure"
    {
        let row = ROWS.iter().find(|row| row.name == name).expect("a row's name");
        return measure(row);
    }
    let line = |cells: &[&str]| {
        let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:>10}")).collect();
        println!("{}", cells.join(" "));
    };
    line(&HEADINGS);
    let this = std::env::current_exe().expect("this program has a path");
    for row in ROWS.iter().filter(|row| wanted.is_empty() || wanted.iter().any(|w| w == row.name)) {
        let output = Command::new(&this).args(["--measure", row.name]).output().expect("runs");
        let text = String::from_utf8(output.stdout).expect("prints text");
        line(&text.trim_end().split('\t').collect::<Vec<_>>());
    }
}

fn measure(row: &Row) {
    let mut db = Db::new(Hasher::new(b"0123456789abcdef"));
    let mut chance = 88_172_645_463_325_252u64;
    let mut draw = move || {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance
    };
    let prefix = b"key:";
    let mut key = vec![b'0'; row.key_len];
    key[..prefix.len()].copy_from_slice(prefix);
    let mut name = move |mut number: u64| {
        for digit in key[prefix.len()..].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        key.clone()
    };
    let ttl = |draw: &mut dyn FnMut() -> u64| match row.ttl_ms {
        None => Ttl::Clear,
        Some(ms) => Ttl::At(1_800_000_000_000 + 1 + (draw() % ms as u64) as i64),
    };

    let before = resident_bytes();
    let mut longest = Duration::ZERO;
    let start = cpu_time();
    let mut last = start;
    for number in 0..row.keys {
        let ttl = ttl(&mut draw);
        db.set_string(&name(number), row.value, ttl);
        if number % 16 == 15 {
            let now = cpu_time();
            longest = longest.max(now - last);
            last = now;
        }
    }
    let fill = ns_each(start, row.keys);
    let resident = resident_bytes() - before;
    std::thread::sleep(Duration::from_secs(2));
    let settled = resident_bytes() - before;
    let per_key = |bytes: usize| bytes as f64 / row.keys as f64;
    let (resident, settled) = (per_key(resident), per_key(settled));
    let used = db.used_bytes() as f64 / row.keys as f64;

    // Keys are made beforehand, so that only the keyspace is timed.
    const SAMPLE: usize = 500_000;
    let sample: Vec<_> = (0..SAMPLE).map(|_| name(draw() % row.keys)).collect();
    let size = |entry: Entry<'_>| entry.value().as_str().map_or(0, |string| string.len());

    let start = cpu_time();
    for key in &sample {
        black_box(db.find(key).map(size));
    }
    let get = ns_each(start, SAMPLE as u64);

    let start = cpu_time();
    for batch in sample.chunks(16) {
        let mut keys = [db.key(b""); 16];
        for (hashed, key) in keys.iter_mut().zip(batch) {
            *hashed = db.key(key);
            db.prefetch(*hashed);
        }
        for key in &keys[..batch.len()] {
            db.prefetch_entry(*key);
        }
        for key in &keys[..batch.len()] {
            black_box(db.find(*key).map(size));
        }
    }
    let get16 = ns_each(start, SAMPLE as u64);

    let start = cpu_time();
    for key in &sample {
        match row.name {
            "15+int" => {
                let mut string = db.find_mut(key).and_then(EntryMut::into_str).expect("set");
                let int = string.view().as_int().expect("an integer");
                string.set_int(int + 1);
            }
            _ => {
                db.set_string(key, row.value, Ttl::Keep);
            }
        }
    }
    let set = ns_each(start, SAMPLE as u64);

    let start = cpu_time();
    for key in &sample {
        let hashed = db.key(key);
        drop(db.remove(hashed));
        db.set_string(hashed, row.value, Ttl::Clear);
    }
    let del_set = ns_each(start, SAMPLE as u64);

    let expire = row.ttl_ms.map_or(String::from("-"), |_| expire_all(&mut db));
    println!(
        "{}\t{resident:.1}\t{settled:.1}\t{used:.1}\t{fill}\t{:.0}\t{get}\t{get16}\t{set}\t{del_set}\t{expire}",
        row.name,
        longest.as_nanos() as f64 / 1000.0,
    );
}

/// Lets the hour pass in steps of 20 ms; mean nanoseconds per key, with all looks included.
fn expire_all(db: &mut Db) -> String {
    let keys = db.volatile_len() as u64;
    let start = cpu_time();
    let mut now_ms = 1_800_000_000_000;
    while db.volatile_len() > 0 {
        now_ms += 20;
        while db.expire_due(now_ms, 2_000, |_| {}).more {}
    }
    ns_each(start, keys)
}

fn ns_each(start: Duration, count: u64) -> String {
    format!("{:.0}", (cpu_time() - start).as_nanos() as f64 / count as f64)
}

/// Of this process: other work on the machine counts only by what it takes from the caches.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs is mounted");
    let pages: usize = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    pages * rustix::param::page_size()
}
