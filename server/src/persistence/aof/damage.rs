//! Every damage there is, one at a time: what is right is loaded, what is not is kept aside and told
//! to the byte, and the log goes on.

use std::path::PathBuf;

use super::manifest::Manifest;
use super::testing::{Dice, Rig, command, in_folder, options, unit};
use super::{Fsync, Report};
use crate::storage::sim::Sim;

const MANIFEST: &str = "appendonly.aof.manifest";

/// A log with a base, one or two increments, and everything durable.
fn built(seed: u64) -> (Rig, Dice) {
    let mut dice = Dice::new(seed);
    let mut rig = Rig::new(seed, Fsync::Always);
    fill(&mut rig, &mut dice, 1);
    rig.begin_rewrite();
    fill(&mut rig, &mut dice, 0);
    rig.end_rewrite().unwrap();
    fill(&mut rig, &mut dice, 1);
    if dice.one_in(2) {
        rig.begin_rewrite();
        fill(&mut rig, &mut dice, 1);
    }
    (rig, dice)
}

fn fill(rig: &mut Rig, dice: &mut Dice, at_least: usize) {
    for _ in 0..at_least + dice.below(12) {
        rig.append(dice.below(300));
        if dice.one_in(2) {
            rig.turn(std::time::Duration::from_millis(1));
        }
    }
    rig.flush();
}

fn increments(rig: &Rig) -> Vec<String> {
    let files = rig.files.lock().unwrap();
    files.manifest().increments.iter().map(|entry| entry.name.clone()).collect()
}

fn base_of(rig: &Rig) -> String {
    rig.files.lock().unwrap().manifest().base.clone().unwrap().name
}

fn content(sim: &Sim, name: &str) -> Vec<u8> {
    sim.content(&in_folder(name)).unwrap()
}

/// Opens a log that was damaged. It has the first `expected` units, and goes on.
fn check(sim: &Sim, seed: u64, expected: usize) -> Report {
    let mut rig = Rig::open(sim, &options(Fsync::Always)).unwrap_or_else(|fatal| {
        panic!("seed {seed}: {fatal}");
    });
    let report = rig.report.clone();
    assert_eq!(rig.units, Vec::from_iter(0..expected as u64), "seed {seed}: {report:?}");
    rig.append(50);
    rig.append(50);
    rig.flush();
    sim.cut_power();
    let again = Rig::open(sim, &rig.options).unwrap();
    assert!(again.report.is_clean(), "seed {seed}: {:?}", again.report);
    assert_eq!(again.units, rig.units, "seed {seed}");
    report
}

/// Where the marks of a file end, found without the code under test.
fn mark_ends(content: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(content);
    let mut ends = Vec::new();
    for (at, _) in text.match_indices("#HF:") {
        let Some((line, _)) = text[at..].split_once("\r\n") else { break };
        let (len, crc) = line[4..].split_once(' ').unwrap_or(("", ""));
        if len.parse() == Ok(at) && crc.len() == 16 {
            ends.push(at + line.len() + 2);
        }
    }
    ends
}

fn units_in(content: &[u8]) -> usize {
    String::from_utf8_lossy(content).matches("\r\nADD\r\n").count()
}

fn commands_in(content: &[u8]) -> usize {
    String::from_utf8_lossy(content).split("\r\n").filter(|line| line.starts_with('*')).count()
}

#[test]
fn a_flipped_bit_costs_what_stands_behind_it() {
    for seed in 0..150 {
        let (rig, mut dice) = built(seed);
        let names = increments(&rig);
        let index = dice.below(names.len());
        let mut damaged = content(&rig.sim, &names[index]);
        let at = dice.below(damaged.len());
        let good = mark_ends(&damaged).into_iter().take_while(|&end| end <= at).last().unwrap_or(0);
        let later: Vec<u8> =
            names[index + 1..].iter().flat_map(|name| content(&rig.sim, name)).collect();
        let lost = units_in(&damaged[good..]) + units_in(&later);
        damaged[at] ^= 1 << dice.below(8);
        rig.sim.put(&in_folder(&names[index]), damaged.clone());

        let report = check(&rig.sim, seed, rig.units.len() - lost);
        assert_eq!(report.dropped_bytes as usize, damaged.len() - good + later.len(), "{seed}");
        assert!(report.dropped_commands as usize >= commands_in(&later), "{seed}");
        assert!(!report.is_clean());
        let kept: Vec<u8> =
            report.set_aside.iter().flat_map(|name| content(&rig.sim, name)).collect();
        assert_eq!(kept, [&damaged[good..], &later].concat(), "seed {seed}: {report:?}");
    }
}

#[test]
fn a_missing_tail_costs_its_groups_only() {
    for seed in 0..100 {
        let (rig, mut dice) = built(seed);
        let name = increments(&rig).pop().unwrap();
        let mut damaged = content(&rig.sim, &name);
        damaged.truncate(damaged.len() - 1 - dice.below(damaged.len().min(400)));
        let ends = mark_ends(&damaged);
        let good = ends.last().copied().unwrap_or(0);
        let whole = content(&rig.sim, &name);
        let lost = units_in(&whole[good..]);
        let len = damaged.len();
        let torn = damaged[good..].to_vec();
        rig.sim.put(&in_folder(&name), damaged);
        let report = check(&rig.sim, seed, rig.units.len() - lost);
        assert_eq!(report.dropped_bytes as usize, len - good, "seed {seed}");
        assert_eq!(report.dropped_commands as usize, commands_in(&torn), "seed {seed}");
    }
}

#[test]
fn zeros_behind_the_end_cost_nothing() {
    for seed in 0..50 {
        let (rig, mut dice) = built(seed);
        let name = increments(&rig).pop().unwrap();
        let zeros = [1, 512, 4096, 1 + dice.below(10_000)][dice.below(4)];
        let mut damaged = content(&rig.sim, &name);
        damaged.resize(damaged.len() + zeros, 0);
        rig.sim.put(&in_folder(&name), damaged);
        let report = check(&rig.sim, seed, rig.units.len());
        assert_eq!((report.dropped_bytes, report.dropped_commands), (zeros as u64, 0));
        assert!(report.set_aside.is_empty() && !report.is_clean());
    }
}

#[test]
fn the_manifest_can_be_lost_broken_or_old() {
    for seed in 0..200 {
        let (mut rig, mut dice) = built(seed);
        let path = in_folder(MANIFEST);
        let old = content(&rig.sim, MANIFEST);
        let mut damaged = old.clone();
        match dice.below(5) {
            0 => damaged.clear(),
            1 => damaged.truncate(dice.below(old.len())),
            2 => damaged.fill(0),
            3 => {
                let at = dice.below(old.len());
                damaged[at] ^= 1 << dice.below(8);
            }
            _ => {
                // The folder forgets everything since.
                rig.begin_rewrite();
                fill(&mut rig, &mut dice, 1);
                if dice.one_in(2) {
                    rig.end_rewrite().unwrap();
                    fill(&mut rig, &mut dice, 0);
                }
            }
        }
        let shown = String::from_utf8_lossy(&damaged).into_owned();
        if dice.one_in(8) {
            use crate::storage::Storage as _;
            rig.sim.remove(&path).unwrap();
        } else {
            rig.sim.put(&path, damaged);
        }
        let before: Vec<PathBuf> = rig.sim.paths();
        let report = check(&rig.sim, seed, rig.units.len());
        assert_eq!(report.dropped_bytes, 0, "seed {seed}: {shown:?} {before:?} {report:?}");
        let read = Manifest::parse(&content(&rig.sim, MANIFEST)).unwrap();
        assert!(read.base.is_some() && !read.increments.is_empty());
    }
}

#[test]
fn without_an_increment_those_behind_it_are_not_loaded() {
    for seed in 0..40 {
        let (rig, mut dice) = built(seed);
        let names = increments(&rig);
        let index = dice.below(names.len());
        if names.len() == 1 {
            continue;
        }
        let later = &names[index + 1..];
        let lost: usize =
            names[index..].iter().map(|name| units_in(&content(&rig.sim, name))).sum();
        let dropped: usize = later.iter().map(|name| content(&rig.sim, name).len()).sum();
        use crate::storage::Storage as _;
        rig.sim.remove(&in_folder(&names[index])).unwrap();
        if names[index..].len() == 1 {
            // What nothing knows of but the manifest cannot be told from a rotation that was not done.
            let report = check(&rig.sim, seed, rig.units.len() - lost);
            assert!(!report.is_clean());
            continue;
        }
        let report = check(&rig.sim, seed, rig.units.len() - lost);
        assert_eq!(report.dropped_bytes as usize, dropped, "seed {seed}: {report:?}");
    }
}

#[test]
fn of_a_damaged_base_the_proved_part_is_loaded() {
    for seed in 0..60 {
        let (rig, mut dice) = built(seed);
        let name = base_of(&rig);
        let mut damaged = content(&rig.sim, &name);
        let at = dice.below(damaged.len());
        damaged[at] ^= 1 << dice.below(8);
        rig.sim.put(&in_folder(&name), damaged);
        // Nine bytes of head; four entries and a check are 45.
        let proved = if at < 6 { None } else { Some(at.saturating_sub(9) / 45 * 4) };
        let opened = Rig::open(&rig.sim, &rig.options);
        match proved {
            // It does not say that it is RDB any more: commands they are not, either.
            None => assert!(opened.is_err() || !opened.unwrap().report.is_clean()),
            Some(proved) => {
                let opened = opened.unwrap();
                assert_eq!(opened.units.len(), proved, "seed {seed}: {:?}", opened.report);
                assert!(opened.report.set_aside.iter().any(|aside| aside.starts_with(&name)));
                drop(opened);
                rig.sim.cut_power();
                let again = Rig::open(&rig.sim, &rig.options).unwrap();
                assert_eq!(again.units.len(), proved, "seed {seed}");
                assert!(again.report.is_clean(), "seed {seed}: {:?}", again.report);
            }
        }
    }
}

#[test]
fn history_files_stand_in_for_a_damaged_base() {
    let mut rig = Rig::new(7, Fsync::Always);
    rig.append(100);
    rig.append(100);
    rig.begin_rewrite();
    rig.append(100);
    rig.flush();
    let first = increments(&rig)[0].clone();
    let old = [base_of(&rig), first].map(|name| (in_folder(&name), content(&rig.sim, &name)));
    rig.end_rewrite().unwrap();
    rig.append(100);
    rig.flush();
    let name = base_of(&rig);
    let mut damaged = content(&rig.sim, &name);
    damaged[12] ^= 1;
    rig.sim.put(&in_folder(&name), damaged);
    for (path, content) in old {
        rig.sim.put(&path, content);
    }
    let report = check(&rig.sim, 7, 4);
    assert!(report.set_aside.iter().any(|aside| aside.starts_with(&name)), "{report:?}");
}

#[test]
fn what_another_server_appended_is_loaded_and_left_alone() {
    let mut rig = Rig::new(3, Fsync::Always);
    rig.append(100);
    rig.flush();
    let name = increments(&rig)[0].clone();
    let mut foreign = content(&rig.sim, &name);
    foreign.extend(unit(1, 20));
    foreign.extend(b"#TS:1700000000\r\n");
    foreign.extend(unit(2, 21));
    rig.sim.put(&in_folder(&name), foreign.clone());
    let mut rig = Rig::open(&rig.sim, &rig.options).unwrap();
    assert_eq!(rig.units, [0, 1, 2]);
    assert!(rig.report.is_foreign && rig.report.is_clean());
    rig.append(10);
    rig.flush();
    assert_eq!(content(&rig.sim, &name), foreign);
    let mut opened = Rig::open(&rig.sim, &rig.options).unwrap();
    assert_eq!(opened.units, rig.units);
    assert!(!opened.report.is_foreign);

    // What the next increment vouches for is not believed when it is damaged.
    opened.flush();
    let at = foreign.len() - 5;
    foreign[at] ^= 1;
    rig.sim.put(&in_folder(&name), foreign);
    assert_eq!(check(&rig.sim, 3, 1).dropped_commands, 9);
}

/// A log that another server wrote.
fn foreign(increment: &[u8]) -> Sim {
    let sim = Sim::new(1);
    sim.put(&in_folder("appendonly.aof.1.base.aof"), unit(0, 7));
    sim.put(&in_folder("appendonly.aof.1.incr.aof"), increment.to_vec());
    let manifest = "file appendonly.aof.1.base.aof seq 1 type b\n\
                    file appendonly.aof.1.incr.aof seq 1 type i\n";
    sim.put(&in_folder(MANIFEST), manifest.into());
    sim.put(std::path::Path::new("/data/x"), Vec::new());
    sim
}

#[test]
fn a_log_without_marks_is_cut_where_it_ends_too_early() {
    let good = unit(1, 31);
    for tail in [&unit(2, 31)[..20], b"*", &command(&[b"MULTI"]), &[0; 512]] {
        let bytes = [&good, tail].concat();
        let report = check(&foreign(&bytes), 0, 2);
        assert_eq!(report.dropped_bytes as usize, tail.len());
        let strict = super::Options { load_truncated: false, ..options(Fsync::No) };
        let fatal = Rig::open(&foreign(&bytes), &strict).err().unwrap();
        assert!(fatal.0[0].starts_with("Unexpected end of file"), "{fatal}");
    }
    // Half a command, and zeros where the rest of it should be.
    let torn = [&good, &unit(2, 31)[..40], &[0; 600]].concat();
    assert_eq!(check(&foreign(&torn), 0, 2).dropped_bytes, 640);
}

#[test]
fn a_log_without_marks_that_is_wrong_is_refused() {
    let bad = [unit(1, 31), b"hello\r\n".to_vec(), unit(2, 31)].concat();
    let fatal = Rig::open(&foreign(&bad), &options(Fsync::No)).err().unwrap();
    assert!(fatal.0[0].starts_with("Bad file format reading the append only file"), "{fatal}");
    let unknown = command(&[b"BLA", b"1"]);
    let fatal = Rig::open(&foreign(&unknown), &options(Fsync::No)).err().unwrap();
    assert!(fatal.0[0].ends_with("error: unknown command 'BLA'"), "{fatal}");
    let sim = foreign(b"");
    sim.put(&in_folder(MANIFEST), Vec::new());
    let fatal = Rig::open(&sim, &options(Fsync::No)).err().unwrap();
    assert!(fatal.to_string().contains("Found an empty AOF manifest"), "{fatal}");
}

#[test]
fn a_file_of_the_log_that_is_called_history_as_well_stays() {
    let sim = foreign(&unit(1, 31));
    let mut manifest = content(&sim, MANIFEST);
    manifest.extend(b"file appendonly.aof.1.incr.aof seq 1 type h\n");
    sim.put(&in_folder(MANIFEST), manifest);
    assert!(check(&sim, 0, 2).is_clean());
}

#[test]
fn an_old_log_becomes_the_base() {
    let sim = Sim::new(1);
    let old = [super::testing::base(0..3), unit(3, 10)].concat();
    sim.put(std::path::Path::new("/data/appendonly.aof"), old);
    assert!(check(&sim, 0, 4).is_clean());
    let manifest = Manifest::parse(&content(&sim, MANIFEST)).unwrap();
    assert_eq!(manifest.base.unwrap().name, "appendonly.aof");
}

#[test]
fn a_log_that_is_cut_is_refused_where_the_user_wants_that() {
    let (rig, _) = built(1);
    let name = increments(&rig).pop().unwrap();
    let mut damaged = content(&rig.sim, &name);
    damaged.pop();
    rig.sim.put(&in_folder(&name), damaged.clone());
    let strict = super::Options { load_truncated: false, ..options(Fsync::Always) };
    assert!(Rig::open(&rig.sim, &strict).is_err());
    assert_eq!(content(&rig.sim, &name), damaged, "and nothing was changed");
}
