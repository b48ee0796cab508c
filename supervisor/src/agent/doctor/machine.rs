//! Disk, memory, clock and network, as the kernel tells.

use std::fs;
use std::path::Path;

use holdfast_supervisor::paths;

use super::Finding;
use crate::backup::store::Size;
use crate::backup::{store, unix_ms};

pub(crate) fn findings() -> Vec<Finding> {
    let data = Path::new(paths::DATA);
    let mut found = vec![space(data), memory()];
    found.extend(file_system_errors());
    found.extend(flash_wear());
    found.push(set_aside(data));
    found.push(clock(unix_ms(), newest_file_ms(data)));
    found.push(network(&read("/proc/net/route"), &read("/proc/net/ipv6_route")));
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn space(data: &Path) -> Finding {
    match rustix::fs::statvfs(data) {
        Err(error) => Finding::fail("disk", format!("{}: {error}", data.display()), "mount it"),
        Ok(volume) => {
            let read_only = volume.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
            let unit = volume.f_frsize;
            let (free, all) = (volume.f_bavail * unit, volume.f_blocks * unit);
            judge_space(free, all, (volume.f_favail, volume.f_files), read_only)
        }
    }
}

fn judge_space(free: u64, all: u64, (nodes_free, nodes): (u64, u64), read_only: bool) -> Finding {
    let percent =
        |part: u64, whole: u64| (part.saturating_mul(100)).checked_div(whole).unwrap_or(100);
    let left = percent(free, all).min(percent(nodes_free, nodes));
    let seen = format!("{} of {} free in /data", Size(free), Size(all));
    let advice = "delete what restores set aside, or lower `[backup] keep`; else a larger disk";
    match left {
        _ if read_only => Finding::fail(
            "disk",
            "/data is read-only",
            "see the kernel's log; the disk may be dying",
        ),
        0..5 => Finding::fail("disk", seen, advice),
        5..15 => Finding::warn("disk", seen, advice),
        _ => Finding::ok("disk", seen),
    }
}

/// ext4 counts the errors it has met since it was last checked.
fn file_system_errors() -> Vec<Finding> {
    let volumes = fs::read_dir("/sys/fs/ext4").into_iter().flatten().flatten();
    let counts = volumes.filter_map(|volume| {
        let count = fs::read_to_string(volume.path().join("errors_count")).ok()?;
        Some((volume.file_name().to_string_lossy().into_owned(), count.trim().parse::<u64>().ok()?))
    });
    let bad = counts.filter(|(_, count)| *count > 0);
    bad.map(|(name, count)| {
        let seen = format!("ext4 has met {count} errors on {name}");
        Finding::fail("disk health", seen, "copy a backup elsewhere, then replace the disk")
    })
    .collect()
}

/// eMMC tells its age in tenths of its life (JESD84: 0x01 is up to 10 %, 0x0b past its end).
fn flash_wear() -> Vec<Finding> {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let worn = disks.filter_map(|disk| {
        let told = fs::read_to_string(disk.path().join("device/life_time")).ok()?;
        judge_wear(&disk.file_name().to_string_lossy(), &told)
    });
    worn.collect()
}

fn judge_wear(name: &str, told: &str) -> Option<Finding> {
    let tenths = |word: &str| u8::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let worst = told.split_whitespace().filter_map(tenths).max().filter(|worst| *worst > 0)?;
    let seen = format!("{name} has used up to {} % of its life", u32::from(worst) * 10);
    let advice = "plan its replacement";
    Some(match worst {
        0..8 => Finding::ok("disk health", seen),
        8..=10 => Finding::warn("disk health", seen, advice),
        _ => Finding::fail("disk health", format!("{name} is past the end of its life"), advice),
    })
}

fn memory() -> Finding {
    let text = read("/proc/meminfo");
    let kilobytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
    };
    match (kilobytes("MemAvailable"), kilobytes("MemTotal")) {
        (Some(available), Some(total)) => judge_memory(available << 10, total << 10),
        _ => Finding::warn("memory", "/proc/meminfo cannot be read", "mount /proc"),
    }
}

fn judge_memory(available: u64, total: u64) -> Finding {
    let seen = format!("{} of {} available", Size(available), Size(total));
    let advice = "lower maxmemory, or add memory";
    match available.saturating_mul(100) / total.max(1) {
        0..5 => Finding::fail("memory", seen, advice),
        5..10 => Finding::warn("memory", seen, advice),
        _ => Finding::ok("memory", seen),
    }
}

/// What restores have set aside is never deleted by itself.
fn set_aside(data: &Path) -> Finding {
    let entries = fs::read_dir(data).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let aside: Vec<_> = names.filter(|name| name.contains(".before-restore-")).collect();
    if aside.is_empty() {
        return Finding::ok("restores", "nothing is set aside");
    }
    let seen = format!("set aside in {}: {}", data.display(), aside.join(", "));
    Finding::warn("restores", seen, "delete it when you are content with the restore")
}

/// A clock behind the files is wrong; without files the least it may show is when this was built.
fn clock(now_ms: u64, newest_ms: u64) -> Finding {
    /// Clocks of two machines differ; a file may be a moment ahead.
    const SLACK_MS: u64 = 60_000;
    let shown = store::stamp(now_ms);
    let built_ms = holdfast_supervisor::clock::BUILT_AT.unsigned_abs().saturating_mul(1000);
    let floor = newest_ms.max(built_ms);
    if now_ms + SLACK_MS < floor {
        let seen = format!("it shows {shown}, but there is something of {}", store::stamp(floor));
        return Finding::fail("clock", seen, "set it: certificates and expiry depend on it");
    }
    Finding::ok("clock", format!("it shows {shown}"))
}

fn newest_file_ms(data: &Path) -> u64 {
    let entries = fs::read_dir(data).into_iter().flatten().flatten();
    let times = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    let since = times.filter_map(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.map(|since| since.as_millis() as u64).max().unwrap_or(0)
}

/// A route to 0.0.0.0/0 or ::/0; columns as proc_pid_net(5) has them.
fn network(routes: &str, routes_6: &str) -> Finding {
    let is_default_4 = |line: &str| {
        let mut columns = line.split_whitespace();
        columns.nth(1) == Some("00000000") && columns.nth(5) == Some("00000000")
    };
    let is_default_6 = |line: &str| {
        let mut columns = line.split_whitespace();
        let is_any = columns.next() == Some("00000000000000000000000000000000");
        is_any
            && columns.next() == Some("00")
            && columns.last().is_some_and(|device| device != "lo")
    };
    let default_4 = routes.lines().skip(1).any(is_default_4);
    match default_4 || routes_6.lines().any(is_default_6) {
        true => Finding::ok("network", "there is a way out (a default route)"),
        false => Finding::warn(
            "network",
            "no default route: only the local network is reachable",
            "see `[network]` of holdfast.toml, unless that is meant",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn space_is_judged_by_what_is_short() {
        let level =
            |free, nodes, read_only| judge_space(free, 1000, (nodes, 1000), read_only).level;
        assert_eq!(level(500, 500, false), Level::Ok);
        assert_eq!(level(149, 500, false), Level::Warn);
        assert_eq!(level(500, 49, false), Level::Fail);
        assert_eq!(level(500, 500, true), Level::Fail);
        assert_eq!(judge_space(9, 10, (0, 0), false).level, Level::Ok, "btrfs counts no inodes");
    }

    #[test]
    fn memory_and_wear_have_bounds() {
        assert_eq!(judge_memory(10, 100).level, Level::Ok);
        assert_eq!(judge_memory(9, 100).level, Level::Warn);
        assert_eq!(judge_memory(4, 100).level, Level::Fail);
        let wear = |told| judge_wear("mmcblk0", told).map(|finding| finding.level);
        assert_eq!(wear("0x01 0x02\n"), Some(Level::Ok));
        assert_eq!(wear("0x01 0x09\n"), Some(Level::Warn));
        assert_eq!(wear("0x0b 0x01\n"), Some(Level::Fail));
        assert_eq!(wear("0x00 0x00\n"), None);
        assert_eq!(wear("garbage"), None);
    }

    #[test]
    fn a_clock_behind_the_files_is_wrong() {
        let now = 2_000_000_000_000;
        assert_eq!(clock(now, now - 5).level, Level::Ok);
        assert_eq!(clock(now, now + 1_000).level, Level::Ok);
        assert_eq!(clock(now, now + 100_000).level, Level::Fail);
        assert_eq!(clock(7, 0).level, Level::Fail, "1970");
    }

    #[test]
    fn a_default_route_is_found() {
        let head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n";
        let by = |rest: &str| network(&format!("{head}{rest}"), "").level;
        assert_eq!(by("eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\n"), Level::Ok);
        assert_eq!(by("eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n"), Level::Warn);
        assert_eq!(by(""), Level::Warn);
        let six = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                   fe800000000000000000000000000001 00000400 00000001 00000000 00000003 ";
        assert_eq!(network("", &format!("{six}    eth0\n")).level, Level::Ok);
        assert_eq!(network("", &format!("{six}      lo\n")).level, Level::Warn);
    }
}
