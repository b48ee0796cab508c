//! The files that ship, as one list. The initramfs and the container image are two ways to pack it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::binaries::Binaries;
use crate::kernel::Module;
use crate::paths;

/// The user that the server runs as, the official Redis image's number.
pub const REDIS: u32 = 999;

/// No shell exists here, and both lines say so.
const PASSWD: &[u8] = b"\
root:x:0:0:root:/:/nonexistent
redis:x:999:999:redis:/data:/nonexistent
holdfast:x:998:998:agent:/data/holdfast:/nonexistent
";

/// What the server's program is by its other names: `redis-cli`, `valkey-cli` and so on, as in the
/// official images.
const TOOLS: [&str; 4] = ["server", "cli", "check-rdb", "check-aof"];

/// One thing in the file system. All of it belongs to root unless `owner` says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub kind: Kind,
    pub mode: u32,
    pub owner: u32,
}

impl Entry {
    fn lay_out(&self, at: &Path) -> std::io::Result<()> {
        match &self.kind {
            Kind::Dir => fs::create_dir_all(at)?,
            Kind::File(bytes) => fs::write(at, bytes)?,
            Kind::Link(to) => return std::os::unix::fs::symlink(to, at),
            Kind::Device(..) => return Ok(()),
        }
        fs::set_permissions(at, fs::Permissions::from_mode(self.mode))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Dir,
    File(Vec<u8>),
    Link(String),
    /// A character device: major, minor.
    Device(u32, u32),
}

/// A file system to be: paths without a leading slash, parents before children.
#[derive(Clone, Debug, Default)]
pub struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// What the appliance unpacks into memory: kernel modules are there for Debian's kernel only.
    pub fn appliance(binaries: &Binaries, modules: &[Module], blank: &[u8]) -> Result<Self> {
        let mut tree = Self::common(binaries)?;
        for dir in ["dev", "proc", "sys", "run"] {
            tree.dir(dir, 0o755);
        }
        tree.link("init", "usr/bin/holdfast-init");
        // The kernel opens it for init before anything is mounted; without it init is mute.
        tree.put("dev/console", Kind::Device(5, 1), 0o600);
        tree.file("usr/lib/holdfast/data.blank", blank.to_vec());
        if !modules.is_empty() {
            let order: String = modules.iter().map(|m| format!("{}\n", m.file)).collect();
            tree.file("usr/lib/holdfast/modules/load-order", order.into_bytes());
        }
        for module in modules {
            tree.file(&format!("usr/lib/holdfast/modules/{}", module.file), module.bytes.clone());
        }
        Ok(tree)
    }

    /// What the container holds: `/bin/sh` too, where health checks and compose files look for it. It is
    /// no shell, and a machine has no use for it.
    pub fn container(binaries: &Binaries) -> Result<Self> {
        let mut tree = Self::common(binaries)?;
        for name in ["bin/sh", "usr/bin/sh"] {
            tree.link(name, "/usr/bin/holdfast-server");
        }
        Ok(tree)
    }

    fn common(binaries: &Binaries) -> Result<Self> {
        let mut tree = Self::default();
        tree.dir("tmp", 0o1777);
        tree.dir("data", 0o755);
        tree.own("data", REDIS);
        tree.dir("run/holdfast", 0o755);
        tree.program("usr/bin/holdfast-init", &binaries.init)?;
        // `/sbin/poweroff` and `/sbin/reboot` are what the kernel itself starts, when the machine is too
        // hot or its host wants it gone (kernel/reboot.c); `/sbin/init` is what others look for.
        for name in ["init", "reboot", "poweroff", "halt"] {
            tree.link(&format!("sbin/{name}"), "/usr/bin/holdfast-init");
        }
        tree.program("usr/bin/holdfast-agent", &binaries.agent)?;
        for name in ["holdfast", "holdfastctl"] {
            tree.link(&format!("usr/bin/{name}"), "holdfast-agent");
        }
        tree.program("usr/bin/holdfast-server", &binaries.server)?;
        for name in TOOLS {
            for by in ["redis", "valkey"] {
                let link = format!("usr/local/bin/{by}-{name}");
                tree.link(&link, "/usr/bin/holdfast-server");
            }
        }
        let config = paths::workspace().join("supervisor/holdfast.toml");
        tree.file("etc/holdfast/holdfast.toml", read(&config)?);
        tree.file("etc/passwd", PASSWD.to_vec());
        tree.file("etc/group", b"root:x:0:\nredis:x:999:holdfast\nholdfast:x:998:\n".to_vec());
        tree.file("etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n".to_vec());
        tree.file("etc/nsswitch.conf", b"hosts: files dns\n".to_vec());
        Ok(tree)
    }

    /// Another `holdfast.toml` than the shipped one.
    pub fn configure(&mut self, text: &str) {
        self.file("etc/holdfast/holdfast.toml", text.as_bytes().to_vec());
    }

    /// Entries with every parent before its children.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Writes everything below `dir`, for packers that walk a directory. Owners and devices are
    /// theirs to add: setting them takes root.
    pub fn lay_out(&self, dir: &Path) -> Result<()> {
        for (path, entry) in self.iter() {
            let at = dir.join(path);
            entry.lay_out(&at).with_context(|| format!("cannot make {}", at.display()))?;
        }
        Ok(())
    }

    /// A program, from that file.
    pub fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        self.put(path, Kind::File(read(from)?), 0o755);
        Ok(())
    }

    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    fn dir(&mut self, path: &str, mode: u32) {
        self.put(path, Kind::Dir, mode);
    }

    fn file(&mut self, path: &str, bytes: Vec<u8>) {
        self.put(path, Kind::File(bytes), 0o644);
    }

    pub fn link(&mut self, path: &str, to: &str) {
        self.put(path, Kind::Link(to.to_owned()), 0o777);
    }

    fn own(&mut self, path: &str, owner: u32) {
        self.0.get_mut(path).expect("owned after it was put").owner = owner;
    }

    fn put(&mut self, path: &str, kind: Kind, mode: u32) {
        for (slash, _) in path.match_indices('/') {
            let parent = Entry { kind: Kind::Dir, mode: 0o755, owner: 0 };
            self.0.entry(path[..slash].to_owned()).or_insert(parent);
        }
        self.0.insert(path.to_owned(), Entry { kind, mode, owner: 0 });
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_children() {
        let mut tree = Tree::default();
        tree.file("usr/lib/holdfast/x", vec![]);
        tree.link("usr/bin", "elsewhere");
        let paths: Vec<&str> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["usr", "usr/bin", "usr/lib", "usr/lib/holdfast", "usr/lib/holdfast/x"]);
    }

    #[test]
    fn a_directory_put_by_hand_keeps_its_mode_when_files_follow() {
        let mut tree = Tree::default();
        tree.dir("tmp", 0o1777);
        tree.file("tmp/x", vec![]);
        assert_eq!(tree.get("tmp").unwrap().mode, 0o1777);
    }
}
