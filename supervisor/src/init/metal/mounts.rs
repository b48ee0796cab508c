//! The file systems every program expects.

use std::ffi::CStr;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::console::say;

struct Mount {
    source: &'static str,
    target: &'static str,
    kind: &'static str,
    flags: MountFlags,
    options: &'static CStr,
}

const BARE: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// In this order: /dev/pts and /dev/shm live in what is mounted on /dev.
const MOUNTS: [Mount; 9] = [
    Mount { source: "proc", target: "/proc", kind: "proc", flags: BARE, options: c"" },
    Mount { source: "sysfs", target: "/sys", kind: "sysfs", flags: BARE, options: c"" },
    Mount {
        source: "devtmpfs",
        target: "/dev",
        kind: "devtmpfs",
        flags: MountFlags::NOSUID,
        options: c"mode=0755",
    },
    Mount {
        source: "devpts",
        target: "/dev/pts",
        kind: "devpts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: c"mode=0620,ptmxmode=0666",
    },
    Mount { source: "tmpfs", target: "/dev/shm", kind: "tmpfs", flags: BARE, options: c"size=8m" },
    Mount {
        source: "tmpfs",
        target: "/run",
        kind: "tmpfs",
        flags: BARE,
        options: c"mode=0755,size=8m",
    },
    Mount {
        source: "tmpfs",
        target: "/tmp",
        kind: "tmpfs",
        flags: BARE,
        options: c"mode=1777,size=8m",
    },
    Mount {
        source: "cgroup2",
        target: "/sys/fs/cgroup",
        kind: "cgroup2",
        flags: BARE,
        options: c"nsdelegate,memory_recursiveprot",
    },
    Mount { source: "pstore", target: "/sys/fs/pstore", kind: "pstore", flags: BARE, options: c"" },
];

/// True when all of them are there.
pub(crate) fn mount_all() -> bool {
    let failed = MOUNTS.iter().filter(|mount| !mount_one(mount)).count();
    failed == 0
}

fn mount_one(mount: &Mount) -> bool {
    let Mount { source, target, kind, flags, options } = *mount;
    let _ = rustix::fs::mkdir(target, Mode::from(0o755));
    let mut mounted = rustix::mount::mount(source, target, kind, flags, options);
    if mounted == Err(Errno::INVAL) {
        // An older kernel that does not know an option.
        mounted = rustix::mount::mount(source, target, kind, flags, None);
    }
    match mounted {
        // Busy: mounted already, by the kernel or an earlier stage.
        Ok(()) | Err(Errno::BUSY) => true,
        // Last words are kept by kernels that can; status tells where the record was kept.
        Err(Errno::NODEV | Errno::NOENT) if kind == "pstore" => true,
        Err(errno) => {
            say!("cannot mount {kind} on {target}: {errno}");
            false
        }
    }
}
