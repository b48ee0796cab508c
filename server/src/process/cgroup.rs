//! The memory limit of the cgroup that the process is in, of version 2 or 1.

use std::path::{Path, PathBuf};

/// The lowest limit on the way from the process's own cgroup to the root; `None` without one.
pub fn memory_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    limit_of(&groups, &read)
}

/// The same from the text of `/proc/self/cgroup`, whose lines are `id:controllers:path`, and from
/// files that `read` gives.
fn limit_of(groups: &str, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let places = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        if controllers.is_empty() {
            return Some(("/sys/fs/cgroup", "memory.max", path));
        }
        let has_memory = controllers.split(',').any(|name| name == "memory");
        has_memory.then_some(("/sys/fs/cgroup/memory", "memory.limit_in_bytes", path))
    });
    places.filter_map(|(root, file, path)| lowest(Path::new(root), file, path, read)).min()
}

fn lowest(
    root: &Path,
    file: &str,
    path: &str,
    read: &impl Fn(&Path) -> Option<String>,
) -> Option<u64> {
    let own: PathBuf = root.join(path.trim_start_matches('/'));
    let levels = own.ancestors().take_while(|level| level.starts_with(root));
    // In a container the path may be the host's, and the limit lies at the root that we see.
    levels.filter_map(|level| parse(&read(&level.join(file))?)).min()
}

/// `max`, or (in version 1) a number near the largest, is no limit.
fn parse(text: &str) -> Option<u64> {
    const NO_LIMIT: u64 = 1 << 62;
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &str, files: &[(&str, &str)], expected: Option<u64>) {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        assert_eq!(limit_of(groups, &read), expected, "{groups:?}");
    }

    #[test]
    fn the_lowest_limit_on_the_way_up_counts() {
        let files = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "1000\n"),
            ("/sys/fs/cgroup/memory.max", "2000\n"),
        ];
        check("0::/a/b\n", &files, Some(1000));
        check("0::/elsewhere\n", &files, Some(2000));
        check("0::/\n", &[], None);
    }

    #[test]
    fn version_1_and_garbage_are_understood() {
        let files = [
            ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "4096\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        check("5:cpu,memory:/x\n3:pids:/x\n0::/\n", &files, Some(4096));
        check("5:memory:/\n", &files, None);
        check("no lines like that\n::\n", &files, None);
    }
}
