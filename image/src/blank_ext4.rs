//! A blank ext4, made here with mke2fs, so that the appliance needs no mkfs of its own.
//!
//! init writes it to an empty data partition and grows it online to the partition's size, hence
//! the reserved descriptor blocks. Only blocks that are not all zero are shipped:
//!
//! ```text
//!  0        8               16
//!  HFBLANK1 size in bytes   { offset  length  length bytes }*      integers u64 LE
//! ```
//!
//! Offsets ascend; offsets and lengths are multiples of the block. What no record covers is zero.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages::ensure_packages;
use crate::process::output;

pub const MAGIC: &[u8; 8] = b"HFBLANK1";

/// The smallest data partition: a 4 MiB journal and some room.
pub const SIZE: u64 = 16 * MIB;

const MIB: u64 = 1024 * 1024;
const BLOCK: usize = 4096;

/// The same on every appliance: the partition is found by its name, not by this.
const UUID: &str = "5a1d6c3e-68f5-4f0b-9c11-6f1d0a57fa57";

/// Spelled out, so that neither mke2fs' version nor the host's mke2fs.conf decides.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,\
    flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum,\
    metadata_csum_seed";

/// The blank in its packed form.
pub fn packed() -> Result<Vec<u8>> {
    Ok(pack(&image()?))
}

/// The file system itself. It can grow to 1 TiB before the kernel changes to other descriptors.
fn image() -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new().context("cannot make a scratch file")?;
    file.as_file().set_len(SIZE).context("cannot size a scratch file")?;
    let blocks_of_a_tib = (1_u64 << 40) / BLOCK as u64;
    let extended =
        format!("hash_seed={UUID},root_owner=999:999,resize={blocks_of_a_tib},nodiscard");
    let mut mke2fs = mke2fs()?;
    mke2fs.env("MKE2FS_CONFIG", "/dev/null").env("E2FSPROGS_FAKE_TIME", "1");
    mke2fs.args(["-q", "-F", "-t", "ext4", "-O", FEATURES, "-b", "4096", "-I", "256"]);
    mke2fs.args(["-i", "16384", "-J", "size=4", "-m", "0", "-L", "holdfast-data", "-U", UUID]);
    output(mke2fs.args(["-E", &extended]).arg(file.path()))?;
    let image = fs::read(file.path()).context("cannot read the blank file system")?;
    if image.get(1080..1082) != Some(&[0x53, 0xef]) {
        bail!("mke2fs made no ext4");
    }
    Ok(image)
}

/// Where it is, Buildroot's own included; Debian keeps it in /sbin, which a user's PATH may lack.
fn mke2fs() -> Result<Command> {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    if !env::split_paths(&path).any(|dir| dir.join("mke2fs").is_file()) {
        ensure_packages(&["e2fsprogs"])?;
    }
    let mut command = Command::new("mke2fs");
    command.env("PATH", path);
    Ok(command)
}

fn pack(image: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend((image.len() as u64).to_le_bytes());
    let blocks: Vec<&[u8]> = image.chunks(BLOCK).collect();
    let is_hole = |block: &[u8]| block.iter().all(|&b| b == 0);
    let mut at = 0;
    // Neighbours on the same side of "hole or not" become one run.
    for run in blocks.chunk_by(|a, b| is_hole(a) == is_hole(b)) {
        if !is_hole(run[0]) {
            out.extend(((at * BLOCK) as u64).to_le_bytes());
            out.extend(((run.len() * BLOCK) as u64).to_le_bytes());
            run.iter().for_each(|block| out.extend(*block));
        }
        at += run.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_zero_is_packed() {
        let mut image = vec![0; 6 * BLOCK];
        image[0] = 1;
        image[3 * BLOCK] = 2;
        image[5 * BLOCK - 1] = 3;
        let packed = pack(&image);
        let word = |at: usize| u64::from_le_bytes(packed[at..at + 8].try_into().unwrap());
        assert_eq!(&packed[..8], MAGIC);
        assert_eq!(word(8), 6 * 4096);
        assert_eq!((word(16), word(24), packed[32]), (0, 4096, 1));
        let second = 32 + BLOCK;
        assert_eq!((word(second), word(second + 8), packed[second + 16]), (3 * 4096, 2 * 4096, 2));
        assert_eq!(packed.len(), second + 16 + 2 * BLOCK);
    }

    #[test]
    fn blank_is_the_same_twice_and_small() {
        let blank = packed().unwrap();
        assert_eq!(blank, packed().unwrap());
        assert!(blank.len() < 1024 * 1024, "{} bytes", blank.len());
    }
}
