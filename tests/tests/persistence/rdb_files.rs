//! RDB files travel between Holdfast, Valkey and Redis: everything that one writes is found by the
//! other, whatever its type, encoding and expiry.

use std::fs;
use std::path::Path;
use std::process::Command;

use holdfast_tests::binaries::{
    self,
    Flavour::{self, Holdfast, Redis, Redis8, Valkey},
};
use holdfast_tests::client::Client;
use holdfast_tests::resp::Value;
use holdfast_tests::server::Server;
use holdfast_tests::valkey;
use holdfast_tests::volume::{self, Extras};
use holdfast_tests::wait::{self, PATIENCE};
use tempfile::TempDir;

const FILE: &str = "dump.rdb";

const PLAIN: Extras = Extras { field_times: false, function: false };
const FUNCTION: Extras = Extras { field_times: false, function: true };
const EVERYTHING: Extras = Extras { field_times: true, function: true };
const FIELD_TIMES: Extras = Extras { field_times: true, function: false };

/// A server on the volume.
fn start(flavour: Flavour, volume: &Path, policy: &str) -> Server {
    let dir = volume.display().to_string();
    let own = ["--dir", &dir, "--dbfilename", FILE, "--maxmemory-policy", policy];
    Server::start_flavour(flavour, &[volume::SETTINGS, &own].concat())
}

fn field(client: &mut Client, section: &str, name: &str) -> String {
    let info = client.run(&format!("INFO {section}"));
    let text = String::from_utf8_lossy(info.bytes().unwrap_or_default()).into_owned();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("INFO has no {name}")).to_owned()
}

fn save(client: &mut Client) {
    assert_eq!(client.run("SAVE"), Value::status("OK"));
}

/// The same in the background.
fn save_in_background(client: &mut Client) {
    let before = client.run("LASTSAVE");
    assert_eq!(client.run("BGSAVE"), Value::status("Background saving started"));
    let saved = wait::until(PATIENCE, || {
        let is_over = field(client, "persistence", "rdb_bgsave_in_progress") == "0";
        is_over.then(|| field(client, "persistence", "rdb_last_bgsave_status"))
    });
    assert_eq!(saved.as_deref(), Some("ok"), "{before:?}");
}

/// `from` is filled and saved, `to` started on its volume; both hold the same.
fn check(from: Flavour, to: Flavour, extras: Extras, policy: &str) {
    let volume = TempDir::with_prefix("holdfast-volume-").expect("a directory");
    let (written, accesses) = {
        let server = start(from, volume.path(), policy);
        let mut client = server.client();
        volume::fill(&mut client, extras);
        let accesses = volume::accesses(&mut client);
        match policy {
            "noeviction" => save(&mut client),
            _ => save_in_background(&mut client),
        }
        (volume::content(&mut client, to_see(from, to), extras), accesses)
    };
    let server = start(to, volume.path(), policy);
    let mut client = server.client();
    // Without a policy nobody writes them.
    if policy != "noeviction" {
        check_accesses(&volume::accesses(&mut client), &accesses);
    }
    let found = volume::content(&mut client, to_see(from, to), extras);
    assert_same(&found, &written);
    assert_eq!(field(&mut client, "persistence", "rdb_last_load_keys_expired"), "6");
    let loaded = field(&mut client, "persistence", "rdb_last_load_keys_loaded");
    assert_eq!(loaded, found.len().to_string());
}

/// Redis 7.0 knows less of streams: what it does not know is not asked of the other, either.
fn to_see(from: Flavour, to: Flavour) -> Flavour {
    if from == Redis { from } else { to }
}

#[track_caller]
fn assert_same(found: &[String], written: &[String]) {
    for (found, written) in found.iter().zip(written) {
        assert_eq!(found, written);
    }
    assert_eq!(found.len(), written.len());
    assert!(written.len() > 9_000, "{}", written.len());
}

#[track_caller]
fn check_accesses(found: &[Value], written: &[Value]) {
    for pair in found.iter().zip(written) {
        match pair {
            // Seconds pass.
            (Value::Integer(found), Value::Integer(written)) if *written >= 70_000 => {
                assert!((*written..written + 60).contains(found), "{found} {written}");
            }
            (Value::Error(_), Value::Error(_)) => {}
            (Value::Integer(found), Value::Integer(written)) => assert_eq!(found, written),
            pair => panic!("{pair:?}"),
        }
    }
}

#[test]
fn a_file_of_redis_7_is_loaded() {
    check(Redis, Holdfast, FUNCTION, "noeviction");
    check(Redis, Holdfast, PLAIN, "allkeys-lfu");
}

#[test]
fn a_file_of_redis_8_is_loaded() {
    check(Redis8, Holdfast, EVERYTHING, "noeviction");
    check(Redis8, Holdfast, FIELD_TIMES, "volatile-lru");
}

#[test]
fn a_file_of_valkey_is_loaded() {
    check(Valkey, Holdfast, EVERYTHING, "noeviction");
    check(Valkey, Holdfast, PLAIN, "allkeys-lru");
    check(Valkey, Holdfast, FIELD_TIMES, "allkeys-lfu");
}

#[test]
fn valkey_loads_our_file() {
    check(Holdfast, Valkey, PLAIN, "noeviction");
    check(Holdfast, Valkey, FIELD_TIMES, "allkeys-lru");
    check(Holdfast, Valkey, FIELD_TIMES, "allkeys-lfu");
}

#[test]
fn redis_8_loads_our_file_unless_fields_have_times() {
    check(Holdfast, Redis8, PLAIN, "noeviction");
    check(Holdfast, Redis8, PLAIN, "allkeys-lfu");
    let volume = TempDir::with_prefix("holdfast-volume-").expect("a directory");
    {
        let server = start(Holdfast, volume.path(), "noeviction");
        let mut client = server.client();
        volume::fill(&mut client, FIELD_TIMES);
        save(&mut client);
    }
    let dir = volume.path().display().to_string();
    let refused = Server::try_start(Redis8, &["--dir", &dir]).expect_err("it is Valkey's version");
    assert!(refused.contains("Wrong signature"), "{refused}");
}

#[test]
fn what_we_load_and_save_is_the_same_to_whoever_wrote_it() {
    for (flavour, extras) in [(Valkey, EVERYTHING), (Redis8, FUNCTION)] {
        let volume = TempDir::with_prefix("holdfast-volume-").expect("a directory");
        {
            let server = start(flavour, volume.path(), "noeviction");
            let mut client = server.client();
            volume::fill(&mut client, extras);
            save(&mut client);
        }
        // Keys that are due count in a digest where they are still there.
        let (content, digest) = {
            let server = start(flavour, volume.path(), "noeviction");
            let mut client = server.client();
            (volume::content(&mut client, flavour, extras), client.run("DEBUG DIGEST"))
        };
        for way in ["SAVE", "DEBUG RELOAD"] {
            let server = start(Holdfast, volume.path(), "noeviction");
            let mut client = server.client();
            assert_eq!(client.run("DEBUG DIGEST"), digest, "{flavour:?}");
            assert_eq!(client.run(way), Value::status("OK"));
            assert_eq!(client.run("DEBUG DIGEST"), digest, "{flavour:?} {way}");
        }
        let server = start(flavour, volume.path(), "noeviction");
        let mut client = server.client();
        assert_same(&volume::content(&mut client, flavour, extras), &content);
        assert_eq!(client.run("DEBUG DIGEST"), digest, "{flavour:?}");
        let functions = client.run("FUNCTION LIST WITHCODE").lines().concat();
        assert!(functions.contains("register_function"), "{functions}");
    }
}

/// What a checker says of a file.
fn verdict(program: &Path, file: &Path) -> (bool, String) {
    let output = Command::new(program).arg(file).output().expect("it can be executed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn checkers_of_redis_and_valkey_find_our_files_good() {
    let redis_8 = binaries::redis_8_directory().join("redis-check-rdb");
    let valkey = binaries::valkey_directory().join("valkey-check-rdb");
    for (extras, checkers) in [(PLAIN, vec![&redis_8, &valkey]), (FIELD_TIMES, vec![&valkey])] {
        let volume = TempDir::with_prefix("holdfast-volume-").expect("a directory");
        let server = start(Holdfast, volume.path(), "allkeys-lfu");
        let mut client = server.client();
        volume::fill(&mut client, extras);
        // More than a MiB, so that our own checks are in it.
        client.run("DEBUG POPULATE 20000 more 100");
        save(&mut client);
        let file = volume.path().join(FILE);
        let bytes = fs::read(&file).expect("it was saved");
        let checks = bytes.windows(8).filter(|window| window == b"hf-crc64").count();
        assert!(checks >= bytes.len() >> 21, "{checks} checks in {} bytes", bytes.len());
        for checker in checkers {
            let (success, text) = verdict(checker, &file);
            assert!(success && text.contains("Checksum OK"), "{}: {text}", checker.display());
            assert!(text.contains("RDB looks OK!"), "{text}");
        }
    }
}

#[test]
fn our_checker_says_what_valkeys_says() {
    let assets = valkey::source().unwrap_or_else(|why| panic!("{why}")).join("tests/assets");
    let directory = TempDir::with_prefix("holdfast-volume-").expect("a directory");
    let ours = directory.path().join("redis-check-rdb");
    std::os::unix::fs::symlink(binaries::server(Holdfast), &ours).expect("a name");
    let theirs = binaries::valkey_directory().join("valkey-check-rdb");
    for (name, is_good) in [
        ("encodings.rdb", true),
        ("scriptbackup.rdb", true),
        ("hash-ziplist.rdb", true),
        ("hash-zipmap.rdb", true),
        ("list-quicklist.rdb", true),
        ("zset-ziplist.rdb", true),
        ("encodings-rdb987-unknown-types.rdb", false),
        ("encodings-rdb75-unknown-types.rdb", false),
    ] {
        let file = assets.join(name);
        let (our_verdict, our_text) = verdict(&ours, &file);
        let (their_verdict, their_text) = verdict(&theirs, &file);
        // A line of its log is among what Valkey prints.
        let is_log = |line: &&str| line.contains(":M ");
        let their_lines: Vec<&str> = their_text.lines().filter(|line| !is_log(line)).collect();
        assert_eq!(our_text.lines().collect::<Vec<_>>(), their_lines, "{name}");
        assert_eq!((our_verdict, their_verdict), (is_good, is_good), "{name}");
    }
}

#[test]
fn a_damaged_file_is_loaded_up_to_its_last_good_check_and_kept() {
    const VALUE: usize = 100;
    let volume = TempDir::with_prefix("holdfast-volume-").expect("a directory");
    let file = volume.path().join(FILE);
    {
        let server = start(Holdfast, volume.path(), "noeviction");
        let mut client = server.client();
        client.run(&format!("DEBUG POPULATE 40000 key {VALUE}"));
        save(&mut client);
    }
    let mut bytes = fs::read(&file).expect("it was saved");
    let at = bytes.len() * 3 / 4;
    bytes[at] ^= 0x10;
    fs::write(&file, &bytes).expect("it can be written");
    let server = start(Holdfast, volume.path(), "noeviction");
    let mut client = server.client();
    let Value::Integer(keys) = client.run("DBSIZE") else { panic!("DBSIZE is a number") };
    assert!((10_000..40_000).contains(&keys), "{keys}");
    let Value::Array(names) = client.run("KEYS *") else { panic!("KEYS answers keys") };
    for name in names.iter().step_by(97) {
        let name = name.bytes().expect("a key");
        let number = name.strip_prefix(b"key:").expect("a key of DEBUG POPULATE");
        let value = client.command(&[b"GET", name]).expect("an answer");
        let expected = [b"value:", number].concat();
        let text = value.bytes().expect("a value");
        assert!(text.starts_with(&expected) && text.len() == VALUE, "{}", text.escape_ascii());
    }
    assert!(server.log().contains("is damaged"), "{}", server.log());
    let kept = fs::read(volume.path().join("dump.rdb.damaged-1")).expect("it is kept");
    assert_eq!(kept, bytes);
    drop((client, server));
    // The file is whole again.
    let server = start(Holdfast, volume.path(), "noeviction");
    assert_eq!(server.client().run("DBSIZE"), Value::Integer(keys));
    assert!(!server.log().contains("is damaged"), "{}", server.log());
}

/// Loads an old file: the digest of what is there, or nothing where the server refuses.
fn digest_of(flavour: Flavour, file: &Path, more: &[&str]) -> Option<Value> {
    let volume = TempDir::with_prefix("holdfast-volume-").expect("a directory");
    fs::copy(file, volume.path().join(FILE)).expect("a copy");
    let dir = volume.path().display().to_string();
    let own = ["--dir", &dir, "--enable-debug-command", "yes"];
    let server = Server::try_start(flavour, &[&own, more].concat()).ok()?;
    Some(server.client().run("DEBUG DIGEST"))
}

#[test]
fn old_files_are_loaded_or_refused_as_by_valkey() {
    let assets = valkey::source().unwrap_or_else(|why| panic!("{why}")).join("tests/assets");
    let entries = fs::read_dir(&assets).expect("Valkey's sources have it");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rdb"));
    assert!(files.len() >= 12, "{files:?}");
    let relaxed = ["--rdb-version-check", "relaxed"];
    let (mut loaded, mut refused) = (0, 0);
    for file in files {
        // Redis' version is refused by Valkey unless told otherwise; we know it.
        let is_redis_12 = file.ends_with("encodings-rdb12.rdb");
        for more in [&relaxed[..], &[]] {
            let ours = digest_of(Holdfast, &file, more);
            let theirs = digest_of(Valkey, &file, if is_redis_12 { &relaxed } else { more });
            assert_eq!(ours, theirs, "{} {more:?}", file.display());
            loaded += usize::from(ours.is_some());
            refused += usize::from(ours.is_none());
        }
    }
    assert!(loaded >= 16 && refused >= 6, "{loaded} loaded, {refused} refused");
}
