//! A network namespace with nothing but its own loopback: every port in it is free.

use std::ffi::OsStr;
use std::process::Command;

use crate::packages;

/// `program`, to be started in a namespace of its own; without being root, too.
pub fn command(program: impl AsRef<OsStr>) -> Result<Command, String> {
    packages::ensure(&["iproute2", "util-linux"])?;
    let mut command = Command::new("unshare");
    command.args([
        "--map-root-user",
        "--net",
        "sh",
        "-c",
        "ip link set lo up && exec \"$0\" \"$@\"",
    ]);
    command.arg(program);
    Ok(command)
}
