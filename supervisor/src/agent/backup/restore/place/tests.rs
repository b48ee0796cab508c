//! The renames, stopped after each step and undone.

use super::*;

fn scratch() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let layout = Layout { appends: Some(true), ..Layout::standard(folder.path()) };
    (folder, layout)
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn give_data(layout: &Layout) {
    write(&layout.dump(), "old dump");
    fs::create_dir(layout.log()).expect("made");
    write(&layout.log().join("appendonly.aof.manifest"), "old log");
}

fn staged(layout: &Layout) -> Placement {
    let placement = Placement::new(layout, "now");
    write(&placement.staged, "new");
    placement
}

#[test]
fn the_file_is_the_dump_and_the_base_of_a_new_log() {
    let (folder, layout) = scratch();
    give_data(&layout);
    let placement = staged(&layout);
    placement.place().expect("placed");
    assert_eq!(text(&layout.dump()), "new");
    assert_eq!(text(&layout.log().join("appendonly.aof.1.base.rdb")), "new");
    let manifest = text(&layout.log().join("appendonly.aof.manifest"));
    assert_eq!(manifest, "file appendonly.aof.1.base.rdb seq 1 type b\n");
    assert_eq!(text(&folder.path().join("dump.rdb.before-restore-now")), "old dump");
    let aside = folder.path().join("appendonlydir.before-restore-now/appendonly.aof.manifest");
    assert_eq!(text(&aside), "old log");
    placement.undo().expect("undone");
    assert_eq!(text(&layout.dump()), "old dump");
    assert_eq!(text(&layout.log().join("appendonly.aof.manifest")), "old log");
}

#[test]
fn a_server_without_a_log_gets_none() {
    let (_folder, layout) = scratch();
    let layout = Layout { appends: Some(false), ..layout };
    give_data(&layout);
    staged(&layout).place().expect("placed");
    assert!(!layout.log().exists(), "the old log is aside, or it would be loaded one day");
    assert_eq!(text(&layout.dump()), "new");
}

#[test]
fn without_data_before_undoing_leaves_none() {
    let (_folder, layout) = scratch();
    let placement = staged(&layout);
    placement.place().expect("placed");
    placement.undo().expect("undone");
    assert!(!layout.dump().exists() && !layout.log().exists());
}

#[test]
fn undone_after_any_step_the_data_is_as_it_was() {
    let steps: [fn(&Placement) -> io::Result<()>; 4] = [
        |_| Ok(()),
        |placement| placement.dump.set_aside(),
        |placement| placement.log.set_aside(),
        |placement| fs::create_dir(&placement.log.place),
    ];
    for done in 0..=steps.len() {
        let (_folder, layout) = scratch();
        give_data(&layout);
        let placement = staged(&layout);
        steps[..done].iter().try_for_each(|step| step(&placement)).expect("stepped");
        for _twice in 0..2 {
            placement.undo().expect("undone");
            assert_eq!(text(&layout.dump()), "old dump", "after {done} steps");
            assert_eq!(text(&layout.log().join("appendonly.aof.manifest")), "old log");
            assert!(!placement.staged.exists());
        }
    }
}

#[test]
fn nothing_set_aside_before_is_overwritten() {
    let (folder, layout) = scratch();
    give_data(&layout);
    write(&folder.path().join("dump.rdb.before-restore-now"), "precious");
    let placement = staged(&layout);
    assert!(placement.check_free().is_err());
    assert_eq!(text(&folder.path().join("dump.rdb.before-restore-now")), "precious");
    assert_eq!(text(&layout.dump()), "old dump");
}
