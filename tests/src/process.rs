//! What Linux says about a running process: memory, CPU time. And asking it to end.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Resident memory of `pid` in bytes (`VmRSS` of /proc/PID/status).
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is alive");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).expect("a VmRSS line");
    kib.trim().parse::<u64>().expect("VmRSS is a number") * 1024
}

/// CPU time that `pid` has used, all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTime {
    pub user: Duration,
    pub system: Duration,
}

/// Reads utime and stime, fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)).
pub fn cpu_time(pid: u32) -> CpuTime {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is alive");
    // The second field is the command's name in brackets and may itself hold spaces.
    let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|f| f.parse::<u64>().ok()).expect("a tick count");
    let per_second = rustix::param::clock_ticks_per_second();
    let as_time = |ticks: u64| Duration::from_nanos(ticks * 1_000_000_000 / per_second);
    CpuTime { user: as_time(ticks()), system: as_time(ticks()) }
}

/// How long a thread was ready to run and had no processor, by the kernel's account: the second field of
/// its `schedstat`.
#[derive(Debug)]
struct Waited(File);

impl Waited {
    fn of(task: &str) -> Self {
        Self(File::open(format!("{task}/schedstat")).expect("the thread is alive"))
    }

    fn so_far(&self) -> Duration {
        let mut text = [0; 64];
        // It may be gone by now.
        let len = self.0.read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(&text[..len]);
        let ns = text.split_ascii_whitespace().nth(1).and_then(|field| field.parse().ok());
        Duration::from_nanos(ns.unwrap_or(0))
    }
}

/// Takes the time of requests, and what of it was the server's: the time but for what the threads that
/// serve, and the one that asks, waited for a processor that somebody else had. What counts is what a
/// server computes, waits for a lock, or for the disk; and a hypervisor's pauses. It is an upper bound
/// where one serving thread waits for another that waits for a processor: the longer wait is taken off.
#[derive(Debug)]
pub struct Stopwatch {
    asks: Waited,
    serve: Vec<Waited>,
}

/// How long a request took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Took {
    pub all: Duration,
    /// In the server, as far as one can tell from outside.
    pub served: Duration,
}

impl Stopwatch {
    /// For requests of this thread to `pid`, which has just been started: its main thread serves, and
    /// so do the first that are called `holdfast`, one for each processor. Later ones free memory.
    pub fn of(pid: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is alive");
        let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let mut ids: Vec<u32> = ids.collect();
        ids.sort_unstable();
        let path = |id: u32| format!("/proc/{pid}/task/{id}");
        let is_worker = |id: &u32| {
            fs::read_to_string(path(*id) + "/comm").is_ok_and(|name| name.trim_end() == "holdfast")
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers = ids.into_iter().filter(is_worker).take(workers);
        let serve = std::iter::once(pid).chain(workers).map(|id| Waited::of(&path(id))).collect();
        Self { asks: Waited::of("/proc/thread-self"), serve }
    }

    pub fn time(&self, request: impl FnOnce()) -> Took {
        let waited = || self.serve.iter().map(Waited::so_far).collect::<Vec<_>>();
        let (asks, serve) = (self.asks.so_far(), waited());
        let start = Instant::now();
        request();
        let all = start.elapsed();
        let served = waited().into_iter().zip(serve).map(|(now, then)| now.saturating_sub(then));
        let outside = served.max().unwrap_or_default() + self.asks.so_far().saturating_sub(asks);
        Took { all, served: all.saturating_sub(outside) }
    }
}

/// Sends `signal` to a child that has not been waited for yet.
pub fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).expect("a child that was not reaped can be signalled");
}

/// Waits for the child's end; `None` when it is still running after `limit`.
pub fn exit_status(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    wait::until(limit, || child.try_wait().expect("our own child can be waited for"))
}
