//! Redis 8 from Debian's source package, without its modules: its files are read, and it reads ours.

use std::path::PathBuf;

use crate::debian_source::SourcePackage;

/// No figure depends on it, so it is built in the shortest time.
const PACKAGE: SourcePackage = SourcePackage {
    name: "redis",
    release_line: "8.0.",
    landmark: "src/rdb.c",
    programs: &["redis-server", "redis-check-rdb"],
    needs: &["g++"],
    built: "built",
    make: &["MALLOC=libc", "OPTIMIZATION=-O1", "BUILD_TLS=no", "USE_SYSTEMD=no"],
};

/// The directory of redis-server and its companions, built on first use.
pub fn programs() -> Result<PathBuf, String> {
    PACKAGE.programs()
}
