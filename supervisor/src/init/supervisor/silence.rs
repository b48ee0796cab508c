//! Before a silence counts against a service, the kernel is asked why: twice, a moment apart.

use core::fmt::Write;
use core::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use heapless::String;
use holdfast_supervisor::clock::Ms;
use holdfast_supervisor::machine::State;
use holdfast_supervisor::silence::{Cause, Look};
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::process::Pid;

use super::{AGENT, Supervisor};
use crate::console::say;

/// A service that is at work may be silent for so many times its bound, as the prober's thresholds
/// have it: three misses, or thirty of one that is busy.
const BUSY_PATIENCE: Ms = 10;
/// Threads looked at: the server has one for each processor and few more.
const MAX_THREADS: usize = 64;
/// The names of some forty threads at a time.
const NAMES_BYTES: usize = 1024;
/// More than the fields that count.
const FILE_BYTES: usize = 256;

/// A service whose time was up, and the first look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    since: Ms,
    /// When it is looked at again, if it has said nothing until then.
    until: Ms,
    look: Look,
}

impl Supervisor {
    /// The time of a silent service is up; whether it gets more. The time to become ready is not a
    /// silence, except the agent's, which nobody but us gives.
    pub(super) fn is_excused(&mut self, at: usize, now: Ms) -> bool {
        let Some(slot) = self.slots.get_mut(at) else { return false };
        let asked = slot.record.deadline();
        let counts = match slot.record.state {
            State::Ready { .. } | State::Unready { .. } => true,
            State::Starting { .. } => at == AGENT,
            _ => false,
        };
        let (Some(asked), Some(pid), true) = (asked, slot.pid(), counts) else { return false };
        let look = look_at(pid, now).unwrap_or(Look::new(now));
        let before = slot.silence.take().filter(|silence| silence.until == asked);
        let cause = before.map(|before| look.since(&before.look));
        let since = before.map_or(now, |before| before.since);
        let work_ms = BUSY_PATIENCE * Ms::from(slot.service.policy.watchdog_ms);
        let is_excused = match cause {
            None | Some(Cause::Starved) => true,
            Some(Cause::Busy) => at != AGENT && now < since + work_ms,
            Some(Cause::Idle) => false,
        };
        if !is_excused {
            return false;
        }
        slot.record.forgive_silence(now);
        let until = slot.record.deadline().unwrap_or(now);
        slot.silence = Some(Silence { since, until, look });
        if let (Some(before), Some(cause)) = (before, cause)
            && before.since == before.look.at
        {
            say!("{} is silent, but {}; it is not called hung", slot.service.name, reason(cause));
        }
        true
    }
}

fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Starved => "it starves: others have the processor",
        Cause::Busy => "it is at work",
        Cause::Idle => "it waits",
    }
}

/// Every thread of the process.
fn look_at(pid: Pid, now: Ms) -> Result<Look, Errno> {
    let mut path = String::<32>::new();
    // Eleven letters and a number fit.
    let _ = write!(path, "/proc/{}/task", pid.as_raw_nonzero());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let tasks = rustix::fs::open(&*path, flags, Mode::empty())?;
    let mut names = [MaybeUninit::uninit(); NAMES_BYTES];
    let mut entries = RawDir::new(&tasks, &mut names);
    let mut look = Look::new(now);
    let mut threads = 0;
    while let Some(entry) = entries.next() {
        let name = entry?;
        let name = name.file_name().to_str().unwrap_or_default();
        if threads == MAX_THREADS || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        threads += 1;
        add_thread(&mut look, &tasks, name);
    }
    Ok(look)
}

/// One that has ended meanwhile counts for nothing.
fn add_thread(look: &mut Look, tasks: &OwnedFd, name: &str) {
    let (mut stat, mut times) = ([0; FILE_BYTES], [0; FILE_BYTES]);
    let stat = read(tasks, name, "stat", &mut stat).unwrap_or_default();
    let times = read(tasks, name, "schedstat", &mut times).unwrap_or_default();
    look.add(stat, times);
}

/// The beginning of the file. A thread's name may be no text at all; what is before it is cut off
/// with it, and what counts comes after.
fn read<'a>(
    tasks: &OwnedFd,
    thread: &str,
    file: &str,
    buffer: &'a mut [u8],
) -> Result<&'a str, Errno> {
    let mut path = String::<32>::new();
    write!(path, "{thread}/{file}").map_err(|_| Errno::NAMETOOLONG)?;
    let file = rustix::fs::openat(tasks, &*path, OFlags::CLOEXEC, Mode::empty())?;
    let len = rustix::io::read(file, &mut *buffer)?;
    let bytes = buffer.get(..len).unwrap_or_default();
    let start = bytes.iter().rposition(|byte| *byte == b')').unwrap_or(0);
    core::str::from_utf8(bytes.get(start..).unwrap_or_default()).map_err(|_| Errno::ILSEQ)
}
