//! The service that misbehaves on demand (`programs/hurt.rs`): building it, telling it what to do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use holdfast_image::binaries::Binaries;
use holdfast_image::kernel::Choice;
use holdfast_image::machine::Boot;

use crate::appliance::Appliance;
use crate::programs;

pub fn program() -> PathBuf {
    programs::built("hurt")
}

/// The appliance with it in the server's place, and this holdfast.toml.
pub fn appliance(memory_mib: u32, toml: &str) -> Appliance {
    let kernel = Choice::Quickest.get().unwrap();
    let binaries = Binaries { server: program(), ..crate::appliance::programs().clone() };
    let files = holdfast_image::appliance::files(&kernel.modules, &binaries).unwrap();
    let files = files.with_file("etc/holdfast/holdfast.toml", toml.as_bytes().to_vec());
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("initramfs");
    std::fs::write(&packed, holdfast_image::initramfs::pack(&files).unwrap()).unwrap();
    Appliance::boot_with(&[], |machine| {
        machine.memory_mib = memory_mib;
        if let Boot::Direct { initramfs, .. } = &mut machine.boot {
            *initramfs = Some(packed);
        }
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
