//! The container image: every loader takes it, it runs under docker's hardest switches, and files that
//! were written for the official image run as they are.

mod archive;
mod daemon;
mod hardened;
mod tools;

mod seeds;

use std::process::{Command, Output};

#[track_caller]
fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(out.status.success(), "{command:?}:\n{}", both(&out));
    out
}

fn stdout(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn both(out: &Output) -> String {
    stdout(out) + &String::from_utf8_lossy(&out.stderr)
}
