//! Valkey from Debian's source package: its Tcl suite, and its programs to compare with.

use std::path::PathBuf;

use crate::debian_source::SourcePackage;

const PACKAGE: SourcePackage = SourcePackage {
    name: "valkey",
    release_line: "9.1.",
    landmark: "tests/test_helper.tcl",
    programs: &["valkey-server", "valkey-benchmark", "valkey-cli"],
    needs: &[],
    make: &["BUILD_TLS=no", "USE_SYSTEMD=no"],
};

/// Valkey's unpacked source tree, fetched on first use.
pub fn source() -> Result<PathBuf, String> {
    PACKAGE.source()
}

/// The directory of valkey-server and valkey-benchmark, built on first use.
pub fn programs() -> Result<PathBuf, String> {
    PACKAGE.programs()
}
