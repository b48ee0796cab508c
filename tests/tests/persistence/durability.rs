//! What a user finds after a restart, and what he hears while the disk does not take his data.

use std::fs;
use std::io::Write as _;
use std::iter;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::wait;
use rustix::process::Signal;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);
const LOGGED: [&str; 2] = ["--appendonly", "yes"];

fn end(server: &mut Server) {
    server.signal(Signal::TERM);
    let status = server.exit_status(PATIENCE).expect("it ends");
    assert!(status.success(), "{}", server.log_tail());
}

fn restart(server: &mut Server) {
    end(server);
    server.start_again().unwrap_or_else(|why| panic!("{why}"));
}

/// Waits until a field of INFO says what is expected.
fn wait_for(server: &Server, field: &str) {
    let mut client = server.client();
    let told = wait::until(PATIENCE, || {
        let info = client.run("INFO persistence");
        let info = String::from_utf8_lossy(info.bytes().expect("text")).into_owned();
        info.lines().any(|line| line == field).then_some(())
    });
    assert!(told.is_some(), "no {field}\n{}", server.log_tail());
}

fn text(value: &Value) -> String {
    let bytes = match value {
        Value::Error(text) => text,
        value => value.bytes().unwrap_or_default(),
    };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Something of every type, in small and large encodings, with times to live.
fn fill(server: &Server) {
    let mut client = server.client();
    for command in [
        "SET text value",
        "SET number 12345",
        "SET short-lived value EX 10000",
        "RPUSH list a b c",
        "HSET hash f v g w",
        "HSETEX hash EX 10000 FIELDS 1 t v",
        "SADD set 1 2 3",
        "SADD words a b c",
        "ZADD zset 1 a 2.5 b",
        "XADD stream 1-1 f v",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group me STREAMS stream >",
        "PFADD hll a b c",
        "SELECT 3",
        "SET elsewhere 1",
        "SELECT 0",
    ] {
        assert!(!matches!(client.run(command), Value::Error(_)), "{command}");
    }
    let words = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    client.pipeline(0..2_000, |n| words(format!("HSET large-hash field:{n} {n}"))).expect("set");
    client.pipeline(0..2_000, |n| words(format!("ZADD large-zset {n}.5 member:{n}"))).expect("set");
    client.pipeline(0..2_000, |n| words(format!("RPUSH large-list element:{n}"))).expect("set");
}

fn digest(server: &Server) -> Value {
    let digest = server.client().run("DEBUG DIGEST");
    assert!(!matches!(digest, Value::Error(_)));
    digest
}

/// The arguments, behind one that lets tests look inside.
fn start(args: &[&str]) -> Server {
    Server::start(&[&["--enable-debug-command", "yes"], args].concat())
}

#[test]
fn everything_is_there_after_save_and_after_the_end_with_save_points() {
    let mut server = start(&["--save", "3600 1"]);
    fill(&server);
    let before = digest(&server);
    server.client().run("SAVE");
    server.kill();
    server.start_again().expect("it starts");
    assert_eq!(digest(&server), before);
    server.client().run("SET text changed");
    let changed = digest(&server);
    restart(&mut server);
    assert_eq!(digest(&server), changed);
}

#[test]
fn a_background_save_is_of_the_moment_it_began() {
    let server = start(&["--rdb-key-save-delay", "10000000"]);
    fill(&server);
    let before = digest(&server);
    let mut client = server.client();
    assert_eq!(text(&client.run("BGSAVE")), "Background saving started");
    assert!(text(&client.run("BGSAVE")).contains("already in progress"));
    for command in ["DEL large-hash", "ZADD large-zset 1 new", "SET text changed", "LPOP list"] {
        client.run(command);
    }
    client.run("CONFIG SET rdb-key-save-delay 0");
    wait_for(&server, "rdb_bgsave_in_progress:0");
    wait_for(&server, "rdb_last_bgsave_status:ok");
    assert_eq!(client.run("DEBUG RELOAD NOSAVE"), Value::Status(b"OK".to_vec()));
    assert_eq!(digest(&server), before);
}

#[test]
fn a_save_that_was_called_off_changes_nothing_and_leaves_nothing() {
    let mut server = start(&["--rdb-key-save-delay", "10000000"]);
    fill(&server);
    let mut client = server.client();
    client.run("BGSAVE");
    assert_eq!(text(&client.run("BGSAVE CANCEL")), "Background saving cancelled");
    assert!(text(&client.run("BGSAVE CANCEL")).contains("not in progress"));
    client.run("CONFIG SET rdb-key-save-delay 0");
    // The end of the first is no end of the second.
    client.run("BGSAVE");
    wait_for(&server, "rdb_bgsave_in_progress:0");
    wait_for(&server, "rdb_last_bgsave_status:ok");
    wait_for(&server, "rdb_changes_since_last_save:0");
    client.run("CONFIG SET rdb-key-save-delay 10000000");
    client.run("BGSAVE");
    assert!(unfinished(&server) > 0);
    server.kill();
    server.start_again().expect("it starts");
    assert_eq!(unfinished(&server), 0);
}

/// Files that would get their names once they are whole.
fn unfinished(server: &Server) -> usize {
    let names = fs::read_dir(server.directory()).expect("a folder");
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("temp-")).count()
}

#[test]
fn what_was_logged_is_there_after_a_kill() {
    for fsync in ["always", "everysec"] {
        let mut server = start(&[&LOGGED[..], &["--appendfsync", fsync]].concat());
        fill(&server);
        let mut client = server.client();
        // Under `always` it is durable already; otherwise once a second.
        assert_eq!(
            client.run("WAITAOF 1 0 60000"),
            Value::Array(vec![Value::Integer(1), Value::Integer(0)])
        );
        let before = digest(&server);
        server.kill();
        server.start_again().expect("it starts");
        assert_eq!(digest(&server), before, "{fsync}");
    }
}

#[test]
fn a_log_is_written_anew_while_it_grows() {
    let mut server = start(&LOGGED);
    fill(&server);
    let mut client = server.client();
    client.run("BGREWRITEAOF");
    client
        .pipeline(0..1_000, |n| vec!["SET".into(), format!("key:{n}"), n.to_string()])
        .expect("set");
    wait_for(&server, "aof_rewrite_in_progress:0");
    wait_for(&server, "aof_last_bgrewrite_status:ok");
    let before = digest(&server);
    restart(&mut server);
    assert_eq!(digest(&server), before);
    let mut names: Vec<String> = fs::read_dir(server.directory().join("appendonlydir"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    let expected =
        ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"];
    assert_eq!(names, expected);
}

#[test]
fn a_log_without_rdb_has_commands_only() {
    let mut server = start(&[&LOGGED[..], &["--aof-use-rdb-preamble", "no"]].concat());
    fill(&server);
    server.client().run("BGREWRITEAOF");
    wait_for(&server, "aof_rewrite_in_progress:0");
    wait_for(&server, "aof_last_bgrewrite_status:ok");
    let before = digest(&server);
    restart(&mut server);
    assert_eq!(digest(&server), before);
    let base = server.directory().join("appendonlydir/appendonly.aof.2.base.aof");
    assert!(fs::read(base).expect("it is there").starts_with(b"*2\r\n$6\r\nSELECT\r\n"));
    assert_eq!(unfinished(&server), 0);
}

#[test]
fn a_log_can_begin_and_end_while_the_server_runs() {
    let mut server = start(&[]);
    fill(&server);
    let mut client = server.client();
    assert_eq!(client.run("CONFIG SET appendonly yes"), Value::Status(b"OK".to_vec()));
    client.run("SET late 1");
    wait_for(&server, "aof_rewrite_in_progress:0");
    wait_for(&server, "aof_last_bgrewrite_status:ok");
    let before = digest(&server);
    assert_eq!(client.run("CONFIG SET appendonly no"), Value::Status(b"OK".to_vec()));
    client.run("SET unlogged 1");
    end(&mut server);
    server.add_args(&LOGGED);
    server.start_again().expect("it starts");
    assert_eq!(digest(&server), before);
}

/// Redis would begin with an empty log, and lose what the RDB file holds.
#[test]
fn a_log_begins_with_the_data_of_an_rdb_file() {
    let mut server = start(&["--save", "3600 1"]);
    fill(&server);
    let before = digest(&server);
    end(&mut server);
    server.add_args(&LOGGED);
    server.start_again().expect("it starts");
    assert_eq!(digest(&server), before);
    fs::remove_file(server.directory().join("dump.rdb")).expect("it is there");
    server.kill();
    server.start_again().expect("it starts");
    assert_eq!(digest(&server), before);
}

#[test]
fn flushall_leaves_nothing_to_come_back() {
    let mut server = start(&["--save", "3600 1"]);
    fill(&server);
    server.client().run("SAVE");
    server.client().run("FLUSHALL");
    server.kill();
    server.start_again().expect("it starts");
    assert_eq!(server.client().run("DBSIZE"), Value::Integer(0));
}

/// A file system of so few bytes, for a server's directory. Needs root, as the container tests do.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(bytes: usize) -> Self {
        let dir = TempDir::with_prefix("holdfast-test-").expect("a scratch directory");
        run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), "none", path(dir.path())]);
        Self(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l", path(self.0.path())]);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().expect("a program of the system");
    assert!(status.success(), "{program} {args:?}");
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads_until_there_is_room() {
    let disk = SmallDisk::new(4 << 20);
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 2 << 20]).expect("room for it");
    let mut server = start(&[&LOGGED[..], &["--dir", path(disk.0.path())]].concat());
    let mut client = server.client();
    let value = "x".repeat(10_000);
    let refusal = wait::until(PATIENCE, || {
        let answer = client.command(&["APPEND", "key", &value]).expect("it answers");
        matches!(answer, Value::Error(_)).then_some(answer)
    });
    let refusal = text(&refusal.expect("the disk is full"));
    assert_eq!(refusal, "MISCONF Errors writing to the AOF file: No space left on device");
    assert!(text(&client.run("PING")).starts_with("MISCONF"));
    let Value::Integer(len) = client.run("STRLEN key") else { panic!("reads are served") };
    assert!(len > 1 << 20);
    fs::remove_file(&ballast).expect("it is there");
    let accepted = wait::until(PATIENCE, || {
        let answer = client.run("SET late 1");
        (answer == Value::Status(b"OK".to_vec())).then_some(())
    });
    accepted.expect("there is room");
    assert_eq!(
        client.run("WAITAOF 1 0 60000"),
        Value::Array(vec![Value::Integer(1), Value::Integer(0)])
    );
    let before = digest(&server);
    server.kill();
    server.start_again().expect("it starts");
    assert_eq!(digest(&server), before);
    drop(server);
}

/// Values that take each other's place: little data, and a log that grows.
fn overwrite(server: &Server, times: usize) {
    let value = "x".repeat(1_000);
    let set = |n: usize| vec!["SET".to_owned(), format!("key:{}", n % 100), value.clone()];
    server.client().pipeline(0..times, set).expect("writes wait, and are not refused");
}

#[test]
fn a_log_that_nears_the_end_of_its_disk_is_written_anew_in_time() {
    let disk = SmallDisk::new(3 << 20);
    let args = ["--dir", path(disk.0.path()), "--auto-aof-rewrite-percentage", "0"];
    let mut server = start(&[&LOGGED[..], &args].concat());
    overwrite(&server, 30_000);
    let before = digest(&server);
    end(&mut server);
    server.start_again().expect("it starts");
    assert_eq!(digest(&server), before);
    drop(server);
}

/// Writes a file until the disk is full; how long it got.
fn fill_up(path: &Path) -> u64 {
    let mut file = fs::File::create(path).expect("a name fits");
    for piece in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; piece]).is_ok() {}
    }
    file.metadata().expect("it is there").len()
}

/// Nothing but a rewrite can help: what waits to be logged is longer than what was freed.
#[test]
fn a_disk_that_the_log_has_filled_heals_by_a_rewrite() {
    for fsync in ["always", "everysec"] {
        let disk = SmallDisk::new(16 << 20);
        let (dir, ballast) = (disk.0.path(), disk.0.path().join("ballast"));
        let args = ["--dir", path(dir), "--appendfsync", fsync];
        let mut server = start(&[&LOGGED[..], &args].concat());
        overwrite(&server, 4_000);
        // What waits to be written would meet the full disk before the writer does.
        server.client().run("WAITAOF 1 0 60000");
        let ballast_len = fill_up(&ballast);
        let mut writer = server.client();
        let written = thread::spawn(move || {
            let value = "y".repeat(4_000);
            let words = ["same", &value].into_iter().cycle().take(600);
            writer.command(&Vec::from_iter(iter::once("MSET").chain(words)))
        });
        let mut client = server.client();
        wait::expect("the disk is full", || text(&client.run("PING")).starts_with("MISCONF"));
        assert!(text(&client.run("SET late 1")).starts_with("MISCONF"));
        wait_for(&server, "aof_last_bgrewrite_status:err");
        assert_eq!(client.run("STRLEN same"), Value::Integer(4_000), "reads are served");

        let file = fs::File::options().write(true).open(&ballast).expect("it is there");
        file.set_len(ballast_len - (500 << 10)).expect("it can be cut");
        let answer = written.join().expect("no panic").expect("an answer");
        assert_eq!(answer, Value::Status(b"OK".to_vec()), "{fsync}");
        wait::expect("the rewrite has made room", || {
            client.run("SET late 2") == Value::Status(b"OK".to_vec())
        });
        let told = server.log_tail();
        assert!(told.contains("new base holds what could not be written"), "{told}");
        client.run("WAITAOF 1 0 60000");
        let before = digest(&server);
        server.kill();
        server.start_again().expect("it starts");
        assert_eq!(digest(&server), before, "{fsync}");
        let left = fs::read_dir(dir).expect("a folder").count();
        assert_eq!(left, 2, "the log's folder and the ballast");
        drop(server);
    }
}

/// Who asked for SAVE hears of its failure; of a background save's, whoever writes.
#[test]
fn a_background_save_that_fails_has_writes_refused_until_a_save_succeeds() {
    let server = start(&["--save", "3600 1"]);
    let mut client = server.client();
    client.run("SET a 1");
    // A folder where the file belongs.
    fs::create_dir(server.directory().join("dump.rdb")).expect("free");
    assert_eq!(text(&client.run("SAVE")), "ERR");
    assert_eq!(client.run("SET a 2"), Value::Status(b"OK".to_vec()));
    assert_eq!(client.run("BGSAVE"), Value::Status(b"Background saving started".to_vec()));
    wait_for(&server, "rdb_last_bgsave_status:err");
    assert!(text(&client.run("SET a 3")).starts_with("MISCONF Valkey is configured to save RDB"));
    assert_eq!(text(&client.run("GET a")), "2");
    fs::remove_dir(server.directory().join("dump.rdb")).expect("it is empty");
    assert_eq!(client.run("SAVE"), Value::Status(b"OK".to_vec()));
    assert_eq!(client.run("SET a 3"), Value::Status(b"OK".to_vec()));
}

#[test]
fn the_log_keeps_to_its_limit() {
    let server = start(
        &[&LOGGED[..], &["--aof-max-size", "2mb", "--auto-aof-rewrite-percentage", "0"]].concat(),
    );
    let value = "x".repeat(1_000);
    let set = |n: usize| vec!["SET".to_owned(), format!("key:{}", n % 100), value.clone()];
    server.client().pipeline(0..10_000, set).expect("writes wait, and are not refused");
    wait_for(&server, "aof_rewrite_in_progress:0");
    let dir = server.directory().join("appendonlydir");
    let sizes = fs::read_dir(dir)
        .expect("a folder")
        // One that a rewrite removes meanwhile counts no more.
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    let bytes: u64 = sizes.sum();
    assert!(bytes < 3 << 20, "{bytes} bytes of ten times as many that were logged");
}
