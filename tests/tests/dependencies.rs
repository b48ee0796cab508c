//! Every crate of the lock file has a licence that deny.toml allows and comes from the registry; none
//! that is built is banned; every dependency of the workspace has its reason beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use holdfast_tests::commands::run;
use serde_json::Value;
use toml::Table;

fn workspace_file(name: &str) -> String {
    let path = holdfast_image::paths::workspace().join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn deny_toml() -> Table {
    workspace_file("deny.toml").parse().expect("deny.toml is TOML")
}

/// All packages of the lock file, whatever platform or feature they are for.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]);
    cargo.current_dir(holdfast_image::paths::workspace());
    let text = run(&mut cargo).unwrap_or_else(|why| panic!("{why}"));
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

/// Features of ours: those that ship, or every one.
#[derive(Debug, Clone, Copy)]
enum Features {
    Default,
    All,
}

/// The names of what is built, for whatever platform. Fewer than in the lock file: that has optional
/// crates, too, whose features another one's weak feature speaks of.
fn built(features: Features) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--workspace", "--target", "all", "--locked"]);
    cargo.args(["--prefix", "none", "--format", "{p}"]);
    if let Features::All = features {
        cargo.arg("--all-features");
    }
    cargo.current_dir(holdfast_image::paths::workspace());
    let text = run(&mut cargo).unwrap_or_else(|why| panic!("{why}"));
    text.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
}

/// Whether `expression` (SPDX, with Cargo's old `/` for OR) can be met by allowed licences alone.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any_of(&mut rest, allowed);
    met && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = all_of(words, allowed);
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = licence(words, allowed);
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        met &= licence(words, allowed);
    }
    met
}

fn licence(words: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    match **words {
        ["(", ..] => {
            *words = &words[1..];
            let met = any_of(words, allowed);
            *words = words.strip_prefix(&[")"]).expect("a closing bracket");
            met
        }
        [name, "WITH", exception, ..] => {
            *words = &words[3..];
            allowed.contains(format!("{name} WITH {exception}").as_str())
        }
        [name, ..] => {
            *words = &words[1..];
            allowed.contains(name)
        }
        [] => false,
    }
}

#[test]
fn licences_are_read_as_spdx_says() {
    let allowed = BTreeSet::from(["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"]);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Zlib", true),
        ("(MIT OR GPL-3.0) AND (GPL-3.0)", false),
        ("MIT/GPL-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), met, "{expression}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let deny = deny_toml();
    let allowed = deny["licenses"]["allow"].as_array().expect("a list of licences");
    let allowed: BTreeSet<&str> = allowed.iter().filter_map(toml::Value::as_str).collect();
    let exceptions = exceptions(&deny);
    let shipped = built(Features::Default);
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().unwrap_or_default();
        match exceptions.get(name) {
            Some(it) => {
                assert!(is_allowed(licence, &BTreeSet::from([it.as_str()])), "{name}: {licence:?}");
                assert!(!shipped.contains(name), "{name} would ship, under {licence}");
            }
            None => assert!(is_allowed(licence, &allowed), "{name}: licence {licence:?}"),
        }
    }
}

/// The licences that one crate alone may have, by its name.
fn exceptions(deny: &Table) -> BTreeMap<String, String> {
    let list = deny["licenses"]["exceptions"].as_array().expect("a list of exceptions");
    let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
    list.iter().map(|it| (text(&it["crate"]), text(&it["allow"][0]))).collect()
}

#[test]
fn no_crate_is_banned_or_from_elsewhere() {
    let deny = deny_toml();
    let banned = deny["bans"]["deny"].as_array().expect("a list of bans");
    assert!(!banned.is_empty());
    let (all, shipped) = (built(Features::All), built(Features::Default));
    assert!(shipped.contains("tokio"), "{shipped:?}");
    for ban in banned {
        let name = ban["crate"].as_str().expect("a name");
        // What one crate may wrap is for a feature of a host's; nobody ships it.
        let wrapped = ban.get("wrappers").is_some();
        let names = if wrapped { &shipped } else { &all };
        assert!(!names.contains(name), "{name} is banned by deny.toml");
    }
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        // Our own packages have no source.
        if let Some(source) = package["source"].as_str() {
            assert!(source.starts_with("registry+"), "{name} comes from {source}");
        }
    }
}

#[test]
fn every_dependency_has_its_reason_beside_it() {
    let manifest = workspace_file("Cargo.toml");
    let (_, section) = manifest.split_once("[workspace.dependencies]\n").expect("a section");
    let section = section.split("\n[").next().expect("the section's text");
    let mut reason = "";
    for line in section.lines() {
        if let Some(words) = line.strip_prefix('#') {
            reason = words.trim();
        } else if line.trim().is_empty() {
            reason = "";
        } else if line.contains(" = ") {
            assert!(reason.len() > 20, "no reason beside {line:?}");
            reason = "";
        }
    }
}
