//! The log's files beside Redis' and Valkey's: what one server wrote, the others load with equal data,
//! their checkers find right, and ours says what theirs says.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use holdfast_server::persistence::aof::check::Tool;
use holdfast_server::storage::Disk;
use holdfast_tests::binaries::Flavour::{self, Holdfast, Redis, Valkey};
use holdfast_tests::binaries::{debian_program, valkey_directory};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::wait;
use tempfile::TempDir;

const MANIFEST: &str = "appendonly.aof.manifest";

// ── Volumes that travel ─────────────────────────────────────────────────────────────────────────

fn start(flavour: Flavour, dir: &Path, more: &[&str]) -> Server {
    let dir = dir.display().to_string();
    let own = ["--dir", &dir, "--appendonly", "yes", "--enable-debug-command", "yes"];
    let server = Server::start_flavour(flavour, &[&own[..], more].concat());
    until(&mut server.client(), &["loading:0"]);
    server
}

/// Waits until INFO has these lines; all of it then.
fn until(client: &mut Client, lines: &[&str]) -> String {
    let has_them = || {
        let Value::Bulk(info) = client.run("INFO persistence") else { return None };
        let info = String::from_utf8_lossy(&info).into_owned();
        let has = |line: &&str| info.lines().any(|other| other == *line);
        lines.iter().all(has).then_some(info)
    };
    wait::until(wait::PATIENCE, has_them).unwrap_or_else(|| panic!("INFO never had {lines:?}"))
}

/// Changes of every sort, with values that look like the log's own lines.
fn change(client: &mut Client, round: u32) {
    let hostile = format!("#HF:1 0\r\n#HF+\r\n*1\r\n$3\r\nDEL\r\n{round}");
    let binary: Vec<u8> = (0..=255).cycle().take(1000).collect();
    for db in ["0", "3", "0"] {
        client.run(&format!("SELECT {db}"));
        client.command(&[b"SET".as_slice(), b"hostile", hostile.as_bytes()]).unwrap();
        client.command(&[b"SET".as_slice(), format!("binary{round}").as_bytes(), &binary]).unwrap();
        for command in [
            "INCRBYFLOAT price 0.1",
            "SET session x EX 100000",
            "RPUSH list a b c",
            "LPOP list",
            "SADD set 1 2 3 4",
            "SPOP set",
            "ZADD board 1 a 2.5 b",
            "HSET hash f 1 g 2",
            "XADD stream 5-* a 1",
            "MULTI",
            "INCR counter",
            "APPEND text abc",
            "EXEC",
            "DEL text2",
        ] {
            let reply = client.run(command);
            assert!(!matches!(reply, Value::Error(_)), "{command}: {reply:?}");
        }
    }
}

fn digest(client: &mut Client) -> Value {
    let digest = client.run("DEBUG DIGEST");
    assert_ne!(digest, Value::Status(vec![b'0'; 40]), "there is data");
    digest
}

fn rewrite(client: &mut Client) {
    client.run("BGREWRITEAOF");
    let info = until(client, &["aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"]);
    assert!(info.contains("aof_last_bgrewrite_status:ok\r\n"), "{info}");
}

fn stop(mut server: Server) {
    let _ = server.client().send(&["SHUTDOWN"]);
    server.exit_status(wait::PATIENCE).expect("the server ends");
}

fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    let (from, folder) = (from.join("appendonlydir"), to.path().join("appendonlydir"));
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    to
}

/// A base that has no keys is no loss to a server that does not know its format.
fn without_base(dir: &Path) {
    let path = dir.join("appendonlydir").join(MANIFEST);
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter(|line| !line.ends_with("type b"));
    fs::write(&path, lines.map(|line| line.to_owned() + "\n").collect::<String>()).unwrap();
}

fn assert_valid(program: &Path, name: &str, dir: &Path) {
    let manifest = dir.join("appendonlydir").join(MANIFEST);
    let output = Command::new(program).arg0(name).arg(manifest).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("All AOF files and manifest are valid"), "{text}");
}

#[test]
fn our_log_is_loaded_by_redis_and_valkey() {
    for more in [
        &["--appendfsync", "always"][..],
        &["--appendfsync", "everysec", "--aof-timestamp-enabled", "yes"],
        &["--appendfsync", "no"],
    ] {
        let dir = TempDir::new().unwrap();
        let server = start(Holdfast, dir.path(), more);
        let mut client = server.client();
        change(&mut client, 1);
        change(&mut client, 2);
        let expected = digest(&mut client);
        stop(server);

        let log = fs::read(dir.path().join("appendonlydir/appendonly.aof.1.incr.aof")).unwrap();
        assert!(String::from_utf8_lossy(&log).contains("#HF:log 1\r\n"), "it has marks");
        let theirs = copy(dir.path());
        assert_valid(&valkey_directory().join("valkey-server"), "valkey-check-aof", theirs.path());
        assert_eq!(digest(&mut start(Valkey, theirs.path(), &[]).client()), expected);

        let theirs = copy(dir.path());
        without_base(theirs.path());
        assert_valid(&debian_program("redis-check-aof"), "redis-check-aof", theirs.path());
        assert_eq!(digest(&mut start(Redis, theirs.path(), &[]).client()), expected);
    }
}

#[test]
fn a_rewritten_log_of_ours_is_loaded_by_valkey() {
    let dir = TempDir::new().unwrap();
    let server = start(Holdfast, dir.path(), &[]);
    let mut client = server.client();
    for round in 1..4 {
        change(&mut client, round);
        rewrite(&mut client);
    }
    change(&mut client, 4);
    let expected = digest(&mut client);
    stop(server);
    let theirs = copy(dir.path());
    assert_valid(&valkey_directory().join("valkey-server"), "valkey-check-aof", theirs.path());
    assert_eq!(digest(&mut start(Valkey, theirs.path(), &[]).client()), expected);
    assert_eq!(digest(&mut start(Holdfast, dir.path(), &[]).client()), expected);
}

/// A volume of another server goes to ours, and on to Valkey with what we added.
fn check_visit(from: Flavour, more: &[&str]) {
    let dir = TempDir::new().unwrap();
    let server = start(from, dir.path(), more);
    let mut client = server.client();
    change(&mut client, 1);
    rewrite(&mut client);
    change(&mut client, 2);
    let expected = digest(&mut client);
    stop(server);

    let server = start(Holdfast, dir.path(), &[]);
    let mut client = server.client();
    assert_eq!(digest(&mut client), expected, "{from:?}\n{}", server.log());
    change(&mut client, 3);
    let expected = digest(&mut client);
    stop(server);

    let server = start(Valkey, dir.path(), &[]);
    let mut client = server.client();
    assert_eq!(digest(&mut client), expected, "{from:?}\n{}", server.log());
    change(&mut client, 4);
    let expected = digest(&mut client);
    stop(server);

    // Valkey has appended to an increment of ours.
    let server = start(Holdfast, dir.path(), &[]);
    assert_eq!(digest(&mut server.client()), expected, "{from:?}\n{}", server.log());
}

#[test]
fn volumes_of_redis_and_valkey_are_loaded_and_go_back() {
    for from in [Valkey, Redis] {
        for preamble in ["yes", "no"] {
            check_visit(from, &["--aof-use-rdb-preamble", preamble]);
        }
    }
}

#[test]
fn what_valkey_is_stopped_by_or_loads_wrong_is_repaired() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("512 zeros", |dir| {
            let path = dir.join("appendonly.aof.1.incr.aof");
            let mut bytes = fs::read(&path).unwrap();
            bytes.extend([0; 512]);
            fs::write(path, bytes).unwrap();
        }),
        ("an empty manifest", |dir| fs::write(dir.join(MANIFEST), "").unwrap()),
        ("a flipped bit", |dir| {
            let path = dir.join("appendonly.aof.1.incr.aof");
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.windows(6).rposition(|window| window == b"value9").unwrap();
            bytes[at] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("7 bytes missing", |dir| {
            let path = dir.join("appendonly.aof.1.incr.aof");
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(bytes.len() - 7);
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let dir = TempDir::new().unwrap();
        let mut server = start(Holdfast, dir.path(), &["--appendfsync", "always"]);
        let mut client = server.client();
        for number in 0..10 {
            client.run(&format!("SET key{number} value{number}"));
        }
        server.kill();
        damage(&dir.path().join("appendonlydir"));
        server.start_again().unwrap_or_else(|why| panic!("{name}: {why}"));
        let mut client = server.client();
        until(&mut client, &["loading:0"]);
        // The last write may be what was damaged; the others are all there, and right.
        for number in 0..9 {
            let value = Value::bulk(format!("value{number}"));
            assert_eq!(client.run(&format!("GET key{number}")), value, "{name}");
        }
        let last = client.run("GET key9");
        assert!(last == Value::bulk("value9") || last == Value::Nil, "{name}: {last:?}");
    }
}

// ── The checkers ────────────────────────────────────────────────────────────────────────────────

struct Said {
    text: String,
    status: i32,
    /// What the checked file is afterwards.
    content: Vec<u8>,
}

fn ours(args: &[String], file: &Path) -> Said {
    let mut out = Vec::new();
    let args = [&["valkey-check-aof".to_owned()], args].concat();
    let (disk, mut answer) = (Disk::default(), &b"y\n"[..]);
    let status = Tool::new(&disk, &mut answer, &mut out, &mut |_, _| None).run(&args);
    let text = String::from_utf8_lossy(&out).into_owned();
    Said { text, status: status.into(), content: fs::read(file).unwrap() }
}

fn theirs(args: &[String], file: &Path) -> Said {
    use std::io::Write as _;
    let mut child = Command::new(valkey_directory().join("valkey-server"))
        .arg0("valkey-check-aof")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without asking.
    let _ = child.stdin.take().unwrap().write_all(b"y\n");
    let output = child.wait_with_output().unwrap();
    Said {
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        status: output.status.code().unwrap(),
        content: fs::read(file).unwrap(),
    }
}

/// Both checkers say the same of the same file, and do the same to it.
fn compare(name: &str, content: &[u8], flags: &[&str], path: &Path, checked: &Path) {
    let mut args: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    args.push(path.display().to_string());
    fs::write(checked, content).unwrap();
    let theirs = theirs(&args, checked);
    fs::write(checked, content).unwrap();
    let ours = ours(&args, checked);
    assert_eq!(ours.text, theirs.text, "{name} {flags:?}");
    assert_eq!(ours.status, theirs.status, "{name} {flags:?}");
    assert_eq!(ours.content, theirs.content, "{name} {flags:?}");
}

fn samples() -> Vec<(String, Vec<u8>)> {
    let good = "#TS:100\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\n#TS:200\r\n*1\r\n$5\r\nMULTI\r\n\
                *2\r\n$4\r\nINCR\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n#TS:300\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n";
    // Where a number has no line end, Valkey's tells a byte that it did not read.
    let is_number = |end: &usize| {
        let line = good[..*end].rsplit('\n').next().unwrap_or_default();
        line.starts_with(['*', '$']) && !line.ends_with('\r')
    };
    let mut samples: Vec<(String, Vec<u8>)> = (1..=good.len())
        .filter(|end| !is_number(end))
        .map(|end| (format!("up to {end}"), good[..end].into()))
        .collect();
    for (name, text) in [
        ("zeros", format!("{good}\0\0\0\0\0\0\0\0")),
        ("garbage", format!("{good}hello\r\n")),
        ("no bulk", "*1\r\n:5\r\n".to_owned()),
        ("bad end", "*1\r\n$1\r\nabcd\r\n".to_owned()),
        ("high bytes", "*1\r\n$1\r\na\u{e9}\u{e9}\r\n".to_owned()),
        ("negative length", "*1\r\n$-1\r\n\r\n".to_owned()),
        // Valkey asks for the memory, and ends where there is none.
        ("huge length", "*1\r\n$999999999\r\nabc\r\n".to_owned()),
        ("no number", "*x\r\n$1\r\na\r\n".to_owned()),
        ("twice MULTI", "*1\r\n$5\r\nMULTI\r\n*1\r\n$5\r\nMULTI\r\n".to_owned()),
        ("EXEC alone", "*1\r\n$4\r\nEXEC\r\n".to_owned()),
        ("bad timestamp", "#TS:1x\r\n*1\r\n$4\r\nPING\r\n".to_owned()),
        ("late from the start", "#TS:900\r\n*1\r\n$4\r\nPING\r\n".to_owned()),
        ("nothing", String::new()),
    ] {
        samples.push((name.to_owned(), text.into_bytes()));
    }
    samples
}

#[test]
fn our_checker_says_of_single_files_what_valkeys_says() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("old.aof");
    for (name, content) in samples() {
        for flags in [&[][..], &["--fix"], &["--truncate-to-timestamp", "250"]] {
            compare(&name, &content, flags, &path, &path);
        }
    }
}

#[test]
fn our_checker_says_of_logs_what_valkeys_says() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str| -> PathBuf { dir.path().join(name) };
    let manifest = file(MANIFEST);
    let good = b"*1\r\n$4\r\nPING\r\n";
    fs::write(file("a.1.base.aof"), good).unwrap();
    fs::write(file("a.1.incr.aof"), b"").unwrap();
    fs::write(file("a.2.incr.aof"), good).unwrap();
    let list = "file a.1.base.aof seq 1 type b\nfile a.1.incr.aof seq 1 type i\n\
                file a.2.incr.aof seq 2 type i\n";
    fs::write(&manifest, list).unwrap();
    for (name, content) in samples() {
        for checked in ["a.1.base.aof", "a.2.incr.aof"] {
            let flags: [&[&str]; 3] = [&[], &["--fix"], &["--truncate-to-timestamp", "250"]];
            for flags in flags {
                compare(&name, &content, flags, &manifest, &file(checked));
            }
            fs::write(file(checked), good).unwrap();
        }
    }
}

#[test]
fn our_checker_verifies_marks_and_cuts_at_the_last_proof() {
    let dir = TempDir::new().unwrap();
    let server = start(Holdfast, dir.path(), &["--appendfsync", "always"]);
    let mut client = server.client();
    for number in 0..5 {
        client.run(&format!("SET key{number} value{number}"));
    }
    stop(server);
    let path = dir.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let args = |flags: &[&str]| -> Vec<String> {
        flags.iter().map(|flag| (*flag).to_owned()).chain([path.display().to_string()]).collect()
    };
    let good = fs::read(&path).unwrap();
    assert_eq!(ours(&args(&[]), &path).status, 0);

    let mut damaged = good.clone();
    let at = good.windows(6).position(|window| window == b"value3").unwrap();
    damaged[at] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let said = ours(&args(&[]), &path);
    assert!(said.status == 1 && said.text.contains("is not valid"), "{}", said.text);
    let said = ours(&args(&["--fix"]), &path);
    assert!(said.status == 0 && said.text.contains("Successfully truncated AOF"), "{}", said.text);
    assert!(good.starts_with(&said.content) && said.content.ends_with(b"\r\n"));
    assert!(said.content.len() < at && ours(&args(&[]), &path).status == 0);
}
