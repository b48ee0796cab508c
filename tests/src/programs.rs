//! Services that tests put in the server's place (`programs/*.rs`): static, so that they run in a
//! root that has nothing else.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use holdfast_image::binaries::TARGET;

use crate::paths;

/// Built once per process, from one file, by the compiler that builds everything else.
pub fn built(name: &str) -> PathBuf {
    static PROGRAMS: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    let mut programs = PROGRAMS.get_or_init(Mutex::default).lock().expect("no build panicked");
    programs.entry(name.to_owned()).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> PathBuf {
    let source = paths::tests().join(format!("programs/{name}.rs"));
    let folder = tempfile::Builder::new().prefix(name).tempdir().expect("a scratch directory");
    // Kept for as long as the machine keeps scratch files: tests copy it.
    let program = folder.keep().join(name);
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-O", "--target", TARGET]);
    for option in ["target-feature=+crt-static", "panic=abort", "strip=symbols"] {
        rustc.args(["-C", option]);
    }
    let output = rustc.arg("-o").arg(&program).arg(source).output().expect("rustc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}
