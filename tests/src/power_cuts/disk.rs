//! A disk with a write cache that a power cut empties, served to QEMU as a network block device.
//!
//! Writes go to the cache and are acknowledged; a flush makes everything before it lasting. A cut
//! keeps of the cache any sectors in any order, as a real disk may: a write of several sectors can
//! be torn, and a later one can survive an earlier one. Protocol: NBD's doc/proto.md, "newstyle".

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::fuzz::Random;

/// What is written whole or not at all.
const SECTOR: usize = 512;

/// One request may carry so much: QEMU sends 32 MiB at most.
const REQUEST_LIMIT: usize = 64 << 20;

const MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;

const FIXED_NEWSTYLE: u16 = 1;
const OPTION_EXPORT_NAME: u32 = 1;
const OPTION_ABORT: u32 = 2;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = 0x8000_0001;
const INFO_EXPORT: u16 = 0;
/// It has flags, takes flushes and FUA.
const TRANSMISSION_FLAGS: u16 = 1 | 1 << 2 | 1 << 3;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;
const FUA: u16 = 1;
const IO: u32 = 5;
const INVALID: u32 = 22;

/// What the disk holds, and what it would lose.
#[derive(Debug, Default)]
struct Medium {
    /// As the guest sees it.
    seen: Vec<u8>,
    /// Sectors that differ from what is lasting: where, and what was there.
    cached: Vec<(usize, [u8; SECTOR])>,
    is_on: bool,
    /// Requests are taken and not answered.
    is_silent: bool,
    /// Writes are answered with an error.
    refuses_writes: bool,
    /// The power goes when so many writes have come, and this takes what is lost.
    cut_due: Option<(u64, Random)>,
    writes: u64,
    flushes: u64,
    cuts: u64,
    /// Sectors lost in all cuts.
    lost: u64,
}

impl Medium {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        for (nth, sector) in bytes.chunks_exact(SECTOR).enumerate() {
            let place = at + nth * SECTOR;
            let mut before = [0; SECTOR];
            before.copy_from_slice(&self.seen[place..place + SECTOR]);
            self.cached.push((place, before));
            self.seen[place..place + SECTOR].copy_from_slice(sector);
        }
        self.writes += 1;
    }

    fn flush(&mut self) {
        self.cached.clear();
        self.flushes += 1;
    }

    fn cut_if_due(&mut self) {
        let writes = self.writes;
        if let Some((_, mut random)) = self.cut_due.take_if(|(due, _)| *due <= writes) {
            self.is_on = false;
            self.lose(&mut random);
        }
    }

    /// Undoes writes of the cache, newest first. A sector's loss takes what came after it, too:
    /// for each sector some of its writes, from the first on, have reached the medium.
    fn lose(&mut self, random: &mut Random) {
        let keeps_all = random.below(8) == 0;
        let mut stays = std::collections::BTreeSet::new();
        while let Some((place, before)) = self.cached.pop() {
            if keeps_all || stays.contains(&place) || random.below(2) == 0 {
                stays.insert(place);
            } else {
                self.seen[place..place + SECTOR].copy_from_slice(&before);
                self.lost += 1;
            }
        }
        self.cuts += 1;
    }
}

/// The medium, and the news that it answers again.
#[derive(Debug)]
struct Shared {
    medium: Mutex<Medium>,
    speaks: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The medium, once it is not silent.
    fn when_it_speaks(&self) -> MutexGuard<'_, Medium> {
        let answers = self.speaks.wait_while(self.lock(), |medium| medium.is_silent);
        answers.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disk, and the thread that serves it.
#[derive(Debug)]
pub struct Disk {
    medium: Arc<Shared>,
    socket: PathBuf,
}

impl Disk {
    /// Serves a disk of these bytes at `socket`.
    pub fn serve(bytes: Vec<u8>, socket: PathBuf) -> io::Result<Self> {
        let listener = UnixListener::bind(&socket)?;
        let medium = Medium { seen: bytes, is_on: true, ..Medium::default() };
        let medium = Arc::new(Shared { medium: Mutex::new(medium), speaks: Condvar::new() });
        let served = Arc::clone(&medium);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A connection that breaks is a machine that has ended.
                let _ = serve_connection(stream, &served);
            }
        });
        Ok(Self { medium, socket })
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// From now on nothing is written, and of the cache `random` sectors are gone.
    pub fn cut(&self, random: &mut Random) {
        let mut medium = self.medium.lock();
        medium.is_on = false;
        medium.lose(random);
    }

    /// The same by itself, at the guest's nth write from now on.
    pub fn cut_at_write(&self, nth: u64, seed: u64) {
        let mut medium = self.medium.lock();
        medium.cut_due = Some((medium.writes + nth, Random::from_seed(seed)));
    }

    pub fn is_on(&self) -> bool {
        self.medium.lock().is_on
    }

    pub fn power_on(&self) {
        self.medium.lock().is_on = true;
    }

    /// Takes requests and answers none, as a disk whose controller died; or answers again.
    pub fn silence(&self, silent: bool) {
        self.medium.lock().is_silent = silent;
        self.medium.speaks.notify_all();
    }

    /// Answers writes with an error, as a medium that is worn out; or takes them again.
    pub fn refuse_writes(&self, refuse: bool) {
        self.medium.lock().refuses_writes = refuse;
    }

    /// What the guest sees on it.
    pub fn bytes(&self) -> Vec<u8> {
        self.medium.lock().seen.clone()
    }

    /// What it has done, in words.
    pub fn words(&self) -> String {
        let medium = self.medium.lock();
        format!(
            "disk: {} writes, {} flushes, {} cuts, {} sectors lost",
            medium.writes, medium.flushes, medium.cuts, medium.lost
        )
    }
}

fn serve_connection(mut stream: UnixStream, shared: &Shared) -> io::Result<()> {
    if negotiate(&mut stream, shared.lock().seen.len() as u64)? {
        while serve_request(&mut stream, shared)? {}
    }
    Ok(())
}

/// Whether the client wants the disk.
fn negotiate(stream: &mut UnixStream, size: u64) -> io::Result<bool> {
    stream.write_all(&MAGIC.to_be_bytes())?;
    stream.write_all(&OPTION_MAGIC.to_be_bytes())?;
    stream.write_all(&FIXED_NEWSTYLE.to_be_bytes())?;
    let _client_flags: [u8; 4] = read(stream)?;
    loop {
        let _magic: [u8; 8] = read(stream)?;
        let option = u32::from_be_bytes(read(stream)?);
        let len = u32::from_be_bytes(read(stream)?) as usize;
        let _data = read_len(stream, len)?;
        let export = [&size.to_be_bytes()[..], &TRANSMISSION_FLAGS.to_be_bytes()].concat();
        match option {
            OPTION_EXPORT_NAME => {
                stream.write_all(&[&export[..], &[0; 124]].concat())?;
                return Ok(true);
            }
            OPTION_GO => {
                let info = [&INFO_EXPORT.to_be_bytes()[..], &export].concat();
                answer_option(stream, option, REPLY_INFO, &info)?;
                answer_option(stream, option, REPLY_ACK, &[])?;
                return Ok(true);
            }
            OPTION_ABORT => return Ok(false),
            _ => answer_option(stream, option, REPLY_UNSUPPORTED, &[])?,
        }
    }
}

fn answer_option(stream: &mut UnixStream, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut reply = REPLY_MAGIC.to_be_bytes().to_vec();
    for number in [option, kind, data.len() as u32] {
        reply.extend(number.to_be_bytes());
    }
    reply.extend(data);
    stream.write_all(&reply)
}

/// Whether there is more to come.
fn serve_request(stream: &mut UnixStream, shared: &Shared) -> io::Result<bool> {
    let head: [u8; 28] = read(stream)?;
    let number = |from: usize, len: usize| {
        head[from..from + len].iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    if number(0, 4) != u64::from(REQUEST_MAGIC) {
        return Err(io::Error::other("no NBD request"));
    }
    let (flags, command) = (number(4, 2) as u16, number(6, 2) as u16);
    let (at, len) = (number(16, 8) as usize, number(24, 4) as usize);
    let data = read_len(stream, if command == WRITE { len } else { 0 })?;
    let mut medium = shared.when_it_speaks();
    if !medium.is_on || command == DISCONNECT {
        drop(medium);
        // Nothing answers any more; an error would be an answer.
        io::copy(stream, &mut io::sink())?;
        return Ok(false);
    }
    let is_inside = at.checked_add(len).is_some_and(|end| end <= medium.seen.len());
    let is_whole = at.is_multiple_of(SECTOR) && len.is_multiple_of(SECTOR);
    let mut answer = SIMPLE_REPLY_MAGIC.to_be_bytes().to_vec();
    let known = matches!(command, READ | WRITE | FLUSH) && is_inside && is_whole;
    let refused = command == WRITE && medium.refuses_writes;
    let error = match (known, refused) {
        (false, _) => INVALID,
        (true, true) => IO,
        (true, false) => 0,
    };
    answer.extend(error.to_be_bytes());
    answer.extend(&head[8..16]);
    match command {
        READ if known => answer.extend(&medium.seen[at..at + len]),
        WRITE if error == 0 => {
            medium.write(at, &data);
            medium.cut_if_due();
        }
        FLUSH => medium.flush(),
        _ => {}
    }
    if command == WRITE && flags & FUA != 0 {
        medium.flush();
    }
    drop(medium);
    stream.write_all(&answer)?;
    Ok(true)
}

fn read<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_len(stream: &mut UnixStream, len: usize) -> io::Result<Vec<u8>> {
    if len > REQUEST_LIMIT {
        return Err(io::Error::other("a request that is too long"));
    }
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medium() -> Medium {
        Medium { seen: vec![0; 8 * SECTOR], is_on: true, ..Medium::default() }
    }

    #[test]
    fn what_was_flushed_survives_every_cut() {
        for seed in 1..100 {
            let mut medium = medium();
            medium.write(0, &[1; 4 * SECTOR]);
            medium.flush();
            medium.write(SECTOR, &[2; 2 * SECTOR]);
            medium.lose(&mut Random::from_seed(seed));
            let sector = |nth: usize| medium.seen[nth * SECTOR];
            assert_eq!((sector(0), sector(3), sector(4)), (1, 1, 0), "seed {seed}");
            assert!(matches!(sector(1), 1 | 2) && matches!(sector(2), 1 | 2), "seed {seed}");
        }
    }

    #[test]
    fn a_later_write_can_survive_an_earlier_one() {
        let outcome = |seed| {
            let mut medium = medium();
            medium.write(0, &[1; SECTOR]);
            medium.write(SECTOR, &[2; SECTOR]);
            medium.lose(&mut Random::from_seed(seed));
            (medium.seen[0], medium.seen[SECTOR])
        };
        let seen: std::collections::BTreeSet<_> = (1..100).map(outcome).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(0, 0), (0, 2), (1, 0), (1, 2)]);
    }
}
