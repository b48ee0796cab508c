//! Backup, verification, restore: of every kind of data, with and without a log, and what happens
//! when something goes wrong in between.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use holdfast_tests::binaries::Flavour;
use holdfast_tests::resp::Value as Reply;
use holdfast_tests::volume::{self, Extras};
use holdfast_tests::wait;
use rustix::process::Signal;

use crate::supervisor::rig::Rig;

const EVERYTHING: Extras = Extras { field_times: true, function: false };
const PATIENT: &str = "[server.liveness]\nfailure_threshold = 1000\n";
const EVERY_SECOND: &str = "[backup]\nevery = \"1s\"\nkeep = 2\n";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server whose data is in the rig's /data.
fn rig(config: &str, args: &[&str]) -> Rig {
    let rig = Rig::start(config, &[&["--dir", "/data"], args].concat());
    wait_for_data(&rig);
    rig
}

/// Whatever listens may still be loading.
fn wait_for_data(rig: &Rig) {
    let pong = Reply::Status(b"PONG".to_vec());
    wait::expect("the server to have its data", || rig.client().run("PING") == pong);
}

/// A backup's path inside, as the command says it.
fn back_up(rig: &Rig) -> String {
    let text = done(&rig.inside(&["holdfast", "backup"]));
    let line = text.lines().find(|line| line.contains(".rdb: ")).expect("the path");
    line.split(": ").next().expect("the path").to_owned()
}

fn at(rig: &Rig, inside: &str) -> PathBuf {
    rig.root.path().join(inside.trim_start_matches('/'))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn dbsize(rig: &Rig) -> Reply {
    rig.client().run("DBSIZE")
}

#[test]
fn a_backup_is_whole_and_says_what_it_holds() {
    let rig = rig("", &[]);
    rig.client().run("SET a 1");
    rig.client().run("SET b 2");
    let backup = back_up(&rig);
    let sidecar = fs::read(at(&rig, &format!("{backup}.json"))).expect("a sidecar");
    let facts: serde_json::Value = serde_json::from_slice(&sidecar).expect("JSON");
    let bytes = fs::metadata(at(&rig, &backup)).expect("there").len();
    assert_eq!((&facts["keys"], &facts["bytes"]), (&2.into(), &bytes.into()));
    let verified = done(&rig.inside(&["holdfast", "verify", &backup]));
    let sha256 = facts["sha256"].as_str().expect("a SHA-256");
    assert!(verified.contains("good: 2 keys") && verified.contains(sha256), "{verified}");
    assert!(!verified.contains("note:"), "nothing was left out: {verified}");
    let status = rig.status();
    assert_eq!(status["backup"]["last"]["sha256"], sha256);
    assert_eq!(status["backup"]["error"], serde_json::Value::Null);
    assert!(done(&rig.inside(&["holdfast", "backup", "--list"])).contains("2 keys"));
    rig.stop();
}

#[test]
fn a_damaged_backup_is_neither_good_nor_restored() {
    let rig = rig("", &[]);
    rig.client().run("SET kept 1");
    let backup = back_up(&rig);
    rig.client().run("SET newer 1");
    let good = fs::read(at(&rig, &backup)).expect("there");
    let last_value = good.len() - 12;
    let mut flipped = good.clone();
    flipped[last_value] ^= 1;
    for damaged in [&flipped[..], &good[..good.len() - 3], b""] {
        fs::write(at(&rig, &backup), damaged).expect("written");
        let output = rig.inside(&["holdfast", "verify", &backup]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let server = rig.pid("holdfast-server");
        let output = rig.inside(&["holdfast", "restore", &backup]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(rig.pid("holdfast-server"), server, "nothing was stopped for it");
    }
    // Another sound file in its place is not what was backed up.
    rig.inside(&["holdfast", "backup", "--to", "/data/other.rdb"]);
    fs::copy(at(&rig, "/data/other.rdb"), at(&rig, &backup)).expect("copied");
    let output = rig.inside(&["holdfast", "restore", &backup]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("SHA-256"), "{}", said(&output));
    assert_eq!(dbsize(&rig), Reply::Integer(2));
    rig.stop();
}

/// Everything that a server can hold goes away, and comes back, and stays over a restart.
fn travels(args: &[&str]) {
    // Data is what it is about: no server is called hung for being slow.
    let rig = rig(PATIENT, &[args, volume::SETTINGS].concat());
    volume::fill(&mut rig.client(), EVERYTHING);
    let found = || volume::content(&mut rig.client(), Flavour::Holdfast, EVERYTHING);
    let before = found();
    let backup = back_up(&rig);
    rig.client().run("FLUSHALL");
    rig.client().run("SET after the-backup");
    let text = done(&rig.inside(&["holdfast", "restore", &backup]));
    assert!(text.contains("is sound") && text.contains("restored"), "{text}");
    assert!(text.contains("the data of before is in"), "{text}");
    assert_eq!(found(), before);
    rig.client().run("SET written afterwards");
    done(&rig.inside(&["holdfast", "restart", "server"]));
    wait_for_data(&rig);
    let asked = rig.client().run("GET written");
    let appends = args.contains(&"yes");
    assert_eq!(asked == Reply::Bulk(b"afterwards".to_vec()), appends, "{asked:?}");
    rig.client().run("DEL written");
    assert_eq!(found(), before);
    assert_eq!(rig.status()["ready"], true);
    rig.stop();
}

#[test]
fn all_data_travels_without_a_log() {
    travels(&["--save", "", "--appendonly", "no"]);
}

#[test]
fn all_data_travels_with_a_log() {
    travels(&["--save", "", "--appendonly", "yes"]);
}

#[test]
fn what_was_there_before_is_set_aside_and_loads() {
    let rig = rig("", &["--appendonly", "yes"]);
    rig.client().run("SET old 1");
    let backup = back_up(&rig);
    rig.client().run("SET newer 1");
    done(&rig.inside(&["holdfast", "restore", &backup]));
    assert_eq!(dbsize(&rig), Reply::Integer(1));
    let aside: Vec<_> = names(&at(&rig, "/data"))
        .into_iter()
        .filter(|name| name.contains("before-restore"))
        .collect();
    assert_eq!(aside.len(), 2, "{aside:?}");
    // By hand, as the help says it: the log of before is a log.
    done(&rig.inside(&["holdfast", "stop", "server"]));
    let data = at(&rig, "/data");
    fs::remove_dir_all(data.join("appendonlydir")).expect("removed");
    fs::rename(data.join(&aside[0]), data.join("appendonlydir")).expect("renamed");
    done(&rig.inside(&["holdfast", "start", "server"]));
    assert_eq!(dbsize(&rig), Reply::Integer(2));
    rig.stop();
}

/// Data so broken that the server does not start is what restores are for.
#[test]
fn a_server_that_cannot_load_its_data_is_restored() {
    let rig = rig("", &["--appendonly", "no"]);
    rig.client().run("SET precious 1");
    let backup = back_up(&rig);
    done(&rig.inside(&["holdfast", "stop", "server"]));
    fs::write(at(&rig, "/data/dump.rdb"), "no RDB file at all").expect("written");
    done(&rig.inside(&["holdfast", "restore", &backup]));
    assert_eq!(rig.client().run("GET precious"), Reply::Bulk(b"1".to_vec()));
    rig.stop();
}

/// A set whose packed integers are none: sound as a file, refused by the server.
fn put_odd_file(rig: &Rig) {
    let mut bytes = b"REDIS0011\xfe\x00\x0b\x01k\x08notaset!\xff".to_vec();
    bytes.extend([0; 8]);
    fs::write(at(rig, "/data/odd.rdb"), bytes).expect("written");
}

/// A sound file with a key that the server leaves out: a list without elements.
#[test]
fn a_restore_that_is_not_proven_gives_the_data_back() {
    let rig = rig("", &["--appendonly", "yes"]);
    rig.client().run("SET mine 1");
    let file = b"REDIS0011\xfe\x00\x01\x05empty\x00\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0";
    fs::write(at(&rig, "/data/odd.rdb"), file).expect("written");
    let output = rig.inside(&["holdfast", "restore", "/data/odd.rdb"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("holds 2 keys, but the server has loaded 1"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("the data is as it was before"), "{}", said(&output));
    wait_for_data(&rig);
    assert_eq!(rig.client().run("GET mine"), Reply::Bulk(b"1".to_vec()));
    let left = names(&at(&rig, "/data"));
    let odd = |name: &String| name.contains("before-restore") || name.starts_with(".tmp");
    assert!(!left.iter().any(odd), "{left:?}");
    assert!(!at(&rig, "/data/holdfast/restore.json").exists());
    rig.stop();
}

/// There the server's end is the container's; the next start finds the data as it was.
#[test]
fn a_container_that_ends_with_its_restore_comes_back_with_the_data_of_before() {
    let mut rig = rig("", &["--appendonly", "yes"]);
    rig.client().run("SET mine 1");
    put_odd_file(&rig);
    let output = rig.inside(&["holdfast", "verify", "/data/odd.rdb"]);
    assert_eq!(output.status.code(), Some(1), "the checker looks into it: {}", said(&output));
    let output = rig.inside(&["holdfast", "restore", "/data/odd.rdb"]);
    // PID 1's end takes whoever asked along, unless that one was quicker.
    assert!(matches!(output.status.code(), Some(2) | None), "{}", said(&output));
    assert_eq!(rig.wait_for_exit().code(), Some(1), "{}", rig.log());
    rig.enter_again(&["--dir", "/data", "--appendonly", "yes"]);
    wait_for_data(&rig);
    assert_eq!(rig.client().run("GET mine"), Reply::Bulk(b"1".to_vec()));
    let notice = rig.status()["backup"]["notice"].clone();
    assert!(notice.as_str().is_some_and(|text| text.contains("as it was before")), "{notice}");
    rig.stop();
}

/// The agent dies in the middle: what it had renamed is renamed back, and the server started.
#[test]
fn an_interrupted_restore_is_undone() {
    let rig = rig("", &["--appendonly", "no"]);
    rig.client().run("SET mine 1");
    let backup = back_up(&rig);
    done(&rig.inside(&["holdfast", "stop", "server"]));
    let data = at(&rig, "/data");
    let place = |name: &str| {
        let aside = format!("/data/{name}.before-restore-x");
        let was_there = data.join(name).exists();
        serde_json::json!({"place": format!("/data/{name}"), "aside": aside, "was_there": was_there})
    };
    let journal = serde_json::json!({
        "staged": "/data/.tmp-restore-x.rdb", "base": null,
        "manifest": "/data/appendonlydir/appendonly.aof.manifest",
        "dump": place("dump.rdb"), "log": place("appendonlydir"),
    });
    fs::rename(data.join("dump.rdb"), data.join("dump.rdb.before-restore-x")).expect("renamed");
    fs::write(data.join("dump.rdb"), "half of something").expect("written");
    fs::write(data.join("holdfast/restore.json"), journal.to_string()).expect("written");
    rig.signal("holdfast-agent", Signal::KILL);
    wait::expect("the server to be ready", || rig.status()["ready"] == true);
    wait_for_data(&rig);
    assert_eq!(rig.client().run("GET mine"), Reply::Bulk(b"1".to_vec()));
    let notice = rig.status()["backup"]["notice"].clone();
    assert!(notice.as_str().is_some_and(|text| text.contains("as it was before")), "{notice}");
    assert!(!data.join("holdfast/restore.json").exists());
    done(&rig.inside(&["holdfast", "verify", &backup]));
    rig.stop();
}

#[test]
fn a_schedule_makes_them_and_keeps_as_many_as_told() {
    let rig = rig(EVERY_SECOND, &[]);
    rig.client().run("SET a 1");
    let folder = at(&rig, "/data/holdfast/backups");
    let number = |name: &str| name.get(7..13).and_then(|digits| digits.parse::<u32>().ok());
    wait::expect("the fourth backup", || {
        names(&folder).iter().any(|name| number(name) == Some(4) && name.ends_with(".rdb"))
    });
    wait::expect("the oldest to be gone", || {
        let rdb: Vec<_> =
            names(&folder).into_iter().filter(|name| name.ends_with(".rdb")).collect();
        rdb.len() <= 2 && rdb.iter().all(|name| number(name) > Some(2))
    });
    assert!(rig.status()["backup"]["next_in_ms"].is_u64());
    rig.stop();
}

/// Never a lie: the code, the sentence, the exit status; and the last good one stays.
#[test]
fn a_backup_that_fails_is_shown_until_one_succeeds() {
    let rig = rig("", &[]);
    rig.client().run("SET a 1");
    let good = back_up(&rig);
    // A file where the directory of backups has to be.
    let folder = at(&rig, "/data/holdfast/backups");
    let away = at(&rig, "/data/holdfast/away");
    fs::rename(&folder, &away).expect("renamed");
    fs::write(&folder, "in the way").expect("written");
    let output = rig.inside(&["holdfast", "backup"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let is_told = |rig: &Rig| {
        let degraded = rig.status()["degraded"].clone();
        degraded.as_array().is_some_and(|all| all.iter().any(|one| one["code"] == "backup-failed"))
    };
    assert!(is_told(&rig));
    assert_eq!(rig.inside(&["holdfast", "doctor"]).status.code(), Some(2));
    fs::remove_file(&folder).expect("removed");
    fs::rename(&away, &folder).expect("renamed");
    assert!(at(&rig, &good).exists());
    back_up(&rig);
    assert!(!is_told(&rig));
    rig.stop();
}

/// A disk of its own for /data, too small for a second copy.
#[test]
fn a_full_disk_fails_clean() {
    let script = concat!(
        r#"mount -t tmpfs -o size=24m none "$0/data" && mount --rbind /dev "$0/dev" && "#,
        r#"exec unshare --pid --fork --kill-child --mount-proc --root "$0" /usr/bin/holdfast-init "$@""#
    );
    let rig = Rig::start_by(script, "", &["--dir", "/data", "--rdbcompression", "no"]);
    rig.client().run("DEBUG JMAP");
    let value = "x".repeat(1 << 20);
    for key in 0..6 {
        rig.client().run(&format!("SET key:{key} {value}"));
    }
    let output = rig.inside(&["holdfast", "backup"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("no room in"), "{}", said(&output));
    let inside = rig.inside(&["holdfast", "backup", "--list"]);
    assert!(done(&inside).contains("no backup"), "{}", said(&inside));
    // Elsewhere there is room, with the caller's rights.
    let text = done(&rig.inside(&["holdfast", "backup", "--to", "/tmp"]));
    assert!(text.contains("/tmp/backup-") && text.contains("6 keys"), "{text}");
    assert_eq!(dbsize(&rig), Reply::Integer(6));
    rig.stop();
}

/// Two at once would fight over the server's one file.
#[test]
fn only_one_backup_or_restore_at_a_time() {
    let rig = rig(PATIENT, &[]);
    rig.client().run("SET a 1");
    rig.signal("holdfast-server", Signal::STOP);
    let ask = || {
        let path = rig.status_socket.clone();
        std::thread::spawn(move || {
            let mut command = std::process::Command::new(&crate::supervisor::rig::binaries().agent);
            command.args(["backup", "--socket"]).arg(path).output().expect("runs")
        })
    };
    const REFUSAL: &str = "a backup, a restore or an update is under way";
    let both = [ask(), ask()];
    wait::expect("one of them to be refused", || both.iter().any(|asked| asked.is_finished()));
    let start = rig.agent(&["start", "server"]);
    assert!(said(&start).contains(REFUSAL), "{}", said(&start));
    rig.signal("holdfast-server", Signal::CONT);
    let answers = both.map(|asked| said(&asked.join().expect("it ran")));
    let having = |text: &str| answers.iter().filter(|answer| answer.contains(text)).count();
    assert_eq!((having("1 keys"), having(REFUSAL)), (1, 1), "{answers:?}");
    rig.stop();
}
