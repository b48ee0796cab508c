//! The service that misbehaves on demand (`programs/hurt.rs`): building it, telling it what to do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use holdfast_image::binaries::TARGET;

use crate::paths;

/// Built once per process, from one file, by the compiler that builds everything else.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build).clone()
}

fn build() -> PathBuf {
    let source = paths::tests().join("programs/hurt.rs");
    let folder = tempfile::Builder::new().prefix("hurt").tempdir().expect("a scratch directory");
    // Kept for as long as the machine keeps scratch files: tests copy it.
    let program = folder.keep().join("hurt");
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition",
        "2024",
        "-O",
        "-C",
        "target-feature=+crt-static",
        "-C",
        "panic=abort",
    ]);
    rustc.args(["-C", "strip=symbols", "--target", TARGET]).arg("-o").arg(&program).arg(source);
    let output = rustc.output().expect("rustc");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// The first line of the answer, or the text of a bulk string; nothing when there is none.
pub fn tell(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(crate::wait::PATIENCE)).ok()?;
    writeln!(stream, "{line}").ok()?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let first = first.trim_end();
    match first.strip_prefix('$').and_then(|len| len.parse::<usize>().ok()) {
        Some(len) => {
            let mut text = vec![0; len];
            reader.read_exact(&mut text).ok()?;
            String::from_utf8(text).ok()
        }
        None => (!first.is_empty()).then(|| first.to_owned()),
    }
}
