//! What Linux says about a running process: memory, CPU time. And asking it to end.

use std::fs;
use std::process::{Child, ExitStatus};
use std::time::Duration;

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

/// Sends `signal` to a child that has not been waited for yet.
pub fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).expect("a child that was not reaped can be signalled");
}

/// Waits for the child's end; `None` when it is still running after `limit`.
pub fn exit_status(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    wait::until(limit, || child.try_wait().expect("our own child can be waited for"))
}
