//! The directory where sockets of server and agent stand, made before either runs.

use std::path::Path;

use holdfast_supervisor::paths::{ADMIN_SOCKETS, AGENT_UID, SERVICE_GID, SERVICE_UID};
use holdfast_supervisor::snapshot::Mode;
use rustix::fs::{Access, Gid, Mode as FileMode, Uid};

/// Both may make a socket there, neither may take the other's away.
const SHARED: u32 = 0o1775;

/// Where the server answers those who look after it.
pub(crate) fn admin_socket(mode: Mode, drops_privileges: bool) -> &'static str {
    let [first, second] = ADMIN_SOCKETS;
    let folder = Path::new(first).parent().unwrap_or(Path::new("/"));
    let _ = rustix::fs::mkdir(folder, FileMode::from(SHARED));
    let owner = if mode == Mode::Metal { AGENT_UID } else { SERVICE_UID };
    let is_shared = if drops_privileges {
        share(folder, owner).is_ok()
    } else {
        rustix::fs::access(folder, Access::WRITE_OK).is_ok()
    };
    if is_shared { first } else { second }
}

fn share(folder: &Path, owner: u32) -> rustix::io::Result<()> {
    rustix::fs::chown(folder, Some(Uid::from_raw(owner)), Some(Gid::from_raw(SERVICE_GID)))?;
    rustix::fs::chmod(folder, FileMode::from(SHARED))
}
