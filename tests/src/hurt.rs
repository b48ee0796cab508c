//! The service that misbehaves on demand (`programs/hurt.rs`): building it, telling it what to do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use holdfast_image::machine::Machine;
use holdfast_image::rootfs::Tree;

use crate::appliance::{Appliance, overlay};
use crate::programs;

pub fn program() -> PathBuf {
    programs::built("hurt")
}

/// The appliance with it in the server's place, and this holdfast.toml.
pub fn appliance(memory_mib: u32, toml: &str) -> Appliance {
    appliance_with(memory_mib, toml, |_| ())
}

/// The same on another machine than the usual one.
pub fn appliance_with(memory_mib: u32, toml: &str, shape: impl FnOnce(&mut Machine)) -> Appliance {
    let mut files = Tree::default();
    files.program("usr/bin/holdfast-server", &program()).unwrap();
    files.configure(toml);
    Appliance::boot_with(&[], |machine| {
        machine.memory_mib = memory_mib;
        overlay(machine, &files);
        shape(machine);
    })
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
