//! Which programs `sh` runs: the image's own, where the image has them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::stop::{Stop, construct};

/// For a message.
pub(crate) const ALL: &str =
    "redis-server, redis-cli, redis-check-rdb, redis-check-aof and holdfast";

/// The folders that the image's programs lie in, in PATH's usual order.
const FOLDERS: [&str; 2] = ["/usr/local/bin", "/usr/bin"];

/// What each of the makers calls his programs.
const MAKERS: [&[u8]; 3] = [b"redis-", b"valkey-", b"holdfast-"];
const OF_MAKERS: [&[u8]; 6] = [b"server", b"cli", b"check-rdb", b"check-aof", b"agent", b"init"];
const OF_HOUSE: [&[u8]; 2] = [b"holdfast", b"holdfastctl"];

/// The file of the program that is called `word`.
pub(crate) fn find(word: &[u8], path: Option<OsString>) -> Result<PathBuf, Stop> {
    let given = Path::new(OsStr::from_bytes(word));
    let folders: Vec<PathBuf> = match given.parent().filter(|_| word.contains(&b'/')) {
        Some(folder) => vec![folder.to_owned()],
        None => match &path {
            Some(path) => std::env::split_paths(path).collect(),
            None => FOLDERS.iter().map(PathBuf::from).collect(),
        },
    };
    let name = given.file_name().unwrap_or_default();
    let mut found = folders.iter().map(|folder| (folder, folder.join(name)));
    let is_ours = |folder: &Path| FOLDERS.iter().any(|ours| folder == Path::new(ours));
    match found.find(|(_, file)| file.is_file()) {
        Some((folder, file)) if is_ours(folder) && is_own(name.as_bytes()) => Ok(file),
        None if !is_shells(word) => Err(Stop::missing(word)),
        _ => Err(Stop::refused(word, construct::WORDS)),
    }
}

pub(crate) fn is_server(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name.as_bytes().ends_with(b"-server"))
}

fn is_own(name: &[u8]) -> bool {
    let by_maker = MAKERS.iter().find_map(|maker| name.strip_prefix(*maker));
    OF_HOUSE.contains(&name) || by_maker.is_some_and(|name| OF_MAKERS.contains(&name))
}

/// Whether it is of a shell's own commands, or of those that every shell finds: `cd`, `echo`, `sleep`.
fn is_shells(word: &[u8]) -> bool {
    const COMMANDS: [&[u8]; 24] = [
        b".", b"[", b"bash", b"cat", b"cd", b"command", b"cp", b"echo", b"env", b"eval", b"exec",
        b"export", b"false", b"grep", b"printf", b"read", b"set", b"sh", b"sleep", b"test",
        b"trap", b"ulimit", b"umask", b"wait",
    ];
    COMMANDS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_images_own_programs_are_found() {
        let elsewhere = tempfile::tempdir().expect("a folder");
        let file = elsewhere.path().join("redis-cli");
        std::fs::write(&file, "").expect("written");
        let check = |word: &[u8], path: &str, status: u8| {
            let path = [elsewhere.path().to_str().expect("UTF-8"), path].join(":");
            assert_eq!(find(word, Some(path.into())).expect_err("not ours").status, status);
        };
        check(b"redis-cli", "/usr/bin", 126);
        check(file.as_os_str().as_bytes(), "/usr/bin", 126);
        check(b"env", "/usr/bin", 126);
        check(b"/usr/bin/env", "/usr/bin", 126);
        check(b"cd", "/usr/bin", 126);
        check(b"no-such-program", "/usr/bin", 127);
        check(b"/usr/bin/no-such-program", "", 127);
        check(b"", "/usr/bin", 127);
    }

    #[test]
    fn their_names_are_a_closed_list() {
        for name in ["redis-server", "valkey-check-aof", "holdfast-agent", "holdfast"] {
            assert!(is_own(name.as_bytes()), "{name}");
        }
        for name in ["redis-", "redis-sh", "holdfast-sh", "redis-benchmark", "server", "sh", ""] {
            assert!(!is_own(name.as_bytes()), "{name}");
        }
    }
}
