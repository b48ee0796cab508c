//! Where the kernel reads this process's command line from (proc_pid_cmdline(5)): what execve(2) put on
//! the stack, the arguments and behind them the environment.

use std::fs;

/// So much is shown of a title, in bytes; Valkey's limit.
const TITLE_MAX: usize = 1024;

/// The strings on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::process) struct Area {
    start: usize,
    /// Of the arguments.
    args_len: usize,
    /// With the environment, where that follows.
    len: usize,
}

/// Frees the area for titles: whoever asks for a variable finds a copy. The caller must be the only
/// thread, and nobody may ask for the arguments again.
pub(in crate::process) fn take_area() -> Option<Area> {
    let area = area_of(&fs::read_to_string("/proc/self/stat").ok()?)?;
    for (name, value) in std::env::vars_os() {
        // SAFETY: no other thread reads or writes the environment: there is none.
        unsafe { std::env::set_var(name, value) };
    }
    Some(area)
}

/// Fields 48 to 51 of proc_pid_stat(5); the second one, the program's name, may contain anything.
fn area_of(stat: &str) -> Option<Area> {
    const ARG_START: usize = 48;
    const BEHIND_NAME: usize = 3;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut addresses = rest.split_ascii_whitespace().skip(ARG_START - BEHIND_NAME);
    let mut address = || addresses.next()?.parse::<usize>().ok();
    let (start, args_end, env_start, env_end) = (address()?, address()?, address()?, address()?);
    let args_len = args_end.checked_sub(start).filter(|&len| len > 0 && start > 0)?;
    let is_one = env_start == args_end && env_end >= env_start;
    let len = if is_one { env_end - start } else { args_len };
    Some(Area { start, args_len, len })
}

impl Area {
    pub(in crate::process) fn show(self, title: &[u8]) {
        let bytes = self.bytes_for(title);
        let start = std::ptr::with_exposed_provenance_mut::<u8>(self.start);
        // SAFETY: these are as many bytes as the kernel says lie there, in the stack of the main thread
        // above all its frames. Nothing refers to them: the environment was moved (`take_area`), and
        // whoever still follows the pointer to an argument finds a zero in time, the last byte's.
        unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// What the area is to hold. Where the last byte of the arguments is not zero, the kernel shows one
    /// string, up to its zero; else it shows all of them.
    fn bytes_for(self, title: &[u8]) -> Vec<u8> {
        let end = title.iter().position(|&byte| byte == 0).unwrap_or(title.len());
        let shown = end.min(TITLE_MAX).min(self.len - 1);
        let mut bytes = vec![0; self.len];
        bytes[..shown].copy_from_slice(&title[..shown]);
        if shown + 1 < self.args_len && self.args_len < self.len {
            bytes[self.args_len - 1] = b'.';
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_where_the_strings_are() {
        let stat = |name: &str, places: [usize; 4]| {
            let between = "0 ".repeat(48 - 4);
            let places = places.map(|place| place.to_string()).join(" ");
            area_of(&format!("7 ({name}) S {between}{places} 0\n"))
        };
        let whole = Some(Area { start: 100, args_len: 20, len: 50 });
        assert_eq!(stat("server", [100, 120, 120, 150]), whole);
        assert_eq!(stat("a) b (c", [100, 120, 120, 150]), whole);
        let alone = Some(Area { start: 100, args_len: 20, len: 20 });
        assert_eq!(stat("server", [100, 120, 200, 230]), alone);
        assert_eq!(stat("server", [0, 0, 0, 0]), None);
        assert_eq!(stat("server", [100, 100, 100, 150]), None);
        assert_eq!(area_of("7 (server) S 1 2"), None);
    }

    #[test]
    fn a_title_ends_with_a_zero_whatever_its_length() {
        let area = Area { start: 1, args_len: 4, len: 8 };
        for (title, bytes) in [
            ("", "\0\0\0.\0\0\0\0"),
            ("ab", "ab\0.\0\0\0\0"),
            ("abc", "abc\0\0\0\0\0"),
            ("abcd", "abcd\0\0\0\0"),
            ("abcdefghij", "abcdefg\0"),
            ("a\0b", "a\0\0.\0\0\0\0"),
        ] {
            assert_eq!(area.bytes_for(title.as_bytes()), bytes.as_bytes(), "{title}");
        }
        let alone = Area { len: 4, ..area };
        assert_eq!(alone.bytes_for(b"a"), b"a\0\0\0");
        assert_eq!(alone.bytes_for(b"abcdef"), b"abc\0");
    }
}
