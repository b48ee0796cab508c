//! The data partition of a machine that is off, as whoever takes its disk elsewhere sees it.

use std::fs;
use std::ops::Range;
use std::process::Command;

use holdfast_image::{disk, ensure_packages};
use holdfast_tests::appliance::DATA_MIB;

pub(crate) const MIB: usize = 1 << 20;
/// Where `blank_disk` puts the data partition.
pub(crate) const DATA_AT: usize = disk::DATA_AT as usize;
const DATA: Range<usize> = DATA_AT..DATA_AT + DATA_MIB as usize * MIB;

/// Puts a file of root's, which nobody else may read, below /data/holdfast.
pub(crate) fn write(disk: &mut [u8], name: &str, text: &str) {
    ensure_packages(&["e2fsprogs"]).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (partition, file) = (files.path().join("partition"), files.path().join("file"));
    let script = files.path().join("script");
    fs::write(&partition, &disk[DATA]).unwrap();
    fs::write(&file, text).unwrap();
    let words = format!(
        "cd /holdfast\nrm {name}\nwrite {} {name}\nset_inode_field {name} mode 0100600\n",
        file.display()
    );
    fs::write(&script, words).unwrap();
    let mut debugfs = Command::new("/usr/sbin/debugfs");
    let out = debugfs.arg("-w").arg("-f").arg(&script).arg(&partition).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.contains("Allocated inode"), "{said}{}", String::from_utf8_lossy(&out.stderr));
    disk[DATA].copy_from_slice(&fs::read(&partition).unwrap());
}
