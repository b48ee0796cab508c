//! The file of an update: a header, then a slot's bytes.
//!
//! ```text
//!    0   8  "HFUPDATE"              64  32  the board it is for, NUL-padded
//!    8   4  layout: 1               96  32  the version, likewise
//!   12   4  zero                   128 352  zero
//!   16   8  bytes of the body      480  32  SHA-256 of all before
//!   24   8  bytes a slot must have 512   …  the body
//!   32  32  SHA-256 of the body
//! ```
//!
//! Numbers are little-endian. The reader is the agent's: `supervisor/src/update.rs`.

use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{paths, slot};

const HEADER_BYTES: usize = 512;
const MAGIC: &[u8; 8] = b"HFUPDATE";
const LAYOUT: u32 = 1;
/// The machine that our kernel and our EFI file are for.
pub const BOARD: &str = "x86_64-efi";

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    pub bytes: usize,
    /// What names it: its header's checksum, in hexadecimal.
    pub id: String,
}

/// Writes the update to `uki` to `out`, whole or not at all. Same UKI, same bytes.
pub fn write(out: &Path, uki: &[u8]) -> Result<Written> {
    let file = file(&slot::image(uki)?, BOARD, env!("CARGO_PKG_VERSION"));
    paths::write_atomically(out, &file)
        .with_context(|| format!("cannot write the update {}", out.display()))?;
    Ok(Written { bytes: file.len(), id: id(&file) })
}

/// A whole update: header and body.
pub fn file(body: &[u8], board: &str, version: &str) -> Vec<u8> {
    let mut header = [0; HEADER_BYTES];
    put(&mut header, 0, MAGIC);
    put(&mut header, 8, &LAYOUT.to_le_bytes());
    put(&mut header, 16, &(body.len() as u64).to_le_bytes());
    put(&mut header, 24, &slot::BYTES.to_le_bytes());
    put(&mut header, 32, &Sha256::digest(body));
    put(&mut header, 64, board.as_bytes());
    put(&mut header, 96, version.as_bytes());
    let sum = Sha256::digest(&header[..480]);
    put(&mut header, 480, &sum);
    [&header[..], body].concat()
}

/// What names a whole update: `holdfast update key` wants it.
pub fn id(file: &[u8]) -> String {
    file[480..HEADER_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put(header: &mut [u8], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}
