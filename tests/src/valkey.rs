//! Valkey from Debian's source package: its Tcl suite, and its programs to compare with.

use std::path::PathBuf;

use crate::debian_source::SourcePackage;

/// As its makefile has it: what figures are compared with.
const OPTIMISED: SourcePackage = SourcePackage {
    name: "valkey",
    release_line: "9.1.",
    landmark: "tests/test_helper.tcl",
    programs: &["valkey-server", "valkey-benchmark", "valkey-cli"],
    needs: &[],
    built: "built",
    make: &["BUILD_TLS=no", "USE_SYSTEMD=no"],
};

/// In the shortest time: tests look at what it does, not how fast.
const QUICK: SourcePackage = SourcePackage {
    built: "quick",
    make: &["MALLOC=libc", "OPTIMIZATION=-O1", "BUILD_TLS=no", "USE_SYSTEMD=no"],
    ..OPTIMISED
};

/// Valkey's unpacked source tree, fetched on first use.
pub fn source() -> Result<PathBuf, String> {
    OPTIMISED.source()
}

/// The directory of valkey-server and its companions for figures, built on first use.
pub fn optimised_programs() -> Result<PathBuf, String> {
    OPTIMISED.programs()
}

/// The same for tests.
pub fn quick_programs() -> Result<PathBuf, String> {
    QUICK.programs()
}
