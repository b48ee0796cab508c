//! Bytes that have to wait for their place in a file: few in memory, many in a file of their own.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::save::Target;
use crate::storage::{File, Purpose, Storage};

/// Bytes that wait in memory, and are read back at once.
const IN_MEMORY: usize = 256 << 10;

/// Dropping it removes its file.
pub(super) struct Spill {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    purpose: Purpose,
    file: Option<Box<dyn File>>,
    in_file: u64,
    /// What came after what the file has.
    bytes: Vec<u8>,
}

impl Spill {
    /// For what is to go into the target's file.
    pub(super) fn new(target: &Target) -> Self {
        // A name by which a left-over is known, as the target's.
        let name = target.temp.file_name().unwrap_or_default().to_string_lossy();
        let name = name.replacen("temp-", "temp-aside-", 1);
        Self {
            storage: Arc::clone(&target.storage),
            path: target.temp.with_file_name(name),
            purpose: target.purpose,
            file: None,
            in_file: 0,
            bytes: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() < IN_MEMORY {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.storage.create(&self.path, self.purpose)?),
        };
        file.write_all(&self.bytes)?;
        self.in_file += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    /// Gives everything in the order in which it came. Nothing is left then.
    pub(super) fn give(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            let mut reader = self.storage.open(&self.path)?.take(self.in_file);
            let mut piece = Vec::with_capacity(IN_MEMORY);
            while reader.by_ref().take(IN_MEMORY as u64).read_to_end(&mut piece)? > 0 {
                take(&piece)?;
                piece.clear();
            }
            self.in_file = 0;
            file.set_len(0)?;
        }
        take(&self.bytes)?;
        self.bytes = Vec::new();
        Ok(())
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // It is of no use, and the next start removes what cannot be removed now.
            let _ = self.storage.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::storage::sim::Sim;

    #[test]
    fn all_comes_back_in_order_and_nothing_stays() {
        let sim = Sim::new(1);
        let target = Target {
            storage: Arc::new(sim.clone()),
            temp: "temp-7.rdb".into(),
            purpose: Purpose::Snapshot,
            checksum: true,
            sync_as_written: false,
        };
        let mut spill = Spill::new(&target);
        for round in 0..3 {
            let mut expected = Vec::new();
            for nth in 0..(round * 40) {
                let piece = vec![nth as u8; 10_000 + nth];
                spill.put(&piece).unwrap();
                expected.extend(piece);
            }
            assert_eq!(sim.paths().len(), usize::from(round > 0));
            let mut given = Vec::new();
            let take = |bytes: &[u8]| {
                given.extend_from_slice(bytes);
                Ok(())
            };
            spill.give(take).unwrap();
            assert!(given == expected, "round {round}");
            assert_eq!(sim.content(Path::new("temp-aside-7.rdb")).unwrap_or_default(), b"");
        }
        drop(spill);
        assert!(sim.paths().is_empty());
    }
}
