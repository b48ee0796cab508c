//! cgroup v2: a fresh group per run of a service, its limits, its end, and its out-of-memory count.
//!
//! ```text
//!  /sys/fs/cgroup/          every controller enabled; no process of ours stays here
//!    init/                  PID 1, and in a container whatever else was here; protected, so that it
//!                           runs and keeps its memory whatever the services do
//!    agent.1/  server.17/   one per run: counters start at zero, and nothing of an older run
//!                           can be charged to, or killed with, a newer one
//! ```

use core::fmt::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapless::{Deque, String};
use holdfast_supervisor::plan::Limits;
use rustix::fs::{AtFlags, Mode as FileMode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

const ROOT: &str = "/sys/fs/cgroup";
/// `CGROUP2_SUPER_MAGIC` of linux/magic.h.
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const CONTROLLERS: [&str; 4] = ["+memory", "+pids", "+cpu", "+io"];
/// Groups of ended runs whose last processes are still going away.
const MAX_STALE: usize = 16;
const FILE_BYTES: usize = 1024;
/// Not reclaimed from PID 1: several times what it has.
const INIT_MEMORY: &str = "8388608";
/// The kernel's own period of `cpu.max`.
const CPU_PERIOD_US: u64 = 100_000;

type GroupName = String<32>;

pub(crate) struct Cgroups {
    root: OwnedFd,
    /// What percentages of the plan are of: bytes that were free when init started.
    memory: u64,
    stale: Deque<GroupName, MAX_STALE>,
    /// The disk under /data, which `io.max` names; `None` where it is not one disk.
    disk: Option<(u32, u32)>,
    /// Every controller could be enabled.
    pub complete: bool,
}

/// The cgroup of one run.
pub(crate) struct Group {
    name: GroupName,
    dir: OwnedFd,
}

impl Cgroups {
    /// `None` when cgroup v2 is absent, read-only, or not ours to arrange.
    pub(crate) fn open() -> Option<Self> {
        if !is_ours() {
            return None;
        }
        let root = open_dir(rustix::fs::CWD, ROOT).ok()?;
        let _ = rustix::fs::mkdirat(&root, "init", FileMode::from(0o755));
        let init = open_dir(&root, "init").ok()?;
        write_file(&init, "cgroup.procs", b"0").ok()?;
        move_all(&root, &init);
        let enabled = CONTROLLERS.map(|controller| {
            write_file(&root, "cgroup.subtree_control", controller.as_bytes()).is_ok()
        });
        protect(&init);
        let memory = available_memory(&root);
        let complete = enabled.iter().all(|&enabled| enabled);
        Some(Self { root, memory, stale: Deque::new(), disk: data_disk(), complete })
    }

    pub(crate) fn fresh(
        &mut self,
        service: &str,
        run: u32,
        limits: &Limits,
    ) -> Result<Group, Errno> {
        let mut name = GroupName::new();
        write!(name, "{service}.{run}").map_err(|_| Errno::NAMETOOLONG)?;
        rustix::fs::mkdirat(&self.root, &*name, FileMode::from(0o755))?;
        let dir = open_dir(&self.root, &name)?;
        let group = Group { name, dir };
        self.limit(&group, limits);
        Ok(group)
    }

    /// Missing controllers were said at start; a limit without one is skipped.
    pub(crate) fn limit(&self, group: &Group, limits: &Limits) {
        let max = limits.memory_max.bytes(self.memory);
        let high = limits.memory_high.bytes(self.memory);
        group.set("memory.max", max);
        group.set("memory.high", high);
        group.set("memory.swap.max", max.map(|_| 0));
        group.set("memory.oom.group", Some(1));
        group.set("pids.max", (limits.pids_max != 0).then_some(u64::from(limits.pids_max)));
        let weight = if limits.cpu_weight == 0 { 100 } else { limits.cpu_weight };
        group.set("cpu.weight", Some(u64::from(weight)));
        group.set("memory.min", Some(limits.memory_min.bytes(self.memory).unwrap_or(0)));
        group.set_cpu_max(limits.cpu_max_percent);
        if let Some(disk) = self.disk {
            group.set_io_max(disk, limits.io_read_bps, limits.io_write_bps);
        }
    }

    /// The run is over: kill what it left behind, and remove the group when it is empty.
    pub(crate) fn retire(&mut self, group: Group) {
        group.kill();
        if self.stale.is_full() {
            self.stale.pop_front();
        }
        let _ = self.stale.push_back(group.name);
        self.sweep();
    }

    /// Removes what has become empty. Called when children were reaped.
    pub(crate) fn sweep(&mut self) {
        for _ in 0..self.stale.len() {
            let Some(name) = self.stale.pop_front() else { return };
            if rustix::fs::unlinkat(&self.root, &*name, AtFlags::REMOVEDIR) == Err(Errno::BUSY) {
                let _ = self.stale.push_back(name);
            }
        }
    }
}

impl Group {
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// SIGKILL to everything in it, whatever it forked. False before Linux 5.14.
    pub(crate) fn kill(&self) -> bool {
        write_file(&self.dir, "cgroup.kill", b"1").is_ok()
    }

    pub(crate) fn contains(&self, pid: Pid) -> bool {
        let mut path = String::<32>::new();
        let mut buffer = [0; FILE_BYTES];
        let _ = write!(path, "/proc/{}/cgroup", pid.as_raw_nonzero());
        let groups = read_file(&rustix::fs::CWD, &path, &mut buffer).unwrap_or_default();
        // PID 1 is at the root of what it sees.
        groups.lines().any(|line| line.strip_prefix("0::/") == Some(&*self.name))
    }

    /// For [`is_populated`], and to wait for its change: POLLPRI from a read until a change.
    pub(crate) fn events(&self) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.dir, "cgroup.events", OFlags::CLOEXEC, FileMode::empty())
    }

    /// Processes of this run that the kernel killed for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        oom_kills_in(&self.dir, "memory.events")
    }

    fn set(&self, file: &str, value: Option<u64>) {
        let mut text = String::<24>::new();
        // Twenty digits and a word fit.
        let _ = write!(text, "{}", Bound(value));
        let _ = write_file(&self.dir, file, text.as_bytes());
    }

    /// So much of each [`CPU_PERIOD_US`].
    fn set_cpu_max(&self, percent: u16) {
        let quota = (percent != 0).then(|| u64::from(percent) * CPU_PERIOD_US / 100);
        let mut text = String::<32>::new();
        let _ = write!(text, "{} {CPU_PERIOD_US}", Bound(quota));
        let _ = write_file(&self.dir, "cpu.max", text.as_bytes());
    }

    fn set_io_max(&self, (major, minor): (u32, u32), read_bps: u64, write_bps: u64) {
        let bound = |bps: u64| Bound((bps != 0).then_some(bps));
        let mut text = String::<96>::new();
        let (read, write) = (bound(read_bps), bound(write_bps));
        let _ = write!(text, "{major}:{minor} rbps={read} wbps={write}");
        let _ = write_file(&self.dir, "io.max", text.as_bytes());
    }
}

/// Some process of the group lives, or its `cgroup.events` cannot be read.
pub(crate) fn is_populated(events: &OwnedFd) -> bool {
    let mut buffer = [0; FILE_BYTES];
    let len = rustix::io::pread(events, &mut buffer[..], 0).unwrap_or(0);
    let empty = b"populated 0\n";
    !buffer.get(..len).unwrap_or_default().windows(empty.len()).any(|line| line == empty)
}

/// As the kernel writes a limit that is none.
struct Bound(Option<u64>);

impl core::fmt::Display for Bound {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("max"),
        }
    }
}

/// PID 1 is small, and everything waits for it.
fn protect(init: &OwnedFd) {
    for (file, value) in [("memory.min", INIT_MEMORY), ("cpu.weight", "10000")] {
        let _ = write_file(init, file, value.as_bytes());
    }
}

/// The whole disk of the partition that /data is on: `io.max` takes no partitions. Before the heap
/// is sealed.
fn data_disk() -> Option<(u32, u32)> {
    let device = rustix::fs::stat(holdfast_supervisor::paths::DATA).ok()?.st_dev;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let own = std::path::PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    let is_partition = own.join("partition").exists();
    let disk = if is_partition { own.canonicalize().ok()?.parent()?.to_owned() } else { own };
    let numbers = std::fs::read_to_string(disk.join("dev")).ok()?;
    let (major, minor) = numbers.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The count of the whole container, for where services have no group of their own.
pub(crate) fn container_oom_kills() -> u64 {
    oom_kills_in(&rustix::fs::CWD, "/sys/fs/cgroup/memory.events")
}

fn oom_kills_in<Fd: AsFd>(dir: &Fd, file: &str) -> u64 {
    let mut buffer = [0; FILE_BYTES];
    let Ok(text) = read_file(dir, file, &mut buffer) else { return 0 };
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    count.unwrap_or(0)
}

/// Version 2, writable, and the root of what we see: a group of the host's is not ours to arrange.
fn is_ours() -> bool {
    let version2 = rustix::fs::statfs(ROOT).is_ok_and(|fs| fs.f_type as u64 == CGROUP2_MAGIC);
    let mut buffer = [0; FILE_BYTES];
    let own = read_file(&rustix::fs::CWD, "/proc/self/cgroup", &mut buffer);
    let root = own.is_ok_and(|text| text.lines().any(|line| line == "0::/"));
    version2 && root && rustix::process::getpid().is_init()
}

/// A group that delegates may hold no process itself. Kernel threads refuse to move, and may.
fn move_all(root: &OwnedFd, init: &OwnedFd) {
    let Ok(procs) = rustix::fs::openat(root, "cgroup.procs", OFlags::CLOEXEC, FileMode::empty())
    else {
        return;
    };
    let text = std::fs::read_to_string(format!("/proc/self/fd/{}", as_raw(&procs)));
    for pid in text.unwrap_or_default().lines() {
        let _ = write_file(init, "cgroup.procs", pid.as_bytes());
    }
}

/// What is left for services: the kernel, its initramfs and its buffers have taken theirs. In a
/// container, no more than the container may have. Runs before the heap is sealed.
fn available_memory(root: &OwnedFd) -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = machine.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let mut buffer = [0; FILE_BYTES];
    // The root of the machine has no such file, an unlimited container says "max".
    let bound = read_file(root, "memory.max", &mut buffer).ok();
    let bound = bound.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    kib.map_or(u64::MAX, |kib| kib * 1024).min(bound)
}

fn as_raw(fd: &OwnedFd) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(fd)
}

fn open_dir<Fd: AsFd>(at: Fd, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, FileMode::empty())
}

fn write_file<Fd: AsFd>(at: &Fd, path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(at, path, flags, FileMode::empty())?;
    rustix::io::write(file, bytes).map(drop)
}

fn read_file<'a, Fd: AsFd>(at: &Fd, path: &str, buffer: &'a mut [u8]) -> Result<&'a str, Errno> {
    let file = rustix::fs::openat(at, path, OFlags::CLOEXEC, FileMode::empty())?;
    let len = rustix::io::read(file, &mut *buffer)?;
    core::str::from_utf8(buffer.get(..len).unwrap_or_default()).map_err(|_| Errno::ILSEQ)
}
