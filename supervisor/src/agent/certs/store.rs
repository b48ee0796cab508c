//! Where certificates are kept: each set in a directory of its own, and a link to the one in use.
//!
//! ```text
//!   tls/ca.crt          for clients          tls/ca.key   0600, read by the agent alone
//!   tls/current         -> v0007             the link is replaced in one step
//!   tls/v0007/…         server.crt server.key client.crt client.key ca.crt
//!   tls/seen            the last time seen, seconds since 1970
//! ```
//!
//! Whatever happens in between, `current` names a whole set: files and directories are on disk before
//! the link is. The last [`KEPT`] sets stay.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use holdfast_supervisor::paths::SERVICE_GID;

use super::schedule::Unix;

const KEPT: usize = 3;

/// Longer than any chain; a bundle of all public authorities is a third of it.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;

const CURRENT: &str = "current";

/// Who reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Anybody,
    /// The server, by its group.
    Server,
    /// The agent alone.
    Nobody,
}

impl Reader {
    fn mode(self) -> u32 {
        match self {
            Self::Anybody => 0o644,
            Self::Server => 0o640,
            Self::Nobody => 0o600,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    /// Makes the directory, and removes what an interrupted change left.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        make_directory(root)?;
        let store = Self { root: root.to_owned() };
        for entry in fs::read_dir(root)?.flatten() {
            if entry.file_name().as_encoded_bytes().ends_with(b".new") {
                remove(&entry.path())?;
            }
        }
        Ok(store)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The directory in use, by the path that stays the same.
    pub(crate) fn current(&self) -> PathBuf {
        self.path(CURRENT)
    }

    /// A new set, in use when this returns.
    pub(crate) fn install(&self, files: &[(&str, &[u8], Reader)]) -> io::Result<u32> {
        let number = self.versions()?.last().map_or(1, |last| last.saturating_add(1));
        let building = self.path(&format!("v{number:04}.new"));
        make_directory(&building)?;
        for (name, bytes, reader) in files {
            write_new(&building.join(name), bytes, *reader)?;
        }
        sync_directory(&building)?;
        fs::rename(&building, self.path(&directory_of(number)))?;
        sync_directory(&self.root)?;
        self.point_to(number)?;
        self.prune(number)?;
        Ok(number)
    }

    fn point_to(&self, number: u32) -> io::Result<()> {
        let link = self.path("current.new");
        remove(&link)?;
        symlink(directory_of(number), &link)?;
        fs::rename(&link, self.current())?;
        sync_directory(&self.root)
    }

    /// A file of its own, replaced as a whole.
    pub(crate) fn write(&self, name: &str, bytes: &[u8], reader: Reader) -> io::Result<()> {
        let building = self.path(&format!("{name}.new"));
        remove(&building)?;
        write_new(&building, bytes, reader)?;
        fs::rename(&building, self.path(name))?;
        sync_directory(&self.root)
    }

    /// Keeps what is there under another name: keys are never thrown away.
    pub(crate) fn set_aside(&self, name: &str) -> io::Result<()> {
        let aside = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        };
        fs::rename(self.path(name), self.path(&format!("{name}.previous"))).or_else(aside)?;
        sync_directory(&self.root)
    }

    pub(crate) fn seen(&self) -> Option<Unix> {
        let text = read_bounded(&self.path("seen")).ok()?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok()
    }

    pub(crate) fn save_seen(&self, seen: Unix) -> io::Result<()> {
        self.write("seen", format!("{seen}\n").as_bytes(), Reader::Anybody)
    }

    /// Ascending.
    fn versions(&self) -> io::Result<Vec<u32>> {
        let names = fs::read_dir(&self.root)?.flatten().map(|entry| entry.file_name());
        let number = |name: std::ffi::OsString| name.to_str()?.strip_prefix('v')?.parse().ok();
        let mut versions: Vec<u32> = names.filter_map(number).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    fn prune(&self, in_use: u32) -> io::Result<()> {
        let versions = self.versions()?;
        let old = versions.len().saturating_sub(KEPT);
        for number in versions[..old].iter().filter(|number| **number != in_use) {
            fs::remove_dir_all(self.path(&directory_of(*number)))?;
        }
        Ok(())
    }
}

fn directory_of(number: u32) -> String {
    format!("v{number:04}")
}

fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(path)?;
    give_to_server(path)
}

fn write_new(path: &Path, bytes: &[u8], reader: Reader) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if reader != Reader::Nobody {
        give_to_server(path)?;
    }
    file.set_permissions(fs::Permissions::from_mode(reader.mode()))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// To the server's group, where the agent is in it. In a container where both are one user there
/// is nothing to give, the agent may not be allowed to, or the group does not exist.
fn give_to_server(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.gid() == SERVICE_GID {
        return Ok(());
    }
    match std::os::unix::fs::chown(path, None, Some(SERVICE_GID)) {
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::InvalidInput => Ok(()),
            _ => Err(error),
        },
        Ok(()) => Ok(()),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// All of a file, unless it is longer than any certificate file is.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("is longer than {MAX_FILE_BYTES} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("exists").mode() & 0o777
    }

    fn install(store: &Store, text: &str) -> u32 {
        let files = [
            ("server.crt", text.as_bytes(), Reader::Anybody),
            ("server.key", b"key", Reader::Server),
        ];
        store.install(&files).expect("installed")
    }

    #[test]
    fn the_link_always_names_a_whole_set_and_old_ones_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("tls")).expect("opened");
        for number in 1..=6 {
            assert_eq!(install(&store, &format!("set {number}")), number);
            let text = fs::read_to_string(store.current().join("server.crt")).expect("there");
            assert_eq!(text, format!("set {number}"));
        }
        assert_eq!(store.versions().expect("listed"), [4, 5, 6]);
        assert_eq!(fs::read_link(store.current()).expect("a link"), Path::new("v0006"));
    }

    #[test]
    fn what_an_interrupted_change_left_is_removed_and_the_set_in_use_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened");
        install(&store, "good");
        fs::create_dir(store.path("v0002.new")).expect("made");
        fs::write(store.path("v0002.new/server.crt"), "half").expect("written");
        symlink("v0002", store.path("current.new")).expect("linked");
        fs::write(store.path("ca.key.new"), "half").expect("written");
        let store = Store::open(folder.path()).expect("opened again");
        let left: Vec<_> = fs::read_dir(folder.path()).expect("listed").flatten().collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(install(&store, "next"), 2);
    }

    #[test]
    fn keys_are_read_by_whom_they_are_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("tls")).expect("opened");
        install(&store, "certificate");
        store.write("ca.key", b"key", Reader::Nobody).expect("written");
        assert_eq!(mode(&store.current().join("server.key")), 0o640);
        assert_eq!(mode(&store.current().join("server.crt")), 0o644);
        assert_eq!(mode(&store.path("ca.key")), 0o600);
        assert_eq!(mode(&store.path(".")), 0o750);
        store.set_aside("ca.key").expect("set aside");
        store.set_aside("ca.key").expect("nothing to set aside");
        assert_eq!(mode(&store.path("ca.key.previous")), 0o600);
    }

    #[test]
    fn the_time_seen_survives_and_nonsense_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened");
        assert_eq!(store.seen(), None);
        store.save_seen(1_800_000_000).expect("saved");
        assert_eq!(store.seen(), Some(1_800_000_000));
        fs::write(store.path("seen"), [0xff; 9]).expect("written");
        assert_eq!(store.seen(), None);
    }

    #[test]
    fn a_file_longer_than_the_bound_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("long");
        File::create(&file).and_then(|file| file.set_len(MAX_FILE_BYTES + 1)).expect("made");
        assert_eq!(read_bounded(&file).expect_err("refused").kind(), ErrorKind::FileTooLarge);
    }
}
