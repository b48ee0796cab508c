//! BGSAVE while everything is being changed: Valkey finds in the file what was there when it began.

use std::path::Path;
use std::thread;
use std::time::Duration;

use holdfast_tests::binaries::Flavour;
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::wait;
use tempfile::TempDir;

const FILE: &str = "dump.rdb";
const KEYS: usize = 20_000;
/// Elements of each big collection, and how many one command adds.
const ELEMENTS: usize = 40_000;
const AT_ONCE: usize = 100;
const LIMIT: Duration = Duration::from_secs(120);

fn start(flavour: Flavour, volume: &Path) -> Server {
    let dir = volume.display().to_string();
    let own = ["--dir", &dir, "--dbfilename", FILE, "--save", "", "--enable-debug-command", "yes"];
    Server::start_flavour(flavour, &own)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn pipeline(client: &mut Client, count: usize, command: impl Fn(usize) -> Vec<String>) {
    client.pipeline(0..count, command).unwrap_or_else(|why| panic!("{why}"));
}

/// Keys of every type, one big value of each among them.
fn fill(client: &mut Client) {
    pipeline(client, KEYS, |n| words(&format!("SET key:{n} value:{n}")));
    pipeline(client, KEYS / 4, |n| words(&format!("PEXPIRE key:{} 3600000", n * 4)));
    pipeline(client, ELEMENTS / AT_ONCE * 4, |nth| {
        let first = nth / 4 * AT_ONCE;
        let numbers = first..first + AT_ONCE;
        let each = |element: &dyn Fn(usize) -> String| numbers.clone().map(element).collect();
        let (name, elements): (&str, Vec<String>) = match nth % 4 {
            0 => ("HSET hash", each(&|n| format!("field:{n} value:{n}"))),
            1 => ("SADD set", each(&|n| format!("member:{n}"))),
            2 => ("ZADD sorted", each(&|n| format!("{} member:{n}", n * 7 % 1000))),
            _ => ("RPUSH list", each(&|n| format!("element:{n}"))),
        };
        words(&format!("{name} {}", elements.join(" ")))
    });
    pipeline(client, ELEMENTS / 4, |n| words(&format!("XADD stream * field {n}")));
    client.run("XGROUP CREATE stream group 0");
    client.run("XREADGROUP GROUP group consumer COUNT 10 STREAMS stream >");
    client.run("SETRANGE string 3000000 end");
    client.run("COPY hash hash DB 3");
}

/// The `nth` of changes that leave nothing as it was. Some renames fail, and may.
fn change(nth: usize) -> Vec<String> {
    let n = nth.wrapping_mul(2_654_435_761) % ELEMENTS;
    words(&match nth % 14 {
        0 => format!("SET key:{} new", n % (2 * KEYS)),
        1 => format!("DEL key:{}", n % KEYS),
        2 => format!("HSET hash field:{n} new"),
        3 => format!("HDEL hash field:{n}"),
        4 => format!("SREM set member:{n}"),
        5 => format!("SADD set new:{n}"),
        6 => format!("ZADD sorted {n} member:{n}"),
        7 => format!("ZREM sorted member:{n}"),
        8 => "RPOP list".into(),
        9 => "LPUSH list new".into(),
        10 => "LTRIM list 3 -4".into(),
        11 => format!("XADD stream MAXLEN {} * field new", ELEMENTS / 5),
        12 => "XREADGROUP GROUP group consumer COUNT 1 STREAMS stream >".into(),
        _ => match n % 50 {
            0 => "RENAME hash other".into(),
            1 => "RENAMENX other hash".into(),
            2 => "SWAPDB 3 4".into(),
            3 => "SETRANGE string 7 new".into(),
            4 => "COPY sorted sorted2 REPLACE".into(),
            _ => format!("PERSIST key:{}", n % KEYS),
        },
    })
}

fn is_saving(client: &mut Client) -> bool {
    let info = client.run("INFO persistence");
    let text = String::from_utf8_lossy(info.bytes().unwrap_or_default()).into_owned();
    text.contains("rdb_bgsave_in_progress:1")
}

#[test]
fn a_file_saved_under_load_holds_what_was_there_when_it_began() {
    let volume = TempDir::with_prefix("holdfast-snapshot-").expect("a directory");
    let written = {
        let server = start(Flavour::Holdfast, volume.path());
        let mut client = server.client();
        fill(&mut client);
        let digest = client.run("DEBUG DIGEST");
        // Holds the walk back until something has changed.
        client.run("CONFIG SET rdb-key-save-delay 1000000");
        client.run("BGSAVE");
        let mut writer = server.client();
        let mut change = move |nth| _ = writer.command(&change(nth));
        (0..20).for_each(&mut change);
        client.run("CONFIG SET rdb-key-save-delay 0");
        let changes = thread::spawn(move || (20..30_000).for_each(change));
        let saved = wait::until(LIMIT, || (!is_saving(&mut client)).then_some(()));
        assert_eq!(saved, Some(()), "{}", server.log_tail());
        changes.join().expect("the server answers");
        assert_ne!(client.run("DEBUG DIGEST"), digest);
        digest
    };
    let valkey = start(Flavour::Valkey, volume.path());
    let mut client = valkey.client();
    let Value::Status(_) = written else { panic!("{written:?}") };
    assert_eq!(client.run("DEBUG DIGEST"), written);
}
