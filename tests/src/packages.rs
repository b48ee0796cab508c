//! Debian packages that a test needs: installed when we may, asked for otherwise.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::commands::run;
use crate::progress::say;

/// Makes sure that `packages` are installed.
pub fn ensure(packages: &[&str]) -> Result<(), String> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(format!("please run: apt-get install {}", missing.join(" ")));
    }
    say(format!("installing {}", missing.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        run(&mut command)
    };
    apt(&["--quiet", "update"])?;
    let install = ["--quiet", "install", "-y", "--no-install-recommends"];
    apt(&[&install[..], &missing[..]].concat())?;
    Ok(())
}

fn is_installed(package: &str) -> bool {
    let list = |suffix: &str| format!("/var/lib/dpkg/info/{package}{suffix}.list");
    Path::new(&list("")).exists() || Path::new(&list(":amd64")).exists()
}
