//! The archive itself: its size, its bytes, and who else takes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use holdfast_image::binaries::Binaries;
use holdfast_image::{ensure_packages, oci, static_binaries};

use crate::container::{run, stdout};

/// What the archive may weigh.
const LIMIT: u64 = 5_000_000;

/// What each program may weigh, static and stripped. On the appliance all of them lie in memory.
const SERVER_LIMIT: u64 = 6_000_000;
const AGENT_LIMIT: u64 = 3_600_000;
const INIT_LIMIT: u64 = 1_200_000;

pub(crate) fn archive(dir: &Path) -> PathBuf {
    let path = dir.join("holdfast.tar");
    oci::write(&path, &static_binaries().unwrap()).unwrap();
    path
}

#[test]
fn the_archive_is_small_and_the_same_twice() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (archive(one.path()), archive(two.path()));
    let size = fs::metadata(&first).unwrap().len();
    assert!(size <= LIMIT, "{size} bytes");
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "the archives differ");
}

#[test]
fn every_program_is_small() {
    let Binaries { init, agent, server } = static_binaries().unwrap();
    for (program, limit) in [(init, INIT_LIMIT), (agent, AGENT_LIMIT), (server, SERVER_LIMIT)] {
        let size = fs::metadata(&program).unwrap().len();
        assert!(size <= limit, "{}: {size} bytes", program.display());
    }
}

#[test]
fn skopeo_and_podman_take_the_archive() {
    ensure_packages(&["skopeo", "podman"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let archive = archive(dir.path());
    for transport in ["oci-archive", "docker-archive"] {
        let from = format!("{transport}:{}", archive.display());
        let text = stdout(&run(Command::new("skopeo").args(["inspect", "--config", &from])));
        assert!(text.contains("holdfast-init"), "{text}");
        let to = format!("dir:{}", dir.path().join(transport).display());
        run(Command::new("skopeo").args(["copy", "--insecure-policy", &from, &to]));
    }
    let podman = |arguments: &[&str]| {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(dir.path().join("podman"));
        podman.arg("--runroot").arg(dir.path().join("podman-run"));
        run(podman.args(["--storage-driver", "vfs"]).args(arguments))
    };
    podman(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    let images = stdout(&podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"]));
    assert!(images.contains(oci::NAME), "{images}");
}
