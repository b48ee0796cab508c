//! Writing a slot, so that at every moment it holds a whole system or nothing that starts.
//!
//! Its first sector, without which firmware sees no file system, is cleared before anything else is
//! written, and written last, once all the rest was read back from the disk and is what it should be.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use holdfast_supervisor::update::{Header, Sum};
use rustix::fs::{Advice, SeekFrom, fadvise, seek};
use sha2::{Digest, Sha256};

use super::file::{self, CHUNK_BYTES};

/// What a disk writes whole or not at all, and where a FAT says that it is one.
const HEAD_BYTES: usize = 512;
/// Written before the disk has to have it: so much memory waits at most.
const FLUSH_BYTES: u64 = 2 << 20;

/// What a slot is on.
pub(super) trait Medium {
    fn bytes(&self) -> u64;
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// What was written is on the disk when it returns, and what is read comes from there.
    fn flush(&mut self) -> io::Result<()>;
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()>;
}

/// A partition.
pub(super) struct Device(File);

impl Device {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let opened = File::options().read(true).write(true).open(path);
        opened.map(Self).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Medium for Device {
    fn bytes(&self) -> u64 {
        seek(&self.0, SeekFrom::End(0)).unwrap_or(0)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_all()?;
        Ok(fadvise(&self.0, 0, None, Advice::DontNeed)?)
    }

    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(bytes, at)
    }
}

/// That it has room for what the header says.
pub(super) fn fits(medium: &impl Medium, header: &Header) -> Result<(), String> {
    let (have, needed) = (medium.bytes(), header.slot_bytes.max(header.body_bytes));
    if needed <= have {
        return Ok(());
    }
    Err(format!("the update needs a slot of {needed} bytes; this machine's has {have}"))
}

/// Writes what `input` holds, which must be what was checked. `progress` is told percents.
pub(super) fn write(
    medium: &mut impl Medium,
    checked: &Header,
    input: &mut impl io::Read,
    progress: &mut dyn FnMut(u64),
) -> Result<(), String> {
    let mut head = [0; HEAD_BYTES];
    let (mut flushed, mut told) = (0, 0);
    let header = file::read(input, |header, at, piece| {
        if at == 0 {
            if header.id != checked.id {
                return Err("the update was replaced after it was checked".to_owned());
            }
            clear(medium).map_err(|error| said(&error))?;
        }
        let (at, piece) = match piece.split_first_chunk() {
            Some((first, rest)) if at == 0 => {
                head = *first;
                (HEAD_BYTES as u64, rest)
            }
            _ => (at, piece),
        };
        medium.write_at(at, piece).map_err(|error| said(&error))?;
        let end = at + piece.len() as u64;
        if end - flushed >= FLUSH_BYTES {
            medium.flush().map_err(|error| said(&error))?;
            flushed = end;
        }
        let percent = end * 100 / header.body_bytes / 10 * 10;
        if percent > told {
            told = percent;
            progress(percent);
        }
        Ok(())
    })?;
    medium.flush().map_err(|error| said(&error))?;
    if sum(medium, &head, header.body_bytes).map_err(|error| said(&error))? != header.sum {
        return Err(
            "what the disk gives back is not what the update's header says: the update or \
                    the disk is damaged"
                .to_owned(),
        );
    }
    give(medium, &head).map_err(|error| said(&error))
}

/// Firmware finds no file system any more.
fn clear(medium: &mut impl Medium) -> io::Result<()> {
    medium.write_at(0, &[0; HEAD_BYTES])?;
    medium.flush()
}

/// From here on it is whole.
fn give(medium: &mut impl Medium, head: &[u8; HEAD_BYTES]) -> io::Result<()> {
    medium.write_at(0, head)?;
    medium.flush()?;
    let mut read = [0; HEAD_BYTES];
    medium.read_at(0, &mut read)?;
    if read == *head { Ok(()) } else { Err(io::Error::other("the disk gives back other bytes")) }
}

/// Of what it would be with this head.
fn sum(medium: &impl Medium, head: &[u8], bytes: u64) -> io::Result<Sum> {
    let mut sum = Sha256::new();
    sum.update(head);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = HEAD_BYTES as u64;
    while at < bytes {
        let now = (bytes - at).min(CHUNK_BYTES as u64) as usize;
        medium.read_at(at, &mut chunk[..now])?;
        sum.update(&chunk[..now]);
        at += now as u64;
    }
    Ok(sum.finalize().into())
}

fn said(error: &io::Error) -> String {
    format!("the slot: {error}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::file::check;
    use super::super::file::tests::update;
    use super::*;

    const SECTOR: usize = 512;
    const SLOT: usize = 1 << 20;

    /// A disk that keeps what was flushed, and of what was not whichever sectors chance wants.
    struct Disk {
        safe: Vec<u8>,
        now: Vec<u8>,
        /// Writes and flushes until the power goes.
        left: usize,
        lies: bool,
    }

    impl Disk {
        fn new(left: usize) -> Self {
            Self { safe: old(), now: old(), left, lies: false }
        }

        fn spend(&mut self) -> io::Result<()> {
            self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(())
        }

        /// What is there after the power went.
        fn left_behind(&self, mut survives: impl FnMut() -> bool) -> Vec<u8> {
            let mut disk = self.safe.clone();
            for (kept, lost) in disk.chunks_mut(SECTOR).zip(self.now.chunks(SECTOR)) {
                if kept != lost && survives() {
                    kept.copy_from_slice(lost);
                }
            }
            disk
        }
    }

    impl Medium for Disk {
        fn bytes(&self) -> u64 {
            self.now.len() as u64
        }

        /// Into a cache: the write at which the power goes is there in part, as all that was not
        /// flushed.
        fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            self.now[at as usize..][..bytes.len()].copy_from_slice(bytes);
            self.spend()
        }

        fn flush(&mut self) -> io::Result<()> {
            self.spend()?;
            self.safe.clone_from(&self.now);
            if self.lies {
                self.now[SLOT / 2] ^= 1;
            }
            Ok(())
        }

        fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
            bytes.copy_from_slice(&self.now[at as usize..][..bytes.len()]);
            Ok(())
        }
    }

    fn old() -> Vec<u8> {
        vec![0xaa; SLOT]
    }

    fn new() -> Vec<u8> {
        (0..SLOT - 3 * SECTOR).map(|at| (at / 7) as u8 | 1).collect()
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Holds {
        Old,
        New,
        Nothing,
        Ruin,
    }

    fn holds(slot: &[u8]) -> Holds {
        match slot {
            _ if slot[..SECTOR].iter().all(|byte| *byte == 0) => Holds::Nothing,
            _ if slot == old() => Holds::Old,
            _ if slot.starts_with(&new()) => Holds::New,
            _ => Holds::Ruin,
        }
    }

    fn checked(mut file: &[u8]) -> Header {
        check(&mut file, |_| Ok(())).expect("whole")
    }

    fn try_write(disk: &mut Disk) -> Result<(), String> {
        let file = update(&new());
        write(disk, &checked(&file), &mut &file[..], &mut |_| ())
    }

    /// Writes and flushes of a whole update.
    fn steps() -> usize {
        let mut disk = Disk::new(usize::MAX);
        try_write(&mut disk).expect("well");
        assert_eq!(holds(&disk.safe), Holds::New);
        usize::MAX - disk.left
    }

    #[test]
    fn whatever_fails_before_the_end_leaves_nothing_that_starts() {
        let whole = update(&new());
        let cut = &whole[..whole.len() - 1];
        let mut damaged = whole.clone();
        damaged[SLOT / 2] ^= 1;
        for file in [cut, &damaged] {
            let mut disk = Disk::new(usize::MAX);
            write(&mut disk, &checked(&whole), &mut &file[..], &mut |_| ()).expect_err("bad");
            assert_eq!(holds(&disk.safe), Holds::Nothing);
        }
        let mut lying = Disk { lies: true, ..Disk::new(usize::MAX) };
        let error = try_write(&mut lying).expect_err("other bytes");
        assert!(error.contains("gives back"), "{error}");
    }

    #[test]
    fn another_one_than_was_checked_changes_nothing() {
        let whole = update(&new());
        let mut disk = Disk::new(0);
        for other in [update(&[1; SLOT / 2]), [b"x", &whole[1..]].concat()] {
            write(&mut disk, &checked(&whole), &mut &other[..], &mut |_| ()).expect_err("bad");
        }
        assert_eq!(disk.now, old());
        assert!(fits(&disk, &checked(&whole)).is_ok());
        fits(&disk, &checked(&update(&vec![1; SLOT + 1]))).expect_err("too large");
    }

    #[test]
    fn progress_is_told_in_tens() {
        let mut told = Vec::new();
        let mut disk = Disk::new(usize::MAX);
        let file = update(&new());
        write(&mut disk, &checked(&file), &mut &file[..], &mut |percent| told.push(percent))
            .expect("well");
        assert_eq!(told.last(), Some(&100));
        assert!(told.is_sorted() && told.iter().all(|percent| percent % 10 == 0), "{told:?}");
    }

    proptest! {
        // Each goes through every write.
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// The power goes at any write or flush, and of what was not flushed any sectors are there.
        #[test]
        fn at_every_moment_the_slot_holds_a_whole_system_or_nothing(seed in any::<u64>()) {
            for left in 0..steps() {
                let mut disk = Disk::new(left);
                try_write(&mut disk).expect_err("the power went");
                let mut random = seed | 1;
                let slot = disk.left_behind(|| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random & 1 == 1
                });
                prop_assert_ne!(holds(&slot), Holds::Ruin, "after {}", left);
            }
        }
    }
}
