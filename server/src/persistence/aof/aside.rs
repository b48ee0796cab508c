//! What is not loaded is kept, beside the log and under a name that no server reads:
//! `appendonly.aof.3.incr.aof.damaged-1`.

use std::io::{self, Read as _};
use std::path::Path;

use crate::storage::{Purpose, Storage};

const SUFFIX: &str = ".damaged-";
/// More are not kept: the oldest go.
const MAX_KEPT: usize = 16;
const COPY_BYTES: u64 = 256 * 1024;

/// The names that files set aside get, one after the other.
pub(super) struct Aside {
    next: u64,
    /// Those that are there, by number.
    kept: Vec<(u64, String)>,
}

impl Aside {
    /// `names` is everything in the folder.
    pub(super) fn new(names: &[String]) -> Self {
        let mut kept: Vec<_> = names.iter().filter_map(|name| numbered(name)).collect();
        kept.sort_unstable();
        let next = kept.last().map_or(1, |(number, _)| number.saturating_add(1));
        Self { next, kept }
    }

    /// Copies the part of a file from `from` on; the name of the copy.
    pub(super) fn copy_tail(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        name: &str,
        from: u64,
    ) -> io::Result<String> {
        let kept = self.name_for(storage, dir, name);
        let mut input = storage.open(&dir.join(name))?;
        io::copy(&mut input.by_ref().take(from), &mut io::sink())?;
        let mut output = storage.create(&dir.join(&kept), Purpose::Log)?;
        let mut piece = Vec::new();
        while input.by_ref().take(COPY_BYTES).read_to_end(&mut piece)? > 0 {
            output.write_all(&piece)?;
            piece.clear();
        }
        output.sync()?;
        Ok(kept)
    }

    /// Gives a file another name, which it answers.
    pub(super) fn move_file(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        name: &str,
    ) -> io::Result<String> {
        let kept = self.name_for(storage, dir, name);
        storage.rename(&dir.join(name), &dir.join(&kept))?;
        Ok(kept)
    }

    fn name_for(&mut self, storage: &dyn Storage, dir: &Path, name: &str) -> String {
        while self.kept.len() >= MAX_KEPT {
            // One that cannot be removed costs space, nothing else.
            let _ = storage.remove(&dir.join(self.kept.remove(0).1));
        }
        let kept = format!("{name}{SUFFIX}{}", self.next);
        self.kept.push((self.next, kept.clone()));
        self.next = self.next.saturating_add(1);
        kept
    }
}

fn numbered(name: &str) -> Option<(u64, String)> {
    let (_, digits) = name.rsplit_once(SUFFIX)?;
    Some((digits.parse().ok()?, name.to_owned()))
}
