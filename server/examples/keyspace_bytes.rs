//! What a key costs: bytes of resident memory and nanoseconds of CPU time, by kind and number of
//! keys.
//!
//!     cargo run --release -p holdfast-server --example keyspace_bytes [ROW… | expiry | pauses]
//!
//! Each row is measured in a process of its own, so that none inherits memory from another.

use std::{hint::black_box, process::Command, time::Duration};

use holdfast_server::keyspace::{Db, Due, Entry, EntryMut, Hasher, Ttl};

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

/// Some moment of the server's timeline.
const NOW_MS: i64 = 1_800_000_000_000;

const HEADINGS: [&str; 10] =
    ["row", "RSS/key", "after 2 s", "used/key", "fill", "get", "get16", "set", "del+set", "expire"];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = wanted.as_slice()
        && flag == "--measure"
    {
        let row = ROWS.iter().find(|row| row.name == name).expect("a row's name");
        return measure(row);
    }
    if wanted == ["expiry"] {
        return [3_600_000, 60_000, 10_000].into_iter().for_each(measure_expiry);
    }
    if wanted == ["pauses"] {
        return [None, Some(3_600_000)].into_iter().for_each(measure_pauses);
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
        Some(ms) => Ttl::At(NOW_MS + 1 + (draw() % ms as u64) as i64),
    };

    db.expire_due(NOW_MS, 1, |_| {});
    let before = resident_bytes();
    let start = cpu_time();
    for number in 0..row.keys {
        let ttl = ttl(&mut draw);
        db.set_string(&name(number), row.value, ttl);
    }
    let fill = ns_each(start, row.keys);
    let resident = resident_bytes() - before;
    // The allocator gives unused pages back within about a second.
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
        let mut lookups = [None; 16];
        for (lookup, key) in lookups.iter_mut().zip(batch) {
            let key = db.key(key);
            *lookup = Some((key, db.prefetch(key)));
        }
        for (_, fetching) in lookups.iter().flatten() {
            db.prefetch_entry(*fetching);
        }
        for (key, _) in lookups.iter().flatten() {
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
        "{}\t{resident:.1}\t{settled:.1}\t{used:.1}\t{fill}\t{get}\t{get16}\t{set}\t{del_set}\t{expire}",
        row.name
    );
}

/// Lets the hour pass in steps of 20 ms; mean nanoseconds per key, with all looks included.
fn expire_all(db: &mut Db) -> String {
    let keys = db.volatile_len() as u64;
    let start = cpu_time();
    let mut now_ms = NOW_MS;
    while db.volatile_len() > 0 {
        now_ms += 20;
        while db.expire_due(now_ms, 2_000, |_| {}).more {}
    }
    ns_each(start, keys)
}

/// How late a million keys go that come due evenly over a span, when every 20 ms slices of about
/// 250 us run until nothing is due or a quarter of the time is spent.
fn measure_expiry(span_ms: u64) {
    const KEYS: u64 = 1_000_000;
    const TICK: Duration = Duration::from_millis(20);
    let mut db = Db::new(Hasher::new(b"0123456789abcdef"));
    let mut chance = 7u64;
    db.expire_due(NOW_MS, 1, |_| {});
    for number in 0..KEYS {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = NOW_MS + ((chance >> 33) % span_ms) as i64;
        db.set_string(format!("key:{number:011}").as_bytes(), b"abcdefgh", Ttl::At(at));
    }
    let mut lags = Vec::with_capacity(KEYS as usize);
    let (mut longest, mut spent) = (Duration::ZERO, Duration::ZERO);
    let mut tick = Duration::ZERO;
    while db.volatile_len() > 0 {
        tick += TICK;
        let start = cpu_time();
        loop {
            let slice_start = cpu_time();
            let now = NOW_MS + (tick + (slice_start - start)).as_millis() as i64;
            let slice = db.expire_due(now, 1_000, |due| {
                let Due::Key(entry) = due else { return };
                lags.push(now - entry.expire_at().expect("due"));
            });
            longest = longest.max(cpu_time() - slice_start);
            if !slice.more || cpu_time() - start > TICK / 4 {
                break;
            }
        }
        spent += cpu_time() - start;
    }
    lags.sort_unstable();
    println!(
        "1 M keys due over {} s: lag p50 {} ms, p99 {} ms, max {} ms; {:.0} ns of CPU per key; \
         longest slice {:.0} us",
        span_ms / 1000,
        lags[lags.len() / 2],
        lags[lags.len() * 99 / 100],
        lags[lags.len() - 1],
        spent.as_nanos() as f64 / KEYS as f64,
        longest.as_nanos() as f64 / 1000.0,
    );
}

/// The dearest insertions while ten million keys come in. The same history is run several times
/// and each of its steps counts with its least time, since what a busy machine adds strikes at
/// random, and growth always at the same step.
fn measure_pauses(ttl_ms: Option<i64>) {
    const KEYS: usize = 10_000_000;
    const STEP: usize = 16;
    const RUNS: usize = 5;
    let mut least = vec![Duration::MAX; KEYS / STEP];
    for _ in 0..RUNS {
        let mut db = Db::new(Hasher::new(b"0123456789abcdef"));
        db.expire_due(NOW_MS, 1, |_| {});
        let mut last = cpu_time();
        for (step, least) in least.iter_mut().enumerate() {
            for number in step * STEP..(step + 1) * STEP {
                let ttl = match ttl_ms {
                    None => Ttl::Clear,
                    Some(ms) => Ttl::At(NOW_MS + number as i64 * 7_919 % ms),
                };
                db.set_string(format!("key:{number:011}").as_bytes(), b"abcdefgh", ttl);
            }
            let now = cpu_time();
            *least = (*least).min(now - last);
            last = now;
        }
    }
    least.sort_unstable();
    let us = |index: usize| least[index].as_nanos() as f64 / 1000.0;
    println!(
        "10 M keys{}, {STEP} at a time: p50 {:.0} us, p99.9 {:.0} us, then {:.0}, {:.0}, {:.0} us",
        if ttl_ms.is_some() { " with expiry" } else { "" },
        us(least.len() / 2),
        us(least.len() * 999 / 1000),
        us(least.len() - 3),
        us(least.len() - 2),
        us(least.len() - 1),
    );
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
