//! Debian's packaged kernel for clouds: nothing is installed, the package is only unpacked.
//!
//! It keeps some drivers as modules. The few that our machines need are shipped uncompressed, in
//! an order in which each finds what it depends on; init loads them one after the other.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Kernel, Module};
use crate::packages::{ensure_packages, newest_named};
use crate::paths;
use crate::process::{output, say};

/// Signed images only: `-unsigned` and `-dbg` do not end like this.
const PACKAGE: &str = r"^linux-image-6\.12\.[0-9]+(\+deb[0-9]+)?-cloud-amd64$";

/// What a virtual machine needs, where it is not built in. Real hardware is our own kernel's.
const WANTED: [&str; 7] =
    ["virtio_net", "virtio_blk", "virtio_rng", "i6300esb", "button", "evdev", "efivarfs"];

/// The newest 6.12 cloud kernel that was fetched before, else the newest that apt offers.
pub fn get() -> Result<Kernel> {
    let cache = paths::make(paths::cache()?.join("debian-kernel"))?;
    let _one_at_a_time = paths::lock_in(&cache, "debian-kernel")?;
    let unpacked = match fetched(&cache)? {
        Some(dir) => dir,
        None => fetch(&cache)?,
    };
    load(&unpacked)
}

fn fetched(cache: &Path) -> Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(cache).context("cannot list the kernel cache")? {
        let path = entry.context("cannot list the kernel cache")?.path();
        if path.join("boot").is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found.pop())
}

fn fetch(cache: &Path) -> Result<PathBuf> {
    ensure_packages(&["xz-utils"])?;
    let Some(package) = newest_named(PACKAGE)? else {
        bail!(
            "apt offers no package like linux-image-6.12…-cloud-amd64. Refresh its lists \
             (apt-get update; Debian 12 has it in bookworm-security and -backports), \
             or give a kernel of your own: --kernel FILE"
        );
    };
    say(format!("fetching Debian's kernel: {package}"));
    let scratch = tempfile::tempdir_in(cache).context("cannot make a scratch directory")?;
    let mut download = Command::new("apt-get");
    download.current_dir(scratch.path()).args(["-q", "-o", "APT::Sandbox::User=root"]);
    output(download.args(["download", &package]))?;
    let deb = the_deb_in(scratch.path())?;
    let tree = scratch.path().join("tree");
    output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&tree))?;
    let done = cache.join(&package);
    fs::rename(&tree, &done).with_context(|| format!("cannot put {} in place", done.display()))?;
    Ok(done)
}

fn the_deb_in(dir: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(dir).context("cannot list the download")? {
        let path = entry.context("cannot list the download")?.path();
        if path.extension().is_some_and(|e| e == "deb") {
            return Ok(path);
        }
    }
    bail!("apt-get download left no .deb in {}", dir.display())
}

fn load(tree: &Path) -> Result<Kernel> {
    let boot = tree.join("boot");
    let mut images = fs::read_dir(&boot).context("the package holds no /boot")?.flatten();
    let image = images.find(|e| e.file_name().to_string_lossy().starts_with("vmlinuz-"));
    let Some(image) = image else { bail!("no vmlinuz in {}", boot.display()) };
    let mut kernel = Kernel::module_less(&image.path())?;
    // Debian 12 has /lib, its children /usr/lib.
    let dirs = ["lib/modules", "usr/lib/modules"].map(|d| tree.join(d).join(&kernel.release));
    let Some(dir) = dirs.iter().find(|d| d.is_dir()) else {
        bail!("no modules of {} in {}", kernel.release, tree.display())
    };
    kernel.modules = Shelf::open(dir)?.in_load_order(&WANTED)?;
    Ok(kernel)
}

/// A directory of modules. Names are compared as the kernel does: `-` and `_` are the same.
struct Shelf {
    files: HashMap<String, PathBuf>,
    built_in: Vec<String>,
}

impl Shelf {
    fn open(dir: &Path) -> Result<Self> {
        let mut files = HashMap::new();
        collect(&dir.join("kernel"), &mut files)?;
        let list = dir.join("modules.builtin");
        let list =
            fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
        let built_in = list.lines().map(|l| name_of(Path::new(l))).collect();
        Ok(Self { files, built_in })
    }

    fn in_load_order(&self, wanted: &[&str]) -> Result<Vec<Module>> {
        let mut order = Vec::new();
        for name in wanted {
            self.add(name, &mut order)?;
        }
        Ok(order)
    }

    /// Puts what `name` depends on, then itself. The kernel's graph has no cycles, and a module
    /// that is there already ends the walk.
    fn add(&self, name: &str, order: &mut Vec<Module>) -> Result<()> {
        let file = format!("{name}.ko");
        if self.built_in.iter().any(|b| b == name) || order.iter().any(|m| m.file == file) {
            return Ok(());
        }
        let Some(path) = self.files.get(name) else {
            bail!("this kernel has no module {name}, built in or loadable")
        };
        let bytes = uncompressed(path)?;
        for dependency in depends(&bytes) {
            self.add(&dependency, order)?;
        }
        order.push(Module { file, bytes });
        Ok(())
    }
}

fn collect(dir: &Path, files: &mut HashMap<String, PathBuf>) -> Result<()> {
    let context = || format!("cannot list {}", dir.display());
    for entry in fs::read_dir(dir).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.insert(name_of(&path), path);
        }
    }
    Ok(())
}

/// `kernel/drivers/char/hw_random/virtio-rng.ko.xz` is `virtio_rng`.
fn name_of(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

fn uncompressed(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_some_and(|e| e == "xz") {
        return output(Command::new("xz").arg("-dc").arg(path));
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The `depends=` line of the module's .modinfo section: a module says itself what it needs, so no
/// depmod has to run over the tree.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|w| w == KEY) else { return Vec::new() };
    let rest = &module[at + KEY.len()..];
    let end = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
    let names = String::from_utf8_lossy(&rest[..end]).replace('-', "_");
    names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shelf of modules given as (name, what it depends on).
    fn shelf(dir: &Path, modules: &[(&str, &str)]) -> Shelf {
        fs::create_dir_all(dir.join("kernel/net")).unwrap();
        for (name, depends) in modules {
            let body = format!("ELF\0depends={depends}\0name={name}\0");
            fs::write(dir.join(format!("kernel/net/{name}.ko")), body).unwrap();
        }
        fs::write(dir.join("modules.builtin"), "kernel/lib/crc32.ko\n").unwrap();
        Shelf::open(dir).unwrap()
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let modules = [("a", "b-c,crc32"), ("b-c", "d"), ("d", ""), ("e", "d")];
        let order = shelf(dir.path(), &modules).in_load_order(&["a", "e"]).unwrap();
        let files: Vec<&str> = order.iter().map(|m| m.file.as_str()).collect();
        assert_eq!(files, ["d.ko", "b_c.ko", "a.ko", "e.ko"]);
    }

    #[test]
    fn built_in_needs_no_file_and_unknown_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = shelf(dir.path(), &[]);
        assert!(shelf.in_load_order(&["crc32"]).unwrap().is_empty());
        let error = shelf.in_load_order(&["nope"]).unwrap_err().to_string();
        assert!(error.contains("nope"), "{error}");
    }
}
