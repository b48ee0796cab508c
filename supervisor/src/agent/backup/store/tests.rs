//! Names, order, retention, and what interruptions leave.

use super::*;
use crate::files::temporary;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch directory")
}

fn facts() -> Facts {
    Facts { sha256: "ab".to_owned(), bytes: 7, keys: 3, taken_unix_ms: 5 }
}

fn add(store: &Store, unix_ms: u64) -> PathBuf {
    let path = store.next_path(unix_ms);
    write_sidecar(&path, &facts()).expect("written");
    fs::write(&path, "x").expect("written");
    path
}

fn names(store: &Store) -> Vec<String> {
    store.list().iter().map(Entry::name).collect()
}

#[test]
fn a_clock_that_goes_back_changes_no_order() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("opened");
    add(&store, 1_795_000_000_000);
    add(&store, 0);
    let expected = ["backup-000001-20261118T110640Z.rdb", "backup-000002-19700101T000000Z.rdb"];
    assert_eq!(names(&store), expected);
    assert_eq!(store.list()[1].facts, Some(facts()));
}

#[test]
fn the_newest_are_kept_and_the_last_one_always() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("opened");
    let paths: Vec<_> = (0..4).map(|_| add(&store, 0)).collect();
    store.prune(2).expect("pruned");
    assert_eq!(store.list().len(), 2);
    assert!(!paths[1].exists() && !sidecar(&paths[1]).exists() && paths[2].exists());
    store.prune(0).expect("pruned");
    assert_eq!(store.list().len(), 1);
    assert!(paths[3].exists(), "the newest");
}

#[test]
fn room_is_made_but_never_of_the_last_backup() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("opened");
    (0..3).for_each(|_| drop(add(&store, 0)));
    store.make_room(1).expect("the scratch disk has room for a byte");
    assert_eq!(store.list().len(), 3);
    let why = store.make_room(u64::MAX).expect_err("no disk is so large");
    assert!(why.contains("no room in"), "{why}");
    assert_eq!(store.list().len(), 1);
}

#[test]
fn what_an_interruption_left_is_swept() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("opened");
    let good = add(&store, 0);
    let half = temporary(&store.next_path(0));
    fs::write(&half, "half").expect("written");
    let lone = store.next_path(0);
    write_sidecar(&lone, &facts()).expect("written");
    let foreign = folder.path().join("notes.json");
    fs::write(&foreign, "mine").expect("written");
    Store::open(folder.path()).expect("opened again");
    assert!(good.exists() && sidecar(&good).exists() && foreign.exists());
    assert!(!half.exists() && !sidecar(&lone).exists());
}

#[test]
fn a_damaged_sidecar_is_none() {
    let folder = scratch();
    let path = folder.path().join("x.rdb");
    for text in ["", "{}", "[7]", "{\"sha256\":7}"] {
        fs::write(sidecar(&path), text).expect("written");
        assert_eq!(read_sidecar(&path), None, "{text}");
    }
    fs::write(sidecar(&path), " ".repeat(5000)).expect("written");
    assert_eq!(read_sidecar(&path), None);
}

#[test]
fn dates_are_those_of_the_calendar() {
    let cases = [
        (0, "19700101T000000Z"),
        (951_782_400_000, "20000229T000000Z"),
        (1_709_210_096_789, "20240229T123456Z"),
        (4_107_542_399_000, "21000228T235959Z"),
    ];
    for (unix_ms, text) in cases {
        assert_eq!(stamp(unix_ms), text);
    }
}

#[test]
fn sizes_read_as_people_say_them() {
    for (bytes, text) in
        [(0, "0 bytes"), (999, "999 bytes"), (1_234, "1.2 kB"), (5_000_000, "5.0 MB")]
    {
        assert_eq!(Size(bytes).to_string(), text);
    }
    assert_eq!(Size(u64::MAX).to_string(), "18446744.0 TB");
}
