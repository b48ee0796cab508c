//! Debian packages that a command needs: installed when we are root, else named exactly.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::process::{output, say, stream};

/// Makes sure that `wanted` are installed. As root it installs what is missing and says so;
/// otherwise it fails with the line to type.
pub fn ensure_packages(wanted: &[&str]) -> Result<()> {
    if missing(wanted)?.is_empty() {
        return Ok(());
    }
    let _one_at_a_time = paths::lock("packages")?;
    let missing = missing(wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!(
            "Debian packages are missing. Install them and start again:\n    \
             sudo apt-get update && sudo apt-get install -y --no-install-recommends {list}"
        );
    }
    update_lists();
    say(format!("installing Debian packages (we are root): {list}"));
    let _services_stay_off = NoServices::begin()?;
    let mut install = apt_get();
    install.args(["install", "-y", "--no-install-recommends"]).args(&missing);
    stream(&mut install, |line| {
        if line.starts_with("Setting up ") {
            say(format!("  {line}"));
        }
    })
}

/// The newest of Debian's packages whose name matches the extended regular expression.
pub(crate) fn newest_named(pattern: &str) -> Result<Option<String>> {
    let mut found = names(pattern)?;
    if found.is_empty() && rustix::process::geteuid().is_root() {
        update_lists();
        found = names(pattern)?;
    }
    found.sort_by_key(|name| numbers_in(name));
    Ok(found.pop())
}

fn names(pattern: &str) -> Result<Vec<String>> {
    let out = output(Command::new("apt-cache").args(["search", "--names-only", pattern]))?;
    let out = String::from_utf8_lossy(&out).into_owned();
    Ok(out.lines().filter_map(|l| l.split(' ').next()).map(str::to_owned).collect())
}

/// `linux-image-6.12.9+deb12` sorts before `linux-image-6.12.117+deb12`.
fn numbers_in(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

fn missing(wanted: &[&str]) -> Result<Vec<String>> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Abbrev}${Package}\n"]).args(wanted);
    let out = query.output().with_context(|| {
        format!(
            "no dpkg-query: this is set up for Debian and its children. \
             Elsewhere, provide what these packages hold: {}",
            wanted.join(" ")
        )
    })?;
    // Names that dpkg has never heard of are only in its exit code and on standard error.
    let out = String::from_utf8_lossy(&out.stdout).into_owned();
    let installed: Vec<&str> = out.lines().filter_map(|l| l.strip_prefix("ii ")).collect();
    Ok(wanted.iter().filter(|w| !installed.contains(w)).map(|w| w.to_string()).collect())
}

/// Refreshes the package lists, once in this process. A mirror of somebody else's that does not
/// answer is no reason to stop: installing will tell whether what we need can be had.
fn update_lists() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        say("refreshing Debian's package lists (we are root): apt-get update");
        if let Err(why) = output(apt_get().arg("update")) {
            say(format!("apt-get update had trouble, going on: {why:#}"));
        }
    });
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["-q", "-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Use-Pty=0"]);
    command
}

/// Packages with daemons (docker, redis) would start them; Debian asks `policy-rc.d` first.
struct NoServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn begin() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context("cannot write policy-rc.d")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
            .context("cannot make policy-rc.d executable")?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_and_unknown_packages_are_told_apart() {
        let missing = missing(&["dpkg", "holdfast-no-such-package"]).unwrap();
        assert_eq!(missing, ["holdfast-no-such-package"]);
    }

    #[test]
    fn versions_sort_by_number() {
        let (old, new) = ("linux-image-6.12.9+deb12", "linux-image-6.12.117+deb12");
        assert!(numbers_in(old) < numbers_in(new));
    }
}
