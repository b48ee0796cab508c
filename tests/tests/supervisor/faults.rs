//! The table of faults (FAULTS.md) names tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where those tests are, from this package.
const PLACES: [&str; 2] = ["tests", "../supervisor/src"];

/// Adds the names of all functions below.
fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            let named = text.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            names.extend(named.filter_map(|rest| rest.split_once('(')).map(|(n, _)| n.to_owned()));
        }
    }
}

#[test]
fn every_test_that_the_table_of_faults_names_is_there() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut there = BTreeSet::new();
    PLACES.iter().for_each(|place| collect(&package.join(place), &mut there));
    let table = fs::read_to_string(package.join("FAULTS.md")).expect("the table");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
    let words = rows.iter().flat_map(|row| row.split('`').skip(1).step_by(2));
    let missing: Vec<&str> = words.filter(|name| !there.contains(*name)).collect();
    assert_eq!(missing, [""; 0]);
    for number in 1..=38 {
        let is_row = |row: &&str| {
            let cell = row.trim_start_matches("| ").split('|').next().unwrap_or_default();
            cell.split(',').any(|each| each.trim() == number.to_string())
        };
        assert!(rows.iter().any(is_row), "no row for {number}");
    }
}
