//! The system calls that services may make.
//!
//! Found by tracing the server and the agent under their loads (commands over TCP and sockets, save,
//! append-only log, rewrite, CONFIG SET, backups, certificates, DHCP) and the C library's start; then
//! completed by what the same libraries do instead on another kernel or when something fails. What is
//! absent is absent on purpose: other processes' memory, mounts, modules, namespaces, users, keys,
//! io_uring, BPF, clocks, and memory that is executable.

use libc::*;

use super::filter::{Allowed, Test};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Server,
    Agent,
}

pub(super) fn of(who: Who) -> Allowed {
    let lists = [FILES, FOLDERS, SOCKETS, WAITING, MEMORY, PROCESS, LEGACY];
    let mut always = lists.concat();
    let mut when = WHEN.to_vec();
    if who == Who::Agent {
        always.extend(AGENT);
        when.push((SYS_socket, AGENT_SOCKET));
    } else {
        when.push((SYS_socket, SERVER_SOCKET));
    }
    Allowed { always, when }
}

const FILES: &[c_long] = &[
    SYS_openat,
    SYS_openat2,
    SYS_close,
    SYS_close_range,
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_lseek,
    SYS_statx,
    SYS_newfstatat,
    SYS_fstat,
    SYS_statfs,
    SYS_fstatfs,
    SYS_fcntl,
    SYS_flock,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_ftruncate,
    SYS_truncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_readahead,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_splice,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_umask,
];

const FOLDERS: &[c_long] = &[
    SYS_getcwd,
    SYS_chdir,
    SYS_fchdir,
    SYS_getdents64,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_linkat,
];

const SOCKETS: &[c_long] = &[
    SYS_socketpair,
    SYS_bind,
    SYS_connect,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_shutdown,
];

const WAITING: &[c_long] = &[
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_futex,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_getitimer,
    SYS_setitimer,
    SYS_restart_syscall,
];

const MEMORY: &[c_long] = &[
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_msync,
    SYS_mincore,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    SYS_membarrier,
];

/// execve is here because the filter is put on before it; what may be executed is Landlock's to say.
const PROCESS: &[c_long] = &[
    SYS_execve,
    SYS_exit,
    SYS_exit_group,
    SYS_wait4,
    SYS_waitid,
    SYS_kill,
    SYS_tkill,
    SYS_tgkill,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_getcpu,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getpgid,
    SYS_getsid,
    SYS_setsid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getgroups,
    SYS_getresuid,
    SYS_getresgid,
    SYS_capget,
    SYS_prlimit64,
    SYS_getrusage,
    SYS_times,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrandom,
];

/// The older forms that x86-64 has beside the newer ones.
#[cfg(target_arch = "x86_64")]
const LEGACY: &[c_long] = &[
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_mkdir,
    SYS_rename,
    SYS_unlink,
    SYS_link,
    SYS_chmod,
    SYS_getdents,
    SYS_pipe,
    SYS_dup2,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_eventfd,
    SYS_fork,
    SYS_vfork,
    SYS_time,
    SYS_getrlimit,
    SYS_setrlimit,
    SYS_getpgrp,
    SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[c_long] = &[];

/// Owners and links of what it restores, folders that it removes, watching files.
const AGENT: &[c_long] = &[
    SYS_fchown,
    SYS_fchownat,
    SYS_symlinkat,
    SYS_utimensat,
    SYS_syncfs,
    SYS_inotify_init1,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    #[cfg(target_arch = "x86_64")]
    SYS_chown,
    #[cfg(target_arch = "x86_64")]
    SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    SYS_rmdir,
];

const fn is(argument: u8, value: c_int) -> Test {
    Test::Is { argument, value: value as u32 }
}

const fn without(argument: u8, bits: c_int) -> Test {
    Test::Without { argument, bits: bits as u32 }
}

const NAMESPACES: c_int = CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET;

/// `PR_SET_VMA`, which names memory for /proc/PID/maps.
const SET_VMA: c_int = 0x5356_4d41;

const UNIX: &[Test] = &[is(0, AF_UNIX)];
const IPV4: &[Test] = &[is(0, AF_INET)];
const IPV6: &[Test] = &[is(0, AF_INET6)];
/// Of netlink only routes and addresses, which getaddrinfo asks for.
const ROUTES: &[Test] = &[is(0, AF_NETLINK), is(2, NETLINK_ROUTE)];
/// What asks whose an address is. All that a packet socket may hear first is ARP.
const ARP: &[Test] = &[
    is(0, AF_PACKET),
    is(1, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK),
    is(2, (ETH_P_ARP as u16).to_be() as c_int),
];

const SERVER_SOCKET: &[&[Test]] = &[UNIX, IPV4, IPV6, ROUTES];
const AGENT_SOCKET: &[&[Test]] = &[UNIX, IPV4, IPV6, ROUTES, ARP];

const WHEN: &[(c_long, &[&[Test]])] = &[
    (SYS_clone, &[&[without(0, NAMESPACES)]]),
    // Nothing here makes code at run time, and an attacker shall not.
    (SYS_mmap, &[&[without(2, PROT_EXEC)]]),
    (SYS_mprotect, &[&[without(2, PROT_EXEC)]]),
    (
        SYS_ioctl,
        &[
            &[is(1, TCGETS as c_int)],
            &[is(1, TIOCGWINSZ as c_int)],
            &[is(1, FIONREAD as c_int)],
            &[is(1, FIONBIO as c_int)],
            &[is(1, FIOCLEX as c_int)],
            &[is(1, FIONCLEX as c_int)],
            &[is(1, SIOCGIFCONF as c_int)],
            &[is(1, SIOCGIFFLAGS as c_int)],
            &[is(1, SIOCGIFINDEX as c_int)],
            &[is(1, SIOCGIFHWADDR as c_int)],
        ],
    ),
    (
        SYS_prctl,
        &[
            &[is(0, PR_SET_NAME)],
            &[is(0, PR_GET_NAME)],
            &[is(0, PR_GET_DUMPABLE)],
            &[is(0, PR_SET_DUMPABLE)],
            &[is(0, PR_SET_PDEATHSIG)],
            &[is(0, PR_CAPBSET_READ)],
            &[is(0, PR_GET_NO_NEW_PRIVS)],
            &[is(0, PR_SET_THP_DISABLE)],
            &[is(0, PR_GET_THP_DISABLE)],
            &[is(0, SET_VMA)],
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_allowed_always_or_sometimes_but_not_both() {
        for who in [Who::Server, Who::Agent] {
            let allowed = of(who);
            let mut always = allowed.always.clone();
            always.sort_unstable();
            let twice = always.windows(2).find(|pair| pair[0] == pair[1]);
            assert_eq!(twice, None, "listed twice");
            for (number, _) in &allowed.when {
                assert!(!always.contains(number), "{number} is conditional");
            }
        }
    }

    #[test]
    fn nobody_but_the_agent_may_open_a_packet_socket() {
        let packets = |who| {
            let when = of(who).when;
            let (_, alternatives) = when.iter().find(|(number, _)| *number == SYS_socket)?;
            let is_packet = |test: &Test| matches!(*test, Test::Is { argument: 0, value } if value == AF_PACKET as u32);
            Some(alternatives.iter().filter(|tests| tests.iter().any(is_packet)).count())
        };
        assert_eq!((packets(Who::Server), packets(Who::Agent)), (Some(0), Some(1)));
    }

    #[test]
    fn the_server_has_nothing_to_do_with_these() {
        let allowed = of(Who::Server);
        for number in [
            SYS_ptrace,
            SYS_mount,
            SYS_bpf,
            SYS_io_uring_setup,
            SYS_setuid,
            SYS_unshare,
            SYS_setns,
            SYS_init_module,
            SYS_reboot,
            SYS_chroot,
            SYS_keyctl,
            SYS_clone3,
            SYS_memfd_create,
            SYS_process_vm_writev,
            SYS_clock_settime,
            SYS_perf_event_open,
            SYS_userfaultfd,
        ] {
            assert!(!allowed.always.contains(&number), "{number}");
        }
    }
}
