//! What goes into the log, beside Valkey's: both servers do the same, and each line of one log is
//! compared with the other's. And each can go on with the other's log.

use std::fs;
use std::path::{Path, PathBuf};

use holdfast_tests::binaries::Flavour::{self, Holdfast, Redis8, Valkey};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::wait;

const SETTINGS: &[&str] = &[
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--enable-debug-command",
    "yes",
    "--stream-node-max-entries",
    "2",
];

/// Logged the same by both. What comes to nothing is logged by neither.
const SAME: &[&str] = &[
    // Strings
    "SET a 1",
    "SET a 1 EX 100",
    "SET a 1 PX 100000",
    "SET a 1 EXAT 33177117420",
    "SET a 1 PXAT 33177117420000",
    "SET a 1 KEEPTTL",
    "SET a 2 GET",
    "SET a 2 GET EX 100",
    "SET a 2 NX",
    "SET a 2 PXAT 1",
    "SET a 2 PXAT 1",
    "SETEX a 100 1",
    "PSETEX a 100000 1",
    "SETNX a 1",
    "SETNX b 1",
    "GETSET b 2",
    "GETEX b EX 100",
    "GETEX b",
    "GETEX b PERSIST",
    "GETEX b PERSIST",
    "GETEX b EXAT 1",
    "GETDEL a",
    "GETDEL a",
    "APPEND a 10",
    "INCR a",
    "DECRBY a 3",
    "INCRBYFLOAT a 0.5",
    "SETRANGE a 5 x",
    "SETRANGE a 0 ''",
    "MSET a 1 b 2",
    "MSETNX a 1 c 2",
    "MSETNX c 1 d 2",
    "DELIFEQ a 1",
    "DELIFEQ a 1",
    "SETBIT bits 5 1",
    "SETBIT bits 5 1",
    "BITFIELD bits SET u8 0 7 GET u8 0",
    "BITFIELD bits GET u8 0",
    "BITOP NOT bits2 bits",
    "PFADD p a b c",
    "PFADD p a b c",
    "PFCOUNT p",
    "PFCOUNT p",
    "PFMERGE q p",
    // Keys
    "EXPIRE b 100",
    "EXPIRE b 50 GT",
    "PEXPIRE b 100000",
    "EXPIREAT b 33177117420",
    "PEXPIREAT b 33177117420000",
    "PERSIST b",
    "PERSIST b",
    "EXPIRE b -1",
    "EXPIRE b 10",
    "SET a 1",
    "RENAME a b",
    "RENAMENX b c",
    "RENAMENX b e",
    "COPY e f",
    "COPY e f",
    "COPY e f DB 3 REPLACE",
    "MOVE e 4",
    "DEL f nothing",
    "UNLINK nothing",
    "SWAPDB 3 4",
    "TOUCH c",
    // Lists
    "RPUSH l a b c d e f",
    "LPUSHX l x",
    "LPUSHX nothing x",
    "LINSERT l BEFORE b y",
    "LSET l 0 z",
    "LREM l 0 z",
    "LTRIM l 0 -1",
    "LTRIM l 1 -1",
    "LPOP l",
    "RPOP l 2",
    "LPOP l 0",
    "LMOVE l m LEFT RIGHT",
    "RPOPLPUSH l m",
    "BLMOVE m l LEFT RIGHT 0",
    "BRPOPLPUSH m l 0",
    "BLPOP nothing l 0",
    "BRPOP l 0.1",
    "RPUSH l a b c d e f",
    "LMPOP 2 nothing l LEFT COUNT 2",
    "BLMPOP 0 1 l RIGHT COUNT 20",
    "BLPOP l 0.01",
    "RPUSH l 3 1 2",
    "SORT l STORE m",
    "SORT nothing STORE m",
    // Sets
    "SADD s a b c d 1",
    "SADD s a",
    "SREM s a x",
    "SMOVE s t b",
    "SMOVE s t b",
    "SUNIONSTORE u s t",
    "SINTERSTORE u s t",
    "SDIFFSTORE u s t",
    "SPOP s 10",
    "SPOP s 10",
    // Sorted sets
    "ZADD z 1 a 2 b 3 c 4 d 5 e",
    "ZADD z NX 9 a",
    "ZADD z XX GT CH 9 a",
    "ZADD z INCR 1 a",
    "ZINCRBY z 1 a",
    "ZREM z a x",
    "ZPOPMIN z",
    "ZPOPMAX z 1",
    "ZADD z 1 a 2 b 3 c 4 d 5 e",
    "ZMPOP 2 nothing z MIN COUNT 2",
    "BZMPOP 0 1 z MAX",
    "ZRANGESTORE y z 0 -1",
    "ZUNIONSTORE y 2 z y WEIGHTS 2 3",
    "ZINTERSTORE y 2 z nothing",
    "ZREMRANGEBYSCORE z -inf 0",
    "ZREMRANGEBYRANK z 0 0",
    "GEOSEARCHSTORE geo2 geo FROMLONLAT 15 37 BYRADIUS 200 km",
    // Hashes
    "HSET h a 1 b 2 c 3 d 4",
    "HMSET h a 1",
    "HSETNX h a 1",
    "HSETNX h e 1",
    "HINCRBY h a 5",
    "HINCRBYFLOAT h a 0.5",
    "HDEL h a x",
    "HEXPIRE h 100 FIELDS 1 b",
    "HPEXPIRE h 100000 FIELDS 1 c",
    "HPEXPIREAT h 33177117420000 FIELDS 1 c",
    "HGETEX h EX 100 FIELDS 2 b x",
    "HPERSIST h FIELDS 1 b",
    "HPERSIST h FIELDS 1 b",
    "HGETEX h PERSIST FIELDS 1 c",
    "HSETEX h EX 100 FIELDS 1 c 1",
    "HSETEX h KEEPTTL FIELDS 1 c 1",
    "HINCRBY h c 5",
    "HINCRBYFLOAT h c 0.5",
    "HEXPIRE h 0 FIELDS 1 c",
    "HSETEX h PXAT 1 FIELDS 1 d 1",
    "HGETEX h PXAT 1 FIELDS 1 b",
    // Streams
    "XADD x * a b",
    "XADD x 33177117420000-1 a b",
    "XADD x 33177117420000-* a b",
    "XADD nothing NOMKSTREAM * a b",
    "XADD x 33177117420001-1 a b",
    "XTRIM x MAXLEN 1",
    "XTRIM x MAXLEN 1",
    "XDEL x 33177117420001-1",
    "XSETID x 33177117420009-1",
    "XGROUP CREATE x g $",
    "XGROUP CREATE x g2 0 ENTRIESREAD 1",
    "XGROUP SETID x g 0",
    "XGROUP CREATECONSUMER x g me",
    "XGROUP CREATECONSUMER x g me",
    "XREADGROUP GROUP g me STREAMS x >",
    "XGROUP DELCONSUMER x g me",
    "XGROUP DESTROY x g2",
    // Transactions and databases
    "SELECT 2",
    "SET a 1",
    "MULTI",
    "SET a 2",
    "SELECT 1",
    "SET a 3",
    "GET a",
    "EXEC",
    "MULTI",
    "GET a",
    "EXEC",
    "MULTI",
    "INCR a",
    "EXEC",
    "MULTI",
    "SET a 4",
    "DISCARD",
    "FLUSHDB",
    "FLUSHDB ASYNC",
    "SELECT 0",
    "FLUSHALL",
    "FLUSHALL SYNC",
];

/// What is logged otherwise here, with how. Conditions that held are left out; SET, HDEL and their like
/// stand for commands that older servers do not know; what Valkey logs entry by entry is logged at once.
const OTHERWISE: &[(&str, &[&str])] = &[
    ("SET a 1", &["select 0", "set a 1"]),
    ("SET a 2 XX", &["set a 2"]),
    ("SET a 3 IFEQ 2 GET", &["set a 3"]),
    ("MSETEX 2 a 1 b 2 EX 100", &["multi", "set a 1 pxat <ms>", "set b 2 pxat <ms>", "exec"]),
    ("HSET h a 1 b 2 c 3", &["hset h a 1 b 2 c 3"]),
    ("HSETEX h FXX FIELDS 1 a 5", &["hset h a 5"]),
    ("HGETDEL h FIELDS 2 a x", &["hdel h a"]),
    ("HEXPIRE h 100 FIELDS 2 b x", &["hpexpireat h <ms> fields 1 b"]),
    ("HPEXPIRE h 100000 NX FIELDS 1 c", &["hpexpireat h <ms> fields 1 c"]),
    ("GEOADD geo 13.361389 38.115556 Palermo", &["geoadd geo 13.361389 38.115556 palermo"]),
    ("SADD s a", &["sadd s a"]),
    ("SPOP s", &["del s"]),
    ("XADD x 1-1 a b", &["xadd x 1-1 a b"]),
    ("XADD x 2-1 a b", &["xadd x 2-1 a b"]),
    ("XADD x MAXLEN ~ 9 3-1 a b", &["xadd x 3-1 a b"]),
    ("XADD x MAXLEN ~ 2 4-1 a b", &["xadd x maxlen = 2 4-1 a b"]),
    ("XADD x 5-1 a b", &["xadd x 5-1 a b"]),
    ("XADD x 6-1 a b", &["xadd x 6-1 a b"]),
    ("XTRIM x MINID ~ 5", &["xtrim x maxlen = 2"]),
    ("XADD x MAXLEN 2 7-1 a b", &["xadd x maxlen = 2 7-1 a b"]),
    ("XGROUP CREATE x g 0", &["xgroup create x g 0"]),
    (
        "XREADGROUP GROUP g me STREAMS x >",
        &[
            "multi",
            "xgroup createconsumer x g me",
            "xclaim x g me 0 6-1 7-1 time <ms> retrycount 1 force justid",
            "xgroup setid x g 7-1 entriesread 7",
            "exec",
        ],
    ),
    (
        "XREADGROUP GROUP g me STREAMS x 0",
        &["xclaim x g me 0 6-1 7-1 time <ms> retrycount 2 force justid"],
    ),
    (
        "XCLAIM x g me 0 7-1 RETRYCOUNT 9",
        &["xclaim x g me 0 7-1 time <ms> retrycount 9 force justid"],
    ),
    ("XDEL x 6-1", &["xdel x 6-1"]),
    (
        "XAUTOCLAIM x g me 0 0 JUSTID",
        &[
            "multi",
            "xclaim x g me 0 7-1 time <ms> retrycount 9 force justid",
            "xack x g 6-1",
            "exec",
        ],
    ),
    ("DEBUG POPULATE 2 k", &["debug populate 2 k"]),
];

/// A server and how much of its log was seen.
struct Logged {
    server: Server,
    client: Client,
    seen: usize,
}

impl Logged {
    fn start(flavour: Flavour) -> Self {
        let server = Server::start_flavour(flavour, SETTINGS);
        let client = server.client();
        Self { server, client, seen: 0 }
    }

    /// Executes a line; what was logged of it.
    fn run(&mut self, line: &str) -> (Value, Vec<String>) {
        let reply = self.client.run(line);
        let all = commands(&log_of(&self.server));
        let new = all[self.seen..].to_vec();
        self.seen = all.len();
        (reply, new)
    }
}

fn log_directory(server: &Server) -> PathBuf {
    server.directory().join("appendonlydir")
}

/// The increments, one behind the other.
fn log_of(server: &Server) -> Vec<u8> {
    let files = fs::read_dir(log_directory(server)).expect("a log");
    let paths = files.map(|file| file.expect("readable").path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).collect();
    paths.sort();
    paths.iter().flat_map(|path| fs::read(path).expect("readable")).collect()
}

/// A log's commands as comparable lines: times are all alike, and so are the two ways to remove a key.
fn commands(mut log: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !log.is_empty() {
        let header = line(&mut log);
        if header.starts_with('#') {
            continue;
        }
        let count: usize = header.trim_start_matches('*').parse().expect("a count");
        let words: Vec<String> = (0..count).map(|_| normalized(&word(&mut log))).collect();
        lines.push(words.join(" ").replacen("unlink ", "del ", 1));
    }
    lines
}

fn line(log: &mut &[u8]) -> String {
    let end = log.windows(2).position(|pair| pair == b"\r\n").expect("a line");
    let line = String::from_utf8_lossy(&log[..end]).into_owned();
    *log = &log[end + 2..];
    line
}

fn word(log: &mut &[u8]) -> String {
    let len: usize = line(log).trim_start_matches('$').parse().expect("a length");
    let word = String::from_utf8_lossy(&log[..len]).into_owned();
    *log = &log[len + 2..];
    word
}

/// Lower case; a time of about now is `<ms>`, also in an entry's id.
fn normalized(word: &str) -> String {
    let is_time = |text: &str| {
        text.parse::<u64>().is_ok_and(|ms| (1_600_000_000_000..20_000_000_000_000).contains(&ms))
    };
    match word.split_once('-') {
        Some((ms, seq)) if is_time(ms) => format!("<ms>-{seq}"),
        None if is_time(word) => "<ms>".into(),
        _ => word.to_lowercase(),
    }
}

#[test]
fn lines_are_logged_as_by_valkey() {
    let (mut ours, mut theirs) = (Logged::start(Holdfast), Logged::start(Valkey));
    let mut differ = Vec::new();
    for line in SAME {
        let (ours, theirs) = (ours.run(line).1, theirs.run(line).1);
        if ours != theirs {
            differ.push(format!("{line}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn what_is_logged_otherwise_is_listed() {
    let (mut ours, mut theirs) = (Logged::start(Holdfast), Logged::start(Valkey));
    for (line, expected) in OTHERWISE {
        let (reply, logged) = ours.run(line);
        assert!(!matches!(reply, Value::Error(_)), "{line}: {reply:?}");
        assert_eq!(logged, *expected, "{line}");
        theirs.run(line);
    }
}

/// What is logged of keys and fields whose time is over, in any order.
fn logged_of_expiry(flavour: Flavour) -> Vec<String> {
    const GOES: [&str; 4] =
        ["SET a 1 PX 5", "SADD s 1", "PEXPIRE s 5", "HSETEX h PX 5 FIELDS 2 f 1 g 1"];
    let mut logged = Logged::start(flavour);
    let mut run = |line: &str| logged.client.run(line);
    run("HSET h stays 1");
    GOES.iter().for_each(|line| _ = run(line));
    wait::expect("all is gone", || {
        run("HLEN h") == Value::Integer(1) && run("DBSIZE") == Value::Integer(1)
    });
    run("DEBUG SET-ACTIVE-EXPIRE 0");
    run("SET lazily 1 PX 5");
    wait::expect("the key is due", || run("GET lazily") == Value::Nil);
    run("SET lazily 1 PX 5");
    wait::expect("the key is due", || run("PTTL lazily") == Value::Integer(-2));
    // Once this is on disk, so is what went before.
    let mut lines = logged.run("APPEND lazily 2").1;
    // The order of fields means nothing.
    lines
        .iter_mut()
        .filter(|line| *line == "hdel h g f")
        .for_each(|line| *line = "hdel h f g".into());
    lines.sort();
    lines
}

#[test]
fn what_expires_is_logged_as_by_valkey() {
    assert_eq!(logged_of_expiry(Holdfast), logged_of_expiry(Valkey));
}

/// Changes that `save` points count, since the last time.
fn changes(client: &mut Client) -> u64 {
    let Value::Bulk(info) = client.run("INFO persistence") else { panic!("INFO is text") };
    let info = String::from_utf8_lossy(&info);
    let field = info.split("rdb_changes_since_last_save:").nth(1).expect("a field of INFO");
    let digits: String = field.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn changes_are_counted_as_by_valkey() {
    let mut clients = [Holdfast, Valkey].map(Logged::start);
    // The first may be within a transaction.
    let mut others = clients.each_ref().map(|logged| logged.server.client());
    let mut counted = [0, 0];
    let mut differ = Vec::new();
    // What flushes may count keys that are due.
    for line in SAME.iter().filter(|line| !line.starts_with("FLUSH")) {
        clients.iter_mut().for_each(|logged| _ = logged.client.run(line));
        let now = others.each_mut().map(changes);
        let [ours, theirs] = [now[0] - counted[0], now[1] - counted[1]];
        if ours != theirs {
            differ.push(format!("{line}: {ours}, by Valkey {theirs}"));
        }
        counted = now;
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// Of all data that `reader` digests as we do, once it is loaded.
fn digest(client: &mut Client, reader: Flavour) -> Value {
    wait::expect("the log is loaded", || !matches!(client.run("DBSIZE"), Value::Error(_)));
    if reader == Redis8 {
        // Deadlines of fields count there.
        client.run("DEL h");
    }
    client.run("DEBUG DIGEST")
}

/// Another server with a copy of this one's log.
fn started_from(log: &Path, flavour: Flavour) -> Server {
    let mut server = Server::start_flavour(flavour, SETTINGS);
    server.kill();
    let own = log_directory(&server);
    fs::remove_dir_all(&own).expect("a log of its own");
    fs::create_dir(&own).expect("room");
    for file in fs::read_dir(log).expect("a log") {
        let path = file.expect("readable").path();
        fs::copy(&path, own.join(path.file_name().expect("a name"))).expect("room");
    }
    server.start_again().expect("the log is read");
    server
}

#[test]
fn each_server_goes_on_with_the_others_log() {
    for (writer, reader) in
        [(Holdfast, Valkey), (Holdfast, Redis8), (Valkey, Holdfast), (Holdfast, Holdfast)]
    {
        let mut written = Logged::start(writer);
        // What flushes everything comes last in each list.
        let lines = SAME.iter().copied().filter(|line| !line.starts_with("FLUSH"));
        let others = OTHERWISE.iter().map(|(line, _)| *line);
        for line in lines.chain(others).filter(|line| !line.starts_with("DEBUG")) {
            written.client.run(line);
        }
        let read = started_from(&log_directory(&written.server), reader);
        let (mut written, mut client) = (written.client, read.client());
        let digests = [&mut written, &mut client].map(|client| digest(client, reader));
        assert_eq!(digests[0], digests[1], "{writer:?} to {reader:?}\n{}", read.log_tail());
    }
}
